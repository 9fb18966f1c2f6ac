package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"ppms-syncd/internal/reconcile"
)

// Hash identifies the effective configuration, defaults filled in: comments, layout and keys that only repeat a default do not
// change it, and neither do the contents of secret files.
func (c *Config) Hash() string { return digest(c) }

// Scope identifies what decides who is a leaver and what is wanted. See [reconcile.Settings]. The order of rules, systems and
// protected logins decides nothing, so it does not count.
func (c *Config) Scope() string {
	scope := struct {
		Profile    string           `json:"profile"` // decides how members are understood
		Method     string           `json:"method"`  // as whom the reader is let in, which decides what it is shown
		Reader     string           `json:"reader"`
		Users      UserSearch       `json:"users"`
		Groups     GroupSearch      `json:"groups"`
		Referrals  []string         `json:"referrals"` // what the searches may leave out
		Attributes Attributes       `json:"attributes"`
		Protect    []string         `json:"protect"`
		Leavers    Leavers          `json:"leavers"`
		Rights     []Rule           `json:"rights"`
		Policy     reconcile.Policy `json:"policy"`
	}{
		c.LDAP.Profile, c.LDAP.Bind.Method, c.LDAP.Bind.DN, c.LDAP.Users, c.LDAP.Groups, slices.Sorted(slices.Values(c.LDAP.Referrals)),
		c.Accounts.Attributes, slices.Sorted(slices.Values(c.Accounts.Protect)), c.Leavers, slices.Clone(c.Rights), c.Policy,
	}
	slices.SortFunc(scope.Rights, func(a, b Rule) int { return cmp.Compare(a.Name, b.Name) })
	for i := range scope.Rights {
		systems := slices.Clone(scope.Rights[i].Systems)
		slices.SortFunc(systems, func(a, b Selector) int {
			return cmp.Compare(reconcile.Selector(a).String(), reconcile.Selector(b).String())
		})
		scope.Rights[i].Systems = systems
	}
	return digest(scope)
}

// digest hashes the JSON of a value: struct fields have their fixed order there, and map keys a sorted one.
func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("config: " + err.Error()) // only types that JSON knows are hashed
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
