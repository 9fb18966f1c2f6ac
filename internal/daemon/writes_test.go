package daemon_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// requests is how often PPMS was asked for something.
func (w *world) requests(action string) int { return w.sim.Requests()[action] }

func TestOrderOfWrites(t *testing.T) {
	t.Parallel()
	w := leaving(t) // carl has a new number, emmy left her group, lise is due
	w.put(person("new", "N", "New", "curielab"), group("em-users", uid("lise"), uid("new"), uid("carl")))
	want := []string{
		"newuser new", "updateuser carl phone=+41 1", "setright carl 21 N", "setright new 21 N", "setright emmy 12 D", "setright emmy 13 D",
		"updateuser lise active=false",
	}
	w.apply().exits(daemon.ExitOK).has(want...).did(want...)
}

// The answer to a write is lost. It is never sent again in that run: what became of it is read back.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for action, l := range map[string]string{
		"newuser": "newuser ada", "upduser": "updateuser carl email=carl@example.org", "setright": "setright lise 21 N",
	} {
		only := map[string]string{"newuser": "{login=ada}", "upduser": "{login=carl}", "setright": "{login=lise}"}[action]
		for _, kind := range []string{"reset-after", "hang-after", "cut-length"} {
			t.Run(action+" "+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, inMemory)
					w.faults(action + only + ":" + kind)
					w.apply().exits(daemon.ExitOK).did(firstRun()...)
					w.faults()
					w.plan().exits(daemon.ExitOK).has()
				})
			})
		}
		for _, kind := range []string{"reset-before", "html", "status=502", "empty"} {
			t.Run(action+" "+kind, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.faults(action + only + ":" + kind)
				got := w.apply().exits(daemon.ExitPartial)
				if c := got.change(l); c.Outcome != reconcile.NotApplied || c.Detail == "" {
					t.Errorf("%s: %s %q", l, c.Outcome, c.Detail)
				}
				w.faults()
				again := []string{l}
				if action == "newuser" {
					again = append(again, "setright ada 12 A", "setright ada 13 A")
				}
				w.apply().exits(daemon.ExitOK).did(again...)
				w.plan().exits(daemon.ExitOK).has()
			})
		}
	}
}

func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults("upduser:error=not today", "setright{login=lise}:unauthorized", "newuser:error=missing something")
	got := w.apply().exits(daemon.ExitPartial)
	for l, want := range map[string]reconcile.Outcome{
		"newuser ada": reconcile.Refused, "setright ada 12 A": reconcile.NotSent, "setright ada 13 A": reconcile.NotSent,
		"updateuser carl email=carl@example.org": reconcile.Refused, "setright carl 12 A": reconcile.Applied, "setright lise 21 N": reconcile.Refused,
	} {
		if c := got.change(l); c.Outcome != want {
			t.Errorf("%s: %s %q, want %s", l, c.Outcome, c.Detail, want)
		}
	}
	expect(t, got.change("updateuser carl email=carl@example.org").Detail, "not today")
	expect(t, got.change("setright ada 12 A").Detail, "the account was not created")
}

func TestDoneThatDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults("setright{login=emmy}:nothing", "upduser:nothing")
	got := w.apply().exits(daemon.ExitPartial)
	for _, l := range []string{"setright emmy 12 A", "setright emmy 13 A", "updateuser carl email=carl@example.org"} {
		if c := got.change(l); c.Outcome != reconcile.NotApplied {
			t.Errorf("%s: %s %q", l, c.Outcome, c.Detail)
		}
	}
	expect(t, got.change("setright emmy 12 A").Detail, "PPMS has none, not A")
	// What was not applied is not ours: nobody may take it away later.
	w.faults()
	w.sim.SetRight("emmy", 12, "A")
	w.sim.SetRight("emmy", 13, "A")
	w.pass(25 * time.Hour)
	w.apply().exits(daemon.ExitOK).did("updateuser carl email=carl@example.org")
	w.put(group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did()
}

func TestShortenedFieldIsNotApplied(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("carl"), "sn", "Darwin-Wedgwood")
	w.faults("upduser:shorten=lname/8")
	got := w.apply().exits(daemon.ExitPartial)
	c := got.change("updateuser carl lname=Darwin-Wedgwood")
	if c.Outcome != reconcile.NotApplied {
		t.Errorf("%s", c.Outcome)
	}
	expect(t, c.Detail, `lname is "Darwin-W", not "Darwin-Wedgwood"`)
}

