package ldapsrc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
	"ppms-syncd/internal/reconcile"
)

// profiled is a configuration as the profile has it.
func profiled(tb testing.TB, name string, c ldapsrc.Config) ldapsrc.Config {
	tb.Helper()
	p := ldapsrc.Profiles()[name]
	users, groups := c.Users.Base, c.Groups.Base
	c.Users, c.Groups, c.Kind = p.Users, p.Groups, p.Kind
	c.Users.Base, c.Groups.Base, c.Users.Disabled = users, groups, condition(tb, p.Disabled)
	return c
}

const adBase = "DC=ad,DC=example,DC=org"

// adEntry is a user or a group of Active Directory.
func adEntry(kind, cn string, rid int, more ...string) ldaptest.Entry {
	attrs := map[string][]string{
		"cn": {cn}, "sAMAccountName": {cn},
		"objectGUID": {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\xff" + string([]byte{byte(rid >> 8), byte(rid)})},
		"objectSid":  {"\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00aaaabbbbcccc" + string([]byte{byte(rid), byte(rid >> 8), 0, 0})},
	}
	switch kind {
	case "user":
		attrs["objectClass"], attrs["sAMAccountType"] = []string{"top", "person", "organizationalPerson", "user"}, []string{"805306368"}
		attrs["sn"], attrs["givenName"], attrs["mail"] = []string{"Sn" + cn}, []string{"X"}, []string{cn + "@example.org"}
		attrs["userAccountControl"], attrs["primaryGroupID"], attrs["accountExpires"] = []string{"512"}, []string{"513"}, []string{"9223372036854775807"}
	case "computer":
		attrs["objectClass"], attrs["sAMAccountType"] = []string{"top", "person", "organizationalPerson", "user", "computer"}, []string{"805306369"}
		attrs["userAccountControl"], attrs["primaryGroupID"] = []string{"4096"}, []string{"515"}
	case "group":
		attrs["objectClass"] = []string{"top", "group"}
	}
	for i := 0; i < len(more); i += 2 {
		if i > 1 && more[i] == more[i-2] {
			attrs[more[i]] = append(attrs[more[i]], more[i+1])
		} else {
			attrs[more[i]] = []string{more[i+1]}
		}
	}
	return ldaptest.Entry{DN: "CN=" + cn + ",OU=Staff," + adBase, Attrs: attrs}
}

func adDN(cn string) string { return "CN=" + cn + ",OU=Staff," + adBase }

// domain is a small Active Directory, whose root refers to three other parts of the forest as all do.
func domain(more ...ldaptest.Entry) ldaptest.Options {
	return ldaptest.Options{
		References: []string{
			"ldap://ForestDnsZones.ad.example.org/DC=ForestDnsZones," + adBase,
			"ldap://DomainDnsZones.ad.example.org/DC=DomainDnsZones," + adBase,
			"ldap://ad.example.org/CN=Configuration," + adBase,
		},
		Entries: append([]ldaptest.Entry{
			{DN: adBase, Attrs: map[string][]string{"objectClass": {"domainDNS"}, "dc": {"ad"}}},
			{DN: "OU=Staff," + adBase, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"Staff"}}},
			adEntry("user", "anna", 1101),
			adEntry("user", "ben", 1102, "userAccountControl", "514"),
			adEntry("user", "cleo", 1103, "accountExpires", "131000000000000000"),
			adEntry("user", "dan", 1104, "userAccountControl", "8389136", "primaryGroupID", "1202"), // locked out, password expired
			adEntry("computer", "MIC01$", 1105),
			adEntry("group", "Domain Users", 513),
			adEntry("group", "confocal", 1201, "member", adDN("imaging"), "member", "CN=S-1-5-21-1-2-3-1106,CN=ForeignSecurityPrincipals,"+adBase),
			adEntry("group", "imaging", 1202, "member", adDN("anna"), "member", adDN("confocal")),
		}, more...),
	}
}

