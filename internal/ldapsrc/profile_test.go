package ldapsrc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ppms-syncd/internal/reconcile"
)

// Who may no longer work, by profile. The clock stands at noon of 24 November 2026.
func TestProfileStates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	const noonTicks = "134399952000000000"
	for _, c := range []struct {
		profile, name string
		entry         map[string][]string
		want          string // "" works, "disabled", or a problem
	}{
		{"active-directory", "normal", map[string][]string{"userAccountControl": {"512"}, "accountExpires": {"9223372036854775807"}}, ""},
		{"active-directory", "never expires, the other way", map[string][]string{"userAccountControl": {"512"}, "accountExpires": {"0"}}, ""},
		{"active-directory", "no expiry at all", map[string][]string{"userAccountControl": {"512"}}, ""},
		{"active-directory", "disabled", map[string][]string{"userAccountControl": {"514"}}, "disabled"},
		{"active-directory", "disabled with a password that never expires", map[string][]string{"userAccountControl": {"66050"}}, "disabled"},
		{"active-directory", "a smart card is no lock", map[string][]string{"userAccountControl": {"262656"}}, ""},
		{"active-directory", "locked out", map[string][]string{"userAccountControl": {"528"}, "lockoutTime": {"133500000000000000"}}, ""},
		{"active-directory", "password expired", map[string][]string{"userAccountControl": {"8389120"}, "pwdLastSet": {"0"}}, ""},
		{"active-directory", "expired just now", map[string][]string{"userAccountControl": {"512"}, "accountExpires": {noonTicks}}, "disabled"},
		{"active-directory", "expires in a tick", map[string][]string{"userAccountControl": {"512"}, "accountExpires": {"134399952000000001"}}, ""},
		{"active-directory", "no number", map[string][]string{"userAccountControl": {"512"}, "accountExpires": {"never"}}, `disabled: expiredTicks: "never" is no number of ticks`},
		{"389ds", "normal", nil, ""},
		{"389ds", "unlocked", map[string][]string{"nsAccountLock": {"false"}}, ""},
		{"389ds", "locked", map[string][]string{"nsAccountLock": {"true"}}, "disabled"},
		{"389ds", "locked, in capitals", map[string][]string{"nsaccountlock": {"TRUE"}}, "disabled"},
		{"freeipa", "locked", map[string][]string{"nsAccountLock": {"TRUE"}}, "disabled"},
		{"freeipa", "principal expired", map[string][]string{"krbPrincipalExpiration": {"20261124115959Z"}}, "disabled"},
		{"freeipa", "principal expires", map[string][]string{"krbPrincipalExpiration": {"20261124120001Z"}}, ""},
		{"freeipa", "principal never expires, as a KDC writes it", map[string][]string{"krbPrincipalExpiration": {"19700101000000Z"}}, ""},
		{"freeipa", "password expired", map[string][]string{"krbPasswordExpiration": {"20200101000000Z"}}, ""},
		{"openldap", "locked for good", map[string][]string{"pwdAccountLockedTime": {"000001010000Z"}}, "disabled"},
		{"openldap", "locked for a while", map[string][]string{"pwdAccountLockedTime": {"20261124115900Z"}}, ""},
		{"openldap", "ended", map[string][]string{"pwdEndTime": {"20261123000000Z"}}, "disabled"},
		{"openldap", "ends in another zone", map[string][]string{"pwdEndTime": {"202611241259+0100"}}, "disabled"},
		{"openldap", "ends tomorrow", map[string][]string{"pwdEndTime": {"20261125000000Z"}}, ""},
		{"openldap", "a time without a zone", map[string][]string{"pwdEndTime": {"20261125000000"}}, `disabled: expiredTime: "20261125000000" is no time like 20261231235959Z`},
		{"posix", "shadow says never", map[string][]string{"gidNumber": {"1"}, "shadowExpire": {"-1"}}, ""},
		{"posix", "shadow says nothing", map[string][]string{"gidNumber": {"1"}, "shadowExpire": {"0"}}, ""},
		{"posix", "shadow says today", map[string][]string{"gidNumber": {"1"}, "shadowExpire": {"20781"}}, "disabled"},
		{"posix", "shadow says tomorrow", map[string][]string{"gidNumber": {"1"}, "shadowExpire": {"20782"}}, ""},
		{"posix", "shadow locks", map[string][]string{"gidNumber": {"1"}, "shadowExpire": {"1"}}, "disabled"},
	} {
		t.Run(c.profile+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			profile := Profiles()[c.profile]
			cfg := Config{Users: UserSearch{ID: "id", Disabled: must(CompileCondition(profile.Disabled))}, Now: func() time.Time { return now }}
			m := newMapper(&cfg, &Mapping{Login: Attribute("uid")}, &groupGraph{})
			e := anEntry("uid=x", c.entry)
			e.Attributes = append(e.Attributes, anEntry("", map[string][]string{"id": {"1"}}).Attributes...)
			p, err := m.person(e)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(p.Problems, "; ")
			if p.State == reconcile.Disabled {
				got = "disabled" + got
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The first three parts of a GUID are little-endian on the wire.
func TestGUID(t *testing.T) {
	t.Parallel()
	const raw, text = "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "00112233-4455-6677-8899-aabbccddeeff"
	if got, err := idText("objectguid", raw); err != nil || got != text {
		t.Errorf("%q, %v", got, err)
	}
	if got, want := idFilter("objectGUID", text), `\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\ff`; got != want {
		t.Error(got)
	}
	if _, err := idText("objectGUID", raw[1:]); err == nil {
		t.Error("15 bytes are no GUID")
	}
	if got := idFilter("objectGUID", "*)(uid=*"); strings.ContainsAny(got, "*()") {
		t.Errorf("%q is not escaped", got)
	}
	if got := idFilter("entryUUID", text); got != text {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "raw"))
		text := must(guidText(raw))
		if back := must(guidBytes(text)); string(back) != raw {
			t.Fatalf("%x became %x", raw, back)
		}
	})
}

