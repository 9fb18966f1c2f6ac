package daemon_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/proof"
	"ppms-syncd/internal/reconcile"
)

const matrixFile = "../../docs/fault-matrix.md"

// place is where in a run something goes wrong: with the requests that fit, from one request on and until another arrives.
type place struct {
	name        string
	request     string // as ppmssim.ParseFault reads it
	write       bool   // the request is a write
	lists       bool   // the answer is a list, which is about nobody in particular
	from, until string // "action login"; "" is the beginning, or the end, of the run
	change      string // whose outcome is shown; "" shows how the run ended
	blind       string // from then on these cannot be read back either
}

// The first request of the write phase asks for somebody who is new, whom the read phase has never heard of.
const writing = "getuser new"

func places() []place {
	const created, updated, granted, revoked, left = "newuser new", "updateuser carl phone=+41 1", "setright carl 21 N", "setright emmy 12 D", "updateuser lise active=false"
	return []place{
		{name: "getusers", request: "getusers", lists: true, until: writing},
		{name: "getuser", request: "getuser{login=carl}", until: writing},
		{name: "getgroups", request: "getgroups", lists: true, until: writing},
		{name: "getadmins", request: "getadmins", lists: true, until: writing},
		{name: "getsystems", request: "getsystems", lists: true, until: writing},
		{name: "getsysrights", request: "getsysrights", lists: true, until: writing},
		{name: "getuser before newuser", request: "getuser{login=new}", from: writing, until: "newuser new", change: created},
		{name: "newuser", request: "newuser{login=new}", write: true, from: writing, change: created},
		{name: "newuser, not read back", request: "newuser{login=new}", write: true, from: "newuser new", blind: "getuser{login=new}", change: created},
		{name: "getuser after newuser", request: "getuser{login=new}", from: "newuser new", until: "upduser carl", change: created},
		{name: "getuser before updateuser", request: "getuser{login=carl}", from: writing, until: "upduser carl", change: updated},
		{name: "updateuser", request: "upduser{login=carl}", write: true, from: writing, change: updated},
		{name: "updateuser, not read back", request: "upduser{login=carl}", write: true, from: "upduser carl", blind: "getuser{login=carl}", change: updated},
		{name: "getuser after updateuser", request: "getuser{login=carl}", from: "upduser carl", change: updated},
		{name: "getuserrights before a grant", request: "getuserrights{login=carl}", from: writing, until: "setright carl", change: granted},
		{name: "setright, a grant", request: "setright{login=carl}", write: true, from: writing, change: granted},
		{name: "setright, not read back", request: "setright{login=carl}", write: true, from: "setright carl", blind: "getuserrights{login=carl}", change: granted},
		{name: "getsysrights after a grant", request: "getsysrights{id=21}", lists: true, from: "setright carl", change: granted},
		{name: "getuserrights, too", request: "get{21,carl}", from: "setright carl", change: granted},
		{name: "setright, a revocation", request: "setright{login=emmy}", write: true, from: writing, change: revoked},
		{name: "getsysrights after a revocation", request: "getsysrights{id=12}", lists: true, from: "setright emmy", change: revoked},
		{name: "updateuser, a deactivation", request: "upduser{login=lise}", write: true, from: writing, change: left},
		{name: "getuser after a deactivation", request: "getuser{login=lise}", from: "upduser lise", change: left},
	}
}

// specs are the faults of a kind at this place.
func (p place) specs(kind string) []string {
	specs := []string{p.request + ":" + kind}
	if kind == cutRequest {
		specs = nil
	}
	switch {
	case p.request == "get{21,carl}": // both sources of one right
		return []string{"getsysrights{id=21}:" + kind, "getuserrights{login=carl}:" + kind}
	case p.blind == "getuserrights{login=carl}":
		return append(specs, "getsysrights{id=21}:html", p.blind+":html")
	case p.blind != "":
		return append(specs, p.blind+":html")
	}
	return specs
}

// cutRequest is the one kind that is no fault of PPMS: half of the request's body arrives, then the connection ends.
const cutRequest = "cut-request"

// wrong is one way for an answer to be wrong, or not to come.
type wrong struct {
	name, kind string
	fits       func(place) bool // nil: everywhere
}

