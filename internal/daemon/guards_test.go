package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/reconcile"
)

// none lets a guard trip at the first person.
func none(guard string) func(*settings) {
	return func(s *settings) { s.Guards = guard + ": {count: 0, percent: 0, floor: 0}" }
}

func TestGuardHoldsTheWholePlan(t *testing.T) {
	t.Parallel()
	for _, guard := range []string{"creations", "updates", "grants"} {
		t.Run(guard, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, none(guard))
			w.plan().exits(daemon.ExitHeld)
			must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.JSON})) // 0 without --exit-code
			w.text()
			got := w.apply().exits(daemon.ExitHeld).has(firstRun()...).did()
			for i := range got.Changes {
				if c := &got.Changes[i]; c.Held != guard || c.Outcome != reconcile.HeldBack {
					t.Errorf("%s: held by %q, %s", line(c), c.Held, c.Outcome)
				}
			}
			must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
			expect(t, w.text(), "held", guard+":", got.Hash[:19])
		})
	}
}

// leaving is a world in which emmy lost her group, lise will be deactivated by the next apply, and carl has a new number.
func leaving(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	w := settled(t, append([]func(*settings){func(s *settings) { s.Leavers = "disabled_grace: 1h, confirmations: 2" }}, change...)...)
	w.set(uid("lise"), "employeeType", "left")
	w.apply().exits(daemon.ExitOK).did()
	w.pass(time.Hour)
	w.put(group("imaging", uid("ada")))
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	return w
}

func TestGuardOfRemovalsHoldsOnlyThose(t *testing.T) {
	t.Parallel()
	for _, guard := range []string{"revocations", "deactivations"} {
		t.Run(guard, func(t *testing.T) {
			t.Parallel()
			w := leaving(t, none(guard))
			all := []string{"updateuser carl phone=+41 1", "setright emmy 12 D", "setright emmy 13 D", "updateuser lise active=false"}
			held := w.apply().exits(daemon.ExitHeld).has(all...).did(all[0])
			w.apply().exits(daemon.ExitHeld).has(all[1:]...).did()
			must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
			expect(t, w.text(), "1 deactivations", "2 revocations")
			w.apply().exits(daemon.ExitOK).did(all[1:]...)
			w.apply().exits(daemon.ExitOK).has()
		})
	}
}

func TestApproveLetsTheNextApplyWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, none("creations"))
	held := w.apply().exits(daemon.ExitHeld).did()
	must(t, w.app.Approve(t.Context(), held.Hash[:16], 72*time.Hour))
	long := w.text()
	expect(t, long, "Approved until", "9 changes")
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour)) // the longer of two approvals counts
	if again := w.text(); again != long {
		t.Errorf("first\n%s, then\n%s", long, again)
	}
	w.apply().exits(daemon.ExitOK).did(firstRun()...)
}

func TestApprovalExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, none("creations"))
	held := w.apply().exits(daemon.ExitHeld)
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "It is approved until")
	w.pass(time.Hour)
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "When you have looked at it: ppms-syncd approve")
	w.apply().exits(daemon.ExitHeld).did()
}

func TestApprovalIsOfTheChangesAsTheyWere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, none("creations"))
	held := w.apply().exits(daemon.ExitHeld)
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	w.text()
	w.put(person("eve", "E", "Eve", "curielab"))
	w.set(uid("ada"), "sn", "Byron")
	got := w.apply().exits(daemon.ExitHeld)
	for i := range got.Changes {
		c := &got.Changes[i]
		if ok := c.Login != "eve" && line(c) != "newuser ada"; c.Approved != ok {
			t.Errorf("%s: approved %v", line(c), c.Approved)
		}
	}
}

func TestApproveOfWhatWasNeverHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply().exits(daemon.ExitOK)
	for _, c := range []struct {
		hash, want string
		code       int
	}{
		{"sha256:" + strings.Repeat("0", 64), "no run has held", daemon.ExitFailed},
		{"abc", "too short", daemon.ExitUsage},
		{"zzzzzzzzzz", "no plan hash", daemon.ExitUsage},
	} {
		if err := w.app.Approve(t.Context(), c.hash, time.Hour); daemon.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("approve %s: %v", c.hash, err)
		}
	}
}

