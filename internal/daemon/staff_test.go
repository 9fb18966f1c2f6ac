package daemon_test

import (
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// What staff change in PPMS by hand is right: it is reported once a run, with what can be done about it, and not fought; it is
// settled as soon as either side moves.
func TestStaffAreNotFought(t *testing.T) {
	t.Parallel()
	rename := func(w *world, from, to string) {
		u, _ := w.sim.User(from)
		w.sim.DeleteUser(from)
		u.Login = to
		w.sim.PutUser(u)
		for _, id := range []int{12, 13} {
			w.sim.SetRight(to, id, "A")
		}
	}
	leaves := func(w *world) { w.put(group("imaging", uid("ada"))) } // emmy is in no group any more
	for _, c := range []struct {
		name   string
		staff  func(w *world)
		issues []string
		says   []string // in one of them
		// Either of these settles it, and then no issue is left.
		staffMove, directoryMove func(w *world)
		writes                   []string // what the directory's move is worth
	}{
		{
			"right lowered",
			func(w *world) { w.sim.SetRight("emmy", 12, "N") },
			[]string{"right-lowered-by-staff emmy"},
			[]string{"SP8, left (12)", "raise it in PPMS"},
			func(w *world) { w.sim.SetRight("emmy", 12, "A") }, leaves,
			[]string{"setright emmy 13 D"},
		},
		{
			"right blocked",
			func(w *world) { w.sim.SetRight("emmy", 12, "D") },
			[]string{"right-blocked-by-staff emmy"},
			[]string{"SP8, left (12)", "lift it in PPMS"},
			func(w *world) { w.sim.SetRight("emmy", 12, "A") }, leaves,
			[]string{"setright emmy 13 D"},
		},
		{
			"right raised",
			func(w *world) { w.sim.SetRight("lise", 21, "A") },
			nil, nil,
			func(w *world) { w.sim.SetRight("lise", 21, "N") },
			func(w *world) { w.put(group("em-users", uid("carl"))) },
			[]string{"setright carl 21 N"},
		},
		{
			"S given",
			func(w *world) { w.sim.SetRight("emmy", 12, "S") },
			nil, nil,
			func(w *world) { w.sim.SetRight("emmy", 12, "A") }, leaves,
			[]string{"setright emmy 13 D"},
		},
		{
			"account deactivated",
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Active = false }) },
			[]string{"inactive-by-staff emmy"},
			[]string{"not by us", "activate it in PPMS"},
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Active = true }) },
			func(w *world) { w.remove(uid("emmy")); leaves(w) },
			nil,
		},
		{
			"login renamed",
			func(w *world) { rename(w, "emmy", "ehilbert") },
			[]string{"account-gone emmy"},
			[]string{"ppms-syncd unlink emmy"},
			func(w *world) { rename(w, "ehilbert", "emmy") },
			func(w *world) {
				emmy := w.entry(uid("emmy"))
				w.remove(emmy.DN)
				emmy.DN, emmy.Attrs["uid"] = uid("ehilbert"), []string{"ehilbert"}
				w.put(emmy, group("imaging", uid("ada"), uid("ehilbert")))
			},
			nil,
		},
		{
			"system renamed",
			func(w *world) { w.sim.PutSystem(system(13, "Widefield", "Thunder")) },
			[]string{"system-unmatched"},
			[]string{"system 13 (Thunder) was changed in PPMS", "3 rights that we gave on it stay", "correct the rule, or take them back in PPMS"},
			func(w *world) { w.sim.PutSystem(system(13, "Confocal", "SP8 STED")) },
			nil, nil,
		},
		{
			"system retired",
			func(w *world) { s := system(13, "Confocal", "SP8 STED"); s.Active = false; w.sim.PutSystem(s) },
			[]string{"system-unmatched"},
			[]string{"system 13 (SP8 STED) was changed in PPMS", "3 rights that we gave on it stay"},
			func(w *world) { w.sim.PutSystem(system(13, "Confocal", "SP8 STED")) },
			nil, nil,
		},
	} {
		begin := func(t *testing.T) *world {
			t.Helper()
			w := settled(t)
			c.staff(w)
			before := w.sim.Snapshot()
			for range 3 {
				w.apply().exits(daemon.ExitOK).has().issues(c.issues...)
				w.pass(24 * time.Hour)
			}
			w.unchanged(before)
			if got := w.plan(); len(c.says) > 0 {
				kind, _, _ := strings.Cut(c.issues[0], " ")
				got.says(reconcile.IssueKind(kind), c.says...)
			}
			return w
		}
		t.Run(c.name+", and staff move", func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			c.staffMove(w)
			w.apply().exits(daemon.ExitOK).has().issues()
		})
		if c.directoryMove != nil {
			t.Run(c.name+", and the directory moves", func(t *testing.T) {
				t.Parallel()
				w := begin(t)
				c.directoryMove(w)
				w.apply().exits(daemon.ExitOK).did(c.writes...).issues()
			})
		}
	}
}

// Whoever we deactivated and staff activated again stays, until the person is back or staff let go.
func TestReactivatedByStaffIsSettled(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(w *world){
		"staff move":          func(w *world) { w.staff("carl", func(u *ppmssim.User) { u.Active = false }) },
		"the directory moves": func(w *world) { w.put(person("carl", "Charles", "Darwin", "darwinlab")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
			w.remove(uid("carl"))
			w.apply()
			w.pass(time.Hour)
			w.apply().did(carlLeaves)
			w.staff("carl", func(u *ppmssim.User) { u.Active = true })
			for range 3 {
				w.apply().exits(daemon.ExitOK).has().issues("reactivated-by-staff carl").
					says(reconcile.ReactivatedByStaff, "left so", "deactivate it in PPMS")
				w.pass(24 * time.Hour)
			}
			move(w)
			w.apply().exits(daemon.ExitOK).has().issues()
		})
	}
}
