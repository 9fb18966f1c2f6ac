package ldapsrc

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"
)

func TestDNKey(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{
			"uid=jdoe,ou=people,dc=example,dc=org", "UID=JDoe,OU=People,DC=example,DC=org", "uid=jdoe, ou=people , dc=example,dc=org",
			"userid=jdoe,organizationalUnitName=people,domainComponent=example,0.9.2342.19200300.100.1.25=org",
			`uid=\6adoe,ou=people;dc=example,dc=org`,
		},
		{"cn=Doe\\, John,dc=org", "cn=doe\\2c john,dc=org", "CN=Doe\\2C  John,dc=org"},
		{"cn=Jürgen,dc=org", `cn=J\c3\bcrgen,dc=org`, "cn=JU\u0308RGEN,dc=org"},
		{"cn=a+uid=b,dc=org", "uid=B+cn=A,dc=org"},
		{"cn=a  b,dc=org", "cn=a b,dc=org"},
		{`cn=a\+b,dc=org`, `cn=a\2bb,dc=org`},
		{"", " "},
	} {
		first := ""
		for i, dn := range same {
			key, err := dnKey(dn)
			if err != nil {
				t.Errorf("%s: %v", dn, err)
			}
			if i == 0 {
				first = key
			} else if key != first {
				t.Errorf("%s gives %s, not %s", dn, key, first)
			}
		}
	}
	if a, b := must(dnKey(`cn=\ff,dc=org`)), must(dnKey(`cn=\fe,dc=org`)); a == b {
		t.Errorf("both are %q", a)
	}
	for _, bad := range []string{"jdoe", "uid", "=x,dc=org", "uid=a,,dc=org", "uid=a,dc", "uid=\xff\\zz,,=", `cn=a\`, "cn=<a>", "cn=\xff,dc=org"} {
		if key, err := dnKey(bad); err == nil {
			t.Errorf("%q gives %q", bad, key)
		}
	}
}

// The fast path and the slow one agree with each other, and with the library on what is equal.
func TestDNKeyAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	piece := rapid.Custom(func(t *rapid.T) string {
		kind := rapid.SampledFrom([]string{"cn", "CN", "uid", "ou", "dc", "x-y", "1.2.3"}).Draw(t, "type")
		value := rapid.StringOfN(rapid.RuneFrom([]rune(`aAb B,+\"=#;é`)), 1, 5, -1).Draw(t, "value")
		dn := ldap.DN{RDNs: []*ldap.RelativeDN{{Attributes: []*ldap.AttributeTypeAndValue{{Type: kind, Value: value}}}}}
		return dn.String()
	})
	name := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 1, 3).Draw(t, "rdns"), ",") })
	rapid.Check(t, func(t *rapid.T) {
		a := name.Draw(t, "a")
		b := rapid.OneOf(name, rapid.Just(strings.ToUpper(a)), rapid.Just(strings.ReplaceAll(a, ",", ", "))).Draw(t, "b")
		ka, err1 := dnKey(a)
		kb, err2 := dnKey(b)
		da, err3 := ldap.ParseDN(a)
		db, err4 := ldap.ParseDN(b)
		if (err1 == nil) != (err3 == nil) || (err2 == nil) != (err4 == nil) {
			t.Fatalf("%q: %v, %v; %q: %v, %v", a, err1, err3, b, err2, err4)
		}
		if err1 == nil && err2 == nil && da.EqualFold(db) && ka != kb {
			t.Fatalf("%q and %q are equal, but not %q and %q", a, b, ka, kb)
		}
	})
}

func TestBelow(t *testing.T) {
	t.Parallel()
	key := func(dn string) string {
		k, err := dnKey(dn)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for _, c := range []struct {
		dn, base string
		want     bool
	}{
		{"uid=a,OU=people,dc=org", "ou=People, dc=org", true},
		{"ou=people,dc=org", "ou=people,dc=org", true},
		{"uid=a,ou=morepeople,dc=org", "ou=people,dc=org", false},
		{"uid=a,ou=people,dc=com", "ou=people,dc=org", false},
		{`cn=a\,ou=people\,dc=org`, "ou=people,dc=org", false},
		{"uid=a,dc=org", "", true},
	} {
		if got := below(key(c.dn), key(c.base)); got != c.want {
			t.Errorf("%s below %s: %v", c.dn, c.base, got)
		}
	}
}
