package ldapsrc

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ppms-syncd/internal/reconcile"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// mapOne maps one entry of a directory with the groups a, b in a, and c.
func mapOne(tb rapid.TB, users UserSearch, m Mapping, attributes map[string][]string) (reconcile.Person, *mapper, error) {
	g := build(tb, listing{"a": {"b"}, "b": {"p0"}, "c": {"p1"}}, true, asIs)
	users.ID = "entryUUID"
	if m.Login.IsZero() {
		m.Login = Attribute("uid")
	}
	mapper := newMapper(&Config{Users: users}, &m, g)
	p, err := mapper.person(anEntry(nameDN("p0"), attributes))
	return p, mapper, err
}

func TestMapping(t *testing.T) {
	t.Parallel()
	fields := func(f func(*[reconcile.NumFields]Value)) Mapping {
		var m Mapping
		f(&m.Fields)
		return m
	}
	type person = reconcile.Person
	plainPerson := func(f func(*person)) person {
		p := person{ID: "id-0", DN: nameDN("p0"), Login: "p0", Create: true}
		if f != nil {
			f(&p)
		}
		return p
	}
	for _, c := range []struct {
		name    string
		users   UserSearch
		mapping Mapping
		entry   map[string][]string // beside uid and entryUUID
		want    person
	}{
		{name: "login alone", want: plainPerson(nil)},
		{
			name:    "trimmed, without empty ones, in the server's order",
			mapping: fields(func(f *[reconcile.NumFields]Value) { f[reconcile.Email] = Attribute("MAIL") }),
			entry:   map[string][]string{"mail": {" b@x ", "", "  ", "a@x"}},
			want:    plainPerson(func(p *person) { p.Fields[reconcile.Email] = []string{"b@x", "a@x"} }),
		},
		{
			name: "absent is nil",
			mapping: fields(func(f *[reconcile.NumFields]Value) {
				f[reconcile.Phone] = Attribute("tel")
				f[reconcile.Unit] = must(CompileValue("attr('ou')"))
			}),
			entry: map[string][]string{"tel": {" "}},
			want:  plainPerson(nil),
		},
		{
			name: "not UTF-8",
			mapping: fields(func(f *[reconcile.NumFields]Value) {
				f[reconcile.Lname] = Attribute("sn")
				f[reconcile.Fname] = must(CompileValue("attr('sn') + '!'"))
				f[reconcile.Email] = Attribute("mail")
			}),
			entry: map[string][]string{"sn": {"M\xfcller"}, "mail": {"m@x"}},
			want: plainPerson(func(p *person) {
				p.Fields[reconcile.Email] = []string{"m@x"}
				p.Problems = []string{"lname: a value of sn is not valid UTF-8", "fname: a value of sn is not valid UTF-8"}
			}),
		},
		{
			name:    "expression that fails",
			mapping: fields(func(f *[reconcile.NumFields]Value) { f[reconcile.Unit] = must(CompileValue("attrs('ou')[1]")) }),
			entry:   map[string][]string{"ou": {"x"}},
			want:    plainPerson(func(p *person) { p.Problems = []string{"unitlogin: index out of bounds: 1"} }),
		},
		{
			name:    "login that fails",
			mapping: Mapping{Login: must(CompileValue("attr('uid').split('@')[1]"))},
			want:    plainPerson(func(p *person) { p.Login, p.Problems = "", []string{"login: index out of bounds: 1"} }),
		},
		{
			name:  "several logins: that of the name",
			entry: map[string][]string{"uid": {"alias", "P0"}},
			want:  plainPerson(func(p *person) { p.Login = "P0" }),
		},
		{name: "several logins, none in the name", entry: map[string][]string{"uid": {"alias", "other"}}, want: plainPerson(func(p *person) { p.Login = "alias" })},
		{name: "no login", entry: map[string][]string{"uid": {}}, want: plainPerson(func(p *person) { p.Login = "" })},
		{name: "disabled", users: UserSearch{Disabled: must(CompileCondition("flag(attr('uac'), 2)"))}, entry: map[string][]string{"uac": {"66050"}}, want: plainPerson(func(p *person) { p.State = reconcile.Disabled })},
		{name: "not disabled", users: UserSearch{Disabled: must(CompileCondition("flag(attr('uac'), 2)"))}, entry: map[string][]string{"uac": {"66048"}}, want: plainPerson(nil)},
		{
			name: "disabled that fails", users: UserSearch{Disabled: must(CompileCondition("flag(attr('uac'), 2)"))}, entry: map[string][]string{"uac": {"x"}},
			want: plainPerson(func(p *person) { p.Problems = []string{`disabled: flag: "x" is no decimal number`} }),
		},
		{
			name: "disabled by a group that does not exist", users: UserSearch{Disabled: must(CompileCondition("!('staff' in groups)"))},
			want: plainPerson(func(p *person) { p.State = reconcile.Doubtful }),
		},
		{
			name: "not disabled by a group that does not exist", users: UserSearch{Disabled: must(CompileCondition("'left' in groups"))},
			want: plainPerson(func(p *person) { p.State = reconcile.Doubtful }),
		},
		{name: "create", mapping: Mapping{Create: must(CompileCondition("'a' in groups"))}, want: plainPerson(nil)},
		{name: "create not", mapping: Mapping{Create: must(CompileCondition("'c' in groups"))}, want: plainPerson(func(p *person) { p.Create = false })},
		{name: "create nobody", mapping: Mapping{CreateNobody: true}, want: plainPerson(func(p *person) { p.Create = false })},
		{
			name: "create that fails", mapping: Mapping{Create: must(CompileCondition("groups[7] == ''"))},
			want: plainPerson(func(p *person) { p.Create, p.CreateProblem = false, "create: index out of bounds: 7" }),
		},
		{
			name: "rules",
			mapping: Mapping{Rules: []RuleSource{
				{Name: "1", Group: "a"},
				{Name: "2", When: must(CompileCondition("groups == ['a', 'b']"))},
				{Name: "3", Group: "c"},
				{Name: "4", When: must(CompileCondition("attr('uid') == 'x'"))},
				{Name: "5", Group: "b"},
			}},
			want: plainPerson(func(p *person) {
				p.Rules = []reconcile.Member{{Rule: 0, Path: []string{"a", "b"}}, {Rule: 1}, {Rule: 4, Path: []string{"b"}}}
			}),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := map[string][]string{"uid": {"p0"}, "entryUUID": {"id-0"}}
			maps.Copy(e, c.entry)
			got, _, err := mapOne(t, c.users, c.mapping, e)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStableIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ids  []string
		want string
	}{
		{nil, "has 0 values of entryUUID"},
		{[]string{"a", "b"}, "has 2 values of entryUUID"},
		{[]string{" "}, "has 1 values of entryUUID"},
		{[]string{"\xff\xfe"}, "is binary"},
	} {
		_, _, err := mapOne(t, UserSearch{}, Mapping{}, map[string][]string{"entryUUID": c.ids})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.ids, err)
		}
	}
}

