package ldapsrc_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

const (
	peopleBase = "ou=people,dc=example,dc=org"
	groupBase  = "ou=groups,dc=example,dc=org"
)

// passwordFile holds a secret for one test.
func passwordFile(tb testing.TB, password string) secret.File {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		tb.Fatal(err)
	}
	return secret.File{Path: path}
}

// config reads a directory as ldaptest.Generate lays it out.
func config(url string) ldapsrc.Config {
	return ldapsrc.Config{
		URLs: []string{url}, Timeout: 20 * time.Second, PageSize: 100,
		Bind:   ldapsrc.Bind{Method: ldapsrc.Anonymous},
		Users:  ldapsrc.UserSearch{Base: peopleBase, Filter: "(objectClass=inetOrgPerson)", ID: "entryUUID"},
		Groups: ldapsrc.GroupSearch{Base: groupBase, Filter: "(objectClass=groupOfNames)", Name: "cn", Member: "member", Nested: true},
	}
}

func mapping(rules ...ldapsrc.RuleSource) ldapsrc.Mapping {
	m := ldapsrc.Mapping{Login: ldapsrc.Attribute("uid"), Rules: rules}
	m.Fields[reconcile.Lname] = ldapsrc.Attribute("sn")
	m.Fields[reconcile.Fname] = ldapsrc.Attribute("givenName")
	m.Fields[reconcile.Email] = ldapsrc.Attribute("mail")
	m.Fields[reconcile.Phone] = ldapsrc.Attribute("telephoneNumber")
	return m
}

func reads(tb testing.TB, s *slapdtest.Slapd) ldapsrc.Config {
	tb.Helper()
	c := config(s.TLSURL)
	c.TLS.CAFile = s.CAFile
	c.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: s.ReaderDN, Password: passwordFile(tb, s.ReaderPassword+"\n")}
	return c
}

func read(tb testing.TB, c ldapsrc.Config, m ldapsrc.Mapping, req ldapsrc.Request) (*ldapsrc.Result, error) {
	tb.Helper()
	s, err := ldapsrc.New(c, m, zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	return s.Read(tb.Context(), req)
}

func mustRead(tb testing.TB, c ldapsrc.Config, m ldapsrc.Mapping, req ldapsrc.Request) *ldapsrc.Result {
	tb.Helper()
	r, err := read(tb, c, m, req)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// mustFail expects an incomplete read that says this, and gives nothing.
func mustFail(tb testing.TB, c ldapsrc.Config, m ldapsrc.Mapping, want ...string) {
	tb.Helper()
	r, err := read(tb, c, m, ldapsrc.Request{})
	var e *ldapsrc.IncompleteError
	if r != nil || !errors.As(err, &e) {
		tb.Fatalf("got %v and %v, want an IncompleteError alone", r, err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			tb.Errorf("got %q, want %q in it", err, w)
		}
	}
	tb.Log(err)
}

func generated(people int) []ldaptest.Entry {
	return ldaptest.Generate(ldaptest.GenOptions{People: people, Groups: 40, Nested: 5, Seed: 1})
}

// More people than OpenLDAP's default size limit, over every kind of connection.
func TestSlapdConnections(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: generated(730)})
	for _, c := range []struct {
		name    string
		change  func(*ldapsrc.Config)
		boundAs string
		noTLS   bool
	}{
		{name: "ldaps", boundAs: s.ReaderDN},
		{name: "StartTLS", change: func(c *ldapsrc.Config) { c.URLs, c.StartTLS = []string{s.URL}, true }, boundAs: s.ReaderDN},
		{name: "server name", change: func(c *ldapsrc.Config) { c.TLS.ServerName = "localhost" }, boundAs: s.ReaderDN},
		{name: "plain on loopback", change: func(c *ldapsrc.Config) { c.URLs = []string{s.URL} }, boundAs: s.ReaderDN, noTLS: true},
		{name: "ldapi with external", change: func(c *ldapsrc.Config) {
			c.URLs, c.Bind = []string{s.LDAPI}, ldapsrc.Bind{Method: ldapsrc.External}
			c.PageSize, c.Users.Filter = 20, "(&(objectClass=inetOrgPerson)(telephoneNumber=*000*))" // it has the default size limit
		}, boundAs: "cn=peercred,cn=external,cn=auth", noTLS: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := reads(t, s)
			if c.change != nil {
				c.change(&cfg)
			}
			r := mustRead(t, cfg, mapping(), ldapsrc.Request{})
			if n := len(r.Directory.People); cfg.Bind.Method == ldapsrc.Simple && (n != 730 || r.Pages != 9) {
				t.Errorf("got %d people in %d pages", n, r.Pages)
			}
			if r.Server != cfg.URLs[0] || !strings.HasSuffix(r.BoundAs, c.boundAs) || r.CertExpires.IsZero() != c.noTLS || r.Directory.Groups != 40 {
				t.Errorf("got %s, %s, %s, %d groups", r.Server, r.BoundAs, r.CertExpires, r.Directory.Groups)
			}
		})
	}
}

