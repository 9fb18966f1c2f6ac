//go:build linux && amd64

package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/crash"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/proof"
	"ppms-syncd/internal/secret"
)

var full = flag.Bool("full", false, "try every point, not a sample (see make reliability)")

// TestSweep kills the program as it is shipped at every moment at which it touches the world: before each write to the ledger, before and
// after each fsync, before each connect, before and after each send, after each receive. Then it cuts the power there, so that what
// was not synced is lost, and lets each write and fsync fail. Each time it is started again, and the end must be as if nothing had
// happened.
//
//nolint:tparallel // one scene after the other; its points are parallel
func TestSweep(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	program := build(t)
	var tally tally
	day := anyDay(t, program)
	for _, s := range slices.Concat([]*scene{firstDay(t, program), day}, olderDays(t, day)) {
		s.want = s.play(t, nil)
		if t.Failed() {
			t.Fatalf("the undisturbed run of %s, or a scene before it, is not as it should be", s.name)
		}
		t.Logf("%s: %d touches, %d writes", s.name, len(s.touches), len(s.want.writes))
		if s.upgrade {
			s.compare(t, s.name, &day.want) // with the ledger of the same day
			s.touches = s.touches[:s.opened()]
		}
		t.Run(s.name, func(t *testing.T) {
			for _, d := range disturbances() {
				s.points(t, d, &tally)
			}
		})
	}
	t.Log(tally.String())
	record(t, "crash", tally.String())
}

// disturbance is one way to be disturbed at a touch.
type disturbance struct {
	name string
	act  crash.Act
	fits func(crash.Touch) bool
}

func disturbances() []disturbance {
	all := func(crash.Touch) bool { return true }
	disk := func(t crash.Touch) bool { return t.File != "" && !t.After }
	return []disturbance{
		{"killed", crash.Act{Kill: true}, all},
		{"power cut", crash.Act{Power: true}, all},
		{"EIO", crash.Act{Fail: syscall.EIO}, disk},
		{"ENOSPC", crash.Act{Fail: syscall.ENOSPC}, disk},
	}
}

// points disturbs one scene at every touch, or at a sample of them that moves from day to day.
func (s *scene) points(t *testing.T, d disturbance, tally *tally) {
	t.Helper()
	every := 1
	if !*full {
		every = min(61, max(1, len(s.touches)/2))
	}
	for n := 1 + seed()%every; n <= len(s.touches); n += every {
		if !d.fits(s.touches[n-1]) {
			continue
		}
		t.Run(fmt.Sprintf("%s %d", d.name, n), func(t *testing.T) {
			t.Parallel()
			at := crash.Touch{}
			got := s.play(t, s.traced(func(touch crash.Touch) crash.Act {
				if touch.N != n || !d.fits(touch) { // another run may touch things in another order
					return crash.Act{}
				}
				at = touch
				return d.act
			}))
			if at.N > 0 {
				tally.count(d.name)
				s.compare(t, at.String(), &got)
			}
		})
	}
}

// compare holds what is left in the end against the undisturbed end.
func (s *scene) compare(t *testing.T, what string, got *ending) {
	t.Helper()
	for part, diff := range map[string]string{
		"PPMS":                              gocmp.Diff(s.want.state, got.state),
		"the writes that changed something": gocmp.Diff(s.want.writes, got.writes),
		"what the ledger knows":             gocmp.Diff(s.want.memory, got.memory),
	} {
		if diff != "" {
			t.Errorf("%s: %s is different (-undisturbed +disturbed):\n%s", what, part, diff)
		}
	}
}

// scene is the moment before a run.
type scene struct {
	name      string
	program   string
	directory string // its URL
	files     map[string][]byte
	ppms      ppmssim.Seed
	managed   []string
	upgrade   bool // the ledger is of an older schema; what matters is over when it is open
	want      ending
	touches   []crash.Touch // of the undisturbed run
}

// opened is how many touches there are until the program speaks to others; by then it has opened its ledger.
func (s *scene) opened() int {
	return slices.IndexFunc(s.touches, func(t crash.Touch) bool { return t.Call == "connect" })
}

// ending is what is left after a run that was disturbed, perhaps, and one that was not.
type ending struct {
	state  ppmssim.Seed
	writes []string // that changed something, sorted
	memory []string // links, grants and deactivations
}

// firstDay is a facility that never saw a run: there is no ledger, some accounts match, one is made.
func firstDay(t *testing.T, program string) *scene {
	t.Helper()
	_, address := startDirectory(t, morning())
	return &scene{name: "first day", program: program, directory: address, ppms: lab()}
}

// anyDay is a facility in which, after three runs, everything happens at once: somebody new, another phone number, somebody who joins
// a group, two who leave it (of one staff had given the lesser right), somebody gone for good, somebody back again.
func anyDay(t *testing.T, program string) *scene {
	t.Helper()
	directory, address := startDirectory(t, morning())
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(pumapiKey), Seed: lab()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	p := newPost(t, program, map[string]string{"LDAP_URL": address, "PPMS_URL": server.URL + "/pumapi/"}, bindPassword, overlayOf(t, sweepConfig))
	p.run(t, 0, "apply")
	directory.SetEntries(without(morning(), "lena"))
	p.run(t, 0, "apply")
	directory.SetEntries(without(morning(), "lena", "otto"))
	p.run(t, 0, "apply")
	if u, _ := sim.User("lena"); u.Active {
		t.Fatal("lena was to be deactivated")
	}
	directory.SetEntries(evening())
	s := &scene{name: "any day", program: program, directory: address, files: map[string][]byte{}, ppms: sim.Snapshot()}
	for _, name := range []string{"ledger.db", "ledger.db-wal"} {
		data, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		s.files[name] = data
	}
	s.managed = p.look(t).managed
	return s
}