func adConfig(tb testing.TB, url string) ldapsrc.Config {
	tb.Helper()
	c := config(url)
	c.Users.Base, c.Groups.Base = adBase, adBase
	return profiled(tb, "active-directory", c)
}

func adMapping() ldapsrc.Mapping {
	m := mapping(ldapsrc.RuleSource{Name: "confocal", Group: "confocal"}, ldapsrc.RuleSource{Name: "all", Group: "domain users"})
	m.Login = ldapsrc.Attribute("sAMAccountName")
	return m
}

// summary shows who came back, and with what.
func summary(r *ldapsrc.Result) []string {
	var out []string
	for _, p := range r.Directory.People {
		line := p.Login
		if p.State == reconcile.Disabled {
			line += " disabled"
		}
		for _, m := range p.Rules {
			line += " " + strings.Join(m.Path, ">")
		}
		out = append(out, strings.Join(append([]string{line}, p.Problems...), "; "))
	}
	slices.Sort(out)
	return out
}

func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	_, url := fake(t, domain())
	cfg := adConfig(t, url)
	cfg.Canaries = []string{adDN("Domain Users")} // which lists nobody
	r := mustRead(t, cfg, adMapping(), ldapsrc.Request{About: "anna"})
	want := []string{"anna confocal>imaging Domain Users", "ben disabled Domain Users", "cleo disabled Domain Users", "dan confocal>imaging"}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for _, rule := range r.Directory.Rules {
		if rule.Suspect != "" || slices.ContainsFunc(rule.Empty, func(dn string) bool { return !strings.HasPrefix(dn, reconcile.ListMark) }) {
			t.Errorf("%+v", rule)
		}
	}
	const id = "04030201-0605-0807-090a-0b0c0dff044d"
	if r.Entry == nil || r.Entry.Person.ID != id || !slices.ContainsFunc(r.Entry.Attributes, func(a ldapsrc.NamedValues) bool {
		return a.Name == "objectGUID" && a.Values[0] == id
	}) {
		t.Errorf("%+v", r.Entry)
	}
}

// The ids of Active Directory are found again, though they are bytes on the wire.
func TestActiveDirectoryLookup(t *testing.T) {
	t.Parallel()
	moved := adEntry("user", "eve", 1107)
	moved.DN = "CN=eve,OU=Former," + adBase
	_, url := fake(t, domain(ldaptest.Entry{DN: "OU=Former," + adBase, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}}}, moved))
	cfg := adConfig(t, url)
	cfg.Users.Base = "OU=Staff," + adBase
	gone, eve := "04030201-0605-0807-090a-0b0c0dff0bad", "04030201-0605-0807-090a-0b0c0dff0453"
	r := mustRead(t, cfg, adMapping(), ldapsrc.Request{Missing: func([]reconcile.Person) []string { return []string{gone, eve} }})
	if d := cmp.Diff(map[string]reconcile.Lookup{gone: {}, eve: {DN: moved.DN}}, r.Directory.Lookups); d != "" {
		t.Error(d)
	}
}

// A hardened domain does not show who is disabled. Nobody must come back to work for that.
func TestActiveDirectoryWithoutAccountRestrictions(t *testing.T) {
	t.Parallel()
	o := domain()
	o.Faults = []ldaptest.Fault{{Filter: "sAMAccountType", Do: ldaptest.Withhold("", "userAccountControl")}}
	_, url := fake(t, o)
	mustFail(t, adConfig(t, url), adMapping(), "has no userAccountControl", "let the reader see it")
}

