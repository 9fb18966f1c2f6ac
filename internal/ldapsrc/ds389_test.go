package ldapsrc_test

import (
	"testing"
	"time"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/ds389test"
	"ppms-syncd/internal/reconcile"
)

func reads389(tb testing.TB, s *ds389test.Server) ldapsrc.Config {
	tb.Helper()
	c := profiled(tb, "389ds", config(s.URL))
	c.Timeout = time.Minute // it is slow where others want the processor, too
	c.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: s.ReaderDN, Password: passwordFile(tb, s.ReaderPassword)}
	return c
}

// Its cookie is the same on every page, the lock is operational, and so is the stable id.
func TestDs389Read(t *testing.T) {
	t.Parallel()
	entries := append(generated(350), person("locked", "nsAccountLock", "true"), person("unlocked", "nsAccountLock", "false"))
	s := ds389test.Start(t, ds389test.Options{Entries: entries})
	r := mustRead(t, reads389(t, s), mapping(), ldapsrc.Request{})
	if len(r.Directory.People) != 352 || r.Directory.Groups != 40 || r.Pages != 5 {
		t.Errorf("got %d people, %d groups, %d pages", len(r.Directory.People), r.Directory.Groups, r.Pages)
	}
	for _, p := range r.Directory.People {
		if disabled := p.State == reconcile.Disabled; disabled != (p.Login == "locked") || len(p.ID) != 35 {
			t.Errorf("got %+v", p)
		}
	}
}

// Where no ACI allows the reader anything, each search succeeds with nothing, even below a base that does not exist.
func TestDs389MissingACI(t *testing.T) {
	t.Parallel()
	const groupsOnly = `(target = "ldap:///` + groupBase + `")(targetattr = "*")(version 3.0; acl "groups"; allow (read, search) userdn = "ldap:///all";)`
	const notMail = `(targetattr != "mail")(version 3.0; acl "not mail"; allow (read, search) userdn = "ldap:///all";)`
	s := ds389test.Start(t, ds389test.Options{Entries: tree(person("ada"), groupOf("g", uidDN("ada")))})
	for _, c := range []struct {
		aci    string
		change func(*ldapsrc.Config)
		want   []string
	}{
		{groupsOnly, func(*ldapsrc.Config) {}, []string{"ldap.users.base " + peopleBase + ", read by itself, gives 0 entries", "let the reader see it"}},
		{groupsOnly, func(c *ldapsrc.Config) { c.Users.Base = "ou=nobody,dc=example,dc=org" }, []string{"ou=nobody,dc=example,dc=org, read by itself, gives 0 entries"}},
		{notMail, func(c *ldapsrc.Config) { c.Canaries = []string{uidDN("ada")} }, []string{"canary", "without email"}},
	} {
		s.Modify("dn: " + ds389test.Suffix + "\nchangetype: modify\nreplace: aci\naci: " + c.aci + "\n")
		cfg := reads389(t, s)
		c.change(&cfg)
		mustFail(t, cfg, mapping(), c.want...)
	}
}

// Its limits are 2000 entries for each page and 5000 looked through for each search.
func TestDs389Limits(t *testing.T) {
	t.Parallel()
	s := ds389test.Start(t, ds389test.Options{Entries: ldaptest.Generate(ldaptest.GenOptions{People: 5001}), Limits: map[string]string{}})
	cfg := reads389(t, s)
	cfg.PageSize = 500
	mustFail(t, cfg, mapping(), "administrative limit", "nsLookThroughLimit")
	cfg.PageSize = 3000
	mustFail(t, cfg, mapping(), "size limit", "nsSizeLimit")
	s.Modify("dn: " + s.ReaderDN + "\nchangetype: modify\nadd: nsSizeLimit\nnsSizeLimit: -1\n-\nadd: nsLookThroughLimit\nnsLookThroughLimit: -1\n")
	if n := len(mustRead(t, cfg, mapping(), ldapsrc.Request{}).Directory.People); n != 5001 {
		t.Errorf("got %d people", n)
	}
}
