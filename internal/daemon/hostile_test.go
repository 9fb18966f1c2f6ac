package daemon_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/reconcile"
)

// hostile are values that people could put into a directory, and what PPMS may be given of them.
func hostile() map[string]string {
	same := []string{
		`O'Brien`, `the "Rock"`, `Smith, John; Jr.`, `=HYPERLINK("http://x")`, `+41 61`, `@SUM(A1)`, `-1`, `x&apikey=y&action=setright&type=S`, `%26active=false`,
		`<b>bold</b>`, `$(reboot)`, "`reboot`", `'; DROP TABLE links; --`, `{{.}} %s %n`, `\u0041\n`, "\u202egnirts", "a\u2066b", "Zoë 👩‍🔬", `"`, `,`, `a""b`, `error: no`,
	}
	all := map[string]string{"two\r\nlines": "two lines", "tab\there": "tab here", " \u00a0 blank": "blank"}
	for _, v := range same {
		all[v] = v
	}
	return all
}

// What people are called is data everywhere: in plans, on a terminal, in the log, on the wire, in the ledger. It never becomes another
// field, another request, another line, or something that a terminal obeys.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) {
		s.Guards = "creations: {floor: 99}, grants: {floor: 99}"
		for i, v := range hostileValues() {
			p := person(fmt.Sprintf("h%02d", i), v, v, "curielab")
			p.Attrs["telephoneNumber"] = []string{v}
			s.Entries = append(s.Entries, p)
		}
	})
	before := w.sim.Snapshot()
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
	harmless(t, "the plan", w.text())
	w.apply().exits(daemon.ExitOK)
	for i, v := range hostileValues() {
		login := fmt.Sprintf("h%02d", i)
		want := hostile()[v]
		u, _ := w.sim.User(login)
		if u.Lname != want || u.Fname != want || u.Phone != want {
			t.Errorf("%q became %q, %q, %q", v, u.Lname, u.Fname, u.Phone)
		}
		if strings.ContainsAny(v, "\u202e\u2066\n") {
			must(t, w.app.Explain(t.Context(), login))
			harmless(t, "explain", w.text())
		}
	}
	if users, units := w.sim.Snapshot().Users, w.sim.Snapshot().Units; len(users) != len(before.Users)+len(hostile())+1 || len(units) != len(before.Units) {
		t.Errorf("PPMS has %d users and %d units now", len(users), len(units))
	}
	for _, e := range w.sim.Effects() {
		for name := range e.Params {
			if !slices.Contains([]string{"login", "lname", "fname", "email", "phone", "unitlogin", "id", "type"}, name) {
				t.Errorf("%s was sent the parameter %q", e.Action, name)
			}
		}
	}
	for line := range strings.Lines(w.logs.String()) {
		if !json.Valid([]byte(line)) || !strings.HasPrefix(line, "{") {
			t.Errorf("a line of the log is no JSON: %q", line)
		}
	}
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: 1}))
	harmless(t, "history", w.text())
	w.plan().exits(daemon.ExitOK).has() // and all of it comes back as it went
	w.proven(before, nil)
}

func hostileValues() (all []string) {
	for v := range hostile() {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}

// harmless expects no character that a terminal would obey.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) }); i >= 0 {
		t.Errorf("%s has %q", what, text[max(0, i-40):min(len(text), i+10)])
	}
}

// A value of a megabyte, or one with control characters, troubles nobody but the one who has it.
func TestMonstrousValues(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"a megabyte": strings.Repeat("x", 1<<20), "escape": "red\x1b[31m", "bell": "a\x07b", "nul": "a\x00b", "next line": "a\u0085b", "no UTF-8": "\xff\xfe\x80",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := person("evil", "E", value, "curielab")
			w.put(p)
			before := w.sim.Snapshot()
			got := w.apply()
			if code := daemon.ExitCode(got.err); code != daemon.ExitOK && code != daemon.ExitPartial {
				t.Fatalf("exit code %d: %v", code, got.err)
			}
			for i := range got.Changes {
				if c := &got.Changes[i]; c.Login != "evil" && c.Outcome != reconcile.Applied {
					t.Errorf("%s: %s %s", line(c), c.Outcome, c.Detail)
				}
			}
			must(t, w.app.Explain(t.Context(), "evil"))
			harmless(t, "explain", w.text())
			must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: 1}))
			harmless(t, "history", w.text())
			w.proven(before, nil)
		})
	}
}

// A login with anything odd in it is never used.
func TestHostileLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var logins []string
	for i, login := range []string{"a b", "a\nb", "a&b=c", "a,b", "a\u202eb", "a\x00", "'", `"`, "../x", "-", strings.Repeat("a", 65), "<a>", "a;b", "à"} {
		p := person(fmt.Sprintf("odd%d", i), "O", "Odd", "curielab")
		p.Attrs["uid"] = []string{login}
		w.put(p)
		logins = append(logins, login)
	}
	w.apply()
	for _, e := range w.sim.Effects() {
		if slices.Contains(logins, e.Params["login"]) && e.Params["login"] != "-" {
			t.Errorf("%s for %q", e.Action, e.Params["login"])
		}
	}
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
	harmless(t, "the plan", w.text())
}
