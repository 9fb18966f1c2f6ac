package daemon_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/proof"
	"ppms-syncd/internal/reconcile"
)

var full = flag.Bool("full", false, "walk the model for long (see make reliability)")

// TestModel walks through the life of a small institute by chance: people come, leave, are disabled and come back, join groups and
// leave them; staff change accounts and rights by hand; the configuration changes; time passes; runs meet faults of both sides, are
// stopped, or lose power. After each run the checker must find nothing, and when all is quiet two runs bring both sides into step.
func TestModel(t *testing.T) {
	t.Parallel()
	walks := "4"
	if *full {
		walks = "60"
	}
	must(t, flag.Set("rapid.checks", walks))
	steps, runs := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := newInstitution(t)
		defer m.w.dir.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"":                     func(*rapid.T) { steps++ },
			"somebody comes":       m.comes,
			"somebody leaves":      m.leaves,
			"somebody is disabled": m.disabled,
			"a value changes":      m.value,
			"a group changes":      m.group,
			"staff":                m.staff,
			"staff and rights":     m.staffRight,
			"configuration":        m.configuration,
			"time":                 m.time,
			"run":                  func(rt *rapid.T) { runs++; m.run(rt) },
			"run, PPMS at fault":   func(rt *rapid.T) { runs++; m.runWithFaults(rt) },
			"run, directory":       func(rt *rapid.T) { runs++; m.runWithHiddenPeople(rt) },
			"run, power cut":       func(rt *rapid.T) { runs++; m.powerCut(rt) },
		})
		m.quiet(rt)
	})
	t.Logf("%s walks, %d steps, %d of them runs", walks, steps, runs)
	record(t, "model", fmt.Sprintf("%s walks, %d steps, %d of them runs", walks, steps, runs))
}

// institution is the institute, and what a witness would remember of it.
type institution struct {
	t       *testing.T
	w       *world
	before  ppmssim.Seed
	managed map[string]bool
	seen    map[reconcile.Key][]time.Time // complete reads that showed somebody enabled
}

const modelGrace = 24 * time.Hour

func modelLogins() []string {
	return []string{"ada", "carl", "emmy", "lise", "p01", "p02", "p03", "boss", "svc-1", "visitor"}
}

func newInstitution(t *testing.T) *institution {
	t.Helper()
	w := newWorld(t, func(s *settings) {
		crowd(s, 3)
		s.Leavers = "grace: 48h, disabled_grace: 24h, confirmations: 2"
		s.CallTimeout = "300ms"
		s.Guards = "creations: {floor: 9}, updates: {floor: 9}, grants: {floor: 9}, revocations: {floor: 9}, deactivations: {floor: 9}"
	})
	return &institution{t: t, w: w, before: w.sim.Snapshot(), managed: map[string]bool{}, seen: map[reconcile.Key][]time.Time{}}
}

func (m *institution) somebody(rt *rapid.T) string {
	return rapid.SampledFrom(modelLogins()).Draw(rt, "who")
}

func (m *institution) inDirectory(login string) bool {
	return slices.ContainsFunc(m.w.Entries, func(e ldaptest.Entry) bool { return e.DN == uid(login) })
}

func (m *institution) comes(rt *rapid.T) {
	login := m.somebody(rt)
	if m.inDirectory(login) {
		rt.Skip("is there")
	}
	lname := map[string]string{"ada": "Lovelace", "carl": "Darwin", "emmy": "Noether", "lise": "Meitner", "boss": "Boss", "visitor": "Visitor"}[login]
	if lname == "" {
		lname = "Person" + strings.TrimPrefix(login, "p")
	}
	m.w.put(person(login, "Some", lname, rapid.SampledFrom([]string{"curielab", "darwinlab", "nolab"}).Draw(rt, "unit")))
}

func (m *institution) leaves(rt *rapid.T) {
	login := m.somebody(rt)
	if !m.inDirectory(login) {
		rt.Skip("is not there")
	}
	m.w.remove(uid(login))
}

func (m *institution) disabled(rt *rapid.T) {
	login := m.somebody(rt)
	if !m.inDirectory(login) {
		rt.Skip("is not there")
	}
	m.w.set(uid(login), "employeeType", rapid.SampledFrom([]string{"left", "staff"}).Draw(rt, "type"))
}

