package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"ppms-syncd/internal/ldapsrc"
)

// defaults is what a file means that has no key but ldap.profile. Lists are never nil, so that a list left out and an empty one
// are the same.
func defaults(profile string) *Config {
	p := ldapsrc.Profiles()[profile]
	limit := Limit{Count: 50, Percent: 10, Floor: 5}
	return &Config{
		Schedule:   "*/30 * * * *",
		TimeZone:   "UTC",
		RunTimeout: Duration(30 * time.Minute),
		LDAP: LDAP{
			Profile:   profile,
			URLs:      []string{},
			Bind:      Bind{Method: "simple"},
			Timeout:   Duration(time.Minute),
			PageSize:  500,
			Users:     UserSearch{Filter: p.Users.Filter, ID: p.Users.ID, Disabled: Expr{Expression(p.Disabled)}},
			Groups:    GroupSearch(p.Groups),
			Referrals: []string{},
			Canaries:  []string{},
		},
		PPMS: PPMS{
			Timeout:           Duration(30 * time.Second),
			Concurrency:       4,
			RequestsPerSecond: 20,
			VerifyEvery:       Duration(day),
		},
		Accounts: Accounts{
			Create:        Create{Always: true},
			Authoritative: []string{},
			LoginPattern:  `^[A-Za-z0-9._@-]{1,64}$`,
			Protect:       []string{},
		},
		Leavers: Leavers{Grace: Duration(7 * day), DisabledGrace: Duration(day), Confirmations: 3},
		Rights:  []Rule{},
		Guards: Guards{
			Creations: limit, Updates: limit, Grants: limit, Revocations: limit, Deactivations: limit,
			MinPeople: 1, MaxShrink: 10,
		},
		Ledger: Ledger{Path: "/var/lib/ppms-syncd/ledger.db", Keep: Duration(400 * day)},
		HTTP:   HTTP{Listen: "127.0.0.1:9475"},
		Log:    Log{Level: "info", Format: "json"},
	}
}

// profileOf looks for ldap.profile before anything else is read, since it decides the defaults. A name that is none is reported
// later, by the walk.
func profileOf(root *ast.MappingNode) string {
	section, _ := valueOf(root, "ldap").(*ast.MappingNode)
	if name, ok := textOf(valueOf(section, "profile")); ok {
		if _, known := ldapsrc.Profiles()[name]; known {
			return name
		}
	}
	return ldapsrc.OpenLDAP
}

func valueOf(m *ast.MappingNode, key string) ast.Node {
	if m == nil {
		return nil
	}
	for _, kv := range m.Values {
		if kv.Key.GetToken().Value == key {
			return kv.Value
		}
	}
	return nil
}
