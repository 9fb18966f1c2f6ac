package daemon_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
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
// leave them; staff change accounts and rights by hand; the configuration changes; the service moves to another machine; time passes;
// runs meet faults of both sides, or lose power. After each step the checker must find nothing, and when all is quiet some runs bring
// both sides into step. A walk is repeated with -rapid.seed.
func TestModel(t *testing.T) {
	t.Parallel()
	walks := "12"
	if *full {
		walks = "600"
	}
	must(t, flag.Set("rapid.checks", walks))
	seed := flag.Lookup("rapid.seed").Value.String()
	if seed == "0" {
		seed = strconv.FormatInt(time.Now().UnixNano(), 10)
		must(t, flag.Set("rapid.seed", seed))
	}
	t.Logf("the same once more: -rapid.seed=%s", seed)
	done, steps, runs := 0, 0, 0
	run := func(do func(*rapid.T)) func(*rapid.T) {
		return func(rt *rapid.T) { do(rt); runs++ }
	}
	rapid.Check(t, func(rt *rapid.T) {
		bubble(t, func(t *testing.T) {
			t.Helper()
			m := newInstitution(t)
			rt.Repeat(map[string]func(*rapid.T){
				"":                         func(rt *rapid.T) { steps++; m.check(rt) },
				"somebody comes":           m.comes,
				"somebody leaves":          m.leaves,
				"somebody is disabled":     m.disabled,
				"a value changes":          m.value,
				"a group changes":          m.group,
				"staff":                    m.staff,
				"staff and rights":         m.staffRight,
				"configuration":            m.configuration,
				"another machine":          m.moves,
				"time":                     m.time,
				"run":                      run(m.run),
				"run, PPMS at fault":       run(m.runWithFaults),
				"run, somebody hidden":     run(m.runWithHiddenPeople),
				"run, directory at fault":  run(m.runWithDirectoryFaults),
				"run, wrong configuration": run(m.runWithWrongBase),
				"run, power cut":           run(m.powerCut),
			})
			m.quiet(rt)
			done++
		})
	})
	told := fmt.Sprintf("%d walks, %d steps, %d of them runs; seed %s", done, steps, runs, seed)
	t.Log(told)
	record(t, "model", told)
}

// bubble lets do happen in simulated time. What rapid says through panics comes through.
func bubble(t *testing.T, do func(*testing.T)) {
	t.Helper()
	var said any
	synctest.Test(t, func(t *testing.T) {
		defer func() { said = recover() }()
		do(t)
	})
	switch fmt.Sprintf("%T", said) {
	case "<nil>":
	case "rapid.invalidData": // not on the line of the faults: what comes from one line is one fault to rapid, which looks for its shortest walk
		panic(said)
	default:
		panic(said)
	}
}

// institution is the institute, and what a witness would remember of it.
type institution struct {
	t       *testing.T
	w       *world
	before  ppmssim.Seed
	managed map[string]bool
	seen    map[reconcile.Key][]time.Time // complete reads that showed somebody enabled
	effects int                           // of PPMS, that were looked at one by one

	unread  string            // whom ldap.users.filter leaves out
	systems []int             // that a rule names
	hidden  func(string) bool // whom the directory hides at present
}

const modelGrace = 24 * time.Hour

func modelLogins() []string {
	return []string{"ada", "carl", "emmy", "lise", "p01", "p02", "p03", "boss", "svc-1", "visitor"}
}