func wrongs() []wrong {
	write := func(p place) bool { return p.write }
	about := func(p place) bool { return !p.write && !p.lists }
	return []wrong{
		{name: "timeout", kind: "hang"},
		{name: "timeout, done", kind: "hang-after", fits: write},
		{name: "request cut in half", kind: cutRequest, fits: write},
		{name: "reset before", kind: "reset-before"},
		{name: "reset after", kind: "reset-after"},
		{name: "500", kind: "status=500"},
		{name: "429", kind: "status=429"},
		{name: "HTML with 200", kind: "html"},
		{name: "empty", kind: "empty"},
		{name: "error: text", kind: "error=something went wrong"},
		{name: "not authorised", kind: "unauthorized"},
		{name: "cut cleanly in half", kind: "cut-half"},
		{name: "cut at a line end", kind: "cut-line"},
		{name: "cut, wrong length", kind: "cut-length"},
		{name: "garbage", kind: "garbage"},
		{name: "wrong login", kind: "wrong-login=visitor", fits: about},
		{name: "slow drip", kind: "slow=110ms"},
		{name: "redirect", kind: "redirect"},
	}
}

// TestFaultMatrix lets every request that a run makes go wrong in every way. Whatever it says, nothing may be broken: see proof. And
// once PPMS answers again, the end is as if nothing had happened. The table is docs/fault-matrix.md. The race detector, with which a
// cell takes ten times as long, sees a sample: `make test` runs all cells without it.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	var m *matrix
	synctest.Test(t, func(t *testing.T) { m = newMatrix(t, inMemory) })
	var mu sync.Mutex
	cells := map[string]map[string]string{}
	t.Run("cell", func(t *testing.T) {
		t.Parallel()
		for i, p := range places() {
			cells[p.name] = map[string]string{}
			for j, f := range wrongs() {
				if f.fits != nil && !f.fits(p) || withRace && (i+j)%len(wrongs()) != 0 { // each place once, each way to go wrong, too
					continue
				}
				t.Run(p.name+" "+f.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						said := m.cell(t, p, f)
						mu.Lock()
						defer mu.Unlock()
						cells[p.name][f.name] = said
					})
				})
			}
		}
	})
	t.Cleanup(func() { // when all cells are done
		table, n := matrixTable(cells)
		if t.Failed() || n < allCells() {
			return
		}
		record(t, "cells", fmt.Sprint(n))
		if *update {
			must(t, os.WriteFile(matrixFile, []byte(table), 0o600))
		}
		want, err := os.ReadFile(matrixFile)
		must(t, err)
		if diff := cmp.Diff(string(want), table); diff != "" {
			t.Errorf("docs/fault-matrix.md is out of date; run this test with -update (-file +now):\n%s", diff)
		}
	})
}

func allCells() (n int) {
	for _, p := range places() {
		for _, f := range wrongs() {
			if f.fits == nil || f.fits(p) {
				n++
			}
		}
	}
	return n
}

// matrix is the moment before a run in which everything happens: somebody new who gets a right, a changed field, a grant,
// revocations, a deactivation.
type matrix struct {
	change  []func(*settings)
	files   map[string][]byte
	seed    ppmssim.Seed
	entries []ldaptest.Entry
	now     time.Time
	managed []string
	want    ppmssim.Seed // PPMS after it, undisturbed
}

func matrixSettings(s *settings) {
	s.Leavers = "disabled_grace: 1h, confirmations: 2"
	if s.Wires != nil {
		s.CallTimeout = "500ms"
	}
}

func newMatrix(t *testing.T, change ...func(*settings)) *matrix {
	t.Helper()
	change = append(change, matrixSettings)
	w := leaving(t, change...)
	w.put(person("new", "N", "New", "curielab"), group("em-users", uid("lise"), uid("new"), uid("carl")))
	m := &matrix{change: change, files: map[string][]byte{}, seed: w.sim.Snapshot(), entries: w.Entries, now: w.now, managed: w.managed()}
	for _, name := range []string{"ledger.db", "ledger.db-wal"} {
		data, err := os.ReadFile(w.path(name))
		must(t, err)
		m.files[name] = data
	}
	undisturbed := m.world(t)
	undisturbed.apply().exits(daemon.ExitOK)
	m.want = undisturbed.sim.Snapshot()
	return m
}

