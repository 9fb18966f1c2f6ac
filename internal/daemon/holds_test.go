package daemon_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// fails expects a command to end with exit code 1 and these words.
func fails(t *testing.T, err error, words ...string) {
	t.Helper()
	if daemon.ExitCode(err) != daemon.ExitFailed {
		t.Fatalf("error %v", err)
	}
	expect(t, err.Error(), words...)
}

func TestHeldPersonIsLeftAloneUntilReleased(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	for _, login := range []string{"carl", " Emmy ", "later"} {
		must(t, w.app.Hold(t.Context(), login, "on leave, ask the office"))
	}
	expect(t, w.text(), "carl is left alone", "ppms-syncd release carl", "No run has seen such an account")
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	w.remove(uid("emmy"))
	w.put(person("later", "L", "Later", "curielab"), group("imaging", uid("ada")), group("em-users", uid("lise"), uid("carl"), uid("later")))
	for range 3 {
		w.apply().exits(daemon.ExitOK).did().says(reconcile.OnHold, "the account is left alone: on leave", "`ppms-syncd release carl` ends that")
		w.pass(24 * time.Hour)
	}
	w.plan().has().issues("held carl", "held emmy", "held later")
	expect(t, w.explain("carl"), "Held (1)", "everything", "on leave, ask the office", "To end that: ppms-syncd release carl")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "3 things are held; ppms-syncd history --holds")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Holds: true}))
	expect(t, w.text(), "carl", "everything", "on leave", "ppms-syncd release LOGIN.")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Holds: true, Output: daemon.JSON}))
	var holds []map[string]any
	must(t, json.Unmarshal([]byte(w.text()), &holds))
	if len(holds) != 3 || holds[1]["login"] != "emmy" || holds[1]["since"] == "" {
		t.Errorf("%v", holds)
	}

	must(t, w.app.Release(t.Context(), "CARL"))
	expect(t, w.text(), "Released: 1 hold.")
	must(t, w.app.Release(t.Context(), "later"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("newuser later", "updateuser carl phone=+41 1", "setright carl 21 N", "setright later 21 N")
	fails(t, w.app.Release(t.Context(), "carl"), "nothing is held of carl", "history --holds")
	fails(t, w.app.ReleaseRun(t.Context(), 1), "nothing is held of run 1")
}

// Whom the first run shall leave alone must be held before it.
func TestHoldBeforeTheFirstRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, login := range []string{"carl", "ada"} {
		must(t, w.app.Hold(t.Context(), login, ""))
	}
	expect(t, w.text(), "No run has seen such an account")
	w.apply().exits(daemon.ExitOK).did(without(without(firstRun(), "carl"), "ada")...).issues("held ada", "held carl")
}