// FreeIPA keeps preserved and staged users apart from the others. None of them comes back, and one whom it preserves is found
// elsewhere by the id that is kept.
func TestFreeIPA(t *testing.T) {
	t.Parallel()
	const base, accounts = "dc=ipa,dc=example,dc=org", "cn=accounts,dc=ipa,dc=example,dc=org"
	folder := func(rdn, below string) ldaptest.Entry {
		return ldaptest.Entry{DN: rdn + "," + below, Attrs: map[string][]string{"objectClass": {"nsContainer"}}}
	}
	user := func(uid, below string, more ...string) ldaptest.Entry {
		e := person(uid, append([]string{"ipaUniqueID", "id-" + uid, "krbPasswordExpiration", "20200101000000Z"}, more...)...)
		e.DN = "uid=" + uid + "," + below
		return e
	}
	const users, groups, provisioning = "cn=users," + accounts, "cn=groups," + accounts, "cn=accounts,cn=provisioning," + base
	group := func(cn string, members ...string) ldaptest.Entry {
		return ldaptest.Entry{DN: "cn=" + cn + "," + groups, Attrs: map[string][]string{
			"objectClass": {"groupOfNames", "nestedGroup", "ipaUserGroup"}, "cn": {cn}, "member": members,
		}}
	}
	_, url := fake(t, ldaptest.Options{Entries: []ldaptest.Entry{
		{DN: base, Attrs: map[string][]string{"objectClass": {"domain"}, "dc": {"ipa"}}},
		folder("cn=accounts", base), folder("cn=users", accounts), folder("cn=groups", accounts),
		folder("cn=provisioning", base), folder("cn=accounts", "cn=provisioning,"+base), folder("cn=deleted users", provisioning), folder("cn=staged users", provisioning),
		user("anna", users), user("ben", users, "nsAccountLock", "TRUE"), user("cleo", users, "nsAccountLock", "FALSE", "krbPrincipalExpiration", "29991231235959Z"),
		user("dan", users, "krbPrincipalExpiration", "20200101000000Z"),
		user("preserved", "cn=deleted users,"+provisioning, "nsAccountLock", "TRUE"), user("staged", "cn=staged users,"+provisioning, "nsAccountLock", "TRUE"),
		group("ipausers", "uid=anna,"+users, "uid=cleo,"+users, "uid=preserved,cn=deleted users,"+provisioning),
		group("confocal", "cn=ipausers,"+groups),
		{DN: "cn=hosts," + groups, Attrs: map[string][]string{"objectClass": {"groupOfNames", "ipaHostGroup"}, "cn": {"hosts"}}},
	}})
	cfg := config(url)
	cfg.Users.Base, cfg.Groups.Base = users, groups
	cfg = profiled(t, "freeipa", cfg)
	r := mustRead(t, cfg, mapping(ldapsrc.RuleSource{Name: "confocal", Group: "confocal"}), ldapsrc.Request{
		Missing: func([]reconcile.Person) []string { return []string{"id-preserved", "id-gone"} },
	})
	if d := cmp.Diff([]string{"anna confocal>ipausers", "ben disabled", "cleo confocal>ipausers", "dan disabled"}, summary(r)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]reconcile.Lookup{"id-preserved": {DN: "uid=preserved,cn=deleted users," + provisioning}, "id-gone": {}}, r.Directory.Lookups); d != "" {
		t.Error(d)
	}
	if r.Directory.Groups != 2 {
		t.Errorf("%d groups", r.Directory.Groups)
	}
}

func posixEntry(uid, gid string, more ...string) ldaptest.Entry {
	return person(uid, append([]string{"objectClass", "posixAccount", "objectClass", "shadowAccount", "gidNumber", gid, "uidNumber", "1", "homeDirectory", "/"}, more...)...)
}

func posixGroup(cn, gid string, uids ...string) ldaptest.Entry {
	return ldaptest.Entry{DN: cnDN(cn), Attrs: map[string][]string{"objectClass": {"posixGroup"}, "cn": {cn}, "gidNumber": {gid}, "memberUid": uids}}
}