// world begins at that moment.
func (m *matrix) world(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, append(slices.Clone(m.change), func(s *settings) { s.Entries, s.Seed = m.entries, m.seed })...)
	w.now, w.began = m.now, m.now
	for name, data := range m.files {
		w.write(name, string(data))
	}
	return w
}

// cell lets one thing go wrong and says what came of it.
func (m *matrix) cell(t *testing.T, p place, f wrong) string {
	t.Helper()
	w := m.world(t)
	dial := w.app.Network.Dial
	if f.kind == cutRequest {
		s := p.scissors(func(body int) int { return body / 2 }, false)
		s.dial, s.then = dial, func() { w.faults(p.specs(f.kind)...) }
		w.app.Network.Dial = s.Dial
		defer s.once(t)
	}
	if p.from == "" {
		w.faults(p.specs(f.kind)...)
	}
	w.mu.Lock()
	began, ended := p.from == "", false
	w.on = func(action string, form url.Values) {
		switch now := strings.TrimSpace(action + " " + form.Get("login")); {
		case !began && now == p.from:
			began = true
			w.faults(p.specs(f.kind)...)
		case began && !ended && p.until != "" && now == p.until:
			ended = true
			w.faults()
		}
	}
	w.mu.Unlock()
	got := w.apply()
	w.when(0, "", "", func() {})
	w.faults()
	w.app.Network.Dial = dial
	said := fmt.Sprintf("exit %d", daemon.ExitCode(got.err))
	switch {
	case p.change != "":
		c := got.change(p.change)
		said = string(c.Outcome)
		if c.Outcome != reconcile.Applied && c.Detail == "" {
			t.Errorf("%s: %s, without a word why", p.change, c.Outcome)
		}
	case daemon.ExitCode(got.err) == daemon.ExitFailed && len(w.sim.Effects()) > 0:
		t.Errorf("it failed, and yet wrote %q", got.wrote)
	}
	m.end(t, w)
	return said
}

// scissors are for the requests of this place.
func (p place) scissors(pass func(body int) int, reset bool) *scissors {
	action, rest, _ := strings.Cut(p.request, "{login=")
	return &scissors{pass: pass, reset: reset, dial: new(net.Dialer).DialContext, fits: func(form url.Values) bool {
		return form.Get("action") == action && form.Get("login") == strings.TrimSuffix(rest, "}")
	}}
}

// TestRequestCut resets the connection somewhere in the middle of a write: when only its head has arrived, in its body, or with all of it
// there and the answer not. It is never sent again: what became of it is read back. If PPMS does it after that, the next run sees it.
func TestRequestCut(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	cuts := []struct {
		where string
		pass  func(body int) int
	}{
		{"after the head", func(int) int { return 0 }},
		{"after a byte", func(int) int { return 1 }},
		{"in the middle", func(body int) int { return body / 2 }},
		{"before the last byte", func(body int) int { return body - 1 }},
		{"after the last byte", func(body int) int { return body }},
	}
	cells := 0
	for i, p := range places() {
		if !p.write || p.blind != "" {
			continue
		}
		for j, cut := range cuts {
			if withRace && (i+j)%len(cuts) != 0 {
				continue
			}
			cells++
			t.Run(p.name+" "+cut.where, func(t *testing.T) {
				t.Parallel()
				w := m.world(t)
				s := p.scissors(cut.pass, true)
				w.app.Network.Dial = s.Dial
				got := w.apply()
				s.once(t)
				c := got.change(p.change)
				if c.Outcome != reconcile.NotApplied && (c.Outcome != reconcile.Applied || j < len(cuts)-1) {
					t.Errorf("%s: %s %q", p.change, c.Outcome, c.Detail)
				}
				w.app.Network.Dial = nil
				m.end(t, w)
			})
		}
	}
	record(t, "cuts", fmt.Sprintf("%d, each sent once and settled by reading", cells))
}

