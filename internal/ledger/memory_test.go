package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ppms-syncd/internal/reconcile"
)

func sameMemory(want, got reconcile.Memory) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b reconcile.Link) bool { return a.ID < b.ID }),
		cmpopts.SortSlices(func(a, b reconcile.Grant) bool {
			return a.Login < b.Login || a.Login == b.Login && a.System < b.System
		}))
}

// fill sets every field of a value to something that is not zero, so that a field that nobody stores is found.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(t0))
		return
	case reconcile.Level:
		v.Set(reflect.ValueOf(reconcile.Autonomous))
		return
	case reconcile.State:
		v.Set(reflect.ValueOf(reconcile.Expired))
		return
	case reconcile.Origin:
		v.Set(reflect.ValueOf(reconcile.ByHand))
		return
	}
	switch v.Kind() { //nolint:exhaustive // the rest panics
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("word")
	case reflect.Int, reflect.Int64:
		v.SetInt(42)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("fill cannot make a " + v.Type().String())
	}
}

func TestEveryFieldIsStored(t *testing.T) {
	l := newLedger(t)
	var obs reconcile.Observations
	fill(reflect.ValueOf(&obs).Elem())
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), obs, t0))
	want := reconcile.Memory{
		Links: obs.Linked, Leavers: obs.Leavers, Grants: obs.Grants, Deactivated: obs.Deactivated, Admins: obs.Admins,
		Rules: obs.Rules, Seen: obs.Seen, Baseline: *obs.Baseline, Stuck: obs.Stuck,
	}
	if diff := sameMemory(want, memory(t, l)); diff != "" {
		t.Error(diff)
	}
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(-1e14, 1e14).Draw(t, "ms")).UTC()
	})
}

func causes() *rapid.Generator[reconcile.Cause] {
	return rapid.Custom(func(t *rapid.T) reconcile.Cause {
		return reconcile.Cause{
			State: reconcile.State(rapid.IntRange(0, 3).Draw(t, "state")), Since: times().Draw(t, "since"),
			Reads: rapid.IntRange(0, 99).Draw(t, "reads"), Scope: rapid.String().Draw(t, "scope"),
		}
	})
}

func observed() *rapid.Generator[reconcile.Observations] {
	logins := rapid.StringMatching(`[A-Za-z0-9éßİ._-]{1,3}`)
	keys := rapid.Map(logins, reconcile.KeyOf)
	return rapid.Custom(func(t *rapid.T) reconcile.Observations {
		obs := reconcile.Observations{
			Leavers: rapid.MapOf(rapid.StringN(1, 3, -1), causes()).Draw(t, "leavers"),
			Deactivated: rapid.MapOf(keys, rapid.Custom(func(t *rapid.T) reconcile.Deactivation {
				return reconcile.Deactivation{Login: logins.Draw(t, "login"), At: times().Draw(t, "at"), Overruled: rapid.Bool().Draw(t, "overruled")}
			})).Draw(t, "deactivated"),
			Admins: rapid.MapOf(keys, times()).Draw(t, "admins"),
			Rules: rapid.MapOf(rapid.StringN(1, 3, -1), rapid.Custom(func(t *rapid.T) reconcile.RuleMemory {
				return reconcile.RuleMemory{
					Members: rapid.Int().Draw(t, "members"), Selectors: rapid.String().Draw(t, "selectors"),
					Systems: rapid.SliceOf(rapid.Int()).Draw(t, "systems"), Groups: rapid.SliceOf(rapid.String()).Draw(t, "groups"),
				}
			})).Draw(t, "rules"),
			Baseline: rapid.Ptr(rapid.Custom(func(t *rapid.T) reconcile.Baseline {
				return reconcile.Baseline{
					At: times().Draw(t, "at"), People: rapid.Int().Draw(t, "people"), Groups: rapid.Int().Draw(t, "groups"), Scope: rapid.String().Draw(t, "scope"),
				}
			}), true).Draw(t, "baseline"),
		}
		obs.Grants = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) reconcile.Grant {
			return reconcile.Grant{
				Login: logins.Draw(t, "login"), System: rapid.IntRange(0, 4).Draw(t, "system"),
				Level:  rapid.SampledFrom([]reconcile.Level{reconcile.Deactivated, reconcile.Novice, reconcile.Autonomous}).Draw(t, "level"),
				Before: reconcile.Level(rapid.IntRange(0, 4).Draw(t, "before")), Rule: rapid.String().Draw(t, "rule"),
				At: times().Draw(t, "at"), WantedScope: rapid.String().Draw(t, "wanted"), Overruled: rapid.Bool().Draw(t, "overruled"),
				Unwanted: rapid.Ptr(causes(), true).Draw(t, "unwanted"),
			}
		}), 0, 6, func(g reconcile.Grant) string { return fmt.Sprint(reconcile.KeyOf(g.Login), g.System) }).Draw(t, "grants")
		for _, login := range rapid.SliceOfNDistinct(logins, 0, 3, reconcile.KeyOf).Draw(t, "linked") {
			obs.Linked = append(obs.Linked, reconcile.Link{
				ID: fmt.Sprint(len(obs.Linked) + 1), Login: login, Key: keys.Draw(t, "entry"), DN: rapid.String().Draw(t, "dn"),
				Origin: rapid.SampledFrom([]reconcile.Origin{reconcile.Created, reconcile.Matched, reconcile.ByHand}).Draw(t, "origin"),
				Since:  times().Draw(t, "since"), EnabledScope: rapid.String().Draw(t, "enabled"),
			})
		}
		return obs
	})
}

