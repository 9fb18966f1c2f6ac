package daemon_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// The situations here were found by somebody who wanted to break the program.

// vanish hides fifty of sixty-four people.
func (w *world) vanish() {
	var gone []string
	for i := 1; i <= 50; i++ {
		gone = append(gone, uid(fmt.Sprintf("p%02d", i)))
	}
	w.remove(gone...)
}

func TestShrinkIsAcceptedOnlyAsSeen(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { crowd(s, 60) })
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	file := w.path("p.json")
	seen := w.planTo(file)
	before := w.memory().Baseline
	w.vanish()
	// The saved plan knows of no shrink, so its approval accepts none.
	w.apply(daemon.ApplyOptions{File: file, Approve: seen.Hash}).exits(daemon.ExitHeld)
	if after := w.memory().Baseline; after != before {
		t.Errorf("the baseline went from %+v to %+v", before, after)
	}
	// A hash alone does not say how small the directory is.
	shrunk := w.plan()
	w.apply(daemon.ApplyOptions{Approve: shrunk.Hash}).exits(daemon.ExitFailed, "a hash does not say to which size")
	// A plan that was saved and looked at does.
	shrunk = w.planTo(file)
	w.apply(daemon.ApplyOptions{File: file, Approve: shrunk.Hash}).exits(daemon.ExitOK)
	if people := w.memory().Baseline.People; people != before.People-50 {
		t.Errorf("the baseline has %d people", people)
	}
}

func TestVanishedGroupBringsNobodyBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) {
		s.Leavers = "grace: 1h, disabled_grace: 1h, confirmations: 1"
		s.Entries = append(s.Entries, group("former", uid("visitor")))
		s.Disabled = "'former' in groups"
	})
	w.apply().exits(daemon.ExitOK)
	w.put(group("former", uid("lise")))
	w.apply()
	w.pass(2 * time.Hour)
	w.apply().did("updateuser lise active=false")
	w.remove(cn("former"))
	w.apply().did().says(reconcile.RuleSuspended, "former", "says nothing")
}

func TestMembersOfANestedGroupHidden(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(cn("imaging"), "member")
	w.apply().did().says(reconcile.RuleSuspended, "imaging", "lists nobody any more")
}

func TestStaffActivateTwice(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Leavers = "grace: 1h, disabled_grace: 1h, confirmations: 1" })
	w.remove(uid("carl"))
	w.apply()
	w.pass(2 * time.Hour)
	w.apply().did("updateuser carl active=false")
	for _, active := range []bool{true, false, true, true} {
		w.staff("carl", func(u *ppmssim.User) { u.Active = active })
		w.pass(2 * time.Hour)
		w.apply().did()
	}
}

func TestRefusedReadSettlesNothing(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	w.faults("upduser:reset-after", "getuser{login=carl}:error=busy@3-")
	w.apply().exits(daemon.ExitPartial)
	w.faults("getuser{login=carl}:error=busy@1")
	w.apply().exits(daemon.ExitOK).did()
	w.faults()
	w.apply().exits(daemon.ExitOK).did()
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: 2}))
	expect(t, w.text(), "1 applied", "settled by a later run")
}

func TestOneDoubtDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("imaging", uid("ada")))
	w.faults("setright{id=13}:reset-after", "getsysrights{id=13}:error=busy@2-", "getuserrights{login=emmy}:garbage@2-")
	w.apply().exits(daemon.ExitPartial)
	w.faults("getuserrights{login=emmy}:garbage")
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	w.apply().exits(daemon.ExitOK).did("updateuser carl phone=+41 1")
}

func TestRevocationIsNotBelievedFromAnAbsence(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("imaging", uid("ada")))
	w.faults("setright:nothing", "getsysrights:cut-line=2@4-")
	for _, c := range w.apply().exits(daemon.ExitPartial).Changes {
		if c.Kind == reconcile.SetRight && c.Outcome != reconcile.NotApplied {
			t.Errorf("%s: %s", line(&c), c.Outcome)
		}
	}
	w.faults()
	for _, c := range w.apply().exits(daemon.ExitOK).Changes {
		if c.Outcome != reconcile.Applied {
			t.Errorf("%s: %s", line(&c), c.Outcome)
		}
	}
}