// Neither the answer nor the read-back arrives: the next run settles that before it does anything else.
func TestInDoubtIsSettledByTheNextApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line string
		faults     []string
		broken     string // what keeps it from being settled
		more       []string
	}{
		{"newuser", "newuser ada", []string{"newuser:reset-after", "getuser{login=ada}:html@2-"}, "getuser{login=ada}:html", []string{"setright ada 12 A", "setright ada 13 A"}},
		{
			"updateuser", "updateuser carl email=carl@example.org",
			[]string{"upduser:reset-after", "getuser{login=carl}:html@3-"},
			"getuser{login=carl}:html", nil,
		},
		{
			"setright", "setright lise 21 N",
			[]string{"setright{login=lise}:reset-after", "getsysrights{id=21}:html@2-", "getuserrights{login=lise}:html@2-"},
			"getuserrights{login=lise}:html", nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.faults(c.faults...)
			got := w.apply().exits(daemon.ExitPartial)
			if change := got.change(c.line); change.Outcome != reconcile.InDoubt {
				t.Fatalf("%s %q", change.Outcome, change.Detail)
			}
			w.faults(c.broken)
			reads := w.requests("getusers")
			w.apply().exits(daemon.ExitFailed, "in doubt and could not be settled", "run 1").did()
			if n := w.requests("getusers"); n != reads {
				t.Error("the lists were read before the doubt was settled")
			}
			w.faults()
			must(t, w.app.Check(t.Context(), false))
			expect(t, w.text(), "1 write is in doubt")
			w.apply().exits(daemon.ExitOK).did(c.more...)
			must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: 1}))
			expect(t, w.text(), "settled by a later run")
			w.plan().exits(daemon.ExitOK).has()
		})
	}
	t.Run("not done", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.faults("upduser:reset-before", "getuser{login=carl}:html@3-")
		w.apply().exits(daemon.ExitPartial)
		w.faults()
		w.apply().exits(daemon.ExitOK).did("updateuser carl email=carl@example.org")
	})
}

// A run that was killed between the write and its read-back left an intent without an outcome, which is as good as in doubt.
func TestIntentOfAKilledRunIsSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.plan().change("newuser ada")
	l, err := ledger.Open(t.Context(), w.path("ledger.db"))
	must(t, err)
	run, err := l.BeginRun(t.Context(), ledger.Run{Started: w.now, Mode: ledger.Apply, Policy: reconcile.Sync})
	must(t, err)
	_, err = l.Intend(t.Context(), run, *ada, w.now)
	must(t, err)
	must(t, l.Close())
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "not finished  1 in-doubt")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: run, Output: daemon.JSON}))
	expect(t, w.text(), `"outcome": "in-doubt"`)
	w.sim.PutUser(account("ada", "Ada", "Lovelace", "darwinlab")) // PPMS had got it
	w.apply().exits(daemon.ExitOK).did(firstRun()[1:]...)
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "not finished  1 applied")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: run, Output: daemon.JSON}))
	expect(t, w.text(), `"applied": 1`)
	for _, l := range w.memory().Links {
		if l.Login == "ada" && l.Origin != reconcile.Created {
			t.Errorf("ada is linked as %s", l.Origin)
		}
	}
}