func TestSlapdPosix(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: tree(
		posixEntry("anna", "100"), posixEntry("ben", "200", "shadowExpire", "17000"), posixEntry("cleo", "200", "shadowExpire", "-1"),
		posixGroup("users", "100"), posixGroup("lab", "200", "anna", "nobody-here"),
	)})
	r := mustRead(t, profiled(t, "posix", reads(t, s)), mapping(ldapsrc.RuleSource{Name: "users", Group: "users"}, ldapsrc.RuleSource{Name: "lab", Group: "lab"}), ldapsrc.Request{})
	if d := cmp.Diff([]string{"anna users lab", "ben disabled lab", "cleo lab"}, summary(r)); d != "" {
		t.Error(d)
	}
	hidden := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: tree(posixEntry("anna", "100")), ACL: []string{"access to attrs=gidNumber by * none"}})
	mustFail(t, profiled(t, "posix", reads(t, hidden)), mapping(), "has no gidNumber")
}

// What groups list people by is hidden from the reader: of one person, or in all groups. Nobody may look as if they had left.
func TestSlapdPosixHidden(t *testing.T) {
	t.Parallel()
	entries := tree(posixEntry("anna", "200"), posixEntry("ben", "100"), posixGroup("users", "100"), posixGroup("lab", "200", "ben"))
	m := mapping(ldapsrc.RuleSource{Name: "lab", Group: "lab"})
	m.Login = ldapsrc.Attribute("mail")
	open := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
	known := mustRead(t, profiled(t, "posix", reads(t, open)), m, ldapsrc.Request{}).Directory.Rules[0].Groups

	uid := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries, ACL: []string{`access to dn.exact="` + uidDN("ben") + `" attrs=uid by * none`}})
	r := mustRead(t, profiled(t, "posix", reads(t, uid)), m, ldapsrc.Request{})
	if d := cmp.Diff([]string{"anna@example.org lab", "ben@example.org; uid: there is none, though groups list people by it; let the reader see it"}, summary(r)); d != "" {
		t.Error(d)
	}
	list := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries, ACL: []string{"access to attrs=memberUid by * none"}})
	r = mustRead(t, profiled(t, "posix", reads(t, list)), m, ldapsrc.Request{})
	if lost := r.Directory.Rules[0].Empty; len(lost) != 1 || !slices.Contains(known, lost[0]) {
		t.Errorf("%q of %q are empty", lost, known)
	}
}

// Members under an option count, and names that differ for the server differ here.
func TestSlapdMembersAsTheServerTakesThem(t *testing.T) {
	t.Parallel()
	named := func(uid, cn string) ldaptest.Entry {
		e := person(uid)
		e.DN, e.Attrs["cn"] = "cn="+cn+","+peopleBase, []string{cn}
		return e
	}
	lab := groupOf("lab", uidDN("anna"), "cn=STRAUSS,"+peopleBase, "cn=Fisch,"+peopleBase)
	lab.Attrs["member;lang-de"] = []string{uidDN("ben")}
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: tree(person("anna"), person("ben"), person("cleo"),
		named("s1", "Strauß"), named("s2", "Strauss"), named("f", "\ufb01sch"), lab)})
	cfg, m := reads(t, s), mapping(ldapsrc.RuleSource{Name: "lab", Group: "lab"})
	if d := cmp.Diff([]string{"anna lab", "ben lab", "cleo", "f lab", "s1", "s2 lab"}, summary(mustRead(t, cfg, m, ldapsrc.Request{}))); d != "" {
		t.Error(d)
	}
}

// Whom an administrator locked may not work; a lock after wrong passwords ends by itself.
func TestSlapdPasswordPolicy(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{
		Database: []string{"overlay ppolicy"},
		Entries: tree(person("anna"), person("ben", "pwdAccountLockedTime", "000001010000Z"), person("cleo", "pwdAccountLockedTime", "20260101000000Z"),
			person("dan", "pwdEndTime", "20200101000000Z"), person("eve", "pwdEndTime", "29991231235959Z")),
	})
	r := mustRead(t, profiled(t, ldapsrc.OpenLDAP, reads(t, s)), mapping(), ldapsrc.Request{})
	if d := cmp.Diff([]string{"anna", "ben disabled", "cleo", "dan disabled", "eve"}, summary(r)); d != "" {
		t.Error(d)
	}
}
