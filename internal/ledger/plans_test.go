package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
)

func plan(digits string) reconcile.Plan {
	return reconcile.Plan{
		Version: 1, Hash: "sha256:" + digits + strings.Repeat("0", 64-len(digits)), CreatedAt: t0, Policy: reconcile.Sync,
		Directory: reconcile.DirectoryInfo{People: 5, Groups: 2, Complete: true},
		Changes:   []reconcile.Change{activeChange("Ann", "true", "false"), grantChange("bob", 1, "", "N")},
		Withheld:  []reconcile.Change{}, Issues: []reconcile.Issue{{Kind: reconcile.OnHold, Login: "x"}},
		Guards: []reconcile.GuardResult{{Name: reconcile.Deactivations, Value: 7, Limit: 3, Tripped: true}},
	}
}

// HeldPlans returns all held plans, the newest first.
func (l *Ledger) HeldPlans(ctx context.Context) (plans []HeldPlan, err error) {
	err = l.read(ctx, func(tx *sql.Tx) (err error) {
		plans, err = list(ctx, tx, scanPlan, selectPlans+` ORDER BY at DESC, run DESC`)
		return err
	})
	return plans, err
}

func TestHeldPlans(t *testing.T) {
	l := newLedger(t)
	run := begin(t, l, Apply)
	a, b := plan("abcdef0123"), plan("abcdef0199")
	ok(t, l.HoldPlan(t.Context(), run, a, t0))
	ok(t, l.HoldPlan(t.Context(), run, b, t0.Add(time.Minute)))
	a.Directory.People = 6 // the same changes, planned again
	again := begin(t, l, Apply)
	ok(t, l.HoldPlan(t.Context(), again, a, t0.Add(time.Hour)))

	for hash, want := range map[string]struct {
		plan *reconcile.Plan
		err  string
	}{
		a.Hash:               {plan: &a},
		"abcdef0123":         {plan: &a},
		" SHA256:ABCDEF0199": {plan: &b},
		"abcdef01":           {err: "several held plans begin with"},
		"abcdef0":            {err: "too short"},
		"sha256:abc":         {err: "too short"},
		"":                   {err: "too short"},
		"abcdefgh":           {err: "no plan hash"},
		"abcdef01%":          {err: "no plan hash"},
		"99999999":           {},
	} {
		got, found, err := l.HeldPlan(t.Context(), hash)
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: error %v", hash, err)
			}
		case err != nil || found != (want.plan != nil):
			t.Errorf("%q: found %v, error %v", hash, found, err)
		case found:
			if diff := cmp.Diff(*want.plan, got); diff != "" {
				t.Error(hash, diff)
			}
		}
	}
	want := []HeldPlan{{Run: again, At: t0.Add(time.Hour), Plan: a}, {Run: run, At: t0.Add(time.Minute), Plan: b}}
	if diff := cmp.Diff(want, must(l.HeldPlans(t.Context()))); diff != "" {
		t.Error(diff)
	}
}

func TestApprove(t *testing.T) {
	l := newLedger(t)
	before := reconcile.Baseline{At: t0.Add(-time.Hour), People: 50, Groups: 20, Scope: "s1"}
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Baseline: &before}, t0))
	p := plan("aa")
	until := t0.Add(72 * time.Hour)
	ok(t, l.Approve(t.Context(), p, someone, t0, until))
	ok(t, l.Approve(t.Context(), p, someone, t0, t0.Add(time.Hour))) // takes nothing back
	m := memory(t, l)
	want := map[string]time.Time{p.Changes[0].ID(): until, p.Changes[1].ID(): until}
	if diff := cmp.Diff(want, m.Approved); diff != "" {
		t.Error(diff)
	}
	if m.Baseline != before {
		t.Errorf("baseline %+v", m.Baseline)
	}
	if m := must(l.Memory(t.Context(), until)); len(m.Approved) != 0 {
		t.Errorf("not expired: %v", m.Approved)
	}

	for _, guard := range []reconcile.Guard{reconcile.Shrink, reconcile.MinPeople} {
		p.CreatedAt, p.Directory.People = p.CreatedAt.Add(time.Minute), p.Directory.People+1
		p.Guards = append(p.Guards, reconcile.GuardResult{Name: guard, Tripped: true})
		ok(t, l.Approve(t.Context(), p, someone, t0, until))
		accepted := reconcile.Baseline{At: p.CreatedAt, People: p.Directory.People, Groups: 2, Scope: "s1"}
		if b := memory(t, l).Baseline; b != accepted {
			t.Errorf("%s: baseline %+v, want %+v", guard, b, accepted)
		}
	}
	late := p.CreatedAt.Add(time.Hour)
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Baseline: &reconcile.Baseline{At: late, People: 9}}, t0))
	ok(t, l.Approve(t.Context(), p, someone, late, until))
	if b := memory(t, l).Baseline; b.People != 9 || !b.At.Equal(late) {
		t.Errorf("a later read was overruled: %+v", b)
	}
}

func TestAppliedRemovalUsesUpItsApproval(t *testing.T) {
	l := newLedger(t)
	active := func(from, to string) reconcile.Change {
		return reconcile.Change{Kind: reconcile.UpdateUser, Login: "ann", Fields: map[string]reconcile.Value{reconcile.ActiveField: {From: &from, To: to}}}
	}
	removal, other := active("true", "false"), active("false", "true")
	ok(t, l.Approve(t.Context(), reconcile.Plan{Changes: []reconcile.Change{removal, other}}, Actor{}, t0, t0.Add(time.Hour)))
	run := begin(t, l, Apply)
	for _, c := range []reconcile.Change{removal, other} {
		ok(t, l.Settle(t.Context(), must(l.Intend(t.Context(), run, c, t0)), reconcile.Applied, "", t0))
	}
	approved := memory(t, l).Approved
	if _, still := approved[removal.ID()]; still {
		t.Error("the removal is still approved")
	}
	if _, still := approved[other.ID()]; !still {
		t.Error("the other change is no longer approved")
	}
}

// TestHeldPlansMakeRoom: large plans, each held in the place of the one before, do not fill the disk; the newest is kept whatever its size.
func TestHeldPlansMakeRoom(t *testing.T) {
	l := newLedger(t)
	ok(t, l.HoldPlan(t.Context(), begin(t, l, Apply), plan("00000000"), t0)) // small, but old
	large := func(digits string, size int) {
		p := plan(digits)
		p.Issues[0].Detail = strings.Repeat("x", size)
		ok(t, l.HoldPlan(t.Context(), begin(t, l, Apply), p, t0)) // at a clock that stands still
	}
	for i := range 6 {
		large(fmt.Sprintf("%08d", i+1), room/4)
	}
	kept := func() (all []string) {
		for _, p := range must(l.HeldPlans(t.Context())) {
			all = append(all, p.Plan.Hash[len(hashPrefix):][:8])
		}
		return all
	}
	if diff := cmp.Diff([]string{"00000006", "00000005", "00000004", "00000003"}, kept()); diff != "" {
		t.Error(diff)
	}
	large("00000007", 2*room)
	large("00000003", 10) // held again
	if diff := cmp.Diff([]string{"00000003", "00000007"}, kept()); diff != "" {
		t.Error(diff)
	}
}
