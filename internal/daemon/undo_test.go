package daemon_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// undo is ppms-syncd undo RUN -o undo.json, and its plan.
func (w *world) undo(run int64) *outcome {
	w.t.Helper()
	w.pass(time.Minute)
	before := w.sim.Snapshot()
	err := w.app.Undo(w.t.Context(), daemon.UndoOptions{Run: run, File: w.path("undo.json"), Output: daemon.JSON})
	o := w.outcome(err)
	w.unchanged(before)
	if err == nil && o.Undoes != run {
		w.t.Errorf("the plan undoes run %d, not %d", o.Undoes, run)
	}
	return o
}

func undoFile(w *world) daemon.ApplyOptions { return daemon.ApplyOptions{File: w.path("undo.json")} }

// undone is the inverse of the first run, in the order of the writes.
func undone() []string {
	return []string{
		"updateuser carl email=charles@example.com", "setright ada 12 D", "setright ada 13 D", "setright carl 12 N", "setright carl 13 D",
		"setright emmy 12 D", "setright emmy 13 D", "setright lise 21 D", "updateuser ada active=false",
	}
}

func TestUndoOfARun(t *testing.T) {
	t.Parallel()
	w := settled(t)
	before := w.memory()
	w.undo(1).exits(daemon.ExitOK).has(undone()...).issues()
	if len(w.memory().Holds) != len(before.Holds) {
		t.Error("planning an undo holds something")
	}
	w.apply(undoFile(w)).exits(daemon.ExitOK).did(undone()...)
	// No run does it again.
	held := []string{
		"held ada", "held carl", "held carl", "held carl", "held emmy", "held emmy", "held lise",
	}
	for range 3 {
		w.apply().exits(daemon.ExitOK).did().issues(held...).says(reconcile.OnHold, "email is left alone: run 1 was undone by run 2", "release --run 1")
		w.pass(24 * time.Hour)
	}
	expect(t, w.explain("emmy"), "Held (2)", "right on SP8 STED (13)", "run 1 was undone by run 2", "To end that: ppms-syncd release emmy")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "undo of run 1", "9 things are held")
	if h := w.history(2); h.Mode != "undo" || h.Outcomes["applied"] != 9 {
		t.Errorf("%+v", h)
	}
	w.undo(1).has() // twice is as good as once
	// Released, the directory counts again.
	must(t, w.app.Release(t.Context(), "emmy"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("setright emmy 12 A", "setright emmy 13 A")
	must(t, w.app.ReleaseRun(t.Context(), 1))
	expect(t, w.text(), "Released: 7 holds", "right on Titan Krios (21)")
	w.apply().exits(daemon.ExitOK).did("updateuser ada active=true", "updateuser carl email=carl@example.org",
		"setright carl 12 A", "setright carl 13 A", "setright lise 21 N")
	w.apply().exits(daemon.ExitOK).did("setright ada 12 A", "setright ada 13 A") // active again
	w.plan().exits(daemon.ExitOK).has().issues()
}

func TestTextOfAnUndo(t *testing.T) {
	t.Parallel()
	w := settled(t)
	must(t, w.app.Undo(t.Context(), daemon.UndoOptions{Run: 1, Output: daemon.Text}))
	expect(t, w.text(), "Deactivated (1)", "undoes run 1: the account, created", "To undo run 1.", "save the plan with -o FILE")
	must(t, w.app.Undo(t.Context(), daemon.UndoOptions{Run: 1, Output: daemon.Text, File: w.path("undo.json")}))
	expect(t, w.text(), "To do it: ppms-syncd apply "+w.path("undo.json"))
	o := undoFile(w)
	o.Output = daemon.Text
	must(t, w.app.Apply(t.Context(), o))
	expect(t, w.text(), "Run 2: 9 applied", "Held, so that no run does it again, 9 fields and rights: ppms-syncd release LOGIN, or release --run 1")
	must(t, w.app.Undo(t.Context(), daemon.UndoOptions{Run: 1, Output: daemon.Text}))
	expect(t, w.text(), "Nothing of run 1 is left to undo.")
}

// A removal is undone under any policy, also while the directory cannot be read: that may be why it has to be undone.
func TestUndoOfRemovals(t *testing.T) {
	t.Parallel()
	w := leaving(t)
	removals := w.apply().exits(daemon.ExitOK).did("updateuser carl phone=+41 1", "setright emmy 12 D", "setright emmy 13 D", "updateuser lise active=false")
	w.pass(25 * time.Hour)
	w.configure(func(s *settings) { s.Policy = "create-only" })
	w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Do: ldaptest.Result(51)})
	w.apply().exits(daemon.ExitFailed)
	back := []string{"updateuser carl phone=", "updateuser lise active=true", "setright emmy 12 A", "setright emmy 13 A"}
	w.undo(removals.Run).has(back...)
	w.apply(undoFile(w)).exits(daemon.ExitOK).did(back...)
	w.dir.SetFaults()
	w.configure(func(s *settings) { s.Policy = "sync" })
	for range 3 {
		w.apply().exits(daemon.ExitOK).did().issues("held carl", "held emmy", "held emmy", "held lise")
		w.pass(24 * time.Hour)
	}
	// Released, they are taken away again; the policy of before is the scope of before.
	must(t, w.app.ReleaseRun(t.Context(), removals.Run))
	w.text()
	got := w.apply()
	if len(got.Changes) != 4 {
		t.Errorf("%q", lines(got.Changes))
	}
}

