package ledger

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
)

// world is a ledger with two people, each with all that the ledger can know of somebody.
func world(t *testing.T) *Ledger {
	t.Helper()
	l := newLedger(t)
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), known(), t0))
	ok(t, l.Approve(t.Context(), reconcile.Plan{Hash: "sha256:1", Changes: []reconcile.Change{
		activeChange("Ann", "true", "false"), activeChange("bob", "true", "false"),
	}}, someone, t0, t0.Add(1)))
	return l
}

func known() reconcile.Observations {
	return reconcile.Observations{
		Linked:      []reconcile.Link{linkTo("1", "Ann"), linkTo("2", "bob")},
		Leavers:     map[string]reconcile.Cause{"1": {Since: t0, Reads: 2}, "2": {Since: t0, Reads: 3}},
		Grants:      []reconcile.Grant{{Login: "Ann", System: 1, Level: reconcile.Novice, At: t0}, {Login: "bob", System: 1, Level: reconcile.Novice, At: t0}},
		Deactivated: map[reconcile.Key]reconcile.Deactivation{"ann": {Login: "Ann", At: t0}, "bob": {Login: "bob", At: t0}},
	}
}

// facts says what is known of one person and account.
func facts(t *testing.T, l *Ledger, id, login string) string {
	t.Helper()
	m, out := memory(t, l), ""
	for _, link := range m.Links {
		if link.ID == id {
			out += "linked to " + link.Login + " " + string(link.Origin) + "; "
		}
	}
	if _, ok := m.Leavers[id]; ok {
		out += "leaver; "
	}
	for _, g := range m.Grants {
		if g.Login == login {
			out += "grant; "
		}
	}
	if _, ok := m.Deactivated[reconcile.KeyOf(login)]; ok {
		out += "deactivated; "
	}
	var n int
	ok(t, l.reader.QueryRowContext(t.Context(), `SELECT count(*) FROM approvals WHERE key = ?`, string(reconcile.KeyOf(login))).Scan(&n))
	if n > 0 {
		out += "approved; "
	}
	return out
}

func expect(t *testing.T, l *Ledger, id, login, want string) {
	t.Helper()
	if got := facts(t, l, id, login); got != want {
		t.Errorf("of %s and %s the ledger knows %q, want %q", id, login, got, want)
	}
}

const everything = "leaver; grant; deactivated; approved; "

func TestUnlink(t *testing.T) {
	l := world(t)
	expect(t, l, "1", "Ann", "linked to Ann matched; "+everything)
	if found := must(l.Unlink(t.Context(), " ANN", someone, t0)); !found {
		t.Error("not found")
	}
	expect(t, l, "1", "Ann", "")
	expect(t, l, "2", "bob", "linked to bob matched; "+everything)
	if found := must(l.Unlink(t.Context(), "ann", someone, t0)); found {
		t.Error("found twice")
	}
	// Matched again by a later read, it starts from nothing.
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Linked: []reconcile.Link{linkTo("1", "Ann")}}, t0))
	expect(t, l, "1", "Ann", "linked to Ann matched; ")
}

func TestLinkByHand(t *testing.T) {
	t.Run("the account of another", func(t *testing.T) {
		l := world(t)
		ok(t, l.Link(t.Context(), linkTo("3", "ANN"), someone, t0))
		expect(t, l, "3", "Ann", "linked to ANN manual; grant; deactivated; ")
		expect(t, l, "1", "", "")
	})
	t.Run("another account of the same", func(t *testing.T) {
		l := world(t)
		ok(t, l.Link(t.Context(), linkTo("1", "ann2"), someone, t0))
		expect(t, l, "1", "ann2", "linked to ann2 manual; ")
		expect(t, l, "", "Ann", "")
	})
	t.Run("both", func(t *testing.T) {
		l := world(t)
		ok(t, l.Link(t.Context(), linkTo("1", "bob"), someone, t0))
		expect(t, l, "1", "bob", "linked to bob manual; grant; deactivated; ")
		expect(t, l, "2", "Ann", "")
	})
	t.Run("once more the same", func(t *testing.T) {
		l := world(t)
		ok(t, l.Link(t.Context(), linkTo("1", "Ann"), someone, t0))
		expect(t, l, "1", "Ann", "linked to Ann manual; grant; deactivated; ")
		if link := memory(t, l).Links[0]; link.EnabledScope != "" {
			t.Errorf("the link keeps the scope %q", link.EnabledScope)
		}
	})
	l := newLedger(t)
	if l.Link(t.Context(), linkTo("", "a"), someone, t0) == nil || l.Link(t.Context(), linkTo("1", " "), someone, t0) == nil {
		t.Error("a link of nothing")
	}
}

