package daemon_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

func TestWhoLeavesTheGroupLosesTheRight(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("imaging", uid("ada")), group("confocal-users", cn("imaging")))
	got := w.apply().exits(daemon.ExitOK).issues().
		did("setright carl 12 N", "setright carl 13 D", "setright emmy 12 D", "setright emmy 13 D") // carl had the N from staff
	expect(t, got.change("setright emmy 12 D").Reason, "no rule gives it any more", "by rule confocal")
	w.apply().exits(daemon.ExitOK).has().issues()
	expect(t, w.explain("emmy"), "PPMS has D", "as it should be")
	w.sim.SetRight("emmy", 12, "N")
	for _, login := range []string{"emmy", "carl"} {
		text := w.explain(login)
		expect(t, text, "PPMS has N", "kept: staff")
		refuse(t, text, "see below") // where there is nothing
	}
	w.sim.SetRight("emmy", 12, "D")
	// Given again, since the D is ours.
	w.put(group("imaging", uid("ada"), uid("emmy")))
	w.apply().exits(daemon.ExitOK).did("setright emmy 12 A", "setright emmy 13 A").issues()
}

func TestPathOfARight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.plan()
	for l, want := range map[string][]string{
		"setright ada 12 A": {"confocal-users", "imaging"}, "setright carl 13 A": {"confocal-users"}, "setright lise 21 N": {"em-users"},
	} {
		if diff := cmp.Diff(want, got.change(l).Path); diff != "" {
			t.Errorf("%s (-want +got):\n%s", l, diff)
		}
	}
}

func TestHighestLevelOfAllRulesCounts(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Rights = `[{name: novices, when: "attr('ou') == 'darwinlab'", systems: [12, 31], level: N}, {name: confocal, group: confocal-users, systems: [12], level: A}]`
	})
	for _, c := range []struct {
		login string
		id    int
		want  string
	}{{"ada", 12, "A"}, {"ada", 31, "N"}, {"emmy", 12, "A"}, {"emmy", 31, ""}, {"lise", 12, ""}} {
		if got := w.sim.Right(c.login, c.id); got != c.want {
			t.Errorf("%s has %q on %d, want %q", c.login, got, c.id, c.want)
		}
	}
	w.put(group("imaging", uid("emmy")))
	w.apply().exits(daemon.ExitOK).did() // ada is wanted lower, and has more: kept
	if got := w.sim.Right("ada", 12); got != "A" {
		t.Errorf("ada has %q", got)
	}
}

func TestStaffAreRight(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.sim.SetRight("carl", 12, "N") // lowered
	w.sim.SetRight("emmy", 12, "D") // blocked
	w.sim.SetRight("lise", 21, "A") // more than the rule gives
	w.sim.SetRight("ada", 13, "S")
	w.sim.SetRight("lise", 31, "A") // no rule's business
	for range 2 {
		w.apply().exits(daemon.ExitOK).did().issues("right-blocked-by-staff emmy", "right-lowered-by-staff carl").
			says(reconcile.RightLoweredByStaff, "SP8, left (12)", "we gave A").says(reconcile.RightBlockedByStaff, "which we did not set")
		w.pass(24 * time.Hour)
	}
	// Nor is what they changed taken away when all leave their groups: only what is as we gave it.
	w.put(group("confocal-users", uid("lise")), group("imaging", uid("lise")), group("em-users", uid("carl")))
	w.apply().exits(daemon.ExitOK).issues().did(
		"setright carl 21 N", "setright lise 12 A", "setright lise 13 A",
		"setright ada 12 D", "setright carl 13 D", "setright emmy 13 D")
}

func TestStaffGiveAgainWhatWeTook(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("imaging", uid("ada")))
	w.apply().did("setright emmy 12 D", "setright emmy 13 D")
	w.sim.SetRight("emmy", 12, "A")
	w.days(3)
	if got := w.sim.Right("emmy", 12); got != "A" {
		t.Errorf("the right is %q", got)
	}
}

func TestAdministratorsAndProtectedAreNeverWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) {
		s.Leavers = "grace: 1h, confirmations: 1"
		s.Entries = append(s.Entries, person("svc-robot", "R", "Robot", "curielab"), person("boss", "Bigger", "Boss", "darwinlab"))
		s.Seed.Users = append(s.Seed.Users, account("svc-robot", "R", "Robot", "curielab"))
	})
	w.put(group("em-users", uid("lise"), uid("boss"), uid("svc-robot")))
	w.set(uid("svc-robot"), "telephoneNumber", "+41 1")
	w.apply().exits(daemon.ExitOK).did(firstRun()...)
	// Also if they became so after we linked them, and left.
	w.sim.SetAdmin("carl", true)
	w.configure(func(s *settings) { s.Protect = `["/^svc-/", emmy]` })
	w.apply().did()
	for _, login := range []string{"carl", "emmy"} {
		w.set(uid(login), "telephoneNumber", "+41 1")
	}
	w.put(group("confocal-users", cn("imaging")), group("imaging", uid("ada")))
	w.days(2)
	w.remove(uid("carl"), uid("emmy"))
	w.days(2)
	// And for seven days after getadmins named them last.
	w.sim.SetAdmin("carl", false)
	w.days(6)
}