func TestSlapdRefusals(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: generated(10), ACL: []string{
		`access to dn.subtree="ou=groups,dc=example,dc=org" by users read by anonymous none`,
	}})
	other, err := ldaptest.NewCerts(ldaptest.CertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	otherCA := filepath.Join(t.TempDir(), "other.crt")
	if err := os.WriteFile(otherCA, other.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*ldapsrc.Config)
		want   []string
	}{
		{"wrong password", func(c *ldapsrc.Config) { c.Bind.Password = passwordFile(t, "wrong") }, []string{"binding as cn=reader", "refused the name or the password", "password file"}},
		{"wrong DN", func(c *ldapsrc.Config) { c.Bind.DN = "cn=nobody,dc=example,dc=org" }, []string{"refused the name or the password"}},
		{"DN that is none", func(c *ldapsrc.Config) { c.Bind.DN = "nobody" }, []string{"invalid", "ldap.bind.dn"}},
		{"authority of somebody else", func(c *ldapsrc.Config) { c.TLS.CAFile = otherCA }, []string{"not trusted here", "ldap.tls.ca_file"}},
		{"authority of the system", func(c *ldapsrc.Config) { c.TLS.CAFile = "" }, []string{"not trusted here", "ldap.tls.ca_file"}},
		{"authority over StartTLS", func(c *ldapsrc.Config) { c.URLs, c.StartTLS, c.TLS.CAFile = []string{s.URL}, true, otherCA }, []string{"not trusted here"}},
		{"another name", func(c *ldapsrc.Config) { c.TLS.ServerName = "ldap.example.org" }, []string{"is for localhost, 127.0.0.1, ::1, not for ldap.example.org", "ldap.tls.server_name"}},
		{"TLS on the plain port", func(c *ldapsrc.Config) { c.URLs = []string{strings.Replace(s.URL, "ldap:", "ldaps:", 1)} }, []string{"TLS handshake"}},
		{"plain on the TLS port", func(c *ldapsrc.Config) { c.URLs = []string{strings.Replace(s.TLSURL, "ldaps:", "ldap:", 1)} }, []string{"binding as"}},
		{"no such authority file", func(c *ldapsrc.Config) { c.TLS.CAFile += ".none" }, []string{"ldap.tls.ca_file", "no such file"}},
		{"authority file of something else", func(c *ldapsrc.Config) { c.TLS.CAFile = c.Bind.Password.Path }, []string{"no certificate in PEM form"}},
		{"no such socket", func(c *ldapsrc.Config) { c.URLs = []string{"ldapi://%2Fnone%2Fldapi"} }, []string{"no such socket"}},
		{"anonymous", func(c *ldapsrc.Config) { c.Bind = ldapsrc.Bind{Method: ldapsrc.Anonymous} }, []string{"does not exist, or the reader may not see it"}},
		{"wrong base", func(c *ldapsrc.Config) { c.Users.Base = "ou=nobody,dc=example,dc=org" }, []string{"ldap.users.base ou=nobody,dc=example,dc=org does not exist"}},
		{"base of another tree", func(c *ldapsrc.Config) { c.Users.Base = "ou=people,dc=example,dc=com" }, []string{"ldap.users.base"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := reads(t, s)
			c.change(&cfg)
			mustFail(t, cfg, mapping(), c.want...)
		})
	}
}

