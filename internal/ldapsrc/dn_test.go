package ldapsrc

import (
	"strings"
	"testing"
	"unicode"

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
		{"cn=STRAUß,dc=org", "cn=strauß,dc=org"},
		{"cn=\ufb01sch\u00a0a,dc=org", "cn=Fisch a,dc=org"},
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
	if a, b := must(dnKey("cn=Hans Strauß,dc=org")), must(dnKey("cn=Hans Strauss,dc=org")); a == b {
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

// Whatever two names are: what the library calls equal has one key, and what is below something has a key that says so. The short
// way to a key and the long one, which a blank leads to, agree.
func FuzzDNKey(f *testing.F) {
	for _, dn := range []string{"uid=jdoe,ou=people,dc=example,dc=org", `cn=Doe\, John+uid=j,dc=org`, "cn=#0401ff", `cn=\ff,c=CH`, "cn=ß ,o=\u0130", "", "cn=a=b;o=x"} {
		f.Add(dn, strings.ToUpper(dn))
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ka, err := dnKey(a)
		if err != nil {
			return
		}
		if under, err := dnKey("cn=x," + a); ka != "" && (err != nil || !below(under, ka)) {
			t.Fatalf("cn=x,%q has the key %q, %v, which is not below %q", a, under, err, ka)
		}
		if plain(a) {
			if long, err := dnKey(strings.ReplaceAll(a, ",", " , ") + " "); err != nil || long != ka {
				t.Fatalf("%q has the keys %q and %q, %v", a, ka, long, err)
			}
		}
		kb, err := dnKey(b)
		if err != nil {
			return
		}
		da, errA := ldap.ParseDN(a)
		db, errB := ldap.ParseDN(b)
		if errA != nil || errB != nil {
			t.Fatalf("%q: %v; %q: %v", a, errA, b, errB)
		}
		// The library takes all that is no text for the same, and more letters than servers do.
		if ascii(ka+kb) && da.EqualFold(db) && ka != kb {
			t.Fatalf("%q and %q are equal, but not %q and %q", a, b, ka, kb)
		}
		if ka == kb && len(da.RDNs) != len(db.RDNs) {
			t.Fatalf("%q and %q have one key %q", a, b, ka)
		}
	})
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
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
