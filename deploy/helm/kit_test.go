//go:build kubernetes

package helm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool is one of those that scripts/kubernetes/tools builds.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/kubernetes/" + name)
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run scripts/kubernetes/tools, or make test-kubernetes", err)
	}
	return path
}

// run is a command that succeeds, and what it says.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, said, err := try(t, "", name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, said)
	}
	return out
}

// try is a command that may fail; out is what it prints, and said its warnings and errors.
func try(t *testing.T, in string, name string, args ...string) (out, said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &stdout, &stderr
	err = cmd.Run()
	var lines []string
	for line := range strings.Lines(stderr.String()) {
		if !strings.Contains(line, "found symbolic link") { // Helm says so of the rules and the dashboard
			lines = append(lines, line)
		}
	}
	return stdout.String(), strings.Join(lines, ""), err
}

// render is the chart as a Helm prints it for values, without the empty lines, of which each major version leaves others.
func render(t *testing.T, helm string, values ...string) (out, said string, err error) {
	t.Helper()
	// Without a cluster it has to be told; built from source it does not know itself which it is for.
	args := []string{"template", "ppms-syncd", chart, "--namespace", "ppms", "--kube-version", "1.37.2"}
	for i, text := range values {
		file := text
		if strings.Contains(text, ":") {
			file = filepath.Join(t.TempDir(), fmt.Sprintf("%d.yaml", i))
			must(t, os.WriteFile(file, []byte(text), 0o600))
		}
		args = append(args, "--values", file)
	}
	out, said, err = try(t, "", tool(t, helm), args...)
	for strings.Contains(out, "\n\n") {
		out = strings.ReplaceAll(out, "\n\n", "\n")
	}
	return out, said, err
}

// helms are the two that the chart is for.
func helms() []string { return []string{"helm3", "helm4"} }

// either is the one whose turn it is, where two of each would say little more.
func either(i int) string { return helms()[i%2] }