// A client certificate names the reader, over ldaps and StartTLS. slapd takes whom authz-regexp makes of its subject.
func TestSlapdExternal(t *testing.T) {
	t.Parallel()
	const reader = "cn=reader,ou=services,dc=example,dc=org"
	start := func(verify string) *slapdtest.Slapd {
		return slapdtest.StartSlapd(t, slapdtest.SlapdOptions{
			Entries: generated(730), Global: []string{"TLSVerifyClient " + verify, `authz-regexp "^cn=localhost$" "` + reader + `"`},
		})
	}
	demands, tries, never := start("demand"), start("try"), start("never")
	other, err := ldaptest.NewCerts(ldaptest.CertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	for name, pem := range map[string][]byte{"crt": other.Cert, "key": other.Key} {
		if err := os.WriteFile(filepath.Join(files, name), pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := filepath.Join(files, "open")
	if err := errors.Join(os.WriteFile(open, other.Key, 0o600), os.Chmod(open, 0o604)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		server *slapdtest.Slapd
		change func(*ldapsrc.Config)
		want   []string // of an error; none if the reader gets in
	}{
		{name: "ldaps", server: demands},
		{name: "StartTLS", server: demands, change: func(c *ldapsrc.Config) { c.URLs, c.StartTLS = []string{demands.URL}, true }},
		{name: "server that does not insist", server: tries},
		{
			name: "certificate of another authority", server: demands,
			change: func(c *ldapsrc.Config) {
				c.TLS.CertFile, c.TLS.KeyFile = filepath.Join(files, "crt"), filepath.Join(files, "key")
			},
			want: []string{"binding (external)", "trusts the authority of ldap.tls.cert_file"},
		},
		{name: "server that asks for none", server: never, want: []string{"binding (external)", "ldap.bind.method"}},
		{
			name: "key of another certificate", server: demands, change: func(c *ldapsrc.Config) { c.TLS.KeyFile = filepath.Join(files, "key") },
			want: []string{"ldap.tls.cert_file and key_file", "does not match"},
		},
		{
			name: "key that others may read", server: demands, change: func(c *ldapsrc.Config) { c.TLS.KeyFile = open },
			want: []string{"ldap.tls.cert_file and key_file", "others may touch it"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := reads(t, c.server)
			cfg.Bind = ldapsrc.Bind{Method: ldapsrc.External}
			cfg.TLS.CertFile, cfg.TLS.KeyFile = c.server.CertFile, c.server.KeyFile
			if c.change != nil {
				c.change(&cfg)
			}
			if c.want != nil {
				mustFail(t, cfg, mapping(), c.want...)
				return
			}
			if r := mustRead(t, cfg, mapping(), ldapsrc.Request{}); len(r.Directory.People) != 730 || r.BoundAs != reader {
				t.Errorf("got %d people as %s", len(r.Directory.People), r.BoundAs)
			}
		})
	}
}

func TestSlapdExpiredCertificate(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Cert: ldaptest.CertOptions{Expired: true}})
	mustFail(t, reads(t, s), mapping(), "not valid now", "renew it")
	cfg := reads(t, s)
	cfg.URLs, cfg.StartTLS = []string{s.URL}, true
	mustFail(t, cfg, mapping(), "not valid now", "renew it")
}

// OpenLDAP counts the size limit over all pages. Being bound as rootdn would hide that.
func TestSlapdSizeLimit(t *testing.T) {
	t.Parallel()
	for _, limits := range []string{"size=500", "size.soft=500 size.hard=soft", "size=unlimited size.prtotal=500"} {
		s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: generated(730), ReaderLimits: limits})
		mustFail(t, reads(t, s), mapping(), "limit", s.ReaderDN)
	}
}

