package daemon_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/reconcile"
)

// An incident is something that cost people their accounts or rights elsewhere: docs/incidents.md tells what happened. Here it
// happens to a world in step, again and again for longer than any grace, and then it is over.
type incident struct {
	faults []ldaptest.Fault
	exit   int
	says   []string // in the error
	guard  string   // that holds
	setup  func(*settings)
}

// strike checks that nobody loses anything, neither while it lasts nor when it is over.
func (c *incident) strike(t *testing.T) {
	t.Helper()
	setup := func(s *settings) { s.Leavers = "grace: 24h, disabled_grace: 1h, confirmations: 2" }
	w := settled(t, func(s *settings) {
		setup(s)
		if c.setup != nil {
			c.setup(s)
		}
	})
	before := w.sim.Snapshot()
	w.dir.SetFaults(c.faults...)
	for range 4 {
		got := w.apply().exits(c.exit, c.says...).did()
		if c.guard != "" && !slices.ContainsFunc(got.Guards, func(g reconcile.GuardResult) bool { return string(g.Name) == c.guard && g.Tripped }) {
			t.Errorf("%s did not hold: %v", c.guard, got.Guards)
		}
		w.pass(25 * time.Hour)
	}
	w.unchanged(before)
	w.dir.SetFaults()
	if got := w.apply().exits(daemon.ExitOK).did(); len(got.Issues) > 0 {
		t.Errorf("issues remain: %v", got.Issues)
	}
	w.unchanged(before)
	if n := len(w.memory().Leavers); n > 0 {
		t.Errorf("%d people are still taken for leavers", n)
	}
}

func peopleSearch(do ldaptest.Do) ldaptest.Fault {
	return ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Do: do}
}

// The search for a person fails, and that counts as "not found".
func TestIncidentGLPI984(t *testing.T) {
	t.Parallel()
	t.Run("search for people", func(t *testing.T) {
		t.Parallel()
		(&incident{faults: []ldaptest.Fault{peopleSearch(ldaptest.Cut(500))}, exit: daemon.ExitFailed, says: []string{"connection was lost"}}).strike(t)
	})
	t.Run("second look at who is missing", func(t *testing.T) {
		t.Parallel()
		(&incident{faults: []ldaptest.Fault{peopleSearch(ldaptest.Hide(uid("carl"))), {Filter: "entryUUID=", Do: ldaptest.Cut(0)}}}).strike(t)
	})
}

// Nobody answers, and an empty list of people is what is left.
func TestIncidentOPNsense10128(t *testing.T) {
	t.Parallel()
	w := settled(t)
	before := w.sim.Snapshot()
	w.dir.Close()
	for range 4 {
		w.apply().exits(daemon.ExitFailed, "nothing listens there").did()
		w.pass(100 * time.Hour)
	}
	w.unchanged(before)
	w.otherDirectory(ldaptest.Options{}) // it is back
	w.apply().exits(daemon.ExitOK).has().issues().did()
	w.unchanged(before)
}

// The search for people succeeds, and finds none of them.
func TestIncidentKeycloak24669(t *testing.T) {
	t.Parallel()
	(&incident{faults: []ldaptest.Fault{peopleSearch(ldaptest.Empty())}, exit: daemon.ExitHeld, guard: "min_people"}).strike(t)
}

// Entries come, but without the attribute that tells whose they are.
func TestIncidentGitea7949(t *testing.T) {
	t.Parallel()
	(&incident{faults: []ldaptest.Fault{peopleSearch(ldaptest.Withhold("", "uid"))}, exit: daemon.ExitOK}).strike(t)
}

// The reader has lost its rights: every search succeeds with nothing, that for the base itself as well.
func TestIncidentWgPortal744(t *testing.T) {
	t.Parallel()
	(&incident{faults: []ldaptest.Fault{{Do: ldaptest.Empty()}}, exit: daemon.ExitFailed, says: []string{"ldap.users.base", "0 entries instead of one"}}).strike(t)
}