// TestTheWordOfAPersonStands: what a run read before somebody linked or unlinked is older.
func TestTheWordOfAPersonStands(t *testing.T) {
	t.Run("link", func(t *testing.T) {
		l := newLedger(t)
		run := begin(t, l, Apply)
		ok(t, l.Link(t.Context(), linkTo("1", "bob"), someone, t0))
		ok(t, l.Observe(t.Context(), run, known(), t0)) // had matched 1 with Ann and 2 with bob
		expect(t, l, "1", "bob", "linked to bob manual; grant; deactivated; ")
		expect(t, l, "2", "Ann", "leaver; grant; deactivated; ")
		ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Linked: []reconcile.Link{linkTo("1", "Ann")}}, t0))
		expect(t, l, "1", "Ann", "linked to Ann matched; ") // a later read moves it
	})
	t.Run("unlink", func(t *testing.T) {
		l := world(t)
		run := begin(t, l, Apply)
		_ = must(l.Unlink(t.Context(), "ann", someone, t0))
		ok(t, l.Observe(t.Context(), run, known(), t0))
		expect(t, l, "1", "Ann", "")
	})
	t.Run("newuser", func(t *testing.T) {
		l := newLedger(t)
		run := begin(t, l, Apply)
		entry := must(l.Intend(t.Context(), run, newUser("ann", "1"), t0))
		ok(t, l.Link(t.Context(), linkTo("2", "ann"), someone, t0))
		ok(t, l.Settle(t.Context(), entry, reconcile.Applied, "", t0))
		expect(t, l, "2", "ann", "linked to ann manual; ")
		expect(t, l, "1", "", "")
	})
}

func TestHolds(t *testing.T) {
	l := newLedger(t)
	applied, undo := begin(t, l, Apply), undoing(t, l, 1)
	holds := []reconcile.Hold{
		{Key: "ann", Field: "", Reason: "asked", At: t0},
		{Key: "bob", Field: "email", Reason: "undone", Run: applied, At: t0},
		{Key: "bob", Field: "system:12", Reason: "undone", Run: applied, At: t0},
	}
	ok(t, l.Hold(t.Context(), holds, someone, t0))
	ok(t, l.Hold(t.Context(), holds[1:], someone, t0))
	if diff := cmp.Diff(holds, memory(t, l).Holds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(holds[:1], must(l.Release(t.Context(), "ann", someone, t0))); diff != "" {
		t.Error("released", diff)
	}
	if diff := cmp.Diff(holds[1:], must(l.ReleaseRun(t.Context(), applied, someone, t0))); diff != "" {
		t.Error("released", diff)
	}
	ok(t, l.Hold(t.Context(), holds[1:], someone, t0))
	if diff := cmp.Diff(holds[1:], must(l.ReleaseRun(t.Context(), undo, someone, t0))); diff != "" { // the run that undid it is as good
		t.Error("released", diff)
	}
	if holds := memory(t, l).Holds; len(holds) != 0 {
		t.Errorf("left: %v", holds)
	}
	if again := must(l.ReleaseRun(t.Context(), undo, someone, t0)); again != nil {
		t.Errorf("released again: %v", again)
	}
	var said int
	ok(t, l.reader.QueryRowContext(t.Context(), `SELECT count(*) FROM interventions WHERE os_user = 'alice' AND verb IN ('hold', 'release')`).Scan(&said))
	if said != 3+2+2+1+2+2 {
		t.Errorf("%d interventions", said)
	}
}

// undoing begins a run that undoes another.
func undoing(tb testing.TB, l *Ledger, run int64) int64 {
	tb.Helper()
	r := someRun()
	r.Mode, r.Undoes = Undo, run
	id, err := l.BeginRun(tb.Context(), r)
	ok(tb, err)
	return id
}

func TestHoldsFollowARenamedAccount(t *testing.T) {
	l := newLedger(t)
	ok(t, l.Hold(t.Context(), []reconcile.Hold{{Key: "ann", Field: "email", Reason: "r"}, {Key: "bob", Reason: "r"}}, someone, t0))
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Moved: map[reconcile.Key]reconcile.Key{"ann": "anna"}}, t0))
	want := []reconcile.Hold{{Key: "anna", Field: "email", Reason: "r", At: t0}, {Key: "bob", Reason: "r", At: t0}}
	if diff := cmp.Diff(want, memory(t, l).Holds); diff != "" {
		t.Error(diff)
	}
}

