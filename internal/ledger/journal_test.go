package ledger

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
)

// TestLatest: what was written by hand, has failed or is under way came to no plan.
func TestLatest(t *testing.T) {
	l := newLedger(t)
	if _, found, err := l.Latest(t.Context()); found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
	want := begin(t, l, Apply)
	ok(t, l.FinishRun(t.Context(), want, RunResult{Finished: t0, Result: Held}))
	ok(t, l.FinishRun(t.Context(), begin(t, l, Manual), RunResult{Finished: t0, Result: Success}))
	ok(t, l.FinishRun(t.Context(), begin(t, l, Apply), RunResult{Finished: t0, Result: Failed}))
	begin(t, l, Apply)
	if r, found, err := l.Latest(t.Context()); !found || r.ID != want || r.Result != Held || err != nil {
		t.Errorf("%+v, found %t, %v", r, found, err)
	}
}

func TestRunsRoundTrip(t *testing.T) {
	l := newLedger(t)
	first, second := begin(t, l, Apply), begin(t, l, DryRun)
	result := RunResult{
		Finished: t0.Add(time.Minute), Result: Partial, Error: "2 changes were refused", PlanHash: "sha256:beef",
		Totals: Totals{
			Summary: reconcile.Summary{NewUser: 3}, Directory: reconcile.DirectoryInfo{People: 7, Complete: true},
			PPMS: reconcile.PPMSInfo{Active: 4}, Outcomes: map[reconcile.Outcome]int{reconcile.Applied: 1},
		},
	}
	ok(t, l.FinishRun(t.Context(), first, result))
	want := someRun()
	want.ID, want.RunResult = first, result
	got, found, err := l.Run(t.Context(), first)
	if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
		t.Error(diff, found, err)
	}
	if runs := must(l.Runs(t.Context(), 1)); len(runs) != 1 || runs[0].ID != second || !runs[0].Finished.IsZero() || runs[0].Result != "" {
		t.Errorf("the last run: %+v", runs)
	}
	if _, found, err := l.Run(t.Context(), 99); found || err != nil {
		t.Errorf("run 99: %v, %v", found, err)
	}
	if err := l.FinishRun(t.Context(), 99, result); err == nil {
		t.Error("finished run 99")
	}
	if err := l.FinishRun(t.Context(), second, RunResult{Result: "splendid"}); err == nil {
		t.Error("a result that there is not")
	}
}

func TestJournalRoundTrip(t *testing.T) {
	l := newLedger(t)
	run := begin(t, l, Apply)
	change := grantChange("JDoe", 12, "N", "A")
	change.Approved, change.Unproven = true, true
	id := must(l.Intend(t.Context(), run, change, t0))
	want := Entry{ID: id, Run: run, Change: change, At: t0, Actor: someone}
	if diff := cmp.Diff([]Entry{want}, must(l.Pending(t.Context()))); diff != "" {
		t.Error(diff)
	}

	ok(t, l.Settle(t.Context(), id, reconcile.InDoubt, "timeout", t0.Add(time.Second)))
	want.Outcome, want.Detail, want.SettledAt = reconcile.InDoubt, "timeout", t0.Add(time.Second)
	if diff := cmp.Diff([]Entry{want}, must(l.Pending(t.Context()))); diff != "" {
		t.Error(diff)
	}

	ok(t, l.Settle(t.Context(), id, reconcile.NotApplied, "read back", t0.Add(time.Minute)))
	want.Outcome, want.Detail, want.SettledAt = reconcile.NotApplied, "read back", t0.Add(time.Minute)
	ok(t, l.Settle(t.Context(), id, reconcile.NotApplied, "again", t0.Add(time.Hour))) // changes nothing
	if err := l.Settle(t.Context(), id, reconcile.Applied, "", t0); err == nil || !strings.Contains(err.Error(), "settled already") {
		t.Errorf("settled twice: %v", err)
	}
	if pending := must(l.Pending(t.Context())); len(pending) != 0 {
		t.Errorf("pending: %v", pending)
	}

	stale := change
	stale.Outcome, stale.Detail = reconcile.Stale, "somebody was faster" // apply's own marks are not stored twice
	ok(t, l.Record(t.Context(), run, stale, reconcile.Stale, "somebody was faster", t0))
	second := Entry{
		ID: id + 1, Run: run, Change: change, At: t0, Outcome: reconcile.Stale, SettledAt: t0, Detail: "somebody was faster", Actor: someone,
	}
	if diff := cmp.Diff([]Entry{want, second}, must(l.Entries(t.Context(), run))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Entry{second}, must(l.EntriesOf(t.Context(), "jdoe", 1))); diff != "" {
		t.Error(diff)
	}
}

