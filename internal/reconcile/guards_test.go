package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLimitPeople(t *testing.T) {
	for _, test := range []struct {
		limit   Limit
		managed int
		want    int
	}{
		{Limit{50, 10, 5}, 0, 5},
		{Limit{50, 10, 5}, 49, 5},
		{Limit{50, 10, 5}, 200, 20},
		{Limit{50, 10, 5}, 5000, 50},
		{Limit{0, 0, 0}, 5000, 0},
	} {
		if got := test.limit.people(test.managed); got != test.want {
			t.Errorf("%+v of %d managed: %d, want %d", test.limit, test.managed, got, test.want)
		}
	}
}

// leaving is a world in which n of 20 linked people are due for deactivation and one field of another differs.
func leaving(n int) *world {
	w := newWorld()
	for i := range n {
		w.gone(fmt.Sprintf("old%d", i), 200*time.Hour, 9)
	}
	_, a := w.both("ann")
	a.Fields[Phone] = "old"
	w.Directory.People[0].Fields[Phone] = []string{"new"}
	return w
}

func judged(w *world) Plan {
	plan, _ := Compute(w.Input)
	Judge(&plan, w.Settings.Guards, w.Memory, w.Now)
	return plan
}

func held(p Plan) map[string]string {
	out := map[string]string{}
	for i := range p.Changes {
		out[p.Changes[i].Login] = p.Changes[i].Held
	}
	return out
}

