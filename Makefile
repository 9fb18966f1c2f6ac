# The tasks of this project. `make` alone lists them.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS   = -s -w -X main.version=$(VERSION)
# Neither PUMAPI nor a scrape needs HTTP/2, and without it the program is 0.6 MB smaller.
TAGS      = nethttpomithttp2
# Tools are pinned here, apart from go.mod, so that they do not choose the program's modules.
GOLANGCI  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
NFPM      = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
CYCLONEDX = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/ppms-syncd, static
	$(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/ppms-syncd ./cmd/ppms-syncd

.PHONY: demo
demo: build ## a whole sync between a small directory and a simulated PPMS
	bin/ppms-syncd demo

.PHONY: deps
deps: ## install what the tests need (Debian; says what is missing if it may not)
	scripts/test-deps

.PHONY: test
test: deps ## all tests, with the race detector and real directories
	CGO_ENABLED=1 $(GO) test -race -timeout 60m ./...
	$(GO) test -timeout 60m -run 'FaultMatrix|RequestCut' ./internal/daemon

.PHONY: test-systemd
test-systemd: deps deb ## units and package under a real systemd in a container (root)
	scripts/systemd/check
	scripts/systemd/test

.PHONY: test-kubernetes
test-kubernetes: deps ## the Helm chart, with Helm 3 and 4 and a real API server on loopback
	scripts/kubernetes/tools
	$(GO) test -count=1 -timeout 60m -parallel 4 -tags kubernetes ./deploy/helm

.PHONY: chart
chart: ## the Helm chart, in dist/
	scripts/release chart

.PHONY: deb
deb: bin/nfpm ## a Debian package for this machine, in dist/
	scripts/release deb $(shell $(GO) env GOARCH)

.PHONY: image
image: bin/cyclonedx-gomod ## a container image for amd64 and arm64 with its SBOM, in dist/
	scripts/release image

.PHONY: test-image
test-image: deps ## the image as Kubernetes runs it: read-only, without capabilities, a user without a name (root)
	scripts/test-image

.PHONY: release
release: bin/nfpm bin/cyclonedx-gomod ## what is published: archives, packages and an image for amd64 and arm64, SBOMs, checksums
	scripts/release all

.PHONY: reproducible
reproducible: bin/nfpm bin/cyclonedx-gomod ## a release made twice, compared byte for byte
	scripts/reproducible

.PHONY: test-prometheus
test-prometheus: deps ## the metrics, alerts and dashboard, with a real Prometheus
	$(GO) test -count=1 -run 'Metrics|Prometheus|Alerts|Queries|Listener' ./internal/daemon

.PHONY: bench
bench: ## the benchmarks, side by side
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/...

.PHONY: fuzz
fuzz: ## each fuzz target for 20 seconds
	scripts/fuzz 20s

.PHONY: reliability
reliability: deps ## prove the promise in full and write the figures to docs/reliability.md
	scripts/reliability

bin/golangci-lint: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(GOLANGCI)

bin/nfpm: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(NFPM)

bin/cyclonedx-gomod: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(CYCLONEDX)

.PHONY: lint
lint: bin/golangci-lint ## the house rules: go vet, golangci-lint, tidy go.mod
	$(GO) vet ./...
	bin/golangci-lint run --allow-parallel-runners ./...
	$(GO) mod tidy -diff

.PHONY: fmt
fmt: bin/golangci-lint ## format the code
	bin/golangci-lint fmt ./...

.PHONY: ci
ci: build lint demo test test-systemd test-image reproducible test-kubernetes ## everything that must pass before a change is accepted

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