func (m *institution) value(rt *rapid.T) {
	login := m.somebody(rt)
	if !m.inDirectory(login) {
		rt.Skip("is not there")
	}
	switch rapid.IntRange(0, 2).Draw(rt, "what") {
	case 0:
		m.w.set(uid(login), "telephoneNumber", rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "phone"))
	case 1:
		m.w.set(uid(login), "mail", rapid.SampledFrom([]string{login + "@example.org", "shared@example.org", login + "@example.net"}).Draw(rt, "mail"))
	default:
		m.w.set(uid(login), "givenName", rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "name"))
	}
}

func (m *institution) group(rt *rapid.T) {
	name := rapid.SampledFrom([]string{"confocal-users", "imaging", "em-users"}).Draw(rt, "group")
	if rapid.IntRange(0, 9).Draw(rt, "gone") == 0 {
		m.w.remove(cn(name))
		return
	}
	var members []string
	for _, login := range modelLogins() {
		if rapid.Bool().Draw(rt, login) {
			members = append(members, uid(login))
		}
	}
	if name == "confocal-users" && rapid.Bool().Draw(rt, "nested") {
		members = append(members, cn("imaging"))
	}
	m.w.put(group(name, members...))
}

func (m *institution) staff(rt *rapid.T) {
	login := m.somebody(rt)
	u, ok := m.w.sim.User(login)
	if !ok {
		rt.Skip("no account")
	}
	switch rapid.IntRange(0, 2).Draw(rt, "what") {
	case 0:
		u.Active = !u.Active
	case 1:
		u.Phone = rapid.SampledFrom([]string{"1", "9"}).Draw(rt, "phone")
	default:
		u.Lname = rapid.SampledFrom([]string{"Lovelace", "Other"}).Draw(rt, "name")
	}
	m.w.sim.PutUser(u)
}

func (m *institution) staffRight(rt *rapid.T) {
	login := m.somebody(rt)
	if _, ok := m.w.sim.User(login); !ok {
		rt.Skip("no account")
	}
	m.w.sim.SetRight(login, rapid.SampledFrom([]int{12, 13, 21}).Draw(rt, "system"), rapid.SampledFrom([]string{"", "D", "N", "A", "S"}).Draw(rt, "level"))
}

func (m *institution) configuration(rt *rapid.T) {
	policy := rapid.SampledFrom([]string{"sync", "sync", "upsert-only", "create-only"}).Draw(rt, "policy")
	level := rapid.SampledFrom([]string{"A", "N"}).Draw(rt, "level")
	m.w.configure(func(s *settings) {
		s.Policy = policy
		s.Rights = `[{name: confocal, group: confocal-users, systems: [{type: "Confocal*"}], level: ` + level + `},
  {name: electron-microscopy, group: em-users, systems: [21], level: N}]`
	})
}

func (m *institution) time(rt *rapid.T) {
	m.w.pass(time.Duration(rapid.SampledFrom([]int{1, 13, 25, 49}).Draw(rt, "hours")) * time.Hour)
}

// run is one run, and the check of everything so far.
func (m *institution) run(rt *rapid.T) {
	m.w.pass(time.Minute)
	effects := len(m.w.sim.Effects())
	err := m.w.app.Apply(m.t.Context(), daemon.ApplyOptions{Output: daemon.JSON})
	text := m.w.text()
	code := daemon.ExitCode(err)
	if code == daemon.ExitFailed && len(m.w.sim.Effects()) > effects {
		rt.Fatalf("it failed, and yet wrote: %v", err)
	}
	var plan reconcile.Plan
	if text != "" {
		if err := json.Unmarshal([]byte(text), &plan); err != nil {
			rt.Fatal(err)
		}
	}
	m.check(rt)
	if plan.Directory.Complete { // who was enabled in a complete read is remembered after it: its own writes are judged by those before
		for _, e := range m.w.Entries {
			if login := e.Attrs["uid"]; login != nil && e.Attrs["employeeType"] == nil || login != nil && e.Attrs["employeeType"][0] != "left" {
				key := reconcile.KeyOf(login[0])
				m.seen[key] = append(m.seen[key], m.w.now)
			}
		}
	}
}

