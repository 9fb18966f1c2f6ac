package config

import (
	"strings"
	"testing"
)

const ruled = smallest + `  protect: [admin, "/^svc-/"]
rights:
  - {name: a, group: g, systems: [1, {name: x}], level: A}
  - {name: b, group: h, systems: [2], level: N}
`

func TestHashes(t *testing.T) {
	base := mustParse(t, ruled)
	for _, x := range []struct {
		name        string
		old, new    string // replaced in the file; an empty old appends
		hash, scope bool   // change
	}{
		{"comment", "", "# nothing\n", false, false},
		{"layout", "urls: [ldaps://ldap.example.org]", "urls:\n    - \"ldaps://ldap.example.org\"", false, false},
		{"order of keys", "{url: https://ppms.example.org/pumapi, api_key_file: pumapi-key}", "{api_key_file: pumapi-key, url: https://ppms.example.org/pumapi/}", false, false},
		{"default written out", "", "run_timeout: 1800s\nschedule: '*/30 * * * *'\nguards: {grants: {}}\n", false, false},
		{"default list written out", "  protect:", "  authoritative: [email, fname, lname]\n  protect:", false, false},
		{"other spelling of a duration", "", "ledger: {keep: 9600h}\n", false, false},
		{"condition written long", "group: h", "when: {cel: \"true\"}", true, true},
		{"log level", "", "log: {level: debug}\n", true, false},
		{"dry run", "", "dry_run: true\n", true, false},
		{"schedule", "", "schedule: '@hourly'\n", true, false},
		{"server", "ldap.example.org", "ldap2.example.org", true, false},
		{"password file", "password_file: ldap-password", "password_file: other", true, false},
		{"reader", "cn=reader", "cn=other", true, true},
		{"guards", "", "guards: {grants: {count: 49}}\n", true, false},
		{"canaries", "  bind", "  canaries: [\"uid=x,dc=example\"]\n  bind", true, false},
		{"authoritative", "  protect:", "  authoritative: [lname]\n  protect:", true, false},
		{"create", "  protect:", "  create: false\n  protect:", true, false},
		{"order of protect", `[admin, "/^svc-/"]`, `["/^svc-/", admin]`, true, false},
		{"order of systems", "[1, {name: x}]", "[{name: x}, 1]", true, false},
		{"policy", "policy: sync", "policy: upsert-only", true, true},
		{"people", "ou=people", "ou=staff", true, true},
		{"filter", "users: {", "users: {filter: (uid=*), ", true, true},
		{"id", "users: {", "users: {id: uid, ", true, true},
		{"disabled", "users: {", "users: {disabled: {cel: \"true\"}, ", true, true},
		{"groups", "ou=groups", "ou=teams", true, true},
		{"nesting", "groups: {", "groups: {nested: false, ", true, true},
		{"referrals", "  bind", "  referrals: [\"ldap://x.example.org\"]\n  bind", true, true},
		{"attribute", "login: uid", "login: cn", true, true},
		{"attribute as expression", "login: uid", "login: {cel: \"attr('uid')\"}", true, true},
		{"protect", "admin", "root", true, true},
		{"leavers", "", "leavers: {grace: 1d}\n", true, true},
		{"rule", "group: h", "group: i", true, true},
		{"level", "level: N", "level: A", true, true},
		{"system", "systems: [2]", "systems: [3]", true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			text := ruled + x.new
			if x.old != "" {
				text = strings.Replace(ruled, x.old, x.new, 1)
			}
			if text == ruled {
				t.Fatal("nothing was changed")
			}
			c := mustParse(t, text)
			if changed := c.Hash() != base.Hash(); changed != x.hash {
				t.Errorf("hash changed: %v", changed)
			}
			if changed := c.Scope() != base.Scope(); changed != x.scope {
				t.Errorf("scope changed: %v", changed)
			}
		})
	}
	// Rules in another order are another configuration, but want the same.
	a, b := "  - {name: a, group: g, systems: [1, {name: x}], level: A}\n", "  - {name: b, group: h, systems: [2], level: N}\n"
	swapped := mustParse(t, strings.Replace(ruled, a+b, b+a, 1))
	if swapped.Hash() == base.Hash() || swapped.Scope() != base.Scope() {
		t.Error("order of rules")
	}
	for range 20 {
		if c := mustParse(t, ruled); c.Hash() != base.Hash() || c.Scope() != base.Scope() {
			t.Fatal("the hashes are not stable")
		}
	}
	if !strings.HasPrefix(base.Hash(), "sha256:") || !strings.HasPrefix(base.Scope(), "sha256:") || base.Hash() == base.Scope() {
		t.Errorf("%s and %s", base.Hash(), base.Scope())
	}
	if base.Hash() != mustParse(t, ruled, "/elsewhere").Hash() {
		t.Error("the hash depends on where the file is")
	}
}
