package reconcile

import (
	"fmt"
	"testing"
)

// BenchmarkCompute compares N people with N accounts that have rights on 50 systems each, one right in a hundred differing.
func BenchmarkCompute(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("people=%d", n), func(b *testing.B) {
			in := largeInput(n, 50)
			b.ReportAllocs()
			for b.Loop() {
				plan, _ := Compute(in)
				if len(plan.Changes) != n*50/100 {
					b.Fatalf("%d changes", len(plan.Changes))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/person")
		})
	}
}

func largeInput(people, systems int) Input {
	w := newWorld()
	w.Directory.People, w.PPMS.Accounts = make([]Person, 0, people), make([]Account, 0, people)
	for s := range systems {
		id := s + 1
		w.Settings.Rules = append(w.Settings.Rules, Rule{Name: fmt.Sprintf("rule%d", s), Level: Autonomous, Systems: []Selector{{ID: id}}})
		w.Directory.Rules = append(w.Directory.Rules, RuleRead{})
		w.PPMS.Systems = append(w.PPMS.Systems, System{ID: id, Name: fmt.Sprintf("System %d", id), Active: true})
		w.PPMS.Rights[id] = make([]Right, 0, people)
	}
	members := make([]Member, systems)
	for s := range members {
		members[s] = Member{Rule: s, Path: []string{"users", "lab"}}
	}
	for i := range people {
		login := fmt.Sprintf("u%06d", i)
		p, _ := w.both(login)
		p.Rules = members
		for s := range systems {
			level := Autonomous
			if (i*systems+s)%100 == 0 {
				level = Novice
			}
			w.PPMS.Rights[s+1] = append(w.PPMS.Rights[s+1], Right{login, level})
		}
	}
	return w.Input
}