// A part of the people does not come, once in a while, from a server that reports no error.
func TestIncidentUserLDAP460(t *testing.T) {
	t.Parallel()
	var some []ldaptest.Fault
	for i := range 60 {
		some = append(some, ldaptest.Fault{Do: ldaptest.Hide(uid(fmt.Sprintf("p%02d", i+1)))})
	}
	for name, c := range map[string]*incident{
		"a page is the last too early": {
			faults: []ldaptest.Fault{{Base: peopleBase, Filter: "inetOrgPerson", Page: 2, Do: ldaptest.DropPaging()}},
			exit:   daemon.ExitFailed, says: []string{"page 2 came without the paging control"},
		},
		"a page fails":                  {faults: []ldaptest.Fault{{Base: peopleBase, Filter: "inetOrgPerson", Page: 2, Do: ldaptest.Result(51)}}, exit: daemon.ExitFailed, says: []string{"busy"}},
		"60 of 400 people are left out": {faults: some, exit: daemon.ExitHeld, guard: "shrink"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.setup = manyPeople
			c.strike(t)
		})
	}
}

// The time runs out in the middle.
func TestIncidentExternalDNS1238(t *testing.T) {
	t.Parallel()
	for _, code := range []int{3, 52} { // time limit exceeded, unavailable
		t.Run(fmt.Sprintf("result %d", code), func(t *testing.T) {
			t.Parallel()
			(&incident{faults: []ldaptest.Fault{peopleSearch(ldaptest.Result(code).After(2))}, exit: daemon.ExitFailed, says: []string{"the search for people"}}).strike(t)
		})
	}
}

// No groups at all come, with success; or groups without their members.
func TestIncidentSSOSync278(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]ldaptest.Do{"no groups": ldaptest.Empty(), "no members": ldaptest.Withhold("", "member")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			(&incident{faults: []ldaptest.Fault{{Base: groupBase, Filter: "groupOfNames", Do: do}}, exit: daemon.ExitOK}).strike(t)
		})
	}
}

// One group of several is missing now and then.
func TestIncidentGroupSyncOperator248(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"confocal-users", "imaging", "em-users"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			(&incident{faults: []ldaptest.Fault{{Do: ldaptest.Hide(cn(name))}}, exit: daemon.ExitOK}).strike(t)
		})
	}
}

// A group grows beyond what the server returns at once: its list of members looks empty, and the first 1500 stand beside it.
func TestIncidentPgLDAPSync32(t *testing.T) {
	t.Parallel()
	w := settled(t)
	grown := w.entry(cn("confocal-users"))
	for i := range 1500 - len(grown.Attrs["member"]) {
		grown.Attrs["member"] = append([]string{fmt.Sprintf("CN=S-1-5-21-%d,CN=ForeignSecurityPrincipals,dc=example,dc=org", i)}, grown.Attrs["member"]...)
	}
	w.put(grown)
	w.otherDirectory(ldaptest.Options{MaxValRange: 1500})
	before := w.sim.Snapshot()
	w.apply().exits(daemon.ExitOK).did()
	grown.Attrs["member"] = append([]string{"CN=S-1-5-21-1500,CN=ForeignSecurityPrincipals,dc=example,dc=org"}, grown.Attrs["member"]...)
	w.put(grown)
	w.otherDirectory(ldaptest.Options{MaxValRange: 1500})
	for range 3 {
		w.apply().exits(daemon.ExitOK).has().issues().did()
		w.pass(25 * time.Hour)
	}
	w.unchanged(before)
}

// Every incident of the table is a test.
func TestIncidentsAreTested(t *testing.T) {
	t.Parallel()
	const root = "../.."
	table, err := os.ReadFile(filepath.Join(root, "docs/incidents.md"))
	must(t, err)
	rows, named := 0, regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	for line := range strings.Lines(string(table)) {
		if !strings.HasPrefix(line, "| [") {
			continue
		}
		rows++
		tests := named.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test is named in %s", line)
		}
		for _, m := range tests {
			if out, err := exec.CommandContext(t.Context(), "grep", "-rlE", "--include=*_test.go", `^func `+m[1]+`\(`, filepath.Join(root, "internal")).CombinedOutput(); err != nil {
				t.Errorf("there is no test %s: %s", m[1], out)
			}
		}
	}
	if rows < 10 {
		t.Errorf("the table has only %d rows", rows)
	}
}
