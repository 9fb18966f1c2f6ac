package daemon_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// days lets a run come each day for so many, and expects it to do nothing.
func (w *world) days(n int) {
	w.t.Helper()
	for range n {
		w.pass(24*time.Hour - time.Minute) // the run takes the last minute
		w.apply().exits(daemon.ExitOK).did()
	}
}

const carlLeaves = "updateuser carl active=false"

func TestLeaverIsDeactivatedAfterTheGrace(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.apply().exits(daemon.ExitOK).did() // the first read that shows it
	w.days(6)
	w.pass(24*time.Hour - 2*time.Minute)
	w.apply().exits(daemon.ExitOK).did() // 168h are not over
	got := w.apply().exits(daemon.ExitOK).did(carlLeaves)
	expect(t, got.change(carlLeaves).Reason, "no longer in the directory since 2026-03-03", "9 complete reads")
	for _, id := range []int{12, 13} {
		if level := w.sim.Right("carl", id); level != "A" {
			t.Errorf("the right on %d is %q; a leaver keeps what they have", id, level)
		}
	}
	w.days(2)
	w.plan().issues()
}

func TestLeaverIsDeactivatedOnlyAfterTheConfirmations(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	for range 2 {
		w.apply().exits(daemon.ExitOK).did()
		w.pass(200 * time.Hour)
	}
	w.apply().exits(daemon.ExitOK).did(carlLeaves)
}

func TestDisabledPersonIsDeactivatedAfterTheirGrace(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("carl"), "employeeType", "left")
	w.set(uid("carl"), "telephoneNumber", "+41 1") // nobody keeps the fields of somebody who is disabled
	w.apply().exits(daemon.ExitOK).did()
	w.pass(12 * time.Hour)
	w.apply().exits(daemon.ExitOK).did()
	w.pass(12 * time.Hour)
	got := w.apply().exits(daemon.ExitOK).did(carlLeaves)
	expect(t, got.change(carlLeaves).Reason, "disabled in the directory since")
}

// An account that ends at a date: nobody touches the entry, the date comes, and the grace of the disabled begins. Who is prolonged in
// time stays, who is prolonged afterwards comes back.
// Where groups decide who is disabled, one that the reader may no longer see disables its people: that is not proven.
func TestHiddenGroupDisablesNobody(t *testing.T) {
	t.Parallel()
	const named, any = "!('confocal-users' in groups || 'em-users' in groups)", "!groups.exists(g, g.endsWith('-users'))"
	for name, c := range map[string]struct {
		do       ldaptest.Do
		disabled string
	}{
		"hidden": {ldaptest.Hide(cn("imaging")), named}, "without members": {ldaptest.Withhold(cn("imaging"), "member"), named},
		"hidden, of any": {ldaptest.Hide(cn("imaging")), any}, "without members, of any": {ldaptest.Withhold(cn("imaging"), "member"), any},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do := c.do
			w := settled(t, func(s *settings) { s.Rights, s.Disabled = "[]", c.disabled })
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: do})
			w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "without approval", cn("imaging"))
			for range 3 {
				w.pass(24 * time.Hour)
				w.apply().did()
			}
			w.plan().exits(daemon.ExitHeld).issues("needs-approval ada", "needs-approval emmy")
			w.dir.SetFaults()
			w.apply().exits(daemon.ExitOK).did().issues()
			// Who leaves a group that is seen goes as ever.
			w.put(group("imaging", uid("ada")))
			w.days(1)
			w.apply()
			w.pass(24 * time.Hour)
			w.apply().exits(daemon.ExitOK).did("updateuser emmy active=false").issues()
		})
	}
}

// Likewise an attribute.
func TestHiddenAttributeDisablesNobody(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Disabled = "attr('employeeType') != 'staff'"
		for i := range s.Entries {
			if a := s.Entries[i].Attrs; a["uid"] != nil {
				a["employeeType"] = []string{"staff"}
			}
		}
	})
	w.dir.SetFaults(ldaptest.Fault{Do: ldaptest.Withhold("", "employeeType")})
	w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "nobody has the attribute employeetype any more")
	w.days(1)
	w.pass(24 * time.Hour)
	w.apply().exits(daemon.ExitHeld).did().issues("needs-approval ada", "needs-approval carl", "needs-approval emmy", "needs-approval lise")
	w.dir.SetFaults()
	w.apply().exits(daemon.ExitOK).did().issues()
	w.set(uid("carl"), "employeeType", "left")
	w.days(2)
	w.pass(24 * time.Hour)
	w.apply().exits(daemon.ExitOK).did(carlLeaves)
}

