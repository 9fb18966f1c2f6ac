//go:build kubernetes

package helm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/config"
)

const example = chart + "/example.yaml"

func TestLint(t *testing.T) {
	for _, helm := range helms() {
		run(t, tool(t, helm), "lint", "--strict", "--quiet", "--kube-version", "1.37.2", "--values", example, chart)
	}
}

// TestExample: what the values to begin with become, line by line, whichever Helm it is.
func TestExample(t *testing.T) {
	const golden = "testdata/example.golden.yaml"
	for _, helm := range helms() {
		out, said, err := render(t, helm, example)
		if err != nil || said != "" {
			t.Fatal(err, said)
		}
		if *update {
			must(t, os.MkdirAll("testdata", 0o750))
			must(t, os.WriteFile(golden, []byte(out), 0o600))
		}
		want, err := os.ReadFile(golden)
		must(t, err)
		if diff := cmp.Diff(string(want), out); diff != "" {
			t.Errorf("%s; run go test -tags kubernetes ./deploy/helm -run Example -update: %s", helm, diff)
		}
	}
}

// TestWrongValues: each is refused with words that say what to do.
func TestWrongValues(t *testing.T) {
	cases := []struct{ values, says string }{
		{`policy: ""`, "policy is required: create-only (new accounts), upsert-only"},
		{"policy: everything", "'/policy': value must be one of '', 'create-only', 'upsert-only', 'sync'"},
		{"replicas: 2", "'/replicas': maximum: got 2, want 1"},
		{"dryrun: false", "additional properties 'dryrun' not allowed"},
		{`dryRun: "no"`, "'/dryRun': got string, want boolean"},
		{"config: null", "missing property 'config'"},
		{"config: {policy: sync}", "config.policy: leave it out; set policy"},
		{"config: {dry_run: false}", "config.dry_run: leave it out; set dryRun"},
		{"config: {http: {}}", "config.http: leave it out; set http"},
		{"config: {ledger: {path: /tmp/x}}", "config.ledger.path: leave it out"},
		{"existingConfigMap: mine", "policy and config: leave them out with existingConfigMap"},
		{"secrets: {existing: []}", "secrets are required"},
		{"secrets: null", "missing property 'secrets'"},
		{"secrets: {existing: [ppms-syncd]}", "'/secrets/existing/0': got string, want object"},
		{"secrets: {create: {a/b: x}}", "'/secrets/create': additional properties 'a/b' not allowed"},
		{"ledger: {size: 1 GB}", "'/ledger/size'"},
		{"ledger: {accessMode: ReadWriteMany}", "additional properties 'accessMode' not allowed"},
		{"terminationGracePeriodSeconds: 5", "minimum: got 5, want 45"},
		{"mode: daemonset", "'/mode': value must be one of 'daemon', 'cronjob'"},
		{"mode: cronjob\nmetrics: {annotations: true}", "metrics.annotations: only with mode: daemon"},
		{"mode: cronjob\nmetrics: {serviceMonitor: {enabled: true}}", "metrics.serviceMonitor.enabled: only with mode: daemon"},
		{"mode: cronjob\nmetrics: {prometheusRule: {enabled: true}}", "metrics.prometheusRule.enabled: only with mode: daemon"},
		{"mode: cronjob\nmetrics: {dashboard: {enabled: true}}", "metrics.dashboard.enabled: only with mode: daemon"},
		{"mode: cronjob\nhttp: {webConfigFile: web.yaml}", "http.webConfigFile: only with mode: daemon"},
		{"image: {digest: 1234}", "'/image/digest'"},
		{"fullnameOverride: " + strings.Repeat("x", 48), "'/fullnameOverride': maxLength: got 48, want 47"},
	}
	for i, c := range cases {
		out, said, err := render(t, either(i), example, c.values)
		if err == nil || !strings.Contains(said, c.says) {
			t.Errorf("%s\n%v: %s\n%.100s", c.values, err, said, out)
		}
	}
}

// rendering is the chart for some values.
type rendering struct{ values, manifest string }

// renderings are those of every two choices in each mode, each made by the Helm whose turn it is.
func renderings(t *testing.T) (all []rendering) {
	t.Helper()
	for _, mode := range []string{"daemon", "cronjob"} {
		factors := slices.DeleteFunc(factors(), func(f factor) bool { return f.daemon && mode != "daemon" })
		for i, chosen := range combinations(factors) {
			values := []string{"mode: " + mode}
			for _, c := range chosen {
				values = append(values, factors[c.factor].levels[c.level])
			}
			out, said, err := render(t, either(i), values...)
			if err != nil || said != "" {
				t.Fatalf("%v %s\n%s", err, said, strings.Join(values, "\n"))
			}
			all = append(all, rendering{strings.Join(values, "\n"), out})
		}
	}
	return all
}

// objects are those of a manifest.
func objects(t *testing.T, manifest string) (all []map[string]any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(manifest))
	for {
		var o map[string]any
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		if o != nil {
			all = append(all, o)
		}
	}
}

// loads has the program itself read the configuration that was rendered.
func (r rendering) loads(t *testing.T) {
	t.Helper()
	found := false
	for _, o := range objects(t, r.manifest) {
		data, _ := o["data"].(map[string]any)
		text, ok := data["config.yaml"].(string)
		if !ok {
			continue
		}
		found = true
		c, err := config.Parse("config.yaml", []byte(text), nil)
		if err != nil || len(c.Warnings) > 0 {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if want := fmt.Sprintf("dryRun: %t", c.DryRun); !strings.Contains(r.values, want) || !strings.Contains(r.values, "policy: "+string(c.Policy)) {
			t.Errorf("policy %s, %s, though the values are\n%s", c.Policy, want, r.values)
		}
		if c.LDAP.PageSize != 2_000_000 || c.LDAP.Users.Disabled.CEL != `'x\n' == "{{ .Values }}"` || c.PPMS.RequestsPerSecond != 0.5 {
			t.Errorf("not what was given:\n%s", text)
		}
	}
	if mine := strings.Contains(r.values, "existingConfigMap: mine"); found == mine {
		t.Errorf("configuration rendered: %t, and one of the operator's own: %t", found, mine)
	}
}
