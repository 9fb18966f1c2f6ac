package ldapsrc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/sambatest"
)

func readsSamba(tb testing.TB, s *sambatest.Samba) ldapsrc.Config {
	tb.Helper()
	c := config(s.TLSURL)
	c.TLS.CAFile = s.CAFile
	c.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: s.ReaderDN, Password: passwordFile(tb, s.ReaderPassword)}
	c.Users.Base, c.Groups.Base = sambatest.Staff, sambatest.Base
	return profiled(tb, "active-directory", c)
}

func sambaDN(cn string) string { return "CN=" + cn + "," + sambatest.Staff }

func sambaPerson(name string, more ...string) ldaptest.Entry {
	attrs := map[string][]string{
		"objectClass": {"user"}, "sAMAccountName": {name}, "userAccountControl": {"544"}, "sn": {"Sn" + name}, "givenName": {"X"}, "mail": {name + "@example.org"},
	}
	for i := 0; i < len(more); i += 2 {
		attrs[more[i]] = []string{more[i+1]}
	}
	return ldaptest.Entry{DN: sambaDN(name), Attrs: attrs}
}

func sambaGroup(name string, members ...string) ldaptest.Entry {
	return ldaptest.Entry{DN: sambaDN(name), Attrs: map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}, "member": members}}
}

// A domain as it comes, over every kind of connection: states, nested groups, a primary group, and three references from the top.
func TestSamba(t *testing.T) {
	t.Parallel()
	s := sambatest.Start(t, sambatest.Options{Entries: []ldaptest.Entry{
		sambaPerson("anna"), sambaPerson("ben", "userAccountControl", "546"), sambaPerson("cleo", "accountExpires", "131592384000000000"),
		sambaPerson("dan", "accountExpires", "0"), sambaPerson("eve", "accountExpires", "149842560000000000"),
		{DN: sambaDN("MIC01"), Attrs: map[string][]string{"objectClass": {"computer"}, "sAMAccountName": {"MIC01$"}, "userAccountControl": {"4128"}}},
		sambaGroup("imaging", sambaDN("anna"), sambaDN("MIC01")), sambaGroup("primaries", sambaDN("dan"), sambaDN("eve")),
		sambaGroup("confocal", sambaDN("imaging"), sambaDN("primaries"), sambaDN("ben")),
	}})
	s.SetPrimaryGroup(sambaDN("primaries"), sambaDN("dan"))
	m := adMapping()
	m.Rules = []ldapsrc.RuleSource{{Name: "confocal", Group: "confocal"}}
	want := []string{
		"anna confocal>imaging", "ben disabled confocal", "cleo disabled", "dan confocal>primaries", "eve confocal>primaries",
	}
	for name, change := range map[string]func(*ldapsrc.Config){
		"ldaps":    func(*ldapsrc.Config) {},
		"StartTLS": func(c *ldapsrc.Config) { c.URLs, c.StartTLS = []string{s.URL}, true },
		"from the top": func(c *ldapsrc.Config) {
			c.Users.Base = sambatest.Base
			c.Users.Filter = "(&" + c.Users.Filter + "(mail=*))"
		},
		"pages of two":  func(c *ldapsrc.Config) { c.PageSize = 2 },
		"name for a DN": func(c *ldapsrc.Config) { c.Bind.DN = "reader@ad.example.org" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := readsSamba(t, s)
			change(&cfg)
			if diff := cmp.Diff(want, summary(mustRead(t, cfg, m, ldapsrc.Request{}))); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("group of everybody", func(t *testing.T) {
		t.Parallel()
		m := adMapping()
		m.Rules = []ldapsrc.RuleSource{{Name: "all", Group: "Domain Users"}}
		for _, p := range mustRead(t, readsSamba(t, s), m, ldapsrc.Request{}).Directory.People {
			if len(p.Rules) != 1 { // of dan it is no longer the primary group, and lists him instead
				t.Errorf("%s is not in Domain Users", p.Login)
			}
		}
	})
}

// What a domain controller says no to, and what we make of it.
func TestSambaRefusals(t *testing.T) {
	t.Parallel()
	s := sambatest.Start(t, sambatest.Options{})
	for _, c := range []struct {
		change func(*ldapsrc.Config)
		want   []string
	}{
		{func(c *ldapsrc.Config) { c.Bind.Password = passwordFile(t, "another") }, []string{"password is wrong", "check the password file"}},
		{func(c *ldapsrc.Config) { c.URLs = []string{s.URL} }, []string{"wants an encrypted connection", "start_tls"}},
		{func(c *ldapsrc.Config) { c.TLS.ServerName = "dc2.ad.example.org" }, []string{"not for dc2.ad.example.org"}},
		{func(c *ldapsrc.Config) { c.Users.Base = "OU=Stuff," + sambatest.Base }, []string{"ldap.users.base", "does not exist"}},
	} {
		cfg := readsSamba(t, s)
		c.change(&cfg)
		mustFail(t, cfg, adMapping(), c.want...)
	}
	s.Modify("dn: " + s.ReaderDN + "\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n")
	mustFail(t, readsSamba(t, s), adMapping(), "account is disabled", "enable it")
}