func TestExpiredAccount(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Disabled, s.Leavers = "expiredTime(attr('pwdEndTime'))", "disabled_grace: 24h, confirmations: 2"
	})
	ends := func(login string, in time.Duration) {
		w.set(uid(login), "pwdEndTime", w.now.Add(in).Format("20060102150405Z"))
	}
	ends("carl", 36*time.Hour)
	ends("emmy", 36*time.Hour)
	w.days(1)
	ends("emmy", 365*24*time.Hour)
	w.days(1) // carl's has come, 12 hours ago; this read is the first to see it
	w.pass(23 * time.Hour)
	w.apply().exits(daemon.ExitOK).did()
	w.pass(time.Hour)
	got := w.apply().exits(daemon.ExitOK).did(carlLeaves)
	expect(t, got.change(carlLeaves).Reason, "disabled in the directory since 2026-03-05")
	w.days(1)
	ends("carl", 365*24*time.Hour)
	w.apply().exits(daemon.ExitOK).did("updateuser carl active=true")
	w.plan().exits(daemon.ExitOK).has().issues()
}

func TestWhoComesBackIsOffTheList(t *testing.T) {
	t.Parallel()
	w := settled(t)
	carl := w.entry(uid("carl"))
	w.remove(carl.DN)
	w.apply()
	w.days(5)
	w.put(carl)
	w.days(1)
	if n := len(w.memory().Leavers); n > 0 {
		t.Errorf("%d leavers", n)
	}
	w.remove(carl.DN)
	w.days(7) // counted anew from the first of them
	w.pass(24 * time.Hour)

	w.apply().exits(daemon.ExitOK).did(carlLeaves)
}

func TestWhoComesBackIsReactivated(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	carl := w.entry(uid("carl"))
	w.remove(carl.DN)
	w.apply().did()
	w.pass(time.Hour)
	w.apply().did(carlLeaves)
	w.days(3)
	w.put(carl)
	got := w.apply().exits(daemon.ExitOK).did("updateuser carl active=true")
	expect(t, got.change("updateuser carl active=true").Reason, "in the directory again", "we had deactivated")
	w.plan().exits(daemon.ExitOK).has().issues()
}

func TestMovedOutOfTheSearch(t *testing.T) {
	t.Parallel()
	w := settled(t)
	carl := w.entry(uid("carl"))
	w.remove(carl.DN)
	carl.DN = "uid=carl,ou=former,dc=example,dc=org" // with its entryUUID
	w.put(carl)
	w.apply()
	w.days(6)
	w.pass(24 * time.Hour)
	got := w.apply().did(carlLeaves)
	expect(t, got.change(carlLeaves).Reason, "no longer found by the search; the entry is now uid=carl,ou=former,dc=example,dc=org; since")
}

// lookups strikes the second look at the missing.
func lookups(do ldaptest.Do) ldaptest.Fault { return ldaptest.Fault{Filter: "entryUUID=", Do: do} }

func TestFailedSecondLookConfirmsNobody(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.dir.SetFaults(lookups(ldaptest.Result(51)))
	w.days(20)
	if n := len(w.memory().Leavers); n > 0 {
		t.Errorf("%d leavers", n)
	}
	w.dir.SetFaults()
	w.apply().did() // now it counts
	w.days(6)
	w.pass(24 * time.Hour)
	w.apply().did(carlLeaves)
}

// A second look that fails now and then neither counts nor begins anew.
func TestFailedSecondLookKeepsWhatWasKnown(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.apply()
	w.days(1)
	w.dir.SetFaults(lookups(ldaptest.Result(51)))
	w.days(10)
	w.dir.SetFaults()
	w.apply().exits(daemon.ExitOK).did(carlLeaves) // the third read, after eleven days
}

func TestSecondLookFindsWhatTheReadLeftOut(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("emmy"), "telephoneNumber", "+41 1")
	w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Times: 1, Do: ldaptest.Hide(uid("carl"))})
	w.apply().exits(daemon.ExitFailed, "the read was wrong", uid("carl")).did()
	w.apply().exits(daemon.ExitOK).did("updateuser emmy phone=+41 1")
}

func TestReactivatedByStaffIsKept(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	w.remove(uid("carl"))
	w.apply()
	w.pass(time.Hour)
	w.apply().did(carlLeaves)
	w.staff("carl", func(u *ppmssim.User) { u.Active = true })
	w.days(3)
	w.plan().exits(daemon.ExitOK).has().issues("reactivated-by-staff carl")
	w.staff("carl", func(u *ppmssim.User) { u.Active = false }) // their own now
	w.days(2)
	w.put(person("carl", "Charles", "Darwin", "darwinlab"))
	w.days(1)
	w.plan().issues("inactive-by-staff carl")
}