// check holds all that was written since the beginning against what was promised.
func (m *institution) check(rt *rapid.T) {
	if _, err := os.Stat(m.w.path("ledger.db")); err != nil {
		return
	}
	for _, login := range m.w.managed() {
		m.managed[login] = true
	}
	var managed []string
	for login := range m.managed {
		managed = append(managed, login)
	}
	broken := proof.Check(proof.Case{
		Before: m.before, Effects: m.w.sim.Effects(), Journal: m.w.journal(), Managed: managed, Protected: service, Grace: modelGrace, Enabled: m.enabled,
	})
	if len(broken) > 0 {
		rt.Fatalf("broken promises:\n%s", strings.Join(broken, "\n"))
	}
}

func (m *institution) enabled(key reconcile.Key, before time.Time) (last time.Time) {
	for _, at := range m.seen[key] {
		if at.Before(before) {
			last = at
		}
	}
	return last
}

func (m *institution) runWithFaults(rt *rapid.T) {
	actions := []string{"getusers", "getuser", "getsystems", "getadmins", "getsysrights", "getuserrights", "newuser", "upduser", "setright", "writes"}
	kinds := []string{"reset-before", "reset-after", "status=500", "html", "empty", "error=no", "unauthorized", "cut-half", "cut-line", "cut-length", "garbage", "redirect"}
	var faults []string
	for range rapid.IntRange(1, 3).Draw(rt, "faults") {
		first := rapid.IntRange(1, 12).Draw(rt, "from")
		faults = append(faults, fmt.Sprintf("%s:%s@%d-%d", rapid.SampledFrom(actions).Draw(rt, "action"), rapid.SampledFrom(kinds).Draw(rt, "kind"), first, first+rapid.IntRange(0, 6).Draw(rt, "more")))
	}
	m.w.faults(faults...)
	m.run(rt)
	m.w.faults()
}

// runWithHiddenPeople lets the directory leave somebody out of the search, once or altogether.
func (m *institution) runWithHiddenPeople(rt *rapid.T) {
	login := m.somebody(rt)
	if !m.inDirectory(login) {
		rt.Skip("is not there")
	}
	entries := m.w.Entries
	m.w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Times: 1, Do: ldaptest.Hide(uid(login))})
	// A witness counts only whom the read returned.
	m.w.Entries = slices.DeleteFunc(slices.Clone(entries), func(e ldaptest.Entry) bool { return e.DN == uid(login) })
	m.run(rt)
	m.w.Entries = entries
	m.w.dir.SetFaults()
}

// powerCut lets a run lose power at some request: nothing after it reaches PPMS, and the ledger is as it was on disk then.
func (m *institution) powerCut(rt *rapid.T) {
	m.w.pass(time.Minute)
	at, seen := rapid.IntRange(1, 60).Draw(rt, "request"), 0
	files := map[string][]byte{}
	m.w.mu.Lock()
	m.w.on = func(string, url.Values) {
		if seen++; seen == at {
			for _, name := range []string{"ledger.db", "ledger.db-wal"} {
				files[name], _ = os.ReadFile(m.w.path(name)) // it may not be there yet
			}
			m.w.faults("*:reset-before")
		}
	}
	m.w.mu.Unlock()
	err := m.w.app.Apply(m.t.Context(), daemon.ApplyOptions{Output: daemon.JSON})
	m.w.when(0, "", "", func() {})
	m.w.text()
	m.w.faults()
	_ = err // how the run that lost power ended is of no interest
	for name, data := range files {
		if len(data) > 0 || name == "ledger.db-wal" {
			m.w.write(name, string(data))
		}
	}
	m.check(rt)
}

// quiet lets nothing more happen: after some runs there is nothing to do that does not wait for somebody.
func (m *institution) quiet(rt *rapid.T) {
	for range 3 {
		m.run(rt)
	}
	m.w.pass(100 * time.Hour)
	for range 3 {
		m.run(rt)
	}
	err := m.w.app.Plan(m.t.Context(), daemon.PlanOptions{ExitCode: true, Output: daemon.JSON})
	var plan reconcile.Plan
	text := m.w.text()
	if e := json.Unmarshal([]byte(text), &plan); e != nil {
		rt.Fatal(e, err)
	}
	for i := range plan.Changes {
		if c := &plan.Changes[i]; c.Held == "" {
			rt.Fatalf("left to do when all was quiet: %s (%s)", line(c), c.Reason)
		}
	}
}