// One wide base for groups in several places, which list each other across them. Names are spelled as people do.
func TestSlapdGroupsInSeveralPlaces(t *testing.T) {
	t.Parallel()
	const jane = `uid=jane+cn=Doe\, Jane,` + peopleBase
	labs := func(cn string, members ...string) ldaptest.Entry {
		g := groupOf(cn, members...)
		g.DN = "cn=" + cn + ",ou=labs,dc=example,dc=org"
		return g
	}
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: tree(
		person("anna"), person("ben"), ldaptest.Entry{DN: jane, Attrs: person("jane", "cn", "Doe, Jane").Attrs},
		ldaptest.Entry{DN: "ou=labs,dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"labs"}}},
		groupOf("confocal", "cn=smith,ou=labs,dc=example,dc=org", "cn=nobody"),
		labs("smith", "UID=Anna, ou=people,dc=example,dc=org", `cn=doe\2C jane+uid=JANE,`+peopleBase, "cn=partners,ou=groups,dc=example,dc=org"),
		groupOf("partners", uidDN("ben"), "CN=Smith,ou=Labs,dc=example,dc=org", "cn=elsewhere,ou=groups,dc=example,dc=com"),
	)})
	cfg := reads(t, s)
	m := mapping(ldapsrc.RuleSource{Name: "confocal", Group: "confocal"})
	for base, want := range map[string][]string{
		"dc=example,dc=org":           {"anna confocal>smith", "ben confocal>smith>partners", "jane confocal>smith"},
		"ou=labs,dc=example,dc=org":   {"anna", "ben", "jane"}, // the rule is suspended
		"ou=groups,dc=example,dc=org": {"anna", "ben", "jane"}, // what is outside is no group, but somebody whom nobody knows
	} {
		cfg.Groups.Base = base
		if d := cmp.Diff(want, summary(mustRead(t, cfg, m, ldapsrc.Request{}))); d != "" {
			t.Errorf("%s: %s", base, d)
		}
	}
}

// What a reader may not see must not look as if it were gone.
func TestSlapdACLs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, acl string
		canary    string
		want      []string
	}{
		{"hides the people's base", `access to dn.subtree="ou=people,dc=example,dc=org" by * none`, "", []string{"ldap.users.base", "may not see it"}},
		{"hides only the base itself", `access to dn.base="ou=people,dc=example,dc=org" by * none`, "", []string{"ldap.users.base"}},
		{"hides the groups' base", `access to dn.subtree="ou=groups,dc=example,dc=org" by * none`, "", []string{"ldap.groups.base"}},
		{"hides the stable id", `access to attrs=entryUUID by * none`, "", []string{"0 values of entryUUID", "may not see it"}},
		{"hides one person", `access to dn.base="uid=cdubois,ou=people,dc=example,dc=org" by * none`, uidDN("cdubois"), []string{"canary", "did not come back"}},
		{"hides mail", `access to attrs=mail by * none`, uidDN("cdubois"), []string{"came back without email"}},
		{"hides members", `access to attrs=member by * none`, "GROUP", []string{"came back without members"}},
		{"filter cannot be evaluated", `access to attrs=objectClass by * none`, uidDN("cdubois"), []string{"entries instead of one"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			entries := append(generated(50), person("cdubois"))
			s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries, ACL: []string{c.acl}})
			cfg := reads(t, s)
			if c.canary == "GROUP" {
				for _, e := range entries {
					if strings.HasSuffix(e.DN, ","+groupBase) {
						c.canary = e.DN
					}
				}
			}
			if c.canary != "" {
				cfg.Canaries = []string{c.canary}
			}
			mustFail(t, cfg, mapping(), c.want...)
		})
	}
}