func TestFiveFailuresInARowEndTheWriting(t *testing.T) {
	t.Parallel()
	eight := func(s *settings) { crowd(s, 8); s.Guards = "updates: {floor: 20}, grants: {floor: 20}" }
	t.Run("accounts", func(t *testing.T) {
		t.Parallel()
		w := settled(t, eight)
		for i := range 8 {
			w.set(uid(fmt.Sprintf("p%02d", i+1)), "telephoneNumber", "+41 1")
		}
		accounts := len(w.sim.Snapshot().Users)
		w.faults(fmt.Sprintf("getuser:html@%d-", accounts+1)) // all reads before a write fail
		got := w.apply().exits(daemon.ExitPartial).did()
		if n := w.requests("upduser"); n != 1 { // that of the first run
			t.Errorf("%d writes were sent", n-1)
		}
		for i := range got.Changes {
			c := &got.Changes[i]
			want := "could not be read before the write"
			if i >= 5 {
				want = "5 failures in a row"
			}
			if c.Outcome != reconcile.NotSent {
				t.Errorf("%s: %s", line(c), c.Outcome)
			}
			expect(t, c.Detail, want)
		}
	})
	t.Run("rights", func(t *testing.T) {
		t.Parallel()
		w := settled(t, eight)
		members := []string{uid("lise")}
		for i := range 8 {
			members = append(members, uid(fmt.Sprintf("p%02d", i+1)))
		}
		w.put(group("em-users", members...))
		sent := w.requests("setright")
		w.faults("setright:reset-before")
		got := w.apply().exits(daemon.ExitPartial).did()
		if n := w.requests("setright") - sent; n != 5 {
			t.Errorf("%d writes were sent", n)
		}
		for i := range got.Changes {
			want := reconcile.NotApplied
			if i >= 5 {
				want = reconcile.NotSent
			}
			if c := &got.Changes[i]; c.Outcome != want {
				t.Errorf("%s: %s %q", line(c), c.Outcome, c.Detail)
			}
		}
		w.faults()
		w.apply().exits(daemon.ExitOK).did(lines(got.Changes)...)
	})
	t.Run("a success in between begins anew", func(t *testing.T) {
		t.Parallel()
		w := settled(t, eight)
		for i := range 8 {
			w.set(uid(fmt.Sprintf("p%02d", i+1)), "telephoneNumber", "+41 1")
		}
		var faults []string
		for _, i := range []int{1, 2, 3, 4, 6, 7, 8} {
			faults = append(faults, fmt.Sprintf("getuser{login=p%02d}:html@2-", i))
		}
		w.faults(faults...)
		w.apply().exits(daemon.ExitPartial).did("updateuser p05 phone=+41 1")
	})
}

// What staff do between the plan and a write stands.
func TestStaleBetweenPlanAndWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		n             int
		action, param string // just before this request
		staff         func(w *world)
		line          string
		detail        string
	}{
		{"field changed", 2, "getuser", "login=carl", func(w *world) {
			w.staff("carl", func(u *ppmssim.User) { u.Email = "charles@example.net" })
		}, "updateuser carl email=carl@example.org", `email is "charles@example.net" by now`},
		{"account deactivated", 2, "getuser", "login=carl", func(w *world) {
			w.staff("carl", func(u *ppmssim.User) { u.Active = false })
		}, "updateuser carl email=carl@example.org", "inactive by now"},
		{"account gone", 2, "getuser", "login=carl", func(w *world) { w.sim.DeleteUser("carl") }, "updateuser carl email=carl@example.org", "gone"},
		{"account made", 1, "getuser", "login=ada", func(w *world) {
			w.sim.PutUser(account("ada", "Adam", "Smith", "curielab"))
		}, "newuser ada", "exists by now"},
		{"right raised", 1, "getuserrights", "login=lise", func(w *world) { w.sim.SetRight("lise", 21, "A") }, "setright lise 21 N", "it is A by now"},
		{"right blocked", 1, "getuserrights", "login=lise", func(w *world) { w.sim.SetRight("lise", 21, "D") }, "setright lise 21 N", "it is D by now"},
		{"right is S", 1, "getuserrights", "login=emmy", func(w *world) { w.sim.SetRight("emmy", 12, "S") }, "setright emmy 12 A", "it is S by now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.when(c.n, c.action, c.param, func() { c.staff(w) })
			got := w.apply().exits(daemon.ExitPartial)
			if slices.Contains(got.wrote, c.line) {
				t.Errorf("%s was written", c.line)
			}
			if change := got.change(c.line); change.Outcome != reconcile.Stale {
				t.Errorf("%s %q", change.Outcome, change.Detail)
			} else {
				expect(t, change.Detail, c.detail)
			}
			for i := range got.Changes {
				if change := &got.Changes[i]; line(change) != c.line && change.Login != "ada" && change.Login != "carl" && change.Outcome != reconcile.Applied {
					t.Errorf("%s: %s %q", line(change), change.Outcome, change.Detail)
				}
			}
			must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: 1}))
			expect(t, w.text(), "stale", c.detail)
		})
	}
}

// Somebody else got the account of a stranger's: no right of ours goes to it.
func TestNoRightsForAnAccountThatWasMadeMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.when(1, "getuser", "login=ada", func() { w.sim.PutUser(account("ada", "Adam", "Smith", "curielab")) })
	w.apply().exits(daemon.ExitPartial)
	if level := w.sim.Right("ada", 12); level != "" {
		t.Errorf("the stranger has %q", level)
	}
}

func TestDeactivationIsSkippedIfTheRecordChanged(t *testing.T) {
	t.Parallel()
	w := leaving(t)
	w.when(2, "getuser", "login=lise", func() { w.staff("lise", func(u *ppmssim.User) { u.Active = false }) })
	got := w.apply().exits(daemon.ExitPartial)
	if c := got.change("updateuser lise active=false"); c.Outcome != reconcile.Stale {
		t.Errorf("%s %q", c.Outcome, c.Detail)
	}
	if len(w.memory().Deactivated) > 0 {
		t.Error("what staff did counts as ours")
	}
}