// TestWhatIsUndoneIsHeld: an applied undo holds field by field; the undo of an undo lifts that, and its undo holds again.
func TestWhatIsUndoneIsHeld(t *testing.T) {
	l := newLedger(t)
	first := begin(t, l, Apply)
	fields := reconcile.Change{Kind: reconcile.UpdateUser, Login: "Ann", Fields: map[string]reconcile.Value{"email": {From: new("b"), To: "a"}, "lname": {From: new("b"), To: "a"}}}
	write := func(run int64, outcome reconcile.Outcome, changes ...reconcile.Change) {
		t.Helper()
		for _, c := range changes {
			ok(t, l.Settle(t.Context(), must(l.Intend(t.Context(), run, c, t0)), outcome, "", t0))
		}
	}
	held := func(run int64, want ...string) {
		t.Helper()
		var got []string
		for _, h := range memory(t, l).Holds {
			got = append(got, string(h.Key)+" "+h.Field)
			if h.Run != run || !h.At.Equal(t0) || !strings.Contains(h.Reason, "was undone by run") {
				t.Errorf("%+v", h)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	write(first, reconcile.Applied, fields, grantChange("bob", 12, "", "A"))
	held(0)
	undo := undoing(t, l, first)
	write(undo, reconcile.NotApplied, activeChange("cyd", "true", "false"))
	write(undo, reconcile.Applied, fields, grantChange("bob", 12, "A", "D"), activeChange("dan", "true", "false"))
	held(first, "ann email", "ann lname", "bob system:12", "dan active")
	undoUndo := undoing(t, l, undo)
	write(undoUndo, reconcile.Applied, fields, grantChange("bob", 12, "D", "A"))
	held(first, "dan active")
	_ = must(l.Release(t.Context(), "dan", someone, t0))
	write(undoing(t, l, undoUndo), reconcile.Applied, fields)
	held(undoUndo, "ann email", "ann lname")
}

func TestStuck(t *testing.T) {
	l := newLedger(t)
	name := reconcile.Stuck{Login: "Ann", Field: "lname", Wanted: "long", Have: "lo", Tries: 2, Run: 1, At: t0}
	right := reconcile.Stuck{Login: "Ann", Field: "system:12", Wanted: "A", Tries: 3, Run: 1, At: t0}
	mine := reconcile.Stuck{Login: "bob", Field: "", Wanted: "x", Tries: 1, Run: 1, At: t0}
	known := func(want ...reconcile.Stuck) {
		t.Helper()
		if diff := cmp.Diff(want, memory(t, l).Stuck); diff != "" {
			t.Error(diff)
		}
	}
	ok(t, l.Stick(t.Context(), []reconcile.Stuck{name, right, mine}))
	name.Tries = 3
	ok(t, l.Stick(t.Context(), []reconcile.Stuck{name}))
	known(name, right, mine)
	run := begin(t, l, Apply)
	ok(t, l.Settle(t.Context(), must(l.Intend(t.Context(), run, grantChange("ann", 12, "", "A"), t0)), reconcile.Applied, "", t0))
	known(name, mine)
	var released []string
	for _, h := range must(l.Release(t.Context(), "ann", someone, t0)) {
		released = append(released, string(h.Key)+" "+h.Field)
	}
	if diff := cmp.Diff([]string{"ann lname"}, released); diff != "" {
		t.Error(diff)
	}
	known(mine)
	reading := begin(t, l, Apply)
	must(l.Release(t.Context(), "bob", someone, t0)) // while a run is going on, which read it before
	ok(t, l.Observe(t.Context(), reading, reconcile.Observations{Stuck: []reconcile.Stuck{mine}}, t0))
	known()
}