// With the overlay refint groups follow a rename, and the stable id stays.
func TestSlapdRefint(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{
		Entries:  tree(person("anna"), groupOf("confocal", uidDN("anna"))),
		Database: []string{"overlay refint", "refint_attributes member"},
	})
	m := mapping(ldapsrc.RuleSource{Name: "confocal", Group: "confocal"})
	before := mustRead(t, reads(t, s), m, ldapsrc.Request{}).Directory.People
	s.Modify("dn: " + uidDN("anna") + "\nchangetype: modrdn\nnewrdn: uid=hanna\ndeleteoldrdn: 1\n")
	var after []reconcile.Person
	for range 100 { // the overlay works behind the answer
		if after = mustRead(t, reads(t, s), m, ldapsrc.Request{}).Directory.People; len(after[0].Rules) == 1 {
			break
		}
	}
	if len(after) != 1 || after[0].Login != "hanna" || after[0].ID != before[0].ID || len(after[0].Rules) != 1 {
		t.Errorf("got %+v", after)
	}
}

func TestSlapdReference(t *testing.T) {
	t.Parallel()
	entries := append(generated(20), ldaptest.Entry{DN: "ou=guests," + peopleBase, Attrs: map[string][]string{
		"objectClass": {"referral", "extensibleObject"}, "ou": {"guests"}, "ref": {"ldap://other.example.org/ou=guests,dc=example,dc=org"},
	}})
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
	cfg := reads(t, s)
	mustFail(t, cfg, mapping(), "on another server", "other.example.org", "ldap.referrals")
	cfg.Referrals = []string{"ldap://other.example.org/ou=guests,dc=example,dc=org"}
	if n := len(mustRead(t, cfg, mapping(), ldapsrc.Request{}).Directory.People); n != 20 {
		t.Errorf("got %d people", n)
	}
}

// Everything about one small directory: names in several spellings, nested groups in a circle, dummies, several values.
func TestSlapdMapping(t *testing.T) {
	t.Parallel()
	umlaut := ldaptest.Entry{DN: `cn=Müller\, Jörg+uid=jm,` + peopleBase, Attrs: map[string][]string{
		"objectClass": {"inetOrgPerson"}, "uid": {"jm"}, "cn": {"Müller, Jörg"}, "sn": {"Müller"}, "mail": {"jm@example.org", "joerg@example.org"},
	}}
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: tree(
		person("anna", "employeeType", "guest"), person("ben", "ou", "lab7"), umlaut,
		groupOf("confocal", "CN=imaging, OU=groups,dc=example,dc=org", "cn=dummy"),
		groupOf("imaging", "userid=anna,organizationalUnitName=people,dc=example,dc=org", cnDN("core")),
		groupOf("core", `uid=JM+cn=M\C3\BCller\2C J\C3\B6rg,`+peopleBase, cnDN("confocal")),
		groupOf("empty", "cn=nobody"),
	)})
	cfg := reads(t, s)
	cfg.Users.Disabled = condition(t, "attr('employeeType') == 'guest'")
	m := mapping(
		ldapsrc.RuleSource{Name: "confocal", Group: "Confocal"},
		ldapsrc.RuleSource{Name: "dn", Group: "cn=IMAGING," + groupBase},
		ldapsrc.RuleSource{Name: "when", When: condition(t, "'core' in groups || attr('ou') == 'lab7'")},
		ldapsrc.RuleSource{Name: "nobody", Group: "empty"},
		ldapsrc.RuleSource{Name: "typo", Group: "confocl"},
	)
	m.Create = condition(t, "attr('employeeType') != 'guest'")
	m.Fields[reconcile.Unit] = value(t, "'core' in groups ? 'corelab' : attr('ou')")
	r := mustRead(t, cfg, m, ldapsrc.Request{})
	people := map[string]reconcile.Person{}
	for _, p := range r.Directory.People {
		if p.ID != ldaptest.EntryUUID(p.DN) && p.Login != "jm" {
			t.Errorf("%s has the id %s", p.DN, p.ID)
		}
		p.ID, p.DN, p.Fields[reconcile.Lname], p.Fields[reconcile.Fname] = "", "", nil, nil
		people[p.Login] = p
	}
	fields := func(mail []string, unit ...string) (f [reconcile.NumFields][]string) {
		f[reconcile.Email], f[reconcile.Unit] = mail, unit
		return f
	}
	want := map[string]reconcile.Person{
		"anna": {Login: "anna", State: reconcile.Disabled, Fields: fields([]string{"anna@example.org"}, "corelab"), // core holds confocal holds imaging
			Rules: []reconcile.Member{{Rule: 0, Path: []string{"confocal", "imaging"}}, {Rule: 1, Path: []string{"imaging"}}, {Rule: 2}}},
		"ben": {Login: "ben", Create: true, Fields: fields([]string{"ben@example.org"}, "lab7"), Rules: []reconcile.Member{{Rule: 2}}},
		"jm": {Login: "jm", Create: true, Fields: fields([]string{"jm@example.org", "joerg@example.org"}, "corelab"), Rules: []reconcile.Member{
			{Rule: 0, Path: []string{"confocal", "imaging", "core"}}, {Rule: 1, Path: []string{"imaging", "core"}}, {Rule: 2},
		}},
	}
	if d := cmp.Diff(want, people); d != "" {
		t.Error(d)
	}
	var suspects []string
	for _, rule := range r.Directory.Rules {
		suspects = append(suspects, rule.Suspect)
	}
	if d := cmp.Diff([]string{"", "", "", "", "the group confocl was not found"}, suspects); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int{"employeeType": 2, "givenName": 1, "mail": 0, "ou": 2, "sn": 0, "telephoneNumber": 3, "uid": 0}, r.Lacking); d != "" {
		t.Error(d)
	}
}

