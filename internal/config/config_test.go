package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the files in testdata want")

// TestFiles reads each file of testdata: bad ones are refused, odd ones get warnings, good ones neither. What is said stands
// in the comment at the head of the file, where -update writes it.
func TestFiles(t *testing.T) {
	for _, kind := range []string{"bad", "warn", "good"} {
		paths, err := filepath.Glob(filepath.Join("testdata", kind, "*.yaml"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no files: %v", err)
		}
		for _, path := range paths {
			t.Run(kind+"/"+strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				want, body := head(data)
				if *update {
					want, data = rewrite(t, path, body)
				}
				got, c := say(data)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
				if (c == nil) != (kind == "bad") {
					t.Errorf("configuration %v of a %s file", c, kind)
				}
				if len(got) == 0 != (kind == "good") {
					t.Errorf("%d messages for a %s file", len(got), kind)
				}
				if strings.Contains(strings.Join(got, "\n"), "hunter2") || strings.Contains(strings.Join(got, "\n"), "271828") {
					t.Error("a message shows a secret")
				}
			})
		}
	}
}

const wantMark = "# want:"

// head takes the wanted messages from the head of a file.
func head(data []byte) (want []string, body []byte) {
	for bytes.HasPrefix(data, []byte(wantMark)) {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		if text := strings.TrimSpace(strings.TrimPrefix(string(line), wantMark)); text != "" {
			want = append(want, text)
		}
		data = rest
	}
	return want, data
}

// rewrite puts the messages of a body at its head. They hold line numbers, which depend on how many messages there are.
func rewrite(t *testing.T, path string, body []byte) (want []string, data []byte) {
	t.Helper()
	for range 3 {
		data = nil
		for _, line := range want {
			data = append(data, wantMark+" "+line+"\n"...)
		}
		data = append(data, body...)
		want, _ = say(data)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return want, data
}

// say returns all messages about a file, without its name.
func say(data []byte) ([]string, *Config) {
	c, err := Parse("f", data, nil)
	var said Problems
	var problems *Problems
	switch {
	case errors.As(err, &problems):
		said = *problems
	case err != nil:
		return []string{err.Error()}, nil
	default:
		said = c.Warnings
	}
	var lines []string
	for _, p := range said {
		lines = append(lines, strings.TrimPrefix(p.String(), "f:"))
	}
	return lines, c
}
