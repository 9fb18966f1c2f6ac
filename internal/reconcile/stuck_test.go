package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStuck(t *testing.T) {
	long := func(w *world) *Person { // PPMS has a shorter name than is wanted
		p, a := w.both("ann")
		p.Fields[Lname], a.Fields[Lname] = []string{"Lannister-Tyrell"}, "Lannister-"
		return p
	}
	name := func(tries int) Stuck {
		return Stuck{Login: "ann", Field: "lname", Wanted: "Lannister-Tyrell", Have: "Lannister-", Tries: tries}
	}
	right := Stuck{Login: "ann", Field: "system:12", Wanted: "A", Tries: 3}
	for _, test := range []struct {
		name string
		make func(w *world)
		want []string
		left int // how much of it is remembered
	}{
		{"tried twice", func(w *world) { long(w); w.Memory.Stuck = []Stuck{name(2)} }, []string{"updateuser ann lname=Lannister-Tyrell"}, 1},
		{"tried three times", func(w *world) { long(w); w.Memory.Stuck = []Stuck{name(3)} }, []string{"issue does-not-stick ann"}, 1},
		{"that field only", func(w *world) {
			long(w).Fields[Phone] = []string{"1"}
			w.Memory.Stuck = []Stuck{name(3)}
		}, []string{"updateuser ann phone=1", "issue does-not-stick ann"}, 1},
		{"the directory has another value", func(w *world) {
			long(w).Fields[Lname] = []string{"Lannister-Stark"}
			w.Memory.Stuck = []Stuck{name(3)}
		}, []string{"updateuser ann lname=Lannister-Stark"}, 0},
		{"PPMS has another value", func(w *world) {
			long(w)
			w.PPMS.Accounts[0].Fields[Lname] = "Lann"
			w.Memory.Stuck = []Stuck{name(3)}
		}, []string{"updateuser ann lname=Lannister-Tyrell"}, 0},
		{"both sides agree", func(w *world) {
			long(w).Fields[Lname] = []string{"Lannister-"}
			w.Memory.Stuck = []Stuck{name(3)}
		}, nil, 0},
		{"of somebody disabled nothing is known", func(w *world) {
			long(w).State = Disabled
			w.Memory.Stuck = []Stuck{name(3)}
		}, nil, 1},
		{"of an account that is gone", func(w *world) { w.person("bob"); w.Memory.Stuck = []Stuck{name(3)} }, []string{"newuser bob"}, 0},
		{"of an account that PPMS renamed", func(w *world) {
			long(w).Login = "anna"
			w.PPMS.Accounts[0].Login = "anna"
			w.Memory.Stuck = []Stuck{name(3)}
		}, []string{"issue does-not-stick anna"}, 1},
		{"a read that shrank", func(w *world) {
			long(w)
			w.Memory.Baseline.People = 100
			w.Memory.Stuck = []Stuck{name(3)}
		}, []string{"issue does-not-stick ann"}, 1},
		{"held as well", func(w *world) {
			long(w)
			w.Memory.Stuck, w.Memory.Holds = []Stuck{name(3)}, []Hold{{Key: "ann"}}
		}, []string{"issue does-not-stick ann"}, 1},
		{"a right", func(w *world) { p, _ := w.both("ann"); w.rule(Autonomous, p); w.Memory.Stuck = []Stuck{right} }, []string{"issue does-not-stick ann"}, 1},
		{"a right that staff have set since", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.has("ann", Novice)
			w.Memory.Stuck = []Stuck{right}
		}, []string{"setright ann 12 N->A"}, 0},
		{"a right of a rule that is suspended", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.Directory.Rules[0].Suspect = "no group"
			w.Memory.Rules = map[string]RuleMemory{"confocal": {Members: 1, Systems: []int{12}}}
			w.Memory.Stuck = []Stuck{right}
		}, []string{"issue rule-suspended"}, 1},
		{"a D that PPMS does not list", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.gave("ann", Deactivated)
			w.Memory.Stuck = []Stuck{right}
		}, []string{"issue does-not-stick ann"}, 1},
		{"a deactivation", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("x")
			w.Memory.Stuck = []Stuck{{Login: "ann", Field: ActiveField, Wanted: "false", Have: "true", Tries: 3}}
		}, []string{"newuser x", "issue does-not-stick ann"}, 1},
		{"a new account, and its rights with it", func(w *world) {
			p := w.person("ann")
			w.rule(Novice, p)
			plan, _ := Compute(w.Input)
			w.Memory.Stuck = []Stuck{{Login: "ann", Wanted: plan.Changes[0].ID(), Tries: 3}}
		}, []string{"issue does-not-stick ann"}, 1},
		{"a new account with another name by now", func(w *world) {
			w.person("ann")
			w.Memory.Stuck = []Stuck{{Login: "ann", Wanted: "sha256:other", Tries: 3}}
		}, []string{"newuser ann"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.make(w)
			plan, obs := Compute(w.Input)
			if diff := cmp.Diff(test.want, short(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if len(obs.Stuck) != test.left {
				t.Errorf("remembered: %+v", obs.Stuck)
			}
		})
	}
}

func TestMissed(t *testing.T) {
	c := Change{Kind: UpdateUser, Login: "Ann", Fields: map[string]Value{"lname": {From: new("La"), To: "Lann"}, "fname": {From: new("Fa"), To: "Fann"}}}
	var known []Stuck
	for try := 1; try <= MaxTries; try++ {
		stuck, last := Missed(&c, map[string]string{"lname": "La"}, known, int64(try), testNow)
		want := []Stuck{{Login: "Ann", Field: "lname", Wanted: "Lann", Have: "La", Tries: try, Run: int64(try), At: testNow}}
		if diff := cmp.Diff(want, stuck); diff != "" || last != (try == MaxTries) {
			t.Errorf("try %d: last %v %s", try, last, diff)
		}
		known = stuck
	}
	stuck, last := Missed(&c, map[string]string{"lname": "La", "fname": "Fa"}, known, 4, testNow) // fname is new to it
	if last || stuck[0].Tries != 1 || stuck[1].Tries != MaxTries+1 {
		t.Errorf("last %v %+v", last, stuck)
	}
	c.Fields["lname"] = Value{From: new("L"), To: "Lann"} // somebody changed it in between
	if stuck, _ := Missed(&c, map[string]string{"lname": "La"}, known, 4, testNow); stuck[0].Tries != 1 {
		t.Errorf("%+v", stuck)
	}
}