// The second look at the missing.
func TestSlapdLookups(t *testing.T) {
	t.Parallel()
	entries := append(tree(person("here"), person("guest", "employeeType", "guest")),
		ldaptest.Entry{DN: "ou=former,dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"former"}}},
		ldaptest.Entry{DN: "uid=moved,ou=former,dc=example,dc=org", Attrs: person("moved").Attrs})
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
	cfg := reads(t, s)
	cfg.Users.Filter = "(&(objectClass=inetOrgPerson)(!(employeeType=guest)))"
	id := ldaptest.EntryUUID
	ask := func(ids ...string) ldapsrc.Request {
		return ldapsrc.Request{Missing: func(people []reconcile.Person) []string {
			if len(people) != 1 {
				t.Errorf("got %d people", len(people))
			}
			return ids
		}}
	}
	gone := []string{"b669827a-1d47-86e7-bdd6-d48ac97045f1", "no uuid)(*"}
	for i := range 130 { // several batches
		gone = append(gone, "b669827a-1d47-86e7-bdd6-"+strings.Repeat("0", 9)+string([]byte{'1' + byte(i/64), '0' + byte(i/8%8), '0' + byte(i%8)}))
	}
	r := mustRead(t, cfg, mapping(), ask(append(gone, id("uid=moved,ou=former,dc=example,dc=org"), id(uidDN("guest")))...))
	if n := len(r.Directory.Lookups); n != len(gone)+2 {
		t.Errorf("got %d answers", n)
	}
	for i, l := range r.Directory.Lookups {
		want := reconcile.Lookup{}
		switch i {
		case id("uid=moved,ou=former,dc=example,dc=org"):
			want.DN = "uid=moved,ou=former,dc=example,dc=org"
		case id(uidDN("guest")):
			want.DN = uidDN("guest")
		}
		if d := cmp.Diff(want, l); d != "" {
			t.Error(i, d)
		}
	}
	_, err := read(t, cfg, mapping(), ask(append(gone, id(uidDN("here")))...))
	if err == nil || !strings.Contains(err.Error(), "the read was wrong: it left out "+uidDN("here")) {
		t.Errorf("got %v", err)
	}
}

func TestSlapdExplain(t *testing.T) {
	t.Parallel()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: append(tree(
		person("anna", "employeeType", "staff"), person("guest", "employeeType", "guest"),
		groupOf("all", cnDN("lab")), groupOf("lab", uidDN("anna"), cnDN("all"))),
		ldaptest.Entry{DN: "ou=former,dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"former"}}},
		ldaptest.Entry{DN: "uid=guest,ou=former,dc=example,dc=org", Attrs: person("guest").Attrs})})
	cfg := reads(t, s)
	cfg.Users.Filter = "(&(objectClass=inetOrgPerson)(employeeType=staff))"
	r := mustRead(t, cfg, mapping(ldapsrc.RuleSource{Name: "all", Group: "all"}), ldapsrc.Request{About: " ANNA"})
	e := r.Entry
	if e == nil {
		t.Fatal("no entry")
	}
	if e.DN != uidDN("anna") || e.Person.Login != "anna" || len(e.Person.Rules) != 1 || len(e.Others) != 0 || r.Elsewhere != nil {
		t.Errorf("got %+v", e)
	}
	if d := cmp.Diff([]ldapsrc.InGroup{{Name: "lab", DN: cnDN("lab"), Path: []string{"lab"}}, {Name: "all", DN: cnDN("all"), Path: []string{"all", "lab"}}}, e.Groups); d != "" {
		t.Error(d)
	}
	attributes := []ldapsrc.NamedValues{
		{Name: "entryUUID", Values: []string{ldaptest.EntryUUID(uidDN("anna"))}},
		{Name: "givenName", Values: []string{"X"}},
		{Name: "mail", Values: []string{"anna@example.org"}},
		{Name: "sn", Values: []string{"Snanna"}},
		{Name: "uid", Values: []string{"anna"}},
	}
	if d := cmp.Diff(attributes, e.Attributes); d != "" {
		t.Error(d)
	}

	r = mustRead(t, cfg, mapping(), ldapsrc.Request{About: "guest"})
	want := []ldapsrc.Elsewhere{
		{DN: "uid=guest,ou=former,dc=example,dc=org", Why: "it is outside ou=people,dc=example,dc=org"},
		{DN: uidDN("guest"), Why: `the filter excludes it because (employeeType=staff) does not match: employeeType is "guest"`},
	}
	if d := cmp.Diff(want, r.Elsewhere); d != "" || r.Entry != nil {
		t.Error(d)
	}
	r = mustRead(t, cfg, mapping(), ldapsrc.Request{About: "no)(body*"})
	if r.Entry != nil || len(r.Elsewhere) != 0 {
		t.Errorf("got %+v", r.Elsewhere)
	}
}