// sid is a security identifier with this last part.
func sid(rid uint32) string {
	return fmt.Sprintf("\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00%s%s%s%s", "aaaa", "bbbb", "cccc",
		[]byte{byte(rid), byte(rid >> 8), byte(rid >> 16), byte(rid >> 24)})
}

func TestGroupNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attribute, value, want string }{
		{"gidNumber", " 0100", "100"},
		{"primaryGroupID", "513", "513"},
		{"objectSid", sid(513), "513"},
		{"OBJECTSID", sid(4294967295), "4294967295"},
		{"objectSid", sid(513)[1:], "error"},
		{"objectSid", sid(513) + "x", "error"},
		{"objectSid", "S-1-5-21-1-2-3-513", "error"},
		{"objectSid", "", "error"},
		{"gidNumber", "users", "error"},
	} {
		got, err := groupNumber(c.attribute, c.value)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s %q: %q", c.attribute, c.value, got)
		}
	}
}

// posixGraph is a directory of posixGroups: name → gidNumber and uids.
func posixGraph(tb testing.TB, primary Primary, groups map[string][]string) *groupGraph {
	tb.Helper()
	g := &groupGraph{primary: primary}
	search := GroupSearch{Base: "ou=groups", Name: "cn", Member: "MEMBERUID"}
	for name, numbers := range groups {
		e := anEntry("cn="+name+",ou=groups", map[string][]string{"cn": {name}, "gidNumber": numbers[:1], "memberUid": numbers[1:]})
		if numbers[0] == "" {
			e = anEntry(e.DN, map[string][]string{"cn": {name}, "memberUid": numbers[1:]})
		}
		if err := g.add(e, search); err != nil {
			tb.Fatal(err)
		}
	}
	if err := g.build(search); err != nil {
		tb.Fatal(err)
	}
	return g
}