func TestUndoIsJudgedByTheGuards(t *testing.T) {
	t.Parallel()
	w := settled(t, none("revocations"))
	plan := w.undo(1).has(undone()...)
	w.apply(undoFile(w)).exits(daemon.ExitHeld).did(undone()[0])
	for _, l := range undone()[1:] {
		if c := plan.change(l); c.Removal() != (c.Held == "revocations") {
			t.Errorf("%s is held by %q", l, c.Held)
		}
	}
	w.undo(1).has(undone()[1:]...) // the e-mail is undone
	file := undoFile(w)
	data, err := os.ReadFile(file.File)
	must(t, err)
	_, hash, _ := strings.Cut(string(data), `"hash": "`)
	file.Approve = hash[:len("sha256:")+12]
	w.apply(file).exits(daemon.ExitOK).did(undone()[1:]...)
}

func TestUndoIsApprovedByItsHash(t *testing.T) {
	t.Parallel()
	w := settled(t, none("deactivations"))
	plan := w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitHeld)
	must(t, w.app.Approve(t.Context(), plan.Hash, time.Hour))
	expect(t, w.text(), "`ppms-syncd apply FILE`, with the file of this plan, writes them.")
	w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitOK).did(undone()[1:]...)
}

// To approve the undoing of a run approves nothing that another run would do for another reason.
func TestApprovalOfAnUndoIsForThatAlone(t *testing.T) {
	t.Parallel()
	w := settled(t, none("deactivations"))
	plan := w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitHeld)
	must(t, w.app.Approve(t.Context(), plan.Hash, 100*time.Hour))
	w.text()
	w.configure(func(s *settings) {
		s.UserFilter, s.Leavers = "(&(objectClass=inetOrgPerson)(!(uid=ada)))", "grace: 24h, confirmations: 2"
	})
	w.apply().did()
	w.pass(25 * time.Hour)
	w.apply().exits(daemon.ExitHeld).did()
	w.configure(func(s *settings) { s.UserFilter, s.Leavers = "(objectClass=inetOrgPerson)", "" })
	w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	if u, _ := w.sim.User("ada"); u.Active {
		t.Error("what was approved was not written")
	}
}

// What somebody changed since is theirs: that change is refused, and the rest goes on.
func TestUndoOfWhatStaffChangedSince(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.staff("carl", func(u *ppmssim.User) { u.Email = "darwin@example.org" })
	w.sim.SetRight("emmy", 12, "S")
	w.undo(1).issues("not-undone carl", "not-undone emmy").
		says(reconcile.NotUndone, `email is "darwin@example.org" by now, not "carl@example.org"`).says(reconcile.NotUndone, "SP8, left (12)", "it is S by now")
	w.sim.SetRight("lise", 21, "A") // and after the plan was made
	want := without(undone(), "lise")[1:]
	want = append(want[:4:4], want[5:]...) // without emmy's on 12
	got := w.apply(undoFile(w)).exits(daemon.ExitPartial).did(want...)
	if c := got.change("setright lise 21 D"); c.Outcome != reconcile.Stale {
		t.Errorf("%s %q", c.Outcome, c.Detail)
	} else {
		expect(t, c.Detail, "no longer as run 1 left it")
	}
	for _, h := range w.memory().Holds {
		if h.Key == "lise" || h.Key == "emmy" && h.Field == "system:12" || h.Field == "email" {
			t.Errorf("%s %s is held though it was not undone", h.Key, h.Field)
		}
	}
}

