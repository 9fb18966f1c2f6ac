package daemon_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppms"
)

// scraped starts a daemon between two servers with TLS, lets it run once, and returns what it answers: every metric has a value then.
func scraped(t *testing.T) string {
	t.Helper()
	w := newWorld(t)
	certs, err := ldaptest.NewCerts(ldaptest.CertOptions{})
	must(t, err)
	w.secureDirectory(certs)
	w.securePPMS(authority)
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.until(`ppms_syncd_runs_total{result="success"} 1`)
	_, text := s.get(http.MethodGet, "/metrics")
	return text
}

// series are the label values that occur, by metric and label. A histogram is its three series.
type series map[string]map[string][]string

func families(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	must(t, err)
	return all
}

// exposed are the series of a scrape.
func exposed(t *testing.T, text string) series {
	t.Helper()
	out := series{}
	for name, f := range families(t, text) {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			out[name+"_sum"], out[name+"_count"] = labels, labels
			labels = maps.Clone(labels)
			labels["le"] = nil
			name += "_bucket"
		}
		out[name] = labels
	}
	return out
}

// own are the names of our metrics, sorted: those of the Go runtime and of the process are explained elsewhere.
func own[V any](all map[string]V) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return !strings.HasPrefix(name, "ppms_syncd_") })
}

func TestMetricsOfADaemon(t *testing.T) {
	w := scraped(t)
	problems, err := promlint.New(strings.NewReader(w)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	cmd := exec.CommandContext(t.Context(), program(t, "promtool"), "check", "metrics")
	cmd.Stdin = strings.NewReader(w)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	for _, word := range []string{"carl", "ada", "dc=example", "@"} {
		for line := range strings.Lines(w) {
			if strings.HasPrefix(line, "ppms_syncd_") && strings.Contains(line, word) {
				t.Errorf("the metrics name %s: %s", word, line)
			}
		}
	}
	labels := exposed(t, w)
	same(t, "phases", labels["ppms_syncd_run_duration_seconds_count"]["phase"], []string{"directory", "plan", "ppms", "total", "write"})
	same(t, "sides", labels["ppms_syncd_tls_certificate_expiry_timestamp_seconds"]["side"], []string{"ldap", "ppms"})

	// What is made beforehand is what a run asks for: an action that is missing there would show up here without "unauthorised".
	known := map[string]bool{}
	for _, m := range families(t, w)["ppms_syncd_pumapi_requests_total"].GetMetric() {
		action, outcome := m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue()
		if outcome == ppms.Unauthorised.String() {
			known[action] = true
		} else if m.GetCounter().GetValue() == 0 {
			t.Errorf("a run never asks for %s", action)
		}
	}
	for _, action := range labels["ppms_syncd_pumapi_requests_total"]["action"] {
		if !known[action] {
			t.Errorf("the first refusal of %s would go unnoticed", action)
		}
	}
}

// program finds a program of the Debian package prometheus. Without it the test is skipped, or fails if CI=true.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install the package prometheus", name)
	default:
		t.Skipf("%s is missing", name)
	}
	return path
}

// TestMetricsDocument keeps the table of docs/metrics.md what the daemon says, and every label value explained in that document.
func TestMetricsDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "metrics.md")
	text := scraped(t)
	all, labels := families(t, text), exposed(t, text)
	var table strings.Builder
	table.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, name := range own(all) {
		f, series := all[name], name
		if f.GetType() == dto.MetricType_HISTOGRAM {
			series += "_sum"
		}
		names := slices.Sorted(maps.Keys(labels[series]))
		for i := range names {
			names[i] = "`" + names[i] + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(names, " "), f.GetHelp())
	}
	const begin, end = "<!-- made by go test ./internal/daemon -run MetricsDocument -update -->\n", "<!-- end of what is made -->"
	have, err := os.ReadFile(path)
	must(t, err)
	before, rest, ok := bytes.Cut(have, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	want := string(before) + begin + table.String() + end + string(after)
	if *update {
		must(t, os.WriteFile(path, []byte(want), 0o600))
	} else if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("%s is out of date; run go test ./internal/daemon -run MetricsDocument -update:\n%s", path, diff)
	}
	issues, err := os.ReadFile(filepath.Join("..", "..", "docs", "how-it-decides.md"))
	must(t, err)
	explained := want + string(issues)
	delete(labels, "ppms_syncd_build_info") // versions are anything
	for _, name := range own(labels) {
		for label, values := range labels[name] {
			for _, value := range values {
				if !strings.Contains(explained, "`"+value+"`") {
					t.Errorf("%s{%s=%q} is explained nowhere", name, label, value)
				}
			}
		}
	}
	for kind := ppms.Unauthorised; kind <= ppms.Unconfirmed; kind++ {
		if !strings.Contains(explained, "`"+kind.String()+"`") {
			t.Errorf("the outcome %s of a request is explained nowhere", kind)
		}
	}
}
