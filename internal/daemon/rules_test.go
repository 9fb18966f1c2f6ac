package daemon_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/goccy/go-yaml"
)

// alert is one rule.
type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	text, err := os.ReadFile(filepath.Join(deployed, "ppms-syncd.rules.yml"))
	must(t, err)
	must(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// promtool runs in the folder of the rules.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "promtool"), args...)
	cmd.Dir = deployed
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "ppms-syncd.rules.yml")
	promtool(t, "test", "rules", "ppms-syncd.rules.test.yml")
}

// TestAlertsAreTested: each alert fires in a case, and says what to do and where to read on.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(deployed, "ppms-syncd.rules.test.yml"))
	must(t, err)
	runbook, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	must(t, err)
	for _, a := range alerts(t) {
		if !strings.Contains(string(text), fmt.Sprintf("labels: 'ALERTS{alertname=%q", a.Alert)) {
			t.Errorf("%s fires in no test", a.Alert)
		}
		if a.Annotations["runbook"] != "docs/operate.md#"+strings.ToLower(a.Alert) {
			t.Errorf("%s has the runbook %q", a.Alert, a.Annotations["runbook"])
		}
		if !strings.Contains(string(runbook), "\n### "+a.Alert+"\n") {
			t.Errorf("docs/operate.md says nothing of %s", a.Alert)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || !slices.Contains([]string{"warning", "critical"}, a.Labels["severity"]) {
			t.Errorf("%s lacks a summary, a description or a severity", a.Alert)
		}
	}
}

// TestQueriesNameWhatExists: each metric, label and label value in the rules, their tests and the dashboard is one of a running daemon.
//
// metricsql parses all of PromQL and weighs four small modules; Prometheus's own parser would bring hundreds. That what it parses is
// PromQL is what promtool and Prometheus say in the other tests.
func TestQueriesNameWhatExists(t *testing.T) {
	have := exposed(t, scraped(t))
	have["up"] = map[string][]string{} // Prometheus's own
	check := func(where, expr string) {
		t.Helper()
		parsed, err := metricsql.Parse(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		have.check(t, where, parsed)
	}
	for _, a := range alerts(t) {
		check(a.Alert, a.Expr)
		for _, text := range a.Annotations {
			for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
				if m[1] != "instance" && !strings.Contains(a.Expr, m[1]) && !have.anyHas(a.Expr, m[1]) {
					t.Errorf("%s shows the label %s, which it does not have", a.Alert, m[1])
				}
			}
		}
	}
	for _, q := range dashboardQueries(t) {
		check("panel "+q.panel, q.filled())
	}
	var file struct {
		Tests []struct {
			Input []struct{ Series string } `yaml:"input_series"`
		}
	}
	text, err := os.ReadFile(filepath.Join(deployed, "ppms-syncd.rules.test.yml"))
	must(t, err)
	must(t, yaml.Unmarshal(text, &file))
	for _, c := range file.Tests {
		for _, s := range c.Input {
			check("a test of the rules", s.Series)
		}
	}
}

// check holds an expression against the series.
func (have series) check(t *testing.T, where string, expr metricsql.Expr) {
	t.Helper()
	labels := map[string]bool{}
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range m.LabelFilterss {
			name := filters[0].Value
			values, ok := have[name]
			if filters[0].Label != "__name__" || !ok {
				t.Errorf("%s: there is no metric %s", where, name)
				continue
			}
			for label := range values {
				labels[label] = true
			}
			for _, f := range filters[1:] {
				have.checkFilter(t, where, name, &f)
			}
		}
	})
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		var grouped []string
		switch e := e.(type) {
		case *metricsql.AggrFuncExpr:
			grouped = e.Modifier.Args
		case *metricsql.BinaryOpExpr:
			grouped = slices.Concat(e.GroupModifier.Args, e.JoinModifier.Args)
		}
		for _, label := range grouped {
			if !labels[label] && !ofTarget(label) {
				t.Errorf("%s: no metric in it has the label %s", where, label)
			}
		}
	})
}

// checkFilter wants the label to exist and each word of the value to occur.
func (have series) checkFilter(t *testing.T, where, name string, f *metricsql.LabelFilter) {
	t.Helper()
	values, ok := have[name][f.Label]
	switch {
	case ofTarget(f.Label):
		return
	case !ok:
		t.Errorf("%s: %s has no label %s", where, name, f.Label)
		return
	case f.Label == "version":
		return
	}
	words := []string{f.Value}
	if f.IsRegexp {
		words = strings.Split(f.Value, "|")
	}
	for _, word := range words {
		if !slices.Contains(values, word) && !failedRequest(name, f.Label, word) {
			t.Errorf("%s: %s has no %s=%q", where, name, f.Label, word)
		}
	}
}

// failedRequest are outcomes that a daemon which is well does not have.
func failedRequest(name, label, value string) bool {
	return name == "ppms_syncd_pumapi_requests_total" && label == "outcome" && value == "http-status"
}

// ofTarget are the labels that Prometheus gives to all that it scrapes.
func ofTarget(label string) bool { return label == "job" || label == "instance" }

// anyHas says whether a metric of the expression has the label.
func (have series) anyHas(expr, label string) bool {
	for name, labels := range have {
		if _, ok := labels[label]; ok && strings.Contains(expr, name) {
			return true
		}
	}
	return false
}

// dashboardQueries also checks that the dashboard can be imported anywhere: it names no data source, and no machine.
func dashboardQueries(t *testing.T) (all []dashboardQuery) {
	t.Helper()
	type source struct{ Type, UID string }
	var dashboard struct {
		ID         *int
		Templating struct {
			List []struct {
				Name, Type, Definition string
				Datasource             source
			}
		}
		Panels []struct {
			ID                       int
			Title, Description, Type string
			Datasource               source
			Targets                  []struct {
				Expr, LegendFormat string
				Datasource         source
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(deployed, "dashboard.json"))
	must(t, err)
	must(t, json.Unmarshal(text, &dashboard))
	ours := source{"prometheus", "${datasource}"}
	if dashboard.ID != nil {
		t.Error("the dashboard has an id, which belongs to one Grafana")
	}
	for _, v := range dashboard.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition)
		if m == nil || v.Datasource != ours || !ofTarget(m[2]) {
			t.Errorf("the variable %s has the query %q of %v", v.Name, v.Definition, v.Datasource)
			continue
		}
		all = append(all, dashboardQuery{"variable " + v.Name, m[1], "{{" + m[2] + "}}"})
	}
	seen := map[int]bool{}
	for _, p := range dashboard.Panels {
		if seen[p.ID] || p.Type != "row" && (p.Datasource != ours || p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("the panel %q has no id of its own, no query or no description, or not the data source that is chosen", p.Title)
		}
		seen[p.ID] = true
		for _, q := range p.Targets {
			if q.Datasource != ours {
				t.Errorf("the panel %q asks %v", p.Title, q.Datasource)
			}
			all = append(all, dashboardQuery{p.Title, q.Expr, q.LegendFormat})
		}
	}
	if len(all) == 0 {
		t.Error("the dashboard asks nothing")
	}
	return all
}