// Who is linked to an account of another login is held, explained and unlinked by either.
func TestHoldByTheLoginOfTheEntry(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	must(t, w.app.Link(t.Context(), "emmy", uid("ehilbert")))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser emmy lname=Hilbert")
	w.set(uid("ehilbert"), "telephoneNumber", "+41 1")
	for _, login := range []string{"emmy", "ehilbert"} {
		expect(t, w.explain(login), "emmy (Emmy Hilbert): in the directory and in PPMS.", "entry", uid("ehilbert"), "updateuser: phone: (none) → +41 1")
	}
	must(t, w.app.Hold(t.Context(), "ehilbert", "on leave"))
	expect(t, w.text(), "emmy is left alone")
	w.apply().exits(daemon.ExitOK).did().issues("held emmy")
	must(t, w.app.Release(t.Context(), "ehilbert"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser emmy phone=+41 1")
	must(t, w.app.Unlink(t.Context(), "ehilbert"))
	expect(t, w.text(), "emmy is no longer linked")
}

// What is held follows an account that PPMS renamed.
func TestHoldFollowsARenamedAccount(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	must(t, w.app.Hold(t.Context(), "emmy", ""))
	expect(t, w.text(), "emmy is left alone")
	w.staffRename()
	w.sim.SetRight("ehilbert", 12, "A")
	w.sim.SetRight("ehilbert", 13, "A")
	for range 2 {
		w.apply().exits(daemon.ExitOK).did().says(reconcile.OnHold, "`ppms-syncd release ehilbert`")
	}
	must(t, w.app.Release(t.Context(), "ehilbert"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser ehilbert lname=Hilbert")
}

func TestBackupIsALedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fails(t, w.app.Backup(t.Context(), w.path("early.db")), "nothing was ever run here")
	w.apply().exits(daemon.ExitOK)
	want := w.memory()
	file := w.path("backup.db")
	must(t, w.app.Backup(t.Context(), file))
	expect(t, w.text(), "backup.db has a copy of the ledger", "-wal")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	fails(t, w.app.Backup(t.Context(), file), "exists already")
	before := w.files()
	must(t, w.app.Backup(t.Context(), daemon.Stdout))
	if diff := cmp.Diff(before, w.files()); diff != "" {
		t.Errorf("something is left behind: %s", diff)
	}
	must(t, os.WriteFile(w.path("piped.db"), []byte(w.text()), 0o600))

	w.put(person("new", "N", "New", "curielab")) // what comes after the backup is not in it
	w.apply().exits(daemon.ExitOK)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		must(t, os.Rename(w.path("ledger.db"+suffix), w.path("old.db"+suffix)))
	}
	must(t, os.Rename(w.path("piped.db"), w.path("ledger.db")))
	if diff := cmp.Diff(want, w.memory(), proofs()); diff != "" {
		t.Error(diff)
	}
	w.apply().exits(daemon.ExitOK).did()
}

// proofs are what a backup leaves out.
func proofs() cmp.Option {
	return cmp.Options{
		cmpopts.IgnoreFields(reconcile.Link{}, "EnabledScope"), cmpopts.IgnoreFields(reconcile.Grant{}, "WantedScope"),
		cmpopts.IgnoreFields(reconcile.Cause{}, "Scope"),
	}
}

// A restored ledger does not know what came after the backup: who was back and left again, what was taken and given again by staff.
func TestRestoredBackupTakesNothingAway(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.apply().exits(daemon.ExitOK)
	w.apply().exits(daemon.ExitOK)
	must(t, w.app.Backup(t.Context(), w.path("backup.db")))
	w.text()
	w.put(person("carl", "Charles", "Darwin", "darwinlab"), group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did("setright emmy 12 D", "setright emmy 13 D")
	w.sim.SetRight("emmy", 12, "A")
	w.days(30)
	w.remove(uid("carl"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		must(t, os.Rename(w.path("ledger.db"+suffix), w.path("old.db"+suffix)))
	}
	must(t, os.Rename(w.path("backup.db"), w.path("ledger.db")))
	w.apply().exits(daemon.ExitHeld).did().issues("needs-approval carl", "needs-approval emmy")
	// What comes about from then on is proven as ever.
	w.put(person("carl", "Charles", "Darwin", "darwinlab"), group("em-users", uid("carl")))
	w.apply().exits(daemon.ExitHeld).did("setright carl 21 N", "setright lise 21 D").issues("needs-approval emmy")
}

// files are the names of what lies beside the ledger, in use or not.
func (w *world) files() (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(w.app.Config.Ledger.Path))
	must(w.t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// ledgerHas looks for words in the files of the ledger.
func (w *world) ledgerHas(words ...string) (found []string) {
	w.t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(w.path("ledger.db" + suffix))
		must(w.t, err)
		for _, word := range words {
			if strings.Contains(string(data), word) {
				found = append(found, word)
			}
		}
	}
	return found
}

func TestForgottenPersonLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	w.remove(uid("carl"))
	w.apply().exits(daemon.ExitOK)
	words := []string{"carl", "Carl", "Charles", "charles@"}
	if len(w.ledgerHas(words...)) == 0 {
		t.Fatal("nothing to forget")
	}
	w.sim.DeleteUser("carl") // staff have erased him in PPMS
	w.app.Ask = func(string) daemon.Answer { return daemon.No }
	fails(t, w.app.Forget(t.Context(), "carl", false), "nothing was removed")
	expect(t, w.text(), "What the ledger knows of carl", "links", "leavers under observation", "rights that we gave", "changes in the journal")
	w.app.Ask = func(question string) daemon.Answer {
		expect(t, question, "Forget carl?")
		return daemon.Yes
	}
	must(t, w.app.Forget(t.Context(), "carl", false))
	expect(t, w.text(), "Forgotten.")
	if found := w.ledgerHas(words...); found != nil {
		t.Errorf("the ledger still has %q", found)
	}
	fails(t, w.app.Forget(t.Context(), "carl", true), "the ledger knows nothing of carl")
	h := w.history(1)
	for i := range h.Changes {
		if c := &h.Changes[i]; c.Outcome != reconcile.Applied {
			t.Errorf("%s: %s", line(&c.Change), c.Outcome)
		}
	}
	w.apply().exits(daemon.ExitOK).did().issues()
}

// Whoever is forgotten and still there loses nothing: what we gave or took counts as staff's.
func TestForgettingDoesNoHarm(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	w.remove(uid("carl"))
	w.apply()
	w.pass(time.Hour)
	w.apply().exits(daemon.ExitOK).did(carlLeaves)
	before := w.sim.Snapshot()
	for _, login := range []string{"emmy", "carl", "lise"} {
		must(t, w.app.Forget(t.Context(), login, true))
	}
	w.text()
	w.put(group("imaging", uid("ada")), person("carl", "Charles", "Darwin", "darwinlab"))
	for range 3 {
		w.apply().exits(daemon.ExitOK).did()
		w.pass(24 * time.Hour)
	}
	w.plan().issues("inactive-by-staff carl")
	w.unchanged(before)
	w.remove(uid("lise")) // learnt anew, and counted from now on
	w.apply().did()
	w.pass(time.Hour)
	w.apply().exits(daemon.ExitOK).did("updateuser lise active=false")
}

// Who is linked to an account of another login is forgotten by either.
func TestForgetByTheLoginOfTheEntry(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	must(t, w.app.Link(t.Context(), "emmy", uid("ehilbert")))
	w.text()
	must(t, w.app.Forget(t.Context(), "ehilbert", true))
	expect(t, w.text(), "What the ledger knows of emmy", "Forgotten.")
	fails(t, w.app.Forget(t.Context(), "emmy", true), "the ledger knows nothing of emmy")
}

func TestForgetWaitsForARun(t *testing.T) {
	t.Parallel()
	w := settled(t)
	lock, err := ledger.LockRun(w.path("ledger.db"))
	must(t, err)
	fails(t, w.app.Forget(t.Context(), "carl", true), "another run is under way")
	must(t, lock.Unlock())
	must(t, w.app.Hold(t.Context(), "carl", ""))
	w.text()
	fails(t, w.app.Forget(t.Context(), "carl", true), "`ppms-syncd release carl` first")
}

// The guards go on counting whom somebody asked to forget.
func TestForgettingGivesNoRoomToTheGuards(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Guards = "updates: {count: 2, percent: 0, floor: 2}"
		s.Seed.Users[1].Email = "carl@example.org"
	})
	for _, login := range []string{"carl", "emmy"} {
		w.set(uid(login), "telephoneNumber", "+41 1")
	}
	w.apply().exits(daemon.ExitOK)
	must(t, w.app.Forget(t.Context(), "carl", true))
	w.text()
	w.set(uid("lise"), "telephoneNumber", "+41 1")
	w.apply().exits(daemon.ExitHeld).did()
}

func TestCompletionAsksTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.app.Logins(t.Context()); got != nil {
		t.Errorf("without a ledger: %q", got)
	}
	if _, err := os.Stat(w.path("ledger.db")); !os.IsNotExist(err) {
		t.Errorf("completion made a ledger: %v", err)
	}
	w.apply()
	must(t, w.app.Hold(t.Context(), "carl", ""))
	w.text()
	same(t, "logins", w.app.Logins(t.Context()), []string{"ada", "boss", "carl", "emmy", "lise", "old", "visitor"})
	same(t, "held", w.app.HeldLogins(t.Context()), []string{"carl"})
	for range 10 {
		w.apply()
	}
	var runs []string
	for _, run := range w.app.RunNumbers(t.Context()) {
		number, _, _ := strings.Cut(run, "\t")
		runs = append(runs, number)
	}
	same(t, "runs", runs, []string{"11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1"})
}