func newInstitution(t *testing.T) *institution {
	t.Helper()
	w := newWorld(t, inMemory, func(s *settings) {
		crowd(s, 3)
		s.Leavers = "grace: 48h, disabled_grace: 24h, confirmations: 2"
		s.CallTimeout = "300ms"
		s.Guards = "creations: {floor: 9}, updates: {floor: 9}, grants: {floor: 9}, revocations: {floor: 9}, deactivations: {floor: 9}"
	})
	return &institution{
		t: t, w: w, before: w.sim.Snapshot(), managed: map[string]bool{}, seen: map[reconcile.Key][]time.Time{}, systems: []int{12, 13, 21},
		hidden: nobodyHidden,
	}
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
	const confocal, microscopy = `{name: confocal, group: confocal-users, systems: [{type: "Confocal*"}], level: %s}`, `{name: em, group: em-users, systems: [21], level: N}`
	policy := rapid.SampledFrom([]string{"sync", "sync", "upsert-only", "create-only"}).Draw(rt, "policy")
	fields := rapid.SampledFrom([]string{"[lname, fname, email, phone]", "[phone]"}).Draw(rt, "authoritative")
	m.unread = rapid.SampledFrom([]string{"", "", "", "emmy", "p01"}).Draw(rt, "left out")
	var rules []string
	m.systems = nil
	if level := rapid.SampledFrom([]string{"A", "N", "A", "N", ""}).Draw(rt, "confocal"); level != "" {
		rules, m.systems = append(rules, fmt.Sprintf(confocal, level)), append(m.systems, 12, 13)
	}
	if rapid.IntRange(0, 4).Draw(rt, "no electron microscopy") > 0 {
		rules, m.systems = append(rules, microscopy), append(m.systems, 21)
	}
	m.w.configure(func(s *settings) {
		s.Policy, s.Authoritative, s.UserFilter = policy, fields, "(objectClass=inetOrgPerson)"
		if m.unread != "" {
			s.UserFilter = "(&(objectClass=inetOrgPerson)(!(uid=" + m.unread + ")))"
		}
		s.Rights = "[" + strings.Join(rules, ", ") + "]"
	})
}

// moves takes a backup of the ledger to another machine and goes on there.
func (m *institution) moves(rt *rapid.T) {
	if !m.ran() {
		rt.Skip("no ledger yet")
	}
	folder := m.t.TempDir()
	must(m.t, m.w.app.Backup(m.t.Context(), filepath.Join(folder, "ledger.db")))
	m.w.text()
	m.w.Folder = folder
	m.w.install()
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
	if !plan.Directory.Complete {
		return
	}
	for _, e := range m.w.Entries { // who is enabled in it
		login, kind := e.Attrs["uid"], e.Attrs["employeeType"]
		if login != nil && (kind == nil || kind[0] != "left") && login[0] != m.unread && !m.hidden(login[0]) {
			key := reconcile.KeyOf(login[0])
			m.seen[key] = append(m.seen[key], m.w.now)
		}
	}
}

func nobodyHidden(string) bool { return false }

// ran says whether there is a ledger.
func (m *institution) ran() bool {
	_, err := os.Stat(m.w.path("ledger.db"))
	return err == nil
}

