package daemon_test

import (
	"os"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// tries lets three runs write in vain, and expects the third to say that it was the last.
func (w *world) tries(l string) {
	w.t.Helper()
	for _, want := range []reconcile.Outcome{reconcile.NotApplied, reconcile.NotApplied, reconcile.DoesNotStick} {
		got := w.apply().exits(daemon.ExitPartial)
		if c := got.change(l); c.Outcome != want {
			w.t.Errorf("%s: %s %q, want %s", l, c.Outcome, c.Detail, want)
		}
		w.pass(25 * time.Hour)
	}
}

// ignored is a world whose PPMS says done to each right of lise's, and does nothing.
func ignored(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.faults("setright{login=lise}:nothing")
	w.tries("setright lise 21 N")
	return w
}

func TestRightThatDoesNotStickIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := ignored(t)
	sent := w.requests("setright")
	for range 3 {
		w.apply().exits(daemon.ExitOK).has().issues("does-not-stick lise").
			says(reconcile.NotSticking, "the right on Titan Krios is left alone", `has "" though it said to 3 runs in a row that it took "N"`, "ppms-syncd release lise")
		w.pass(24 * time.Hour)
	}
	if n := w.requests("setright"); n != sent {
		t.Errorf("%d more were sent", n-sent)
	}
	expect(t, w.explain("lise"), "Held (1)", "right on Titan Krios (21)", "3 runs in a row", "held back: does-not-stick", "ppms-syncd release lise")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Holds: true}))
	expect(t, w.text(), "lise", "right on Titan Krios (21)")
	same(t, "held", w.app.HeldLogins(t.Context()), []string{"lise"})
	expect(t, w.metrics(), "ppms_syncd_holds 1", `ppms_syncd_issues{kind="does-not-stick"} 1`)
	if h := w.history(3); h.Outcomes["does-not-stick"] != 1 {
		t.Errorf("%v", h.Outcomes)
	}
}

// metrics are those of an apply that leaves them in a file.
func (w *world) metrics() string {
	w.t.Helper()
	var err error
	w.app.Metrics, err = daemon.NewMetrics("test")
	must(w.t, err)
	w.apply()
	must(w.t, w.app.Metrics.WriteFile(w.path("metrics.prom")))
	w.app.Metrics = nil
	data, err := os.ReadFile(w.path("metrics.prom"))
	must(w.t, err)
	return string(data)
}

func TestWhatDoesNotStickIsTriedAgain(t *testing.T) {
	t.Parallel()
	const l = "setright lise 21 N"
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world)
		did    []string
	}{
		"PPMS changes": {func(_ *testing.T, w *world) { w.sim.SetRight("lise", 21, "A") }, nil},
		"the directory changes": {func(_ *testing.T, w *world) {
			w.configure(func(s *settings) {
				s.Rights = `[{name: confocal, group: confocal-users, systems: [{type: "Confocal*"}], level: A}, {name: electron-microscopy, group: em-users, systems: [21], level: A}]`
			})
		}, []string{"setright lise 21 A"}},
		"somebody releases it": {func(t *testing.T, w *world) {
			t.Helper()
			must(t, w.app.Release(t.Context(), "lise"))
			expect(t, w.text(), "Released: 1 hold", "right on Titan Krios (21)")
		}, []string{l}},
		"the directory changes and changes back": {func(_ *testing.T, w *world) {
			em := w.entry(cn("em-users"))
			w.put(group("em-users", uid("carl")))
			w.apply().exits(daemon.ExitOK).did("setright carl 21 N")
			w.put(em)
		}, []string{"setright carl 21 D", l}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ignored(t)
			w.faults()
			c.change(t, w)
			got := w.apply().exits(daemon.ExitOK).issues()
			if len(got.wrote) != len(c.did) {
				t.Errorf("%q, want %q", got.wrote, c.did)
			}
			for _, l := range c.did {
				got.change(l)
			}
			if stuck := w.memory().Stuck; len(stuck) > 0 {
				t.Errorf("remembered: %+v", stuck)
			}
		})
	}
}

// PPMS shortens a name: that field is given up, and the others go on.
func TestShortenedFieldIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("carl"), "sn", "Darwin-Wedgwood")
	w.faults("upduser:shorten=lname/8")
	w.tries("updateuser carl lname=Darwin-Wedgwood")
	w.apply().exits(daemon.ExitOK).did().says(reconcile.NotSticking, "lname is left alone", `"Darwin-W"`, `"Darwin-Wedgwood"`)
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	w.apply().exits(daemon.ExitOK).did("updateuser carl phone=+41 1").issues("does-not-stick carl")
	w.staff("carl", func(u *ppmssim.User) { u.Lname = "Darwin-Wedgwood" }) // staff can
	w.apply().exits(daemon.ExitOK).did().issues()
	if stuck := w.memory().Stuck; len(stuck) > 0 {
		t.Errorf("remembered: %+v", stuck)
	}
}

// An answer that is lost says nothing about PPMS, and a network that fails three times gives nothing up.
func TestLostAnswersAreNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults("setright{login=lise}:reset-before")
	for range 5 {
		got := w.apply().exits(daemon.ExitPartial)
		if c := got.change("setright lise 21 N"); c.Outcome != reconcile.NotApplied {
			t.Errorf("%s", c.Outcome)
		}
		w.pass(25 * time.Hour)
	}
	w.faults()
	w.apply().exits(daemon.ExitOK).did("setright lise 21 N")
}

func TestAccountThatIsNotMadeIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults("newuser:nothing")
	w.tries("newuser ada")
	w.apply().exits(daemon.ExitOK).has().issues("does-not-stick ada").says(reconcile.NotSticking, "the account is left alone", "does not have it")
	w.faults()
	w.apply().exits(daemon.ExitOK).did()
	w.set(uid("ada"), "sn", "King")
	w.apply().exits(daemon.ExitOK).did("newuser ada", "setright ada 12 A", "setright ada 13 A").issues()
}

func TestWhatDoesNotStickFollowsARenamedAccount(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("emmy"), "telephoneNumber", "+41 1")
	w.faults("upduser:nothing")
	w.tries("updateuser emmy phone=+41 1")
	emmy := w.entry(uid("emmy"))
	w.remove(emmy.DN)
	emmy.DN, emmy.Attrs["uid"] = uid("ehilbert"), []string{"ehilbert"}
	w.put(emmy, group("imaging", uid("ada"), uid("ehilbert")))
	w.staffRename()
	for _, id := range []int{12, 13} {
		w.sim.SetRight("ehilbert", id, "A")
	}
	for range 2 {
		w.apply().exits(daemon.ExitOK).has().issues("does-not-stick ehilbert")
	}
}