// Between the last look and the write somebody is faster.
func TestUndoThatComesTooLate(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.undo(1)
	w.when(2, "getuser", "login=carl", func() { w.staff("carl", func(u *ppmssim.User) { u.Email = "darwin@example.org" }) })
	got := w.apply(undoFile(w)).exits(daemon.ExitPartial).did(undone()[1:]...)
	if c := got.change(undone()[0]); c.Outcome != reconcile.Stale {
		t.Errorf("%s %q", c.Outcome, c.Detail)
	}
}

func TestUndoOfAnUndo(t *testing.T) {
	t.Parallel()
	w := settled(t)
	after := w.sim.Snapshot()
	w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	undoneState := w.sim.Snapshot()
	w.pass(25 * time.Hour)
	w.undo(2).issues()
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	w.unchanged(after)
	if holds := w.memory().Holds; len(holds) > 0 {
		t.Errorf("held: %v", holds)
	}
	w.plan().exits(daemon.ExitOK).has().issues()
	w.pass(25 * time.Hour)
	w.undo(4 - 1)
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	w.unchanged(undoneState)
	w.apply().exits(daemon.ExitOK).did()
	if holds := w.memory().Holds; len(holds) != 9 {
		t.Errorf("held: %v", holds)
	}
}

// To undo a change of many people holds what was undone, and nothing else of these people.
func TestUndoFreezesFieldsAndNotPeople(t *testing.T) {
	t.Parallel()
	const many = 300
	wide := func(s *settings) {
		for i := range many {
			login := fmt.Sprintf("q%03d", i)
			s.Entries = append(s.Entries, person(login, "Some", "Q", "curielab"))
			s.Seed.Users = append(s.Seed.Users, account(login, "Some", "Q", "curielab"))
		}
		s.Guards = "updates: {count: 1000, percent: 100, floor: 1000}"
		s.RunTimeout = "5m" // for a busy machine
	}
	w := settled(t, wide)
	everybody := func(attr, value string) {
		for i := range w.Entries {
			if strings.HasPrefix(w.Entries[i].DN, "uid=q") {
				w.Entries[i].Attrs[attr] = []string{value}
			}
		}
		w.dir.SetEntries(w.Entries)
	}
	everybody("telephoneNumber", "+41 1")
	wrong := w.apply().exits(daemon.ExitOK)
	if len(wrong.wrote) != many {
		t.Fatalf("%d writes", len(wrong.wrote))
	}
	w.undo(wrong.Run)
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	if n := len(w.memory().Holds); n != many {
		t.Fatalf("%d holds", n)
	}
	everybody("sn", "Quux")
	if got := w.apply().exits(daemon.ExitOK); len(got.wrote) != many || got.wrote[0] != "updateuser q000 lname=Quux" || len(got.Issues) != many {
		t.Errorf("%d writes, %d issues", len(got.wrote), len(got.Issues))
	}
	must(t, w.app.ReleaseRun(t.Context(), wrong.Run))
	expect(t, w.text(), "Released: 300 holds")
	if got := w.apply().exits(daemon.ExitOK); len(got.wrote) != many || got.wrote[0] != "updateuser q000 phone=+41 1" {
		t.Errorf("%d writes", len(got.wrote))
	}
}

func TestUndoNeverWritesWhatIsNeverWritten(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.sim.SetAdmin("carl", true)
	w.configure(func(s *settings) { s.Protect = "[emmy]" })
	must(t, w.app.Unlink(t.Context(), "lise"))
	must(t, w.app.Hold(t.Context(), "ada", "on leave"))
	w.text()
	got := w.undo(1).has()
	for login, why := range map[string]string{"carl": "administrator", "emmy": "protected", "lise": "local", "ada": "on leave"} {
		found := false
		for _, i := range got.Issues {
			found = found || i.Login == login && i.Kind == reconcile.NotUndone && strings.Contains(i.Detail, why)
		}
		if !found {
			t.Errorf("nothing says of %s that it is %s: %v", login, why, got.Issues)
		}
	}
}

// The answer to a write of an undo is lost: the next run settles it, and what was undone is held all the same.
func TestUndoInDoubtIsHeldOnceItIsSettled(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.undo(1)
	w.faults("setright{login=lise}:reset-after", "getsysrights{id=21}:html@2-", "getuserrights{login=lise}:html@2-")
	got := w.apply(undoFile(w)).exits(daemon.ExitPartial)
	if c := got.change("setright lise 21 D"); c.Outcome != reconcile.InDoubt {
		t.Fatalf("%s %q", c.Outcome, c.Detail)
	}
	w.faults()
	w.undo(2).says(reconcile.NotUndone, "right on Titan Krios (21)", "in doubt")
	w.apply().exits(daemon.ExitOK).did().says(reconcile.OnHold, "the right on Titan Krios is left alone: run 1 was undone by run 2")
}

