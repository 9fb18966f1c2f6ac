package ldapsrc

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ppms-syncd/internal/reconcile"
)

// listing is a group of a test: name → members, which are people p0…, groups or other things.
type listing map[string][]string

func nameDN(name string) string {
	if strings.HasPrefix(name, "p") {
		return "uid=" + name + ",ou=people,dc=org"
	}
	return "cn=" + name + ",ou=groups,dc=org"
}

func build(tb rapid.TB, l listing, nested bool, order func([]string)) *groupGraph {
	var names []string
	for n := range l {
		names = append(names, n)
	}
	slices.Sort(names)
	order(names)
	g := &groupGraph{}
	for _, n := range names {
		members := slices.Clone(l[n])
		order(members)
		for i, m := range members {
			if !strings.Contains(m, "?") && m != "" {
				members[i] = nameDN(m)
			}
		}
		if err := g.add(anEntry(nameDN(n), map[string][]string{"cn": {n}, "member": members}), GroupSearch{Name: "CN", Member: "member"}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := g.build(GroupSearch{Member: "member", Nested: nested}); err != nil {
		tb.Fatal(err)
	}
	return g
}

func asIs([]string) {}

// membersOf maps people with a rule for each group named, and shows who gets what by which path.
func membersOf(tb rapid.TB, g *groupGraph, people int, groups ...string) (out []string, suspects []string) {
	m := Mapping{Login: Attribute("uid")}
	for _, n := range groups {
		m.Rules = append(m.Rules, RuleSource{Name: n, Group: n})
	}
	mapper := newMapper(&Config{Users: UserSearch{ID: "entryUUID"}}, &m, g)
	for i := range people {
		name := fmt.Sprintf("p%d", i)
		e := anEntry(nameDN(name), map[string][]string{"uid": {name}, "entryUUID": {"id-" + name}})
		p, err := mapper.person(e)
		if err != nil {
			tb.Fatal(err)
		}
		for _, r := range p.Rules {
			out = append(out, name+": "+strings.Join(r.Path, " > "))
		}
	}
	for _, r := range mapper.rules.result(g, nil) {
		suspects = append(suspects, r.Suspect)
	}
	return out, suspects
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		groups listing
		flat   bool
		rules  []string
		want   []string
		bad    []string
	}{
		{name: "direct", groups: listing{"a": {"p0", "p2"}}, rules: []string{"a"}, want: []string{"p0: a", "p2: a"}},
		{name: "case of the name", groups: listing{"a": {"p0"}}, rules: []string{"A"}, want: []string{"p0: a"}},
		{name: "by DN", groups: listing{"a": {"p0"}}, rules: []string{"CN=A, ou=groups,dc=ORG"}, want: []string{"p0: a"}},
		{name: "nested", groups: listing{"a": {"b"}, "b": {"c"}, "c": {"p1"}}, rules: []string{"a"}, want: []string{"p1: a > b > c"}},
		{name: "nested, not wanted", groups: listing{"a": {"b", "p0"}, "b": {"p1"}}, flat: true, rules: []string{"a"}, want: []string{"p0: a"}},
		{name: "cycle", groups: listing{"a": {"b"}, "b": {"c", "p0"}, "c": {"a", "p1"}}, rules: []string{"c"}, want: []string{"p0: c > a > b", "p1: c"}},
		{name: "in itself", groups: listing{"a": {"a", "p0"}}, rules: []string{"a"}, want: []string{"p0: a"}},
		{name: "shortest path", groups: listing{"a": {"b", "p0", "c"}, "b": {"p0", "p1"}, "c": {"d"}, "d": {"p1"}}, rules: []string{"a"}, want: []string{"p0: a", "p1: a > b"}},
		{name: "first path of equal length", groups: listing{"a": {"z", "m"}, "z": {"b"}, "m": {"y"}, "y": {"p0"}, "b": {"p0"}}, rules: []string{"a"}, want: []string{"p0: a > m > y"}},
		{name: "two rules", groups: listing{"a": {"b"}, "b": {"p0"}}, rules: []string{"b", "a"}, want: []string{"p0: b", "p0: a > b"}},
		{name: "dummies", groups: listing{"a": {"", "p0", "nobody"}}, rules: []string{"a"}, want: []string{"p0: a"}},
		{name: "not found", groups: listing{"a": {"p0"}}, rules: []string{"b"}, bad: []string{"the group b was not found"}},
		{name: "DN not found", groups: listing{"a": {"p0"}}, rules: []string{"cn=b,dc=org"}, bad: []string{"the group cn=b,dc=org was not found"}},
		{
			name: "member that is no DN", groups: listing{"a": {"b"}, "b": {"c"}, "c": {"?", "p0"}, "d": {"p0"}}, rules: []string{"a", "d"},
			want: []string{"p0: a > b > c", "p0: d"}, bad: []string{`a member of the group cn=c,ou=groups,dc=org cannot be understood: "?" is no DN`, ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, suspects := membersOf(t, build(t, c.groups, !c.flat, asIs), 3, c.rules...)
			if d := gocmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if c.bad == nil {
				c.bad = make([]string, len(c.rules))
			}
			if d := gocmp.Diff(c.bad, suspects); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNameThatFitsSeveral(t *testing.T) {
	t.Parallel()
	g := &groupGraph{}
	for _, ou := range []string{"b", "a"} {
		if err := g.add(anEntry("cn=lab,ou="+ou, map[string][]string{"cn": {"Lab"}}), GroupSearch{Name: "cn", Member: "member"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.build(GroupSearch{Member: "member", Nested: true}); err != nil {
		t.Fatal(err)
	}
	if _, why := g.find("LAB"); why != "the name LAB fits 2 groups: cn=lab,ou=a; cn=lab,ou=b; use its DN" {
		t.Error(why)
	}
	if i, why := g.find("cn=lab,ou=b"); why != "" || g.groups[i].dn != "cn=lab,ou=b" {
		t.Error(why)
	}
}

func TestDoubt(t *testing.T) {
	t.Parallel()
	g := build(t, listing{"a": {"b"}, "b": {"?"}, "c": {"p0"}, "Dee": {"p0"}}, true, asIs)
	for expr, want := range map[string]string{
		"'c' in groups":                         "",
		"'cn=c,ou=groups,dc=org' in group_dns":  "",
		"attr('uid') == 'x'":                    "",
		"'a' in groups":                         `a member of the group cn=b,ou=groups,dc=org cannot be understood: "?" is no DN`,
		"'c' in groups && 'x' in groups":        "the group x was not found",
		"'dee' in groups":                       "the group dee was not found; expressions distinguish case, and Dee exists",
		"!('c' in group_dns)":                   "the group c was not found; group_dns has DNs, and this is a name: use groups",
		"!('cn=c,ou=groups,dc=org' in groups)":  "the group cn=c,ou=groups,dc=org was not found; groups has names, and this is a DN: use group_dns",
		"'cn=c, ou=groups,dc=org' in group_dns": "the group cn=c, ou=groups,dc=org was not found; expressions distinguish case and blanks, and cn=c,ou=groups,dc=org exists",
		"groups.exists(g, g == 'c')":            `a member of the group cn=b,ou=groups,dc=org cannot be understood: "?" is no DN`,
	} {
		c, err := CompileCondition(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.doubt(c.expr.groups); got != want {
			t.Errorf("%s: %q", expr, got)
		}
	}
}

// Whatever the order of groups and members, and however they hang together, everybody gets what the plain definition of
// membership says, by its shortest path.
func TestMembersByDefinition(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e", "f"}
	all := append([]string{"p0", "p1", "p2", "nobody"}, names...)
	rapid.Check(t, func(t *rapid.T) {
		l := listing{}
		for _, n := range names {
			l[n] = rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 4, rapid.ID[string]).Draw(t, n)
		}
		seed := rapid.Uint64().Draw(t, "order")
		r := rand.New(rand.NewPCG(seed, 1))
		shuffle := func(s []string) { r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) }
		want := byDefinition(l, names, 3)
		got, _ := membersOf(t, build(t, l, true, shuffle), 3, names...)
		if d := gocmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		// the way up finds the same as the way down
		g := build(t, l, true, shuffle)
		x := &explainer{graph: g}
		var up []string
		for i := range 3 {
			key, _ := dnKey(nameDN(fmt.Sprintf("p%d", i)))
			groups := x.groups(g.direct[key])
			slices.SortFunc(groups, func(a, b InGroup) int { return cmp.Compare(a.Name, b.Name) })
			var containing []string
			for _, c := range g.containing(g.direct[key]) {
				containing = append(containing, g.groups[c].name)
			}
			var above []string
			for _, in := range groups {
				up = append(up, fmt.Sprintf("p%d: %s", i, strings.Join(in.Path, " > ")))
				above = append(above, in.Name)
			}
			if d := gocmp.Diff(above, containing); d != "" {
				t.Fatal(d)
			}
		}
		if d := gocmp.Diff(want, up); d != "" {
			t.Fatal(d)
		}
	})
}

// byDefinition tries all paths without repetition.
func byDefinition(l listing, roots []string, people int) []string {
	var out []string
	for i := range people {
		person := fmt.Sprintf("p%d", i)
		for _, root := range roots {
			var best []string
			var try func(path []string)
			try = func(path []string) {
				last := path[len(path)-1]
				if slices.Contains(l[last], person) {
					if best == nil || len(path) < len(best) || len(path) == len(best) && slices.Compare(path, best) < 0 {
						best = slices.Clone(path)
					}
				}
				for _, m := range l[last] {
					if _, ok := l[m]; ok && !slices.Contains(path, m) {
						try(append(slices.Clip(path), m))
					}
				}
			}
			try([]string{root})
			if best != nil {
				out = append(out, person+": "+strings.Join(best, " > "))
			}
		}
	}
	return out
}

// A chain of groups takes memory by its length, not by its square: 20,000 groups took 12 GB when every path was spelled out.
// It is not parallel, since it measures the process.
func TestLongChainOfGroups(t *testing.T) {
	const length = 20_000
	l := listing{}
	for i := range length {
		l[fmt.Sprintf("g%05d", i)] = []string{fmt.Sprintf("g%05d", i+1)}
	}
	l[fmt.Sprintf("g%05d", length)] = []string{"p0"}
	g := build(t, l, true, asIs)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := newRuleBook([]RuleSource{{Name: "r", Group: "g00000"}}, g)
	got := b.members(g, &subject{}, g.direct[nameDN("p0")])
	runtime.ReadMemStats(&after)
	if len(got) != 1 || len(got[0].Path) != length+1 || got[0].Path[0] != "g00000" {
		t.Errorf("%d rules", len(got))
	}
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 100 {
		t.Errorf("%d MB", mb)
	}
}

// TestHiddenNestedGroup: a group that gave people to a rule is still listed as a member, but was not read any more.
func TestHiddenNestedGroup(t *testing.T) {
	t.Parallel()
	search := GroupSearch{Name: "cn", Member: "member"}
	outer := anEntry("cn=outer,ou=groups", map[string][]string{"cn": {"outer"}, "member": {"cn=Inner,ou=groups", "cn=other,ou=groups"}})
	inner := anEntry("cn=inner,ou=groups", map[string][]string{"cn": {"inner"}, "member": {nameDN("p0")}})
	read := func(nested bool, known []string, entries ...*entry) reconcile.RuleRead {
		g := &groupGraph{}
		for _, e := range entries {
			if err := g.add(e, search); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.build(GroupSearch{Member: "member", Nested: nested}); err != nil {
			t.Fatal(err)
		}
		return newRuleBook([]RuleSource{{Name: "r", Group: "outer"}}, g).result(g, known)[0]
	}
	known := read(true, nil, outer, inner).Groups
	if len(known) != 2 {
		t.Fatalf("groups %q", known)
	}
	if got := read(true, known, outer); len(got.Unread) != 1 || !slices.Contains(known, got.Unread[0]) {
		t.Errorf("hidden: %+v", got)
	}
	if got := read(true, known, outer, inner); got.Unread != nil {
		t.Errorf("there: %+v", got)
	}
	if got := read(false, known, outer); got.Unread != nil {
		t.Errorf("nested groups do not count: %+v", got)
	}
}
