# The tasks of this project. `make` alone lists them.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS   = -s -w -X main.version=$(VERSION)
# Tools are pinned here, apart from go.mod, so that they do not choose the program's modules.
GOLANGCI  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/ppms-syncd, static
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ppms-syncd ./cmd/ppms-syncd

.PHONY: demo
demo: build ## a whole sync between a small directory and a simulated PPMS
	bin/ppms-syncd demo

.PHONY: deps
deps: ## install what the tests need (Debian; says what is missing if it may not)
	scripts/test-deps

.PHONY: test
test: deps ## all tests, with the race detector and real directories
	CGO_ENABLED=1 $(GO) test -race -timeout 15m ./...

.PHONY: bench
bench: ## the benchmarks, side by side
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/...

.PHONY: fuzz
fuzz: ## each fuzz target for 20 seconds
	scripts/fuzz 20s

bin/golangci-lint: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install $(GOLANGCI)

.PHONY: lint
lint: bin/golangci-lint ## the house rules: go vet, golangci-lint, tidy go.mod
	$(GO) vet ./...
	bin/golangci-lint run ./...
	$(GO) mod tidy -diff

.PHONY: fmt
fmt: bin/golangci-lint ## format the code
	bin/golangci-lint fmt ./...

.PHONY: ci
ci: build lint demo test ## everything that must pass before a change is accepted

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
