package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestJournal: what goes to the journal begins with a priority, in both formats and however many lines it has; what goes
// elsewhere does not, though the parent's stderr was the journal's.
func TestJournal(t *testing.T) {
	t.Parallel()
	const warned = "policy: sync\ndry_run: true\nschedule: \"30 2 * * *\"\ntime_zone: Europe/Zurich\n" +
		"ldap:\n  urls: [ldaps://127.0.0.1:1]\n  bind: {method: anonymous}\n  users: {base: \"dc=example\"}\n" +
		"ppms: {url: \"https://127.0.0.1:1/\", api_key_file: key}\n" +
		"accounts: {attributes: {login: uid, lname: sn, fname: givenName, email: mail, unitlogin: ou}}\n"
	for _, tt := range []struct {
		name, config, format string
		journal              bool
		want                 []string // how its lines begin
	}{
		{"json", warned, "json", true, []string{`<4>{"level":"warn"`, "<3>ppms-syncd: "}},
		{"console", warned, "console", true, []string{"<4>20", "<3>ppms-syncd: "}},
		{"many lines", "polic: sync\nfoo: bar\n", "json", true, []string{"<3>ppms-syncd: ", "<3>"}},
		{"elsewhere", warned, "json", false, []string{`{"level":"warn"`, "ppms-syncd: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			config := write("config.yaml", strings.ReplaceAll(tt.config, "key}", write("key", "secret")+"}"))
			path := write("stderr", "")
			stderr, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			var stat syscall.Stat_t
			if err := syscall.Fstat(int(stderr.Fd()), &stat); err != nil {
				t.Fatal(err)
			}
			if !tt.journal {
				stat.Ino++
			}
			cmd := exec.CommandContext(t.Context(), "ppms-syncd", "--config", config, "--log-format", tt.format, "plan")
			cmd.Env = append(os.Environ(), fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino), "TRANSCRIPT="+write("transcript", ""))
			cmd.Stderr = stderr
			if err := cmd.Run(); err == nil {
				t.Fatal("nobody listens there, and it did not fail")
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
			for _, want := range tt.want {
				found := false
				for _, line := range lines {
					found = found || strings.HasPrefix(line, want)
				}
				if !found {
					t.Errorf("no line begins with %s:\n%s", want, text)
				}
			}
			for _, line := range lines {
				if strings.HasPrefix(line, "<") != tt.journal {
					t.Errorf("journal is %t: %s", tt.journal, line)
				}
			}
		})
	}
}
