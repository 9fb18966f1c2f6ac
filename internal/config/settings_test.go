package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// smallest is a configuration with nothing but what is required.
const smallest = `policy: sync
ldap:
  urls: [ldaps://ldap.example.org]
  bind: {dn: "cn=reader,dc=example,dc=org", password_file: ldap-password}
  users: {base: "ou=people,dc=example,dc=org"}
  groups: {base: "ou=groups,dc=example,dc=org"}
ppms: {url: https://ppms.example.org/pumapi, api_key_file: pumapi-key}
accounts:
  attributes: {login: uid, lname: sn, fname: givenName, email: mail, unitlogin: ou}
`

func mustParse(t *testing.T, text string, dirs ...string) *Config {
	t.Helper()
	c, err := Parse("f", []byte(text), dirs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := mustParse(t, smallest, "/etc/a")
	limit := reconcile.Limit{Count: 50, Percent: 10, Floor: 5}
	want := reconcile.Settings{
		Policy:        reconcile.Sync,
		Mapped:        [reconcile.NumFields]bool{reconcile.Lname: true, reconcile.Fname: true, reconcile.Email: true, reconcile.Unit: true},
		Authoritative: [reconcile.NumFields]bool{reconcile.Lname: true, reconcile.Fname: true, reconcile.Email: true},
		Leavers:       reconcile.LeaverSettings{Grace: 168 * time.Hour, DisabledGrace: 24 * time.Hour, Confirmations: 3},
		Guards:        reconcile.GuardSettings{Limits: [5]reconcile.Limit{limit, limit, limit, limit, limit}, MinPeople: 1, MaxShrink: 10},
		Scope:         c.Scope(),
	}
	if diff := cmp.Diff(want, c.Settings(), cmpopts.IgnoreFields(reconcile.Settings{}, "LoginOK", "Protected")); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	directory := ldapsrc.Config{
		URLs:      []string{"ldaps://ldap.example.org"},
		Bind:      ldapsrc.Bind{Method: ldapsrc.Simple, DN: "cn=reader,dc=example,dc=org", Password: secret.File{Path: "ldap-password", Dirs: []string{"/etc/a"}}},
		Timeout:   time.Minute,
		PageSize:  500,
		Users:     ldapsrc.UserSearch{Base: "ou=people,dc=example,dc=org", Filter: "(objectClass=inetOrgPerson)", ID: "entryUUID"},
		Groups:    ldapsrc.GroupSearch{Base: "ou=groups,dc=example,dc=org", Filter: "(objectClass=groupOfNames)", Name: "cn", Member: "member", Nested: true},
		Kind:      ldapsrc.Profiles()[ldapsrc.OpenLDAP].Kind,
		Referrals: []string{},
		Canaries:  []string{},
	}
	got := c.Directory()
	if got.Users.Disabled == nil || got.Users.Disabled.String() != ldapsrc.Profiles()[ldapsrc.OpenLDAP].Disabled {
		t.Errorf("disabled is %v", got.Users.Disabled)
	}
	if diff := cmp.Diff(directory, got, cmpopts.IgnoreFields(ldapsrc.UserSearch{}, "Disabled")); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
	pumapi := Pumapi{
		URL: "https://ppms.example.org/pumapi/", Key: secret.File{Path: "pumapi-key", Dirs: []string{"/etc/a"}}, Timeout: 30 * time.Second,
		Concurrency: 4, RequestsPerSecond: 20, VerifyEvery: 24 * time.Hour, Location: time.UTC,
	}
	if diff := cmp.Diff(pumapi, c.Pumapi(), cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("pumapi (-want +got):\n%s", diff)
	}
	if m := c.Mapping(); m.Create != nil || m.CreateNobody || m.Login.String() != "uid" || m.Fields[reconcile.Unit].String() != "ou" || !m.Fields[reconcile.Phone].IsZero() {
		t.Errorf("mapping is %+v", m)
	}
	if c.DryRun || c.RunTimeout != Duration(30*time.Minute) || c.Ledger != (Ledger{"/var/lib/ppms-syncd/ledger.db", Duration(9600 * time.Hour)}) ||
		c.HTTP.Listen != "127.0.0.1:9475" || c.Log != (Log{"info", "json"}) {
		t.Errorf("%+v", c)
	}
}

func TestRules(t *testing.T) {
	c := mustParse(t, smallest+`  create: {cel: "'a' in groups"}
  authoritative: [unitlogin, lname]
  protect: [Admin, "/^SVC-/"]
rights:
  - {name: confocal, group: confocal-users, systems: [12, {name: "SP8*"}, {type: "Confocal*", facility: 2}], level: A}
  - {name: novices, when: "attr('employeeType') == 'student'", systems: [1], level: N}
guards: {deactivations: {percent: 3}}
`)
	s, m := c.Settings(), c.Mapping()
	want := []reconcile.Rule{
		{Name: "confocal", Level: reconcile.Autonomous, Systems: []reconcile.Selector{{ID: 12}, {Name: "SP8*"}, {Type: "Confocal*", Facility: 2}}},
		{Name: "novices", Level: reconcile.Novice, Systems: []reconcile.Selector{{ID: 1}}},
	}
	if diff := cmp.Diff(want, s.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if len(m.Rules) != 2 || m.Rules[0].Group != "confocal-users" || m.Rules[0].When != nil || m.Rules[1].Name != "novices" || m.Rules[1].When == nil {
		t.Errorf("sources of the rules: %+v", m.Rules)
	}
	if m.Create == nil || m.CreateNobody {
		t.Errorf("create: %v, nobody %v", m.Create, m.CreateNobody)
	}
	if s.Authoritative != [reconcile.NumFields]bool{reconcile.Lname: true, reconcile.Unit: true} {
		t.Errorf("authoritative: %v", s.Authoritative)
	}
	if s.Guards.Limits[4] != (reconcile.Limit{Count: 50, Percent: 3, Floor: 5}) {
		t.Errorf("deactivations: %+v", s.Guards.Limits[4])
	}
	for login, protected := range map[string]bool{"admin": true, "ADMIN ": true, "svc-backup": true, "Svc-X": true, "my-svc-x": false, "jdoe": false} {
		if s.Protected(reconcile.KeyOf(login)) != protected {
			t.Errorf("%q protected: %v", login, !protected)
		}
	}
	for login, ok := range map[string]bool{"j.doe@x-1": true, "": false, "j doe": false, strings.Repeat("x", 65): false} {
		if s.LoginOK(login) != ok {
			t.Errorf("%q is a good login: %v", login, !ok)
		}
	}
	if m := mustParse(t, smallest+"  create: false\n").Mapping(); !m.CreateNobody {
		t.Error("create: false creates somebody")
	}
}

func TestTimetable(t *testing.T) {
	c := mustParse(t, smallest+"schedule: \"0 4 * * *\"\ntime_zone: Asia/Tokyo\n")
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	if next, want := c.Timetable().Next(at), time.Date(2026, 6, 1, 19, 0, 0, 0, time.UTC); !next.Equal(want) {
		t.Errorf("next run at %v, not at %v", next, want)
	}
	if c.Location().String() != "Asia/Tokyo" || c.Pumapi().Location.String() != "Asia/Tokyo" {
		t.Errorf("zones %v and %v", c.Location(), c.Pumapi().Location)
	}
	c = mustParse(t, smallest+"schedule: \"@every 90m\"\n")
	if next := c.Timetable().Next(at); next != at.Add(90*time.Minute) {
		t.Errorf("next run at %v", next)
	}
}

func TestLoad(t *testing.T) {
	dir, credentials := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, "\ufeff"+strings.ReplaceAll(smallest+"http: {web_config_file: web.yaml}\n", "\n", "\r\n"))
	write(filepath.Join(dir, "pumapi-key"), "beside")
	write(filepath.Join(dir, "ldap-password"), "beside")
	write(filepath.Join(credentials, "ldap-password"), "credential")
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string]secret.File{"beside": c.Pumapi().Key, "credential": c.Directory().Bind.Password} {
		if s, err := file.Read(); err != nil || s.Reveal() != want {
			t.Errorf("secret %q: %v", s.Reveal(), err)
		}
	}
	if got, want := c.WebConfigFile(), filepath.Join(dir, "web.yaml"); got != want {
		t.Errorf("web_config_file %s, not %s", got, want)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("no file: %v", err)
	}
}