func TestUndoPlanIsRefused(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.undo(1)
	data, err := os.ReadFile(w.path("undo.json"))
	must(t, err)
	w.write("undo.json", strings.Replace(string(data), `"undoes": 1`, `"undoes": 9`, 1))
	w.apply(undoFile(w)).exits(daemon.ExitFailed, "no run 9").did()
	w.write("undo.json", strings.Replace(string(data), `"undoes": 1,`, "", 1)) // then it is a plan that no comparison makes
	w.apply(undoFile(w)).exits(daemon.ExitPartial).did()
	w.write("undo.json", string(data))
	w.configure(func(s *settings) { s.Protect = "[lise]" })
	w.apply(undoFile(w)).exits(daemon.ExitFailed, "another configuration").did()
	w.configure(func(s *settings) { s.Protect, s.DryRun = `["/^svc-/"]`, true })
	w.undo(1)
	if got := w.apply(undoFile(w)).exits(daemon.ExitOK).has(undone()...).did(); !got.DryRun {
		t.Error("it is no dry run")
	}
	w.configure(func(s *settings) { s.DryRun = false })
	w.undo(1)
	w.pass(25 * time.Hour)
	w.apply(undoFile(w)).exits(daemon.ExitFailed, "make a new one").did()
}

func TestUndoOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fails(t, w.app.Undo(t.Context(), daemon.UndoOptions{Run: 1}), "nothing was ever run here")
	w.apply().exits(daemon.ExitOK)
	fails(t, w.app.Undo(t.Context(), daemon.UndoOptions{Run: 9}), "no run 9", "ppms-syncd history")
	l, err := ledger.Open(t.Context(), w.path("ledger.db"))
	must(t, err)
	_, err = l.BeginRun(t.Context(), ledger.Run{Started: w.now, Mode: ledger.Manual})
	must(t, err)
	must(t, l.Close())
	fails(t, w.app.Undo(t.Context(), daemon.UndoOptions{Run: 2}), "run 2 is what somebody wrote by hand")
}

// Somebody else has the old login of an account that PPMS renamed: what the run did is undone to the person it was done to.
func TestUndoOfARenamedAccountWithANamesake(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	w.staffRename()
	w.sim.SetRight("ehilbert", 12, "A")
	w.apply().exits(daemon.ExitOK)
	other := person("emmy", "Emmy", "Albers", "darwinlab")
	other.Attrs["entryUUID"], other.Attrs["mail"] = []string{ldaptest.EntryUUID("cn=another")}, []string{"albers@example.org"}
	w.put(other, group("imaging", uid("ada"), uid("ehilbert"), uid("emmy")))
	w.apply().exits(daemon.ExitOK).did("newuser emmy", "setright emmy 12 A", "setright emmy 13 A")
	for _, l := range lines(w.undo(1).Changes) {
		if strings.Contains(l, " emmy ") {
			t.Errorf("the run did not do %q", l)
		}
	}
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	if w.sim.Right("ehilbert", 12) != "D" || w.sim.Right("emmy", 12) != "A" {
		t.Errorf("ehilbert has %q, emmy %q", w.sim.Right("ehilbert", 12), w.sim.Right("emmy", 12))
	}
	// And where somebody said which account is whose, nobody else's is touched.
	w.put(group("imaging", uid("ada"), uid("ehilbert"), uid("emmy")))
	w.sim.PutUser(account("hilbert", "Emmy", "Hilbert", "curielab"))
	w.set(uid("ehilbert"), "uid", "hilbert")
	must(t, w.app.Link(t.Context(), "hilbert", ""))
	w.text()
	for _, l := range lines(w.undo(1).Changes) {
		if strings.Contains(l, " emmy ") || strings.Contains(l, "hilbert ") {
			t.Errorf("the run did not do %q", l)
		}
	}
}

func TestUndoOfARenamedAccount(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	w.staffRename()
	w.sim.SetRight("ehilbert", 12, "A")
	w.apply().exits(daemon.ExitOK).issues("right-lowered-by-staff ehilbert")
	got := w.undo(1)
	got.change("setright ehilbert 12 D")
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	w.apply().exits(daemon.ExitOK).did().says(reconcile.OnHold, "release ehilbert")
}