func TestInactiveByStaffIsKept(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.staff("carl", func(u *ppmssim.User) { u.Active = false })
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	w.set(cn("confocal-users"), "member", cn("imaging")) // and the rights are left alone, too
	w.days(2)
	w.plan().exits(daemon.ExitOK).has().issues("inactive-by-staff carl")
}

func TestAccountThatIsGone(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.sim.DeleteUser("carl")
	w.days(2)
	w.plan().exits(daemon.ExitOK).has().issues("account-gone carl").says(reconcile.AccountGone, "ppms-syncd unlink carl")
	must(t, w.app.Unlink(t.Context(), "carl"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("newuser carl", "setright carl 12 A", "setright carl 13 A")
}

// An account that is there again after it was gone may be somebody else's, whoever had its login before.
func TestAccountThatIsBackIsAnother(t *testing.T) {
	t.Parallel()
	guest := account("lise", "Lise", "Visitor", "darwinlab")
	guest.Email = "guest@example.com"
	for name, after := range map[string]struct {
		left   bool
		issues []string
	}{
		"present": {false, []string{"identity-mismatch lise"}}, "left": {true, []string{"identity-mismatch lise"}},
		"present, not seen gone": {false, []string{"identity-mismatch lise"}}, "left, not seen gone": {true, []string{"identity-mismatch lise"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			w.sim.DeleteUser("lise")
			if !strings.Contains(name, "not seen") {
				w.apply().exits(daemon.ExitOK).issues("account-gone lise")
			}
			w.sim.PutUser(guest)
			w.sim.SetRight("lise", 21, "N")
			w.put(group("em-users", uid("carl")))
			w.apply().did("setright carl 21 N")
			if after.left {
				w.remove(uid("lise"))
			}
			before := w.sim.Snapshot()
			w.days(9)
			w.apply().exits(daemon.ExitOK).issues(after.issues...)
			w.unchanged(before)
			w.undo(1).says(reconcile.NotUndone, "right on Titan Krios (21)", "it may be another")
		})
	}
}

// If it agrees it is theirs, but not what the old one had from us.
func TestAccountThatIsBackIsTheSame(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.sim.DeleteUser("lise")
	w.apply().exits(daemon.ExitOK).issues("account-gone lise")
	w.sim.PutUser(account("lise", "Lise", "Meitner", "curielab"))
	w.sim.SetRight("lise", 21, "N")
	w.set(uid("lise"), "telephoneNumber", "+41 1")
	w.apply().exits(daemon.ExitOK).did("updateuser lise phone=+41 1").issues()
	w.put(group("em-users", uid("carl")))
	w.apply().exits(daemon.ExitOK).did("setright carl 21 N").issues()
	w.remove(uid("lise"))
	w.days(7)
	w.pass(24 * time.Hour)
	w.apply().exits(daemon.ExitOK).did("updateuser lise active=false")
}

// Leavers are counted in complete reads only.
func TestFailedRunsConfirmNobody(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.apply()
	w.faults("getsystems:html")
	for range 5 {
		w.pass(48 * time.Hour)
		w.apply().exits(daemon.ExitFailed).did()
	}
	w.faults()
	w.apply().did() // the second
	w.apply().did(carlLeaves)
}

func TestNothingIsDoneToLeaversWhoAreNotLinked(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	w.days(5)
	for _, e := range w.sim.Effects() {
		if strings.Contains(effectLine(&e), "visitor") {
			t.Errorf("%s", effectLine(&e))
		}
	}
}

// While the read is too small nobody is confirmed a leaver, not even who was one before; once somebody has accepted its size,
// it goes on, and the guard of deactivations looks at those who were lost.
func TestShrinkConfirmsNobodyUntilItIsApproved(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { crowd(s, 60) })
	w.remove(uid("p01"))
	w.apply()
	w.days(6)
	var lost []string
	for i := range 16 {
		lost = append(lost, uid(fmt.Sprintf("p%02d", i+10)))
	}
	w.remove(lost...)
	w.pass(24 * time.Hour)
	held := w.apply().exits(daemon.ExitHeld).has().did()
	w.pass(240 * time.Hour)
	w.apply().exits(daemon.ExitHeld).has().did()
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	expect(t, w.text(), "Accepted as the new size of the directory: 47 people, 3 groups")
	w.apply().exits(daemon.ExitOK).did("updateuser p01 active=false")
	w.days(6)
	w.pass(24 * time.Hour)
	if got := w.apply().exits(daemon.ExitHeld).did(); len(got.Changes) != 16 {
		t.Errorf("%q", lines(got.Changes))
	}
}
