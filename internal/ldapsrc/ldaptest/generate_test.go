package ldaptest_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"ppms-syncd/internal/ldapsrc/ldaptest"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	o := ldaptest.GenOptions{People: 2000, Groups: 40, Nested: 6, Seed: 7}
	entries := ldaptest.Generate(o)
	if !reflect.DeepEqual(entries, ldaptest.Generate(o)) {
		t.Fatal("not the same again")
	}
	o.Seed = 8
	if reflect.DeepEqual(entries, ldaptest.Generate(o)) {
		t.Error("another seed makes the same")
	}
	byDN, mails := map[string]ldaptest.Entry{}, map[string]bool{}
	people, groups := 0, 0
	for _, e := range entries {
		if _, err := ldap.ParseDN(e.DN); err != nil {
			t.Errorf("%s: %v", e.DN, err)
		}
		if _, twice := byDN[strings.ToLower(e.DN)]; twice {
			t.Errorf("%s twice", e.DN)
		}
		byDN[strings.ToLower(e.DN)] = e
		switch e.Attrs["objectClass"][0] {
		case "inetOrgPerson":
			people++
			for _, a := range []string{"uid", "cn", "sn", "givenName", "mail", "ou", "employeeType"} {
				if len(e.Attrs[a]) != 1 {
					t.Errorf("%s: %s is %q", e.DN, a, e.Attrs[a])
				}
			}
			if mail := e.Attrs["mail"][0]; mails[mail] || strings.IndexFunc(mail, func(r rune) bool { return r > 127 }) >= 0 {
				t.Errorf("mail %s", mail)
			}
			mails[e.Attrs["mail"][0]] = true
		case "groupOfNames":
			groups++
		}
	}
	if people != o.People || groups != o.Groups {
		t.Errorf("%d people, %d groups", people, groups)
	}
	deepest, nested := 0, 0
	var depth func(dn string) int
	depth = func(dn string) int {
		e, ok := byDN[strings.ToLower(dn)]
		if !ok {
			t.Fatalf("a member that is not there: %s", dn)
		}
		n := 0
		for _, m := range e.Attrs["member"] {
			n = max(n, 1+depth(m))
		}
		return n
	}
	for _, e := range byDN {
		if e.Attrs["objectClass"][0] == "groupOfNames" {
			n := depth(e.DN)
			deepest = max(deepest, n)
			if n > 1 {
				nested++
			}
		}
	}
	if deepest != 3 || nested != o.Nested { // group of groups of groups of people
		t.Errorf("%d deep, %d nested", deepest, nested)
	}
	for _, o := range []ldaptest.GenOptions{{}, {Groups: 1}, {Groups: 2, Nested: 9}, {People: 1, Groups: 3, Base: "o=x"}} {
		if entries := ldaptest.Generate(o); len(entries) != 3+o.People+o.Groups {
			t.Errorf("%+v makes %d entries", o, len(entries))
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	s := ldaptest.New(ldaptest.Options{
		Entries: ldaptest.Generate(ldaptest.GenOptions{People: 2000, Groups: 40}), AllowAnonymous: true,
	})
	url, err := s.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	conn, err := ldap.DialURL(url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for b.Loop() {
		res, err := conn.SearchWithPaging(search(suffix, 2, "(objectClass=inetOrgPerson)", "*", "entryUUID"), 500)
		if err != nil || len(res.Entries) != 2000 {
			b.Fatal(err)
		}
	}
}
