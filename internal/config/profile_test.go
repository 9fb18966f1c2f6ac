package config

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/configs"
	"ppms-syncd/internal/ldapsrc"
)

// Each profile has an example, which loads, and whose commented values are those that the profile has anyway.
func TestProfileExamples(t *testing.T) {
	want := slices.Sorted(maps.Keys(ldapsrc.Profiles()))
	if diff := cmp.Diff(want, configs.Profiles()); diff != "" {
		t.Fatalf("profiles (-known +examples):\n%s", diff)
	}
	schema, _ := compileSchema(t)
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(name, Example(name), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Warnings) > 0 || c.LDAP.Profile != name || !c.DryRun {
				t.Errorf("profile %s, dry run %v, warnings %v", c.LDAP.Profile, c.DryRun, c.Warnings)
			}
			if err := schema.Validate(asJSON(t, Example(name))); err != nil {
				t.Error(err)
			}
			commented := regexp.MustCompile(`(?m)^    # (filter|id|disabled|name|member|nested): `)
			if n := len(commented.FindAll(Example(name), -1)); n != 7 {
				t.Errorf("%d defaults are shown", n)
			}
			shown, err := Parse(name, commented.ReplaceAll(Example(name), []byte("    $1: ")), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.LDAP, shown.LDAP); diff != "" || shown.Hash() != c.Hash() {
				t.Errorf("the example shows other defaults (-profile +example):\n%s", diff)
			}
			d := c.Directory()
			if _, err := ldapsrc.New(d, c.Mapping(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	if Example("example") != nil || Example("novell") != nil {
		t.Error("there is an example for what is no profile")
	}
}

// Every default of a profile gives way to a key, and the profile itself is a part of the scope.
func TestProfileOverridden(t *testing.T) {
	const file = `
policy: sync
ldap:
  profile: active-directory
  urls: [ldaps://dc.example.org]
  bind: {dn: "cn=reader,dc=example,dc=org", password_file: ldap-password}
  users: {base: "dc=example,dc=org", filter: (objectClass=user), id: employeeID, disabled: {cel: "false"}}
  groups: {base: "dc=example,dc=org", filter: (cn=lab-*), name: cn, member: uniqueMember, nested: false}
ppms: {url: https://ppms.example.org/pumapi/, api_key_file: pumapi-key}
accounts:
  attributes: {login: uid, lname: sn, fname: givenName, email: mail, unitlogin: ou}
`
	c, err := Parse("f", []byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := LDAP{
		Users:  UserSearch{Base: "dc=example,dc=org", Filter: "(objectClass=user)", ID: "employeeID", Disabled: Expr{"false"}},
		Groups: GroupSearch{Base: "dc=example,dc=org", Filter: "(cn=lab-*)", Name: "cn", Member: "uniqueMember"},
	}
	if diff := cmp.Diff(want, LDAP{Users: c.LDAP.Users, Groups: c.LDAP.Groups}); diff != "" {
		t.Error(diff)
	}
	other, err := Parse("f", regexp.MustCompile(`active-directory`).ReplaceAll([]byte(file), []byte("389ds")), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Scope() == other.Scope() || !c.Directory().Kind.DomainScope || other.Directory().Kind.DomainScope {
		t.Error("the profile makes no difference")
	}
}
