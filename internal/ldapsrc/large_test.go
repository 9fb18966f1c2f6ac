package ldapsrc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
)

// large is a directory with a group of 35 people, 10 of whom come in one piece.
func large(faults ...ldaptest.Fault) ldaptest.Options {
	var members []string
	for i := range 35 {
		members = append(members, uidDN(fmt.Sprintf("p%02d", i)))
	}
	return ldaptest.Options{Entries: append(hundred(), groupOf("large", members...), groupOf("outer", cnDN("large"))), MaxValRange: 10, Faults: faults}
}

// Active Directory shows 1500 members of a group at most; the rest must be asked for.
func TestActiveDirectoryRanges(t *testing.T) {
	t.Parallel()
	s, url := fake(t, large())
	r := mustRead(t, config(url), mapping(ldapsrc.RuleSource{Name: "large", Group: "large"}, ldapsrc.RuleSource{Name: "outer", Group: "outer"}), ldapsrc.Request{})
	for _, p := range r.Directory.People {
		if len(p.Rules) != 2 {
			t.Errorf("%s is in %v", p.Login, p.Rules)
		}
	}
	var asked []string
	for _, q := range s.Searches() {
		if strings.Contains(strings.Join(q.Attrs, " "), "range=") {
			asked = append(asked, q.Attrs...)
		}
	}
	if d := cmp.Diff([]string{"member;range=9-*", "member;range=18-*", "member;range=27-*"}, asked); d != "" {
		t.Error(d)
	}
}

// Each step towards the rest of a large group is held to account.
func TestRangesThatDoNotAddUp(t *testing.T) {
	t.Parallel()
	at := func(base string, change func(a *ldaptest.Attr)) ldaptest.Fault {
		return ldaptest.Fault{Base: base, Filter: "(objectClass=", Times: 2, Do: func(r *ldaptest.Reply) {
			r.Entries = slices.Clone(r.Entries)
			for i := range r.Entries {
				attrs := slices.Clone(r.Entries[i].Attrs)
				for j := range attrs {
					attrs[j].Values = slices.Clone(attrs[j].Values)
					change(&attrs[j])
				}
				r.Entries[i].Attrs = attrs
			}
		}}
	}
	// rewrite changes the second piece.
	rewrite := func(change func(a *ldaptest.Attr)) ldaptest.Fault { return at(cnDN("large"), change) }
	for _, c := range []struct {
		name  string
		fault ldaptest.Fault
		want  string
	}{
		{"a member left meanwhile", rewrite(func(a *ldaptest.Attr) { a.Values[0] = uidDN("p10") }), "changed meanwhile"},
		{"another place than asked for", rewrite(func(a *ldaptest.Attr) { a.Name = "member;range=10-19" }), "10 values from 10 on instead of 9"},
		{"fewer values than it says", rewrite(func(a *ldaptest.Attr) { a.Values = a.Values[:9] }), "has 9 values"},
		{"nothing new", rewrite(func(a *ldaptest.Attr) { a.Name, a.Values = "member;range=9-9", a.Values[:1] }), "nothing new"},
		{"no values", rewrite(func(a *ldaptest.Attr) { a.Name, a.Values = "member;range=9-*", nil }), "instead of 9"},
		{"no range", rewrite(func(a *ldaptest.Attr) { a.Name = "member" }), "no range any more"},
		{"a range that is none", rewrite(func(a *ldaptest.Attr) { a.Name = "member;range=a-b" }), "only a part"},
		{"a range of something else", rewrite(func(a *ldaptest.Attr) { a.Name = "owner;range=0-9" }), "only a part"},
		{"the list has become shorter", rewrite(func(a *ldaptest.Attr) { a.Name, a.Values = "member;range=9-*", []string{uidDN("p20")} }), "changed meanwhile"},
		{"it begins again", rewrite(func(a *ldaptest.Attr) { a.Name = "member;range=0-9" }), "from 0 on instead of 9"},
		{"the first part is empty", at(groupBase, func(a *ldaptest.Attr) {
			if a.Name == "member;range=0-9" {
				a.Name, a.Values = "member;range=0-*", nil
			}
		}), "the first part"},
		{"values beside the range", at(groupBase, func(a *ldaptest.Attr) {
			if a.Name == "member" && len(a.Values) == 0 {
				a.Values = []string{uidDN("p99")}
			}
		}), "beside"},
		{"the group is gone", ldaptest.Fault{Base: cnDN("large"), Do: ldaptest.Empty()}, "0 entries"},
		{"an error", ldaptest.Fault{Base: cnDN("large"), Do: ldaptest.Result(51)}, "busy"},
		{"cut", ldaptest.Fault{Base: cnDN("large"), Do: ldaptest.Cut(40)}, "connection was lost"},
		{"a range of people's mail", at(peopleBase, func(a *ldaptest.Attr) { a.Name = strings.Replace(a.Name, "mail", "mail;range=0-0", 1) }), "mail;range=0-0 of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, url := fake(t, large(c.fault))
			mustFail(t, config(url), mapping(), c.want)
		})
	}
}