func TestGroupDeletedSuspendsTheRule(t *testing.T) {
	t.Parallel()
	w := settled(t)
	confocal := w.entry(cn("confocal-users"))
	w.remove(confocal.DN)
	w.set(uid("lise"), "telephoneNumber", "+41 1") // all else goes on
	w.apply().exits(daemon.ExitOK).did("updateuser lise phone=+41 1").issues("rule-suspended").
		says(reconcile.RuleSuspended, "confocal", "was not found")
	w.days(10)
	w.put(confocal)
	w.apply().exits(daemon.ExitOK).did().issues()
}

func TestEmptiedGroupSuspendsTheRule(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("em-users", cn("em-users")))
	w.days(10)
	w.plan().has().issues("rule-suspended").says(reconcile.RuleSuspended, "electron-microscopy", "no members, though it had 1")
}

func TestAmbiguousGroupSuspendsTheRule(t *testing.T) {
	t.Parallel()
	w := settled(t)
	twin := group("em-users", uid("carl"))
	twin.DN = "cn=em-users,ou=more," + groupBase
	w.put(folder("ou=more,"+groupBase, "organizationalUnit", "ou"), twin)
	w.days(2)
	w.plan().has().says(reconcile.RuleSuspended, "fits 2 groups")
}

// Another group that takes the name of a rule's group takes nothing from its people: nobody saw them leave.
func TestAnotherGroupOfTheName(t *testing.T) {
	t.Parallel()
	w := settled(t)
	other := group("confocal-users", uid("carl"))
	other.DN = "cn=confocal-users,ou=new," + groupBase
	w.remove(cn("confocal-users"))
	w.put(folder("ou=new,"+groupBase, "organizationalUnit", "ou"), other)
	w.apply().exits(daemon.ExitHeld).did().issues("needs-approval ada", "needs-approval ada", "needs-approval emmy", "needs-approval emmy")
	w.apply().exits(daemon.ExitHeld).did()
	// Those whom it has may leave it as ever, and those whom it gets are asked about no more.
	other.Attrs["member"] = []string{uid("ada"), uid("emmy"), uid("lise")}
	w.put(other)
	w.apply().exits(daemon.ExitOK).did("setright lise 12 A", "setright lise 13 A", "setright carl 12 N", "setright carl 13 D").issues()
}

func TestMemberThatCannotBeUnderstoodSuspendsTheRule(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("imaging", uid("ada"), "emmy")) // no DN
	w.days(2)
	w.plan().has().says(reconcile.RuleSuspended, "cannot be understood")
}

// A nested group that the reader may no longer see is still a member, but the people in it are not.
func TestHiddenNestedGroupSuspendsTheRule(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: ldaptest.Hide(cn("imaging"))})
	before := w.sim.Snapshot()
	w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "confocal", cn("imaging"))
	w.pass(24 * time.Hour)
	w.apply().exits(daemon.ExitOK).did()
	w.unchanged(before)
	w.dir.SetFaults()
	w.apply().exits(daemon.ExitOK).did().issues()
}

// The same where a condition names the group, whatever else it lets pass.
func TestGroupOfAConditionThatIsNotSeen(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]ldaptest.Do{
		"nested, without members": ldaptest.Withhold(cn("imaging"), "member"), "nested, hidden": ldaptest.Hide(cn("imaging")),
		"without members": ldaptest.Withhold(cn("confocal-users"), "member"), "hidden": ldaptest.Hide(cn("confocal-users")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) {
				s.Rights = `[{name: confocal, when: "'confocal-users' in groups || attr('uid') == 'lise'", systems: [{type: "Confocal*"}], level: A}]`
			})
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: do})
			w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "confocal", "group")
			w.days(2)
			w.dir.SetFaults()
			w.put(group("imaging", uid("ada")))
			w.apply().exits(daemon.ExitOK).did("setright emmy 12 D", "setright emmy 13 D").issues()
		})
	}
}

// A condition that may look at any group names none that could be missed. One that is gone may be hidden: nobody has seen anybody leave
// it. That is asked once; what happens afterwards is as ever.
func TestGroupOfAnyThatIsNotSeen(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]ldaptest.Do{"without members": ldaptest.Withhold(cn("imaging"), "member"), "hidden": ldaptest.Hide(cn("imaging"))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) {
				s.Rights = `[{name: any, when: "groups.exists(g, g.startsWith('confocal'))", systems: [12], level: A}]`
			})
			before := w.sim.Snapshot()
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: do})
			for range 2 {
				w.apply().exits(daemon.ExitHeld).did().issues("needs-approval ada", "needs-approval emmy")
				w.pass(24 * time.Hour)
			}
			w.unchanged(before)
			w.dir.SetFaults()
			w.apply().exits(daemon.ExitOK).did().issues()
			w.put(group("imaging", uid("ada")))
			w.apply().exits(daemon.ExitOK).did("setright emmy 12 D").issues()
		})
	}
}

