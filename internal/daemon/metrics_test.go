package daemon_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ppms-syncd/internal/daemon"
)

// measured is a world whose runs are counted, and what they left.
func measured(t *testing.T, change ...func(*settings)) (w *world, metrics func() []byte) {
	t.Helper()
	w = newWorld(t, change...)
	m, err := daemon.NewMetrics("test")
	must(t, err)
	w.app.Metrics = m
	return w, func() []byte {
		file := w.path("run.prom")
		must(t, m.WriteFile(file))
		text, err := os.ReadFile(file)
		must(t, err)
		return text
	}
}

func TestMetricsOfARun(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t)
	w.apply().exits(daemon.ExitOK)
	text := metrics()
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	must(t, err)
	for _, name := range []string{
		"build_info", "runs_total", "run_duration_seconds", "last_run_timestamp_seconds", "last_success_timestamp_seconds",
		"last_complete_read_timestamp_seconds", "planned_changes", "planned_removals", "changes_total", "issues", "people", "groups", "accounts",
		"leavers", "guard_trips_total", "pumapi_requests_total", "pumapi_request_duration_seconds", "ldap_pages_total", "holds",
	} {
		if f := families["ppms_syncd_"+name]; name != "issues" && (f == nil || f.GetHelp() == "") {
			t.Errorf("no metric %s, or it has no help", name)
		}
	}
	var phases []string
	for _, m := range families["ppms_syncd_run_duration_seconds"].GetMetric() {
		phases = append(phases, m.GetLabel()[0].GetValue())
	}
	slices.Sort(phases)
	same(t, "phases", phases, []string{"directory", "plan", "ppms", "total", "write"})
	for _, login := range []string{"carl", "ada", "dc=example", "@"} {
		if strings.Contains(string(text), login) {
			t.Errorf("the metrics name %s", login)
		}
	}
}

func TestMetricsOfAHeldRun(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t, none("creations"))
	w.apply().exits(daemon.ExitHeld)
	expect(t, string(metrics()), `ppms_syncd_runs_total{result="held"} 1`, `ppms_syncd_guard_trips_total{guard="creations"} 1`,
		`ppms_syncd_planned_changes{kind="newuser"} 1`, `outcome="held"`)
}