// getsysrights cut short: what it leaves out looks like rights that nobody has, and is neither given again nor taken.
// Whoever says in the middle of a run that an account is nobody's, or another's, is heard before the next write.
func TestWordInTheMiddleOfARun(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(w *world, l *ledger.Ledger) error{
		"unlinked": func(w *world, l *ledger.Ledger) error {
			_, err := l.Unlink(w.t.Context(), "carl", ledger.Actor{}, w.now)
			return err
		},
		"linked": func(w *world, l *ledger.Ledger) error {
			return l.Link(w.t.Context(), reconcile.Link{ID: "another", Login: "carl", Key: "carl"}, ledger.Actor{}, w.now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			w.remove(uid("carl"))
			w.apply().exits(daemon.ExitOK).did()
			w.days(6)
			w.pass(24 * time.Hour)
			w.put(group("imaging", uid("ada")))
			l, err := ledger.Open(t.Context(), w.path("ledger.db"))
			must(t, err)
			w.when(2, "getuser", "login=carl", func() { must(t, say(w, l)) }) // before the write
			got := w.apply().exits(daemon.ExitPartial).did("setright emmy 12 D", "setright emmy 13 D")
			must(t, l.Close())
			if c := got.change(carlLeaves); c.Outcome != reconcile.Stale {
				t.Errorf("%s %q", c.Outcome, c.Detail)
			}
			if h := w.history(got.Run); h.Outcomes["stale"] != 1 {
				t.Errorf("%+v", h)
			}
		})
	}
}

func TestRightsCutShort(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cut-half", "cut-line", "empty"} {
		t.Run("ours, "+kind, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			w.sim.SetRight("emmy", 13, "D") // by staff
			before := w.sim.Snapshot()
			w.faults("getsysrights:" + kind)
			w.apply().exits(daemon.ExitOK).did()
			w.unchanged(before)
			w.faults()
			w.apply().exits(daemon.ExitOK).did().issues("right-blocked-by-staff emmy")
			w.put(group("imaging", uid("ada"))) // and what we gave is still ours
			w.apply().exits(daemon.ExitOK).did("setright emmy 12 D")
		})
		t.Run("staff's, "+kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(s *settings) { s.Policy, s.Create, s.Authoritative = "sync", "false", "[]" })
			for _, r := range []ppmssim.Right{{Login: "carl", System: 12, Level: "D"}, {Login: "carl", System: 13, Level: "A"}, {Login: "emmy", System: 12, Level: "S"}, {Login: "emmy", System: 13, Level: "D"}, {Login: "lise", System: 21, Level: "D"}} {
				w.sim.SetRight(r.Login, r.System, r.Level)
			}
			before := w.sim.Snapshot()
			w.faults("getsysrights:" + kind)
			got := w.apply().exits(daemon.ExitPartial).did()
			for i := range got.Changes {
				if c := &got.Changes[i]; c.Outcome != reconcile.Stale {
					t.Errorf("%s: %s %q", line(c), c.Outcome, c.Detail)
				}
			}
			w.unchanged(before)
		})
	}
}

// A run that is told to stop finishes the write that it has begun, and the next goes on.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.when(1, "upduser", "", stop)
	err := w.app.Apply(ctx, daemon.ApplyOptions{Output: daemon.JSON})
	w.when(0, "", "", nil)
	got := w.outcome(err).exits(daemon.ExitPartial, "stopped before all was written")
	for l, want := range map[string]reconcile.Outcome{
		"newuser ada": reconcile.Applied, "updateuser carl email=carl@example.org": reconcile.Applied, "setright lise 21 N": reconcile.NotSent,
	} {
		if c := got.change(l); c.Outcome != want {
			t.Errorf("%s: %s %q, want %s", l, c.Outcome, c.Detail, want)
		}
	}
	w.apply().exits(daemon.ExitOK).did(firstRun()[2:]...)
}

// A newuser that happened though nobody heard of it is linked, and never made twice.
func TestLostNewUserIsLinked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults("newuser:reset-after")
	w.apply().exits(daemon.ExitOK)
	for _, l := range w.memory().Links {
		if l.Login == "ada" && l.Origin == reconcile.Created {
			return
		}
	}
	t.Error("ada is not linked as created")
}