// Members by uid and by number, and what of them suspends a rule.
func TestPosixMembers(t *testing.T) {
	t.Parallel()
	primary := Profiles()["posix"].Kind.Primary
	g := posixGraph(t, primary, map[string][]string{
		"staff": {"100", "anna", "nobody-here", ""}, "lab": {"0200", "Ben", "anna"}, "bad": {"300", "x\x00y", "anna"}, "nameless": {"", "anna"},
		"odd": {"4x", "anna"},
	})
	for _, c := range []struct {
		name  string
		entry map[string][]string
		want  []string
		bad   string
	}{
		{"listed", map[string][]string{"uid": {"anna"}, "gidNumber": {"7"}}, []string{"bad", "lab", "nameless", "odd", "staff"}, ""},
		{"listed and primary", map[string][]string{"uid": {"ben"}, "gidNumber": {"200"}}, []string{"lab"}, ""},
		{"primary alone", map[string][]string{"uid": {"cleo"}, "gidNumber": {"100"}}, []string{"staff"}, ""},
		{"by a second uid", map[string][]string{"uid": {"dan", "BEN"}, "gidNumber": {"100"}}, []string{"lab", "staff"}, ""},
		{"no number", map[string][]string{"uid": {"ben"}, "gidNumber": {"x"}}, []string{"lab"}, `gidNumber: "x" is no number`},
		{"no uid", map[string][]string{"uid": {" "}, "gidNumber": {"100"}}, []string{"staff"}, "uid: there is none, though groups list people by it; let the reader see it"},
		{"no text", map[string][]string{"uid": {"ben\xff"}, "gidNumber": {"100"}}, []string{"staff"}, "uid: it is no text"},
	} {
		at, err := g.of(anEntry("cn=somebody", c.entry))
		var got []string
		for _, i := range at {
			got = append(got, g.groups[i].name)
		}
		slices.Sort(got)
		if d := gocmp.Diff(c.want, got); d != "" || fmt.Sprint(err) != fmt.Sprint(c.bad) && (err != nil || c.bad != "") {
			t.Errorf("%s: %s, %v", c.name, d, err)
		}
	}
	for name, want := range map[string]string{
		"staff":    "",
		"bad":      `a member of the group cn=bad,ou=groups cannot be understood: "x\x00y" is no uid`,
		"nameless": "not all members of the group cn=nameless,ou=groups are known: it has 0 values of gidNumber",
		"odd":      `not all members of the group cn=odd,ou=groups are known: gidNumber: "4x" is no number`,
	} {
		if got := newRuleBook([]RuleSource{{Name: "r", Group: name}}, g).result(g, nil)[0].Suspect; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A group that is somebody's primary group is not empty, though it lists nobody.
func TestPrimaryGroupIsNotEmpty(t *testing.T) {
	t.Parallel()
	g := posixGraph(t, Primary{"gidNumber", "gidNumber"}, map[string][]string{"users": {"100"}, "empty": {"101"}})
	if g.noMembers() != 2 {
		t.Errorf("%d groups without members before the people came", g.noMembers())
	}
	if _, err := g.of(anEntry("uid=x", map[string][]string{"uid": {"x"}, "gidNumber": {"100"}})); err != nil {
		t.Fatal(err)
	}
	if g.noMembers() != 1 {
		t.Errorf("%d groups without members", g.noMembers())
	}
}

func TestUniqueMember(t *testing.T) {
	t.Parallel()
	search := GroupSearch{Name: "cn", Member: "uniqueMember"}
	g := &groupGraph{}
	if err := g.add(anEntry("cn=a", map[string][]string{"cn": {"a"}, "uniqueMember": {"uid=x,dc=org#'0101'B", "uid=y,dc=org", "uid=z\\#'1'B,dc=org"}}), search); err != nil {
		t.Fatal(err)
	}
	if err := g.build(search); err != nil {
		t.Fatal(err)
	}
	if len(g.direct["uid=x,dc=org"]) != 1 || len(g.direct["uid=y,dc=org"]) != 1 || len(g.direct) != 3 || g.groups[0].bad != "" {
		t.Errorf("%v, %s", g.direct, g.groups[0].bad)
	}
}

// What only the disabled have is no attribute that the others lack.
func TestRareAttributes(t *testing.T) {
	t.Parallel()
	for name, profile := range Profiles() {
		cfg := Config{Users: UserSearch{ID: "id", Disabled: must(CompileCondition(profile.Disabled))}, Kind: profile.Kind}
		got := newMapper(&cfg, &Mapping{Login: Attribute("uid")}, &groupGraph{}).lacking()
		delete(got, "uid")
		for _, a := range profile.Kind.Always {
			delete(got, a)
		}
		if len(got) > 0 {
			t.Errorf("%s: %v would be reported as lacking", name, got)
		}
	}
}