// Every search in the log can be pasted into a shell, and gives what we read. The password is not in it.
func TestSlapdCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ldapsearch"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("no ldapsearch")
	}
	entries := append(generated(130), person("quo'te", "description", "a 'b' $(c)"))
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
	for name, change := range map[string]func(*ldapsrc.Config){
		"ldaps":    func(*ldapsrc.Config) {},
		"StartTLS": func(c *ldapsrc.Config) { c.URLs, c.StartTLS = []string{s.URL}, true },
		"ldapi":    func(c *ldapsrc.Config) { c.URLs, c.Bind = []string{s.LDAPI}, ldapsrc.Bind{Method: ldapsrc.External} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			cfg := reads(t, s)
			change(&cfg)
			if cfg.Bind.Method == ldapsrc.Simple {
				cfg.Bind.Password = passwordFile(t, s.ReaderPassword) // ldapsearch takes the line feed for a part of it
			}
			cfg.Users.Filter = "(&(objectClass=inetOrgPerson)(|(mail=*)(description=a 'b' $\\28c\\29)))"
			src, err := ldapsrc.New(cfg, mapping(), zap.New(core))
			if err != nil {
				t.Fatal(err)
			}
			r, err := src.Read(t.Context(), ldapsrc.Request{})
			if err != nil {
				t.Fatal(err)
			}
			var found []int
			for _, l := range logs.FilterMessage("ldap search").All() {
				line := l.ContextMap()["command"].(string)
				if strings.Contains(line, s.ReaderPassword) {
					t.Errorf("the password is in %s", line)
				}
				out, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
				if err != nil {
					t.Errorf("%s: %v", line, err)
				}
				found = append(found, strings.Count("\n"+string(out), "\ndn:"))
			}
			if d := cmp.Diff([]int{1, 1, r.Directory.Groups, len(r.Directory.People)}, found); d != "" {
				t.Error(d)
			}
		})
	}
}