// check holds all that was written since the beginning against what was promised.
func (m *institution) check(rt *rapid.T) {
	if !m.ran() {
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
	m.configurationTakesNothing(rt)
}

// configurationTakesNothing looks at what is new: nobody ever approves anything here, so that nobody loses what only the configuration
// says that they have no more.
func (m *institution) configurationTakesNothing(rt *rapid.T) {
	effects := m.w.sim.Effects()
	for i := range effects[m.effects:] {
		e := &effects[m.effects+i]
		system, _ := strconv.Atoi(e.Params["id"]) // 0 where it is no right
		switch {
		case e.Action == "setright" && e.Params["type"] == "D" && !slices.Contains(m.systems, system):
			rt.Fatalf("%s: no rule names the system any more", effectLine(e))
		case e.Action == "upduser" && e.Params["active"] == "false" && e.Params["login"] == m.unread:
			rt.Fatalf("%s: it is the filter that leaves the person out", effectLine(e))
		}
	}
	m.effects = len(effects)
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

// runWithHiddenPeople lets the directory leave somebody out: of the search alone, so that a second look finds them, or altogether.
func (m *institution) runWithHiddenPeople(rt *rapid.T) {
	login := m.somebody(rt)
	if !m.inDirectory(login) {
		rt.Skip("is not there")
	}
	hide := ldaptest.Fault{Do: ldaptest.Hide(uid(login))}
	if rapid.Bool().Draw(rt, "in the search alone") {
		hide.Base, hide.Filter, hide.Times = peopleBase, "inetOrgPerson", 1
	}
	m.hidden = func(other string) bool { return other == login }
	m.runWithDirectory(rt, hide)
}

// runWithDirectoryFaults lets searches end badly, or show less than there is.
func (m *institution) runWithDirectoryFaults(rt *rapid.T) {
	n := rapid.IntRange(0, 8).Draw(rt, "n")
	somewhere := uid(m.somebody(rt))
	do := map[string]ldaptest.Do{
		"cut":        ldaptest.Cut(n * 100),
		"limit":      ldaptest.Result(4).After(n),
		"busy":       ldaptest.Result(51).After(n),
		"goodbye":    ldaptest.Disconnect(),
		"garbage":    ldaptest.Garbage(),
		"elsewhere":  ldaptest.Reference("ldap://other.example.org/ou=x"),
		"bad DN":     ldaptest.BadDN(somewhere),
		"twice":      ldaptest.Duplicate(somewhere),
		"no login":   ldaptest.Withhold(somewhere, "uid"),
		"no type":    ldaptest.Withhold("", "employeeType"),
		"no ids":     ldaptest.Withhold("", "entryUUID"),
		"no members": ldaptest.Withhold("", "member"),
		"no group":   ldaptest.Hide(cn("imaging")),
		"nothing":    ldaptest.Empty(),
	}
	kind := rapid.SampledFrom(slices.Sorted(maps.Keys(do))).Draw(rt, "kind")
	fault := rapid.SampledFrom([]ldaptest.Fault{{}, {Base: peopleBase, Filter: "inetOrgPerson"}, {Base: groupBase, Filter: "groupOfNames"}}).Draw(rt, "where")
	fault.Do = do[kind]
	if kind == "nothing" && fault.Base != groupBase {
		m.hidden = func(string) bool { return true }
	}
	m.runWithDirectory(rt, fault)
}

func (m *institution) runWithDirectory(rt *rapid.T, faults ...ldaptest.Fault) {
	m.w.dir.SetFaults(faults...)
	m.run(rt)
	m.w.dir.SetFaults()
	m.hidden = nobodyHidden
}

// runWithWrongBase is a slip of whoever edits the configuration.
func (m *institution) runWithWrongBase(rt *rapid.T) {
	wrong := rapid.SampledFrom([]string{"ou=poeple,dc=example,dc=org", "ou=former,dc=example,dc=org"}).Draw(rt, "base")
	m.w.configure(func(s *settings) { s.UsersBase = wrong })
	m.hidden = func(string) bool { return true }
	m.run(rt)
	m.hidden = nobodyHidden
	m.w.configure(func(s *settings) { s.UsersBase = peopleBase })
}

// powerCut lets a run lose power at some request: neither that one nor any after it reaches PPMS, and the ledger is as it was on disk
// then. How the run believes to have ended is of no interest.
func (m *institution) powerCut(rt *rapid.T) {
	m.w.pass(time.Minute)
	at, seen := rapid.IntRange(1, 60).Draw(rt, "request"), 0
	files := map[string][]byte{}
	ctx, stop := context.WithCancel(m.t.Context())
	defer stop()
	m.w.mu.Lock()
	m.w.on = func(string, url.Values) {
		if seen++; seen == at {
			for _, name := range []string{"ledger.db", "ledger.db-wal"} {
				files[name], _ = os.ReadFile(m.w.path(name)) // it may not be there yet
			}
			m.w.gone = true
			stop()
		}
	}
	m.w.mu.Unlock()
	_ = m.w.app.Apply(ctx, daemon.ApplyOptions{Output: daemon.JSON})
	m.w.when(0, "", "", func() {})
	m.w.text()
	m.w.mu.Lock()
	m.w.gone = false
	m.w.mu.Unlock()
	for name, data := range files {
		if len(data) > 0 || name == "ledger.db-wal" {
			m.w.write(name, string(data))
		}
	}
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
	m.check(rt)
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