func TestRuleThatFails(t *testing.T) {
	t.Parallel()
	m := Mapping{Login: Attribute("uid"), Rules: []RuleSource{
		{Name: "broken", When: must(CompileCondition("attrs('ou')[0] == 'x'"))},
		{Name: "named", When: must(CompileCondition("'nosuch' in groups || attrs('ou')[0] == 'x'"))},
		{Name: "fine", When: must(CompileCondition("true"))},
	}}
	want := []reconcile.RuleRead{
		{Suspect: "its condition failed for " + nameDN("p0") + ": index out of bounds: 0"},
		{Suspect: "the group nosuch was not found"},
		{},
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		mapper := newMapper(&Config{Users: UserSearch{ID: "id"}}, &m, must(&groupGraph{}, nil))
		for _, i := range order {
			e := anEntry(nameDN(fmt.Sprintf("p%d", i)), map[string][]string{"id": {fmt.Sprint(i)}})
			if p := must(mapper.person(e)); len(p.Problems) > 0 || len(p.Rules) != 1 {
				t.Errorf("%+v", p)
			}
		}
		if d := cmp.Diff(want, mapper.rules.result(mapper.graph, nil)); d != "" {
			t.Error(order, d)
		}
	}
}

func TestLacking(t *testing.T) {
	t.Parallel()
	m := Mapping{Create: must(CompileCondition("attr('OU') == 'x'"))}
	m.Fields[reconcile.Email] = Attribute("mail")
	_, mapper, err := mapOne(t, UserSearch{}, m, map[string][]string{"entryUUID": {"x"}, "uid": {"p"}, "mail": {" "}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"mail": 1, "OU": 1, "uid": 0}, mapper.lacking()); d != "" {
		t.Error(d)
	}
}