func TestJudge(t *testing.T) {
	t.Run("within the limits nothing is held", func(t *testing.T) {
		if p := judged(leaving(5)); p.Holds() {
			t.Errorf("held: %v, guards %+v", held(p), p.Guards)
		}
	})
	t.Run("too many deactivations hold the removals only", func(t *testing.T) {
		got := held(judged(leaving(6)))
		if got["ann"] != "" || got["old0"] != "deactivations" {
			t.Errorf("held: %v", got)
		}
	})
	t.Run("those of the last 24 h count, and nobody twice", func(t *testing.T) {
		w := leaving(5)
		w.Memory.Spent = []Spent{{Deactivations, "old0"}, {Deactivations, "other"}}
		p := judged(w)
		if p.Guards[4].Value != 6 || !p.Guards[4].Tripped {
			t.Errorf("guard %+v", p.Guards[4])
		}
		w.Memory.Spent = w.Memory.Spent[:1]
		if p := judged(w); p.Holds() {
			t.Errorf("guard %+v", p.Guards[4])
		}
	})
	t.Run("a spent limit holds nothing that is not planned", func(t *testing.T) {
		w := leaving(0)
		for i := range 9 {
			w.Memory.Spent = append(w.Memory.Spent, Spent{Creations, Key(fmt.Sprint(i))})
		}
		if p := judged(w); p.Holds() {
			t.Errorf("guards %+v", p.Guards)
		}
	})
	t.Run("approved changes count against no guard, until the approval ends", func(t *testing.T) {
		w := leaving(9)
		w.Memory.Approved = map[string]time.Time{}
		plan := judged(w)
		for i := range plan.Changes {
			w.Memory.Approved[plan.Changes[i].ID()] = testNow.Add(time.Hour)
		}
		if p := judged(w); p.Holds() || p.Guards[4].Value != 0 {
			t.Errorf("held: %v, guards %+v", held(p), p.Guards)
		}
		w.Now = testNow.Add(2 * time.Hour)
		if p := judged(w); !p.Holds() {
			t.Error("an expired approval still counts")
		}
	})
	t.Run("too many creations hold everything", func(t *testing.T) {
		w := leaving(1)
		for i := range 6 {
			w.person(fmt.Sprintf("new%d", i))
		}
		for login, by := range held(judged(w)) {
			if by != "creations" {
				t.Errorf("%s held by %q", login, by)
			}
		}
	})
	t.Run("a read that shrank holds everything, approved or not", func(t *testing.T) {
		w := leaving(0)
		w.Memory.Baseline.People = 7
		plan := judged(w)
		w.Memory.Approved = map[string]time.Time{plan.Changes[0].ID(): testNow.Add(time.Hour)}
		if got := held(judged(w)); got["ann"] != "shrink" {
			t.Errorf("held: %v", got)
		}
	})
	t.Run("five people or groups fewer are no shrink", func(t *testing.T) {
		w := leaving(0)
		w.Memory.Baseline.People, w.Memory.Baseline.Groups = 6, 6
		if p := judged(w); p.Holds() {
			t.Errorf("guards %+v", p.Guards)
		}
	})
	t.Run("too few people", func(t *testing.T) {
		w := leaving(0)
		w.Settings.Guards.MinPeople = 2
		if got := held(judged(w)); got["ann"] != "min_people" {
			t.Errorf("held: %v", got)
		}
	})
	t.Run("an unproven removal waits, the rest goes on", func(t *testing.T) {
		w := leaving(1)
		w.leaver("old0", Cause{State: Missing, Since: testNow.Add(-200 * time.Hour), Reads: 9})
		p := judged(w)
		if diff := cmp.Diff(map[string]string{"ann": "", "old0": "scope"}, held(p)); diff != "" || !p.Holds() {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		if len(p.Issues) != 1 || p.Issues[0].Kind != NeedsApproval {
			t.Errorf("issues %+v", p.Issues)
		}
	})
}

// TestScope plays a configuration that changes and comes back: a cause that appeared meanwhile stays unproven.
func TestScope(t *testing.T) {
	w := newWorld()
	p, _ := w.both("ann")
	w.both("bob")
	w.rule(Autonomous, p)
	w.has("ann", Autonomous)
	w.gave("ann", Autonomous)
	run := func(scope string) Plan {
		w.Settings.Scope = scope
		plan, obs := Compute(w.Input)
		settle(w, Plan{}, obs)
		return plan
	}
	if plan := run(testScope); len(plan.Changes) != 0 {
		t.Fatalf("in step: %v", short(plan))
	}
	other := &w.Directory.People[1]
	p.Rules, other.Rules = nil, []Member{{Rule: 0, Path: []string{"confocal-users"}}}
	w.has("bob", Autonomous)
	for _, scope := range []string{"other", testScope} {
		if plan := run(scope); len(plan.Changes) != 1 || !plan.Changes[0].Unproven {
			t.Errorf("scope %s: %v", scope, short(plan))
		}
	}
}

// That PPMS does not have an account any more is remembered whatever the directory was like.
func TestGoneIsRememberedOfAReadThatShrank(t *testing.T) {
	w := newWorld()
	w.link("ann")
	w.person("ann")
	w.Memory.Baseline.People = 100
	_, seen := Compute(w.Input)
	if seen.Baseline != nil || len(seen.Linked) != 1 || !seen.Linked[0].Gone {
		t.Errorf("%+v", seen)
	}
}

func TestPlanHashCoversPolicyAndChangesOnly(t *testing.T) {
	w := leaving(2)
	a := judged(w)
	w.Now = w.Now.Add(time.Second)
	w.Directory.People[0].DN = "elsewhere"
	b := judged(w)
	if a.Hash != b.Hash {
		t.Error("time, reasons or DNs are part of the hash")
	}
	w.Directory.People[0].Fields[Phone] = []string{"newer"}
	if c := judged(w); c.Hash == a.Hash {
		t.Error("a value is not part of the hash")
	}
	if PlanHash(Sync, nil) == PlanHash(UpsertOnly, nil) {
		t.Error("the policy is not part of the hash")
	}
}

func TestApprovedRemovalPassesBehindOthers(t *testing.T) {
	w := leaving(7)
	plan := judged(w)
	w.Memory.Approved = map[string]time.Time{plan.Changes[1].ID(): testNow.Add(time.Hour)}
	for i := 7; i < 14; i++ {
		w.gone(fmt.Sprintf("old%d", i), 200*time.Hour, 9)
	}
	got := held(judged(w))
	if got[plan.Changes[1].Login] != "" || got["old13"] != "deactivations" {
		t.Errorf("held: %v", got)
	}
}