func TestOddPlanFilesAreRefused(t *testing.T) {
	t.Parallel()
	w := settled(t)
	good := "A"
	for name, c := range map[string]reconcile.Change{
		"no from":           {Kind: "setright", Login: "carl", System: 12, To: "A"},
		"no such system":    {Kind: "setright", Login: "carl", System: -3, From: &good, To: "D"},
		"no such level":     {Kind: "setright", Login: "carl", System: 12, From: &good, To: "X"},
		"field without":     {Kind: "updateuser", Login: "carl", Fields: map[string]reconcile.Value{"email": {To: "x"}}},
		"active without":    {Kind: "updateuser", Login: "carl", Fields: map[string]reconcile.Value{"active": {To: "false"}}},
		"nothing to update": {Kind: "updateuser", Login: "carl"},
		"nobody to create":  {Kind: "newuser", Login: "carl"},
		"unknown kind":      {Kind: "foo", Login: "carl"},
		"empty":             {},
	} {
		w.refusesPlan(name, c)
	}
	twice := reconcile.Change{Kind: "setright", Login: "carl", System: 12, From: &good, To: "D"}
	w.refusesPlan("twice", twice, twice)
}

func (w *world) refusesPlan(name string, changes ...reconcile.Change) {
	w.t.Helper()
	file := w.path("odd.json")
	plan := w.planTo(file).Plan
	plan.Changes = changes
	plan.Hash = reconcile.PlanHash(plan.Policy, plan.Changes)
	data, err := json.Marshal(plan)
	must(w.t, err)
	must(w.t, os.WriteFile(file, data, 0o600))
	before := w.sim.Snapshot()
	err = w.app.Apply(w.t.Context(), daemon.ApplyOptions{File: file, Output: daemon.Text})
	if daemon.ExitCode(err) != daemon.ExitFailed || !strings.Contains(err.Error(), "make a new plan") {
		w.t.Errorf("%s: exit %d, %v", name, daemon.ExitCode(err), err)
	}
	w.unchanged(before)
}

func TestExplainJudgesOnePersonAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) {
		crowd(s, 30)
		var members []string
		for i := 1; i <= 30; i++ {
			login := fmt.Sprintf("p%02d", i)
			members = append(members, uid(login))
			s.Seed.Rights = append(s.Seed.Rights, ppmssim.Right{Login: login, System: 21, Level: "N"})
		}
		s.Entries = append(s.Entries, group("all", append(members, uid("carl"))...))
		s.Rights = `[{name: all, group: all, systems: [21], level: N}]`
	})
	must(t, w.app.Explain(t.Context(), "carl"))
	if text := w.text(); strings.Contains(text, "guard") || !strings.Contains(text, "will be set to N") {
		t.Error(text)
	}
}

func TestLinkAllLeavesWhatIsLinked(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.sim.PutUser(account("cdarwin", "Charles", "Darwin", "darwinlab"))
	must(t, w.app.Link(t.Context(), "cdarwin", uid("carl")))
	w.text()
	must(t, w.app.LinkAll(t.Context(), true))
	expect(t, w.text(), "Nothing to link")
}

func TestTooFewPeopleAreNoSizeToAccept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Guards = "min_people: 50" })
	held := w.apply().exits(daemon.ExitHeld)
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	if text := w.text(); strings.Contains(text, "new size") {
		t.Error(text)
	}
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
	expect(t, w.text(), "lower guards.min_people")
}

func TestShrinkWithNothingToWriteIsNotInSync(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { crowd(s, 60) })
	w.vanish()
	err := w.app.Apply(t.Context(), daemon.ApplyOptions{Output: daemon.Text})
	text := w.text()
	if daemon.ExitCode(err) != daemon.ExitHeld || strings.Contains(text, "In sync") {
		t.Errorf("exit %d\n%s", daemon.ExitCode(err), text)
	}
	expect(t, text, "a guard doubts the read", "ppms-syncd approve sha256:")
}

func TestTerminalIsNotObeyed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.staff("carl", func(u *ppmssim.User) { u.Lname = "Dar\x1b[31mwin" })
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
	must(t, w.app.Explain(t.Context(), "carl"))
	must(t, w.app.Link(t.Context(), "carl", ""))
	text := w.text() + daemon.Harmless("uid=\x1b[2J\u202eevil\nnext line")
	if strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, `\n`) || !strings.Contains(text, `Dar\x1b[31mwin`) {
		t.Errorf("%q", text)
	}
}

func TestDryRunOfASavedPlan(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.DryRun = true })
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	file := w.path("p.json")
	w.planTo(file)
	w.set(uid("emmy"), "telephoneNumber", "+41 1")
	w.apply(daemon.ApplyOptions{File: file}).exits(daemon.ExitOK).has("updateuser carl phone=+41 1")
	w.apply(daemon.ApplyOptions{Approve: "sha256:0000000000"}).exits(daemon.ExitFailed, "the plan is now")
}