// What an expression sees of one person is never left over from the one before.
func TestPeopleDoNotMix(t *testing.T) {
	t.Parallel()
	m := Mapping{Login: must(CompileValue("attr('uid') + ':' + groups.join(',') + ':' + attrs('ou').join(',')"))}
	g := build(t, listing{"a": {"b"}, "b": {"p0"}, "c": {"p1", "p0"}}, true, asIs)
	rapid.Check(t, func(t *rapid.T) {
		mapper := newMapper(&Config{Users: UserSearch{ID: "id"}}, &m, g)
		for i, n := range rapid.SliceOf(rapid.IntRange(0, 2)).Draw(t, "people") {
			name := fmt.Sprintf("p%d", n)
			e := anEntry(nameDN(name), map[string][]string{"uid": {name}, "id": {fmt.Sprint(i)}})
			want := []string{"p0:a,b,c:", "p1:c:x", "p2::"}[n]
			if n == 1 {
				e = anEntry(nameDN(name), map[string][]string{"uid": {name}, "id": {fmt.Sprint(i)}, "ou": {"x"}})
			}
			if p := must(mapper.person(e)); p.Login != want {
				t.Fatalf("%s: %s", name, p.Login)
			}
		}
	})
}

// A directory of 50,000 people in 1,000 groups, 100 of which hold groups.
// Whatever an entry has: it is an error of the read, or a person whose values are clean text, and the same one whatever the order
// of the attributes. Nobody is disabled by what could not be understood.
func FuzzPerson(f *testing.F) {
	f.Add("uid=p0,ou=people,dc=org", "id", "p0", "Doe", " j@example.org", "514", "0", "513")
	f.Add("uid=\xff", "", "\x00", "", "\xff", "x", "9223372036854775808", "-1")
	profile := Profiles()["active-directory"]
	cfg := Config{Users: UserSearch{ID: "id", Disabled: must(CompileCondition(profile.Disabled))}, Kind: profile.Kind, Groups: profile.Groups}
	cfg.Groups.Base, cfg.Now = "dc=org", func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }
	m := Mapping{Login: Attribute("uid"), Rules: []RuleSource{{Name: "r", When: must(CompileCondition("attrs('mail').exists(x, x.startsWith('j')) || dn.contains('p')"))}}}
	m.Fields[reconcile.Lname], m.Fields[reconcile.Email] = Attribute("sn"), must(CompileValue("attrs('mail')"))
	m.Fields[reconcile.Unit] = must(CompileValue("'lab' in groups ? 'smith' : attr('sn').split('-')[0]"))
	f.Fuzz(func(t *testing.T, dn, id, uid, sn, mail, control, expires, primary string) {
		attributes := []*ldap.EntryAttribute{
			{Name: "id", Values: []string{id}},
			{Name: "UID", Values: []string{uid, sn}},
			{Name: "sn", Values: []string{sn}},
			{Name: "Mail", Values: []string{mail, uid}},
			{Name: "userAccountControl", Values: []string{control}},
			{Name: "accountExpires", Values: []string{expires}},
			{Name: "primaryGroupID", Values: []string{primary}},
		}
		read := func() (reconcile.Person, error) {
			g := &groupGraph{primary: profile.Kind.Primary}
			if err := g.build(cfg.Groups); err != nil {
				t.Fatal(err)
			}
			return newMapper(&cfg, &m, g).person(&entry{&ldap.Entry{DN: dn, Attributes: attributes}, strings.ToLower(dn)})
		}
		p, err := read()
		slices.Reverse(attributes)
		again, err2 := read()
		if d := cmp.Diff(p, again); d != "" || (err == nil) != (err2 == nil) {
			t.Fatalf("%v, %v: %s", err, err2, d)
		}
		if err != nil {
			return
		}
		all := append(slices.Clone(p.Fields[:]), []string{p.ID})
		if p.Login != "" {
			all = append(all, []string{p.Login})
		}
		for _, values := range all {
			for _, v := range values {
				if v == "" || v != strings.TrimSpace(v) || !utf8.ValidString(v) {
					t.Fatalf("%+v has %q", p, v)
				}
			}
		}
		if p.State != reconcile.Enabled && slices.ContainsFunc(p.Problems, func(s string) bool { return strings.HasPrefix(s, "disabled: ") }) {
			t.Fatalf("%+v", p)
		}
	})
}