// Likewise an attribute.
func TestAttributeOfAConditionThatIsNotSeen(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Rights = `[{name: confocal, when: "attr('ou') == 'curielab' || 'imaging' in groups", systems: [12], level: A}]`
		s.Authoritative = "[lname]"
	})
	w.dir.SetFaults(ldaptest.Fault{Do: ldaptest.Withhold("", "ou")})
	w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "confocal", "nobody has the attribute ou any more")
	w.days(2)
	w.dir.SetFaults()
	w.set(uid("lise"), "ou", "darwinlab")
	w.apply().exits(daemon.ExitOK).did("setright lise 12 D").issues()
}

// Not every server lets groups follow an entry that was moved: then nobody knows whether the person left the group.
func TestMovedEntryThatGroupsDoNotFollow(t *testing.T) {
	t.Parallel()
	for name, disabled := range map[string]string{"rights": "", "state": "!('imaging' in groups || attr('uid') != 'emmy')"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) {
				if disabled != "" {
					s.Disabled, s.Rights = disabled, "[]"
				}
			})
			emmy := w.entry(uid("emmy"))
			w.remove(emmy.DN)
			emmy.DN = "uid=emmy,ou=staff," + peopleBase
			w.put(folder("ou=staff,"+peopleBase, "organizationalUnit", "ou"), emmy)
			for range 4 {
				w.apply().did()
				w.pass(24 * time.Hour)
			}
			w.plan().exits(daemon.ExitHeld).says(reconcile.NeedsApproval, "its cause was not seen")
			w.put(group("imaging", uid("ada"), emmy.DN))
			w.apply().exits(daemon.ExitOK).did().issues()
			// Who leaves the group while moving leaves it.
			again := w.entry(emmy.DN)
			w.remove(emmy.DN)
			again.DN = uid("emmy")
			w.put(again, group("imaging", uid("ada")))
			if o := w.apply().exits(daemon.ExitOK); disabled == "" {
				o.did("setright emmy 12 D", "setright emmy 13 D")
			}
		})
	}
}

func TestSystemChangedInPPMSKeepsItsRights(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*ppmssim.System){
		"type":     func(s *ppmssim.System) { s.Type = "Widefield" },
		"inactive": func(s *ppmssim.System) { s.Active = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			s := system(13, "Confocal", "SP8 STED")
			change(&s)
			w.sim.PutSystem(s)
			w.put(group("imaging", uid("ada"))) // emmy goes, and keeps what she has there
			w.apply().exits(daemon.ExitOK).did("setright emmy 12 D").issues("system-unmatched").
				says(reconcile.SystemUnmatched, "system 13", "was changed in PPMS", "3 rights")
			expect(t, w.explain("emmy"), "held back: system-unmatched", "system 13")
			expect(t, w.explain("ada"), "held back: system-unmatched", "system 13")
			refuse(t, w.explain("lise"), "system-unmatched")
			w.days(10)
		})
	}
	t.Run("renamed", func(t *testing.T) {
		t.Parallel()
		w := settled(t, func(s *settings) {
			s.Rights = `[{name: sted, group: confocal-users, systems: [{name: "SP8 S*"}], level: A}]`
		})
		w.sim.PutSystem(system(13, "Confocal", "STED"))
		w.days(10)
		w.plan().has().issues("system-unmatched", "system-unmatched").says(reconcile.SystemUnmatched, "no active system of PPMS is").
			says(reconcile.SystemUnmatched, "system 13 (STED) was changed in PPMS")
	})
}

// A field that an expression takes from groups is left alone while one of them is not seen.
// The attribute from which an expression makes a field is hidden from the reader.
func TestHiddenAttributeChangesNoField(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Rights, s.Authoritative, s.Login = "[]", "[affiliation]", `uid, affiliation: {cel: "attr('employeeType') == 'guest' ? 'outside' : 'inside'"}`
		for i := range s.Entries {
			if a := s.Entries[i].Attrs; a["uid"] != nil {
				a["employeeType"] = []string{"guest"}
			}
		}
	})
	w.dir.SetFaults(ldaptest.Fault{Do: ldaptest.Withhold("", "employeeType")})
	w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "affiliation is left alone", "nobody has the attribute employeetype any more")
	w.days(2)
	w.dir.SetFaults()
	w.set(uid("emmy"), "employeeType", "staff")
	w.apply().exits(daemon.ExitOK).did("updateuser emmy affiliation=inside").issues()
}

func TestHiddenGroupChangesNoField(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]ldaptest.Do{"hidden": ldaptest.Hide(cn("imaging")), "without members": ldaptest.Withhold(cn("imaging"), "member")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) {
				s.Rights, s.Authoritative, s.Login = "[]", "[affiliation]", `uid, affiliation: {cel: "'confocal-users' in groups ? 'inside' : 'outside'"}`
			})
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: do})
			w.apply().exits(daemon.ExitOK).did().issues("rule-suspended").says(reconcile.RuleSuspended, "affiliation is left alone", cn("imaging"))
			w.days(2)
			w.dir.SetFaults()
			w.put(group("imaging", uid("ada")))
			w.apply().exits(daemon.ExitOK).did("updateuser emmy affiliation=outside").issues()
		})
	}
}