// disturb runs the program at a post in a way that disturbs it.
type disturb func(p *post, out *os.File) error

// traced runs it under the tracer.
func (s *scene) traced(decide func(crash.Touch) crash.Act) disturb {
	return func(p *post, out *os.File) error {
		_, err := s.trace(p, out, decide)
		return err
	}
}

func (s *scene) trace(p *post, out *os.File, decide func(crash.Touch) crash.Act) (syscall.WaitStatus, error) {
	status, _, err := crash.Run(crash.Program{
		Path: s.program, Args: []string{"--config", "config.yaml", "apply"}, Dir: p.dir, Env: []string{"PATH=" + os.Getenv("PATH")}, Out: out, Watch: "ledger.db",
	}, decide)
	return status, err
}

// undisturbed keeps what the run touches.
func (s *scene) undisturbed(p *post, out *os.File) error {
	status, err := s.trace(p, out, func(touch crash.Touch) crash.Act {
		s.touches = append(s.touches, touch)
		return crash.Act{}
	})
	if err == nil && status.ExitStatus() != 0 {
		text, _ := os.ReadFile(out.Name())
		err = fmt.Errorf("it ended with %d\n%s", status.ExitStatus(), last(text))
	}
	return err
}

// play sets the scene, runs the program in a way that disturbs it and then once more; nil is a run that is not disturbed, and the only
// one. It checks what must hold whatever happened.
func (s *scene) play(t *testing.T, run disturb) ending {
	t.Helper()
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(pumapiKey), Seed: s.ppms})
	if err != nil {
		t.Fatal(err)
	}
	asked := &asked{sim: sim}
	server := httptest.NewUnstartedServer(asked)
	server.Config.ConnState = asked.state
	server.Start()
	defer server.Close()
	p := newPost(t, s.program, map[string]string{"LDAP_URL": s.directory, "PPMS_URL": server.URL + "/pumapi/"}, bindPassword, overlayOf(t, sweepConfig))
	for name, data := range s.files {
		if err := os.WriteFile(filepath.Join(p.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(filepath.Join(p.dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	undisturbed := run == nil
	if undisturbed {
		run = s.undisturbed
	}
	if err := run(p, out); err != nil {
		t.Fatal(err)
	}
	asked.settle(t, server.URL)
	before := asked.count()
	if !undisturbed {
		p.run(t, 0, "apply")
	}
	m := p.look(t)
	if broken := proof.Check(proof.Case{Before: s.ppms, Effects: sim.Effects(), Journal: m.journal, Managed: slices.Concat(s.managed, m.managed), Protected: protected}); len(broken) > 0 {
		t.Errorf("broken promises:\n%s", strings.Join(broken, "\n"))
	}
	if !undisturbed {
		if wrong := m.settledFirst(asked.since(before)); wrong != "" {
			t.Error(wrong)
		}
	}
	e := ending{state: comparable(sim.Snapshot()), memory: m.facts}
	for _, effect := range sim.Effects() {
		if effect.Changed {
			e.writes = append(e.writes, effectOf(effect))
		}
	}
	slices.Sort(e.writes)
	return e
}

// asked is a PPMS that keeps what it was asked.
type asked struct {
	callers

	sim *ppmssim.Sim
	mu  sync.Mutex
	all []string // "action login"
}

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client died in the middle of it
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err == nil {
		a.mu.Lock()
		a.all = append(a.all, form.Get("action")+" "+cmp.Or(form.Get("login"), "system "+form.Get("id")))
		a.mu.Unlock()
	}
	a.sim.Handler().ServeHTTP(w, r)
}

func (a *asked) count() int { return len(a.since(0)) }

func (a *asked) since(n int) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all[n:])
}

// settledFirst says whether the last run asked about the writes in doubt, and about nothing else, before it read the first list.
func (m *looked) settledFirst(requests []string) string {
	lastRun := m.runs[len(m.runs)-1]
	doubts := map[string]bool{}
	for i := range m.journal {
		if e := &m.journal[i]; e.Run < lastRun.ID && !e.SettledAt.Before(lastRun.Started) {
			doubts[e.Change.Login] = true
		}
	}
	first := map[string]bool{}
	for _, r := range requests {
		action, login, _ := strings.Cut(r, " ")
		if action != "getuser" && action != "getuserrights" && action != "getsysrights" {
			break
		}
		if action != "getsysrights" { // the second look at a right
			first[login] = true
		}
	}
	if diff := gocmp.Diff(doubts, first); diff != "" {
		return "before all else it asked about others than those in doubt (-in doubt +asked):\n" + diff
	}
	return ""
}

// tally counts points.
type tally struct {
	mu     sync.Mutex
	struck map[string]int
}

func (y *tally) count(disturbance string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.struck == nil {
		y.struck = map[string]int{}
	}
	y.struck[disturbance]++
}

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var parts []string
	total := 0
	for _, d := range disturbances() {
		parts = append(parts, fmt.Sprintf("%d %s", y.struck[d.name], d.name))
		total += y.struck[d.name]
	}
	return fmt.Sprintf("%d points: ", total) + strings.Join(parts, ", ")
}