func BenchmarkMapping(b *testing.B) {
	const people, groups = 50_000, 1000
	m := Mapping{Login: Attribute("uid"), Create: must(CompileCondition("'g7' in groups"))}
	m.Fields[reconcile.Lname], m.Fields[reconcile.Fname] = Attribute("sn"), Attribute("givenName")
	m.Fields[reconcile.Email], m.Fields[reconcile.Phone] = Attribute("mail"), Attribute("telephoneNumber")
	m.Fields[reconcile.Unit] = must(CompileValue("'g3' in groups ? 'lab3' : attr('ou')"))
	users := UserSearch{ID: "entryUUID", Disabled: must(CompileCondition("attr('pwdAccountLockedTime') == '000001010000Z'"))}
	entries := make([]*entry, people)
	for i := range entries {
		entries[i] = anEntry(nameDN(fmt.Sprintf("p%d", i)), map[string][]string{
			"uid": {fmt.Sprintf("p%d", i)}, "sn": {"Müller"}, "givenName": {"Jürgen"}, "mail": {fmt.Sprintf("p%d@example.org", i)},
			"telephoneNumber": {"+41 61 555 0000"}, "ou": {"lab"}, "entryUUID": {fmt.Sprintf("b669827a-1d47-86e7-bdd6-%012d", i)},
		})
	}
	var gs []*entry
	for i := range groups {
		var members []string
		if i%10 == 0 {
			for j := 1; j < 5; j++ {
				members = append(members, nameDN(fmt.Sprintf("g%d", (i*7+j)%groups)))
			}
		} else {
			for j := range 200 {
				members = append(members, nameDN(fmt.Sprintf("p%d", (i*331+j*97)%people)))
			}
		}
		gs = append(gs, anEntry(nameDN(fmt.Sprintf("g%d", i)), map[string][]string{"cn": {fmt.Sprintf("g%d", i)}, "member": members}))
	}
	for i := range 20 {
		m.Rules = append(m.Rules, RuleSource{Name: fmt.Sprint(i), Group: fmt.Sprintf("g%d", i*10)})
	}
	m.Rules = append(m.Rules, RuleSource{Name: "when", When: must(CompileCondition("'g5' in groups && attr('ou') == 'lab'"))})
	b.ReportAllocs()
	for b.Loop() {
		g := &groupGraph{}
		for _, e := range gs {
			if err := g.add(e, GroupSearch{Name: "cn", Member: "member"}); err != nil {
				b.Fatal(err)
			}
		}
		if err := g.build(GroupSearch{Member: "member", Nested: true}); err != nil {
			b.Fatal(err)
		}
		mapper := newMapper(&Config{Users: users}, &m, g)
		for _, e := range entries {
			if _, err := mapper.person(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// However many people have groups like nobody else, each sees their own, and not all are kept.
func TestGroupsLikeNobodyElse(t *testing.T) {
	t.Parallel()
	const groups = 13
	l := listing{}
	for i := range 1 << groups {
		for bit := range groups {
			if i>>bit&1 == 1 {
				l[fmt.Sprintf("g%02d", bit)] = append(l[fmt.Sprintf("g%02d", bit)], fmt.Sprintf("p%d", i))
			}
		}
	}
	m := Mapping{Login: must(CompileValue("groups.join('+')"))}
	mapper := newMapper(&Config{Users: UserSearch{ID: "id"}}, &m, build(t, l, true, asIs))
	for i := range 1 << groups {
		var want []string
		for bit := range groups {
			if i>>bit&1 == 1 {
				want = append(want, fmt.Sprintf("g%02d", bit))
			}
		}
		key := must(dnKey(nameDN(fmt.Sprintf("p%d", i))))
		p := must(mapper.person(anEntry(key, map[string][]string{"id": {key}})))
		if p.Login != strings.Join(want, "+") || len(mapper.lists) > mostLists {
			t.Fatalf("%s sees %s, and %d lists are kept", key, p.Login, len(mapper.lists))
		}
	}
}

// TestGroupThatAnExpressionNames: where it is not there, the expression says nothing, and what it decides is left alone.
func TestGroupThatAnExpressionNames(t *testing.T) {
	t.Parallel()
	m := Mapping{Login: Attribute("uid"), Create: must(CompileCondition("!('nosuch' in groups)"))}
	m.Fields[reconcile.Unit] = must(CompileValue("'nosuch' in groups ? 'a' : 'b'"))
	m.Fields[reconcile.Lname] = must(CompileValue("'x'"))
	mapper := newMapper(&Config{Users: UserSearch{ID: "id"}}, &m, must(&groupGraph{}, nil))
	p := must(mapper.person(anEntry(nameDN("p0"), map[string][]string{"id": {"0"}, "uid": {"p0"}})))
	if p.Create || p.Fields[reconcile.Unit] != nil || p.Fields[reconcile.Lname] == nil || len(p.Problems) > 0 {
		t.Errorf("%+v", p)
	}
}
