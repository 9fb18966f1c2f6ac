package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
)

// TestHelp holds the help of every command against ../../testdata/help.txtar, so that no option comes, goes or changes its
// meaning unseen.
func TestHelp(t *testing.T) {
	t.Parallel()
	const file = "../../testdata/help.txtar"
	got := &txtar.Archive{Comment: []byte("What each command says with --help. To rewrite it: go test ./cmd/ppms-syncd -run Help -update\n\n")}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		got.Files = append(got.Files, txtar.File{Name: c.CommandPath(), Data: help(t, c)})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&program{}).root())
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func help(t *testing.T, c *cobra.Command) []byte {
	t.Helper()
	var out, err bytes.Buffer
	args := append(strings.Fields(c.CommandPath())[1:], "--help")
	if code := execute(t.Context(), args, streams{&bytes.Buffer{}, &out, &err}); code != 0 || err.Len() > 0 {
		t.Errorf("%s --help ends with %d and prints to stderr: %s", c.CommandPath(), code, &err)
	}
	if c.Short == "" || !strings.Contains(out.String(), "Usage:\n") {
		t.Errorf("%s is not explained", c.CommandPath())
	}
	return out.Bytes()
}