// TestMemoryIsWhatWasObserved: after each of several reads, the memory is the last lists, the links of all reads and the last
// baseline that was accepted.
func TestMemoryIsWhatWasObserved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := must(Open(t.Context(), t.TempDir()+"/ledger.db"))
		defer l.Close()
		var want reconcile.Memory
		for range rapid.IntRange(1, 4).Draw(rt, "reads") {
			obs := observed().Draw(rt, "observations")
			links := slices.DeleteFunc(slices.Clone(want.Links), func(link reconcile.Link) bool {
				return slices.ContainsFunc(obs.Linked, func(next reconcile.Link) bool { return next.ID == link.ID })
			})
			links = append(links, obs.Linked...)
			taken := map[reconcile.Key]bool{}
			conflict := false
			for _, link := range links {
				conflict = conflict || taken[reconcile.KeyOf(link.Login)]
				taken[reconcile.KeyOf(link.Login)] = true
			}
			err := l.Observe(t.Context(), begin(t, l, Apply), obs, t0)
			if conflict != (err != nil) {
				rt.Fatalf("two links to one account: %v, error %v", conflict, err)
			}
			if err == nil {
				baseline := want.Baseline
				want = reconcile.Memory{
					Links: links, Leavers: obs.Leavers, Grants: obs.Grants, Deactivated: obs.Deactivated, Admins: obs.Admins,
					Rules: obs.Rules, Baseline: baseline,
				}
				if obs.Baseline != nil {
					want.Baseline = *obs.Baseline
				}
			}
			if diff := sameMemory(want, memory(t, l)); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}

func TestLinksMaySwap(t *testing.T) {
	l := newLedger(t)
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Linked: []reconcile.Link{linkTo("1", "a"), linkTo("2", "b")}}, t0))
	swapped := []reconcile.Link{linkTo("1", "b"), linkTo("2", "a")}
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), reconcile.Observations{Linked: swapped}, t0))
	if diff := cmp.Diff(swapped, memory(t, l).Links); diff != "" {
		t.Error(diff)
	}
}

func TestObserveOutOfOrder(t *testing.T) {
	l := newLedger(t)
	if err := l.Observe(t.Context(), 7, reconcile.Observations{}, t0); err == nil {
		t.Error("a run that there is not")
	}
	run := begin(t, l, Apply)
	entry := must(l.Intend(t.Context(), run, grantChange("a", 1, "", "N"), t0))
	ok(t, l.Settle(t.Context(), entry, reconcile.Applied, "", t0))
	if err := l.Observe(t.Context(), run, reconcile.Observations{}, t0); err == nil {
		t.Error("it would have taken back the grant")
	}
}

// TestOnlyWhatDiffersIsWritten looks at the number of changed rows.
func TestOnlyWhatDiffersIsWritten(t *testing.T) {
	l := newLedger(t)
	obs := big(300, 500)
	changed := func() (n int) {
		ok(t, l.writer.QueryRowContext(t.Context(), "SELECT total_changes()").Scan(&n))
		return n
	}
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), obs, t0))
	run := begin(t, l, Apply)
	before := changed()
	ok(t, l.Observe(t.Context(), run, obs, t0))
	if n := changed() - before; n != 1 { // the baseline
		t.Errorf("%d rows written though nothing changed", n)
	}
	obs.Grants[7].Rule, obs.Linked[3].DN = "other", "moved"
	run = begin(t, l, Apply)
	before = changed()
	ok(t, l.Observe(t.Context(), run, obs, t0))
	if n := changed() - before; n != 5 { // one deleted and one inserted in both, and the baseline
		t.Errorf("%d rows written for two changes", n)
	}
}

func big(links, grants int) reconcile.Observations {
	obs := reconcile.Observations{Baseline: &reconcile.Baseline{At: t0, People: links}}
	for i := range links {
		login := fmt.Sprintf("user%05d", i)
		obs.Linked = append(obs.Linked, linkTo(fmt.Sprintf("8f14e45f-ceea-467f-9575-%012d", i), login))
	}
	for i := range grants {
		obs.Grants = append(obs.Grants, reconcile.Grant{
			Login: obs.Linked[i%links].Login, System: i / links, Level: reconcile.Novice, Rule: "confocal", At: t0, WantedScope: "sha256:cafe",
		})
	}
	return obs
}

func BenchmarkObserve(b *testing.B) {
	for _, c := range []struct {
		name  string
		dirty int
	}{{"first", -1}, {"unchanged", 0}, {"100 changed", 100}} {
		b.Run(c.name, func(b *testing.B) {
			obs := big(20000, 50000)
			l := newLedger(b)
			if c.dirty >= 0 {
				ok(b, l.Observe(b.Context(), begin(b, l, Apply), obs, t0))
			}
			for round := 0; b.Loop(); round++ {
				if c.dirty < 0 {
					b.StopTimer()
					ok(b, l.Close())
					l = newLedger(b)
					b.StartTimer()
				}
				for i := range c.dirty {
					obs.Grants[i].Rule = fmt.Sprint(round)
				}
				ok(b, l.Observe(b.Context(), begin(b, l, Apply), obs, t0))
			}
		})
	}
}

func BenchmarkMemory(b *testing.B) {
	l := newLedger(b)
	ok(b, l.Observe(b.Context(), begin(b, l, Apply), big(20000, 50000), t0))
	for b.Loop() {
		memory(b, l)
	}
}

func BenchmarkOpen(b *testing.B) {
	l := newLedger(b)
	ok(b, l.Observe(b.Context(), begin(b, l, Apply), big(20000, 50000), t0))
	ok(b, l.Close())
	for b.Loop() {
		l, err := Open(b.Context(), l.path)
		ok(b, err)
		ok(b, l.Close())
	}
}