func TestGuardsCountThePeopleOfADay(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { crowd(s, 8) })
	dns := func(from, to int) {
		for i := from; i <= to; i++ {
			w.set(uid(fmt.Sprintf("p%02d", i)), "telephoneNumber", "+41 1")
		}
	}
	dns(1, 3)
	w.apply().exits(daemon.ExitOK)
	w.set(uid("p01"), "telephoneNumber", "+41 2") // the same person again counts once
	dns(4, 5)
	w.apply().exits(daemon.ExitOK)
	dns(6, 6)
	w.apply().exits(daemon.ExitHeld).did()
	w.pass(24 * time.Hour)
	w.apply().exits(daemon.ExitOK).did("updateuser p06 phone=+41 1")
}

func TestMinPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Guards = "min_people: 5" })
	w.apply().exits(daemon.ExitHeld).did()
	w.put(person("eve", "E", "Eve", "curielab"))
	w.apply().exits(daemon.ExitOK)
}

// What a new configuration takes away has a cause that nobody saw appear in the directory.
func TestChangedConfigurationNeedsApproval(t *testing.T) {
	t.Parallel()
	for name, rights := range map[string]string{
		"system left out": `[{name: confocal, group: confocal-users, systems: [13], level: A}, {name: electron-microscopy, group: em-users, systems: [21], level: N}]`,
		"rule left out":   `[{name: confocal, group: confocal-users, systems: [13], level: A}]`,
		"another group":   `[{name: confocal, group: em-users, systems: [13], level: A}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			w.configure(func(s *settings) { s.Rights = rights })
			got := w.apply().exits(daemon.ExitHeld)
			var removals []string
			for i := range got.Changes {
				c := &got.Changes[i]
				if !c.Removal() {
					continue
				}
				removals = append(removals, line(c))
				if c.Held != string(reconcile.ScopeGuard) || slices.Contains(got.wrote, line(c)) {
					t.Errorf("%s is held by %q", line(c), c.Held)
				}
			}
			if len(removals) == 0 {
				t.Fatal("there are no removals")
			}
			got.says(reconcile.NeedsApproval, "revocation", "approve")
			for range 3 { // it does not come about by waiting
				w.pass(48 * time.Hour)
				w.apply().exits(daemon.ExitHeld).did()
			}
			must(t, w.app.Approve(t.Context(), got.Hash, time.Hour))
			w.text()
			w.apply().exits(daemon.ExitOK).did(removals...)
			w.apply().exits(daemon.ExitOK).has().issues()
		})
	}
}

// Somebody who leaves at the time when the configuration changes is not taken for somebody who left under it.
func TestFilterThatHidesSomebodyNeedsApproval(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.UserFilter = "(&(objectClass=inetOrgPerson)(!(uid=lise)))" })
	for range 2 {
		w.apply().exits(daemon.ExitOK).did()
		w.pass(100 * time.Hour)
	}
	held := w.apply().exits(daemon.ExitHeld).did().has("updateuser lise active=false").says(reconcile.NeedsApproval, "deactivation")
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser lise active=false")
}

// Another account to read with may be shown less, without any error.
func TestAnotherReaderNeedsApproval(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.BindDN = "CN=reader,dc=example,dc=org" })
	w.remove(uid("carl")) // whom it may not see
	w.days(7)
	w.pass(25 * time.Hour)
	w.apply().exits(daemon.ExitHeld).did().issues("needs-approval carl")
}

func TestLostLedgerTakesNothingAway(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	w.Folder = t.TempDir() // another ledger
	w.write("pumapi-key", apiKey)
	w.write("ldap-password", password)
	w.configure()
	w.put(group("imaging", uid("ada")))
	w.remove(uid("lise"))
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
	expect(t, w.text(), "first run with this ledger")
	for range 3 {
		w.apply().exits(daemon.ExitOK).did()
		w.pass(48 * time.Hour)
	}
}
