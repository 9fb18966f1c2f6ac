//go:build kubernetes

package helm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testGuide does what docs/kubernetes.md says, command by command. What needs containers that run is left out: their logs, helm test,
// and commands in them.
func testGuide(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../docs/kubernetes.md")
	must(t, err)
	dir := t.TempDir()
	values, err := os.ReadFile(example)
	must(t, err)
	place, err := filepath.Abs(chart)
	must(t, err)
	_, shell, _ := strings.Cut(string(text), "```yaml\n# ledger-shell.yaml\n")
	shell, _, _ = strings.Cut(shell, "```")
	for name, content := range map[string]string{
		"pumapi-key": "k", "ldap-password": "p", "values.yaml": string(values), "ledger-shell.yaml": shell,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	for line := range strings.Lines(string(text)) {
		command, code := strings.CutPrefix(strings.TrimSpace(line), "helm ")
		name := tool(t, "helm3")
		if !code {
			command, code = strings.CutPrefix(strings.TrimSpace(line), "kubectl ")
			name = tool(t, "kubectl")
		}
		if !code || !strings.HasPrefix(line, "    ") || strings.Contains(command, " logs ") || strings.Contains(command, "--logs") || strings.Contains(command, " exec ") {
			continue
		}
		args := strings.Fields(strings.ReplaceAll(command, "ppms-syncd-chart-1.2.0.tgz", place))
		t.Log(command)
		run(t, "sh", append([]string{"-c", `cd "$0" && exec "$@" 2>&1`, dir, name}, args...)...)
	}
}