// end lets PPMS answer again, and expects the end that the undisturbed run had.
func (m *matrix) end(t *testing.T, w *world) {
	t.Helper()
	for range 2 { // what was wrongly believed in one read may need another
		w.apply()
	}
	w.plan().exits(daemon.ExitOK).has()
	if diff := cmp.Diff(m.want, w.sim.Snapshot()); diff != "" {
		t.Errorf("PPMS ends up different (-undisturbed +disturbed):\n%s", diff)
	}
	w.proven(m.seed, m.managed)
}

// proven holds all that was written against what was promised.
func (w *world) proven(before ppmssim.Seed, managed []string) {
	w.t.Helper()
	broken := proof.Check(proof.Case{
		Before: before, Effects: w.sim.Effects(), Journal: afterOf(w.journal(), w.began), Managed: slices.Concat(managed, w.managed()), Protected: service,
	})
	if len(broken) > 0 {
		w.t.Errorf("broken promises:\n%s", strings.Join(broken, "\n"))
	}
}

// service is what accounts.protect names.
func service(login string) bool { return strings.HasPrefix(login, "svc-") }

// managed are the logins of the linked accounts.
func (w *world) managed() (logins []string) {
	w.t.Helper()
	for _, l := range w.memory().Links {
		logins = append(logins, l.Login)
	}
	return logins
}

// journal is that of all runs, in order.
func (w *world) journal() []ledger.Entry {
	w.t.Helper()
	return look(w, func(l *ledger.Ledger) (journal []ledger.Entry, err error) {
		runs, err := l.Runs(w.t.Context(), 0)
		if err != nil {
			return nil, err
		}
		for _, r := range slices.Backward(runs) {
			entries, err := l.Entries(w.t.Context(), r.ID)
			if err != nil {
				return nil, err
			}
			journal = append(journal, entries...)
		}
		return journal, nil
	})
}

// afterOf leaves out what is older than a world.
func afterOf(journal []ledger.Entry, began time.Time) []ledger.Entry {
	return slices.DeleteFunc(journal, func(e ledger.Entry) bool { return e.At.Before(began) })
}

// matrixTable is docs/fault-matrix.md, and the number of cells in it.
func matrixTable(cells map[string]map[string]string) (string, int) {
	var b strings.Builder
	b.WriteString(`# What a run makes of a PPMS that answers wrongly

Made by ` + "`go test ./internal/daemon -run FaultMatrix -update`" + `, and compared with the program in each CI run. Each row is a request that a run makes, each
column a way for it to go wrong, for as long as the run asks. A run in which everything happens meets it: somebody new who gets a right, a changed
field, a grant, two revocations, a deactivation.

In the **read phase** a cell says how the run ended: ` + "`exit 1`" + ` is before the comparison, nothing written; with ` + "`exit 0`" + ` or ` + "`exit 4`" + ` the answer could not be told from a
right one, or did not matter, and the run went on. In the **write phase** it says what the journal has of the change at hand. "done" means that PPMS
did it and the answer was lost.

In every cell all of this is checked, too: no request without an intent that was on disk before; no write sent twice; nobody local, protected or an
administrator touched; no unit made; no ` + "`S`" + ` overwritten; no account made twice; and when PPMS answers again, PPMS ends up as if nothing had happened.

`)
	var columns []string
	for _, f := range wrongs() {
		columns = append(columns, f.name)
	}
	n := 0
	section := ""
	for _, p := range places() {
		if phase := map[bool]string{true: "Read phase", false: "Write phase"}[p.change == ""]; phase != section {
			if section = phase; n > 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "## %s\n\n| request | %s |\n|---|%s\n", phase, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
		}
		b.WriteString("| " + p.name + " |")
		for _, column := range columns {
			said, ok := cells[p.name][column]
			if ok {
				n++
			}
			b.WriteString(" " + said + " |")
		}
		b.WriteString("\n")
	}
	return b.String(), n
}

// record leaves a figure for docs/reliability.md where make reliability wants it.
func record(t *testing.T, name, figure string) {
	t.Helper()
	if dir := os.Getenv("RELIABILITY"); dir != "" {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(figure+"\n"), 0o600))
	}
}