func TestJournalRefuses(t *testing.T) {
	l := newLedger(t)
	run := begin(t, l, Apply)
	c := grantChange("a", 1, "", "N")
	id := must(l.Intend(t.Context(), run, c, t0))
	for name, err := range map[string]error{
		"no such run":        func() error { _, err := l.Intend(t.Context(), 99, c, t0); return err }(),
		"no such entry":      l.Settle(t.Context(), 99, reconcile.Applied, "", t0),
		"settled as nothing": l.Settle(t.Context(), id, "", "", t0),
		"settled as held":    l.Settle(t.Context(), id, reconcile.HeldBack, "", t0),
		"settled as a word":  l.Settle(t.Context(), id, "fine", "", t0),
		"recorded applied":   l.Record(t.Context(), run, c, reconcile.Applied, "", t0),
		"recorded in doubt":  l.Record(t.Context(), run, c, reconcile.InDoubt, "", t0),
		"recorded nothing":   l.Record(t.Context(), run, c, "", "", t0),
	} {
		if err == nil {
			t.Error(name)
		}
	}
	if entries := must(l.Entries(t.Context(), run)); len(entries) != 1 || entries[0].Outcome != "" {
		t.Errorf("entries: %v", entries)
	}
}

// TestWhatBecomesOurs: a chain of changes, all settled as applied, and what we own in the end.
func TestWhatBecomesOurs(t *testing.T) {
	const N, A, D = reconcile.Novice, reconcile.Autonomous, reconcile.Deactivated
	right := func(from, to string) reconcile.Change { return grantChange("JDoe", 12, from, to) }
	ours := func(level, before reconcile.Level) []reconcile.Grant {
		return []reconcile.Grant{{Login: "JDoe", System: 12, Level: level, Before: before, Rule: "confocal", At: t0, WantedScope: "s1"}}
	}
	staffs := ours(A, N)
	staffs[0].Overruled = true
	gone := map[reconcile.Key]reconcile.Deactivation{"jdoe": {Login: "JDoe", At: t0}}
	created := linkTo("id-1", "JDoe")
	created.Origin = reconcile.Created
	earlier := reconcile.Observations{ // of an account of that name that is no more
		Grants: ours(N, 0), Deactivated: gone, Linked: []reconcile.Link{linkTo("old", "jdoe")},
		Baseline: &reconcile.Baseline{At: t0, Scope: "s1"},
	}
	cases := map[string]struct {
		changes     []reconcile.Change
		observed    reconcile.Observations
		mode        Mode
		outcome     reconcile.Outcome
		grants      []reconcile.Grant
		deactivated map[reconcile.Key]reconcile.Deactivation
		links       []reconcile.Link
	}{
		"first grant":              {changes: []reconcile.Change{right("", "N")}, grants: ours(N, 0)},
		"raised from staff's":      {changes: []reconcile.Change{right("N", "A")}, grants: ours(A, N)},
		"raised from ours":         {changes: []reconcile.Change{right("", "N"), right("N", "A")}, grants: ours(A, 0)},
		"revoked: the D is ours":   {changes: []reconcile.Change{right("", "A"), right("A", "D")}, grants: ours(D, 0)},
		"given back to staff":      {changes: []reconcile.Change{right("N", "A"), right("A", "N")}, grants: nil},
		"lowered to what we gave":  {changes: []reconcile.Change{right("", "N"), right("N", "A"), right("A", "N")}, grants: ours(N, 0)},
		"granted again":            {changes: []reconcile.Change{right("", "A"), right("A", "D"), right("D", "N")}, grants: ours(N, 0)},
		"lowered, and never ours":  {changes: []reconcile.Change{right("A", "N")}, grants: nil},
		"D, and never ours before": {changes: []reconcile.Change{right("A", "D")}, grants: ours(D, A)},
		"not applied":              {changes: []reconcile.Change{right("", "N"), newUser("JDoe", "id-1"), activeChange("JDoe", "true", "false")}, outcome: reconcile.NotApplied},
		"by the toolbox":           {changes: []reconcile.Change{right("", "N"), newUser("JDoe", "id-1"), activeChange("JDoe", "true", "false")}, mode: Manual},
		"ours, then by the toolbox": {
			observed: reconcile.Observations{Grants: ours(A, N)}, changes: []reconcile.Change{right("A", "D"), right("D", "A")}, mode: Manual, grants: staffs,
		},
		"our D, then by the toolbox":       {observed: reconcile.Observations{Grants: ours(D, 0)}, changes: []reconcile.Change{right("D", "A")}, mode: Manual},
		"an earlier one's, by the toolbox": {observed: earlier, changes: []reconcile.Change{newUser("JDoe", "")}, mode: Manual, links: earlier.Linked},
		"deactivated":                      {changes: []reconcile.Change{activeChange("JDoe", "true", "false")}, deactivated: gone},
		"deactivated and back":             {changes: []reconcile.Change{activeChange("JDoe", "true", "false"), activeChange("jdoe", "false", "true")}},
		"other fields say nothing":         {changes: []reconcile.Change{{Kind: reconcile.UpdateUser, Login: "JDoe", Fields: map[string]reconcile.Value{"email": {To: "x"}}}}},
		"created":                          {changes: []reconcile.Change{newUser("JDoe", "id-1")}, links: []reconcile.Link{created}},
		"created for nobody":               {changes: []reconcile.Change{newUser("JDoe", "")}},
		"created where another was":        {observed: earlier, changes: []reconcile.Change{newUser("JDoe", "id-1")}, links: []reconcile.Link{created}},
		"created and granted":              {changes: []reconcile.Change{newUser("JDoe", "id-1"), right("", "A")}, links: []reconcile.Link{created}, grants: ours(A, 0)},
		"granted, with nothing planned":    {changes: []reconcile.Change{right("", "A")}, grants: ours(A, 0)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			if c.mode == "" {
				c.mode, c.outcome = Apply, max(c.outcome, reconcile.Outcome(""))
			}
			if c.outcome == "" {
				c.outcome = reconcile.Applied
			}
			run := begin(t, l, c.mode)
			if c.observed.Baseline == nil {
				c.observed.Baseline = &reconcile.Baseline{At: t0, Scope: "s1"}
			}
			ok(t, l.Observe(t.Context(), run, c.observed, t0))
			for _, change := range c.changes {
				entry := must(l.Intend(t.Context(), run, change, t0))
				ok(t, l.Settle(t.Context(), entry, c.outcome, "", t0))
			}
			want := reconcile.Memory{
				Links: c.links, Grants: c.grants, Deactivated: c.deactivated, Baseline: *c.observed.Baseline,
			}
			got := memory(t, l)
			got.Spent = nil
			if diff := sameMemory(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestScopeOfAnotherRead: a grant that is settled by a later run says nothing about what that one's read wanted.
func TestScopeOfAnotherRead(t *testing.T) {
	l := newLedger(t)
	first := begin(t, l, Apply)
	ok(t, l.Observe(t.Context(), first, reconcile.Observations{Baseline: &reconcile.Baseline{At: t0, Scope: "s1"}}, t0))
	entry := must(l.Intend(t.Context(), first, grantChange("a", 1, "", "N"), t0))
	ok(t, l.Settle(t.Context(), entry, reconcile.InDoubt, "", t0))
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Baseline: &reconcile.Baseline{At: t0, Scope: "s2"}}, t0))
	ok(t, l.Settle(t.Context(), entry, reconcile.Applied, "", t0))
	if grants := memory(t, l).Grants; len(grants) != 1 || grants[0].WantedScope != "" {
		t.Errorf("grants %+v", grants)
	}
}

// TestSettleIsOne: the outcome and what it means are stored both or neither.
func TestSettleIsOne(t *testing.T) {
	l := newLedger(t)
	run := begin(t, l, Apply)
	bad := grantChange("a", 1, "", "S") // never planned; it cannot become ours
	entry := must(l.Intend(t.Context(), run, bad, t0))
	if err := l.Settle(t.Context(), entry, reconcile.Applied, "", t0); err == nil {
		t.Fatal("it became ours")
	}
	if pending := must(l.Pending(t.Context())); len(pending) != 1 || pending[0].Outcome != "" {
		t.Errorf("the outcome was stored: %v", pending)
	}

	_, err := l.writer.ExecContext(t.Context(), `CREATE TRIGGER no BEFORE INSERT ON grants BEGIN SELECT raise(ABORT, 'no'); END`)
	ok(t, err)
	entry = must(l.Intend(t.Context(), run, grantChange("a", 2, "", "N"), t0))
	if err := l.Settle(t.Context(), entry, reconcile.Applied, "", t0); err == nil {
		t.Fatal("no error")
	}
	if pending := must(l.Pending(t.Context())); len(pending) != 2 {
		t.Errorf("%d pending", len(pending))
	}
}

func TestSpent(t *testing.T) {
	l := newLedger(t)
	run, manual := begin(t, l, Apply), begin(t, l, Manual)
	now := t0
	enter := func(run int64, c reconcile.Change, ago time.Duration, outcome reconcile.Outcome) {
		id := must(l.Intend(t.Context(), run, c, now.Add(-ago)))
		if outcome != "" {
			ok(t, l.Settle(t.Context(), id, outcome, "", now))
		}
	}
	approved := grantChange("approved", 1, "", "N")
	approved.Approved = true
	enter(run, grantChange("Applied", 1, "", "N"), 0, reconcile.Applied)
	enter(run, grantChange("applied", 2, "", "N"), time.Hour, reconcile.Applied) // the same person
	enter(run, grantChange("applied", 2, "N", "D"), time.Hour, reconcile.Applied)
	enter(run, grantChange("not-applied", 2, "", "N"), time.Hour, reconcile.NotApplied)
	enter(run, grantChange("in-doubt", 2, "", "N"), 23*time.Hour, reconcile.InDoubt)
	enter(run, newUser("pending", "1"), time.Hour, "")
	enter(run, activeChange("gone", "true", "false"), time.Hour, reconcile.Applied)
	enter(run, grantChange("refused", 2, "", "N"), time.Hour, reconcile.Refused)
	enter(run, grantChange("yesterday", 2, "", "N"), 24*time.Hour, reconcile.Applied)
	enter(run, approved, time.Hour, reconcile.Applied)
	enter(manual, grantChange("toolbox", 2, "", "N"), time.Hour, reconcile.Applied)
	ok(t, l.Record(t.Context(), run, grantChange("stale", 2, "", "N"), reconcile.Stale, "", now))
	want := []reconcile.Spent{
		{Guard: reconcile.Creations, Key: "pending"},
		{Guard: reconcile.Deactivations, Key: "gone"},
		{Guard: reconcile.Grants, Key: "applied"},
		{Guard: reconcile.Grants, Key: "in-doubt"},
		{Guard: reconcile.Grants, Key: "not-applied"},
		{Guard: reconcile.Revocations, Key: "applied"},
	}
	if diff := cmp.Diff(want, memory(t, l).Spent); diff != "" {
		t.Error(diff)
	}
}

// TestKilledBetweenIntentAndOutcome: what was about to be sent is known after a crash.
func TestKilledBetweenIntentAndOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	_, kill := startChild(t, "intend", path)
	kill()
	l := must(Open(t.Context(), path))
	defer l.Close()
	pending := must(l.Pending(t.Context()))
	if len(pending) != 1 || pending[0].Outcome != "" || !pending[0].At.Equal(t0) {
		t.Fatalf("pending: %+v", pending)
	}
	if diff := cmp.Diff(grantChange("jdoe", 12, "", "A"), pending[0].Change); diff != "" {
		t.Error(diff)
	}
	ok(t, l.Settle(t.Context(), pending[0].ID, reconcile.Applied, "read back", t0))
	if grants := memory(t, l).Grants; len(grants) != 1 {
		t.Errorf("grants %v", grants)
	}
}

func BenchmarkIntendAndSettle(b *testing.B) {
	l := newLedger(b)
	run := begin(b, l, Apply)
	change := grantChange("jdoe", 1, "", "N")
	for b.Loop() {
		entry := must(l.Intend(b.Context(), run, change, t0))
		ok(b, l.Settle(b.Context(), entry, reconcile.Applied, "", t0))
	}
}
