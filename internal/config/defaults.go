package config

import "time"

// defaults is what a file without any key means, for an OpenLDAP directory. Lists are never nil, so that a list left out and
// an empty one are the same.
func defaults() *Config {
	limit := Limit{Count: 50, Percent: 10, Floor: 5}
	return &Config{
		Schedule:   "*/30 * * * *",
		TimeZone:   "UTC",
		RunTimeout: Duration(30 * time.Minute),
		LDAP: LDAP{
			Profile:   openLDAP,
			URLs:      []string{},
			Bind:      Bind{Method: "simple"},
			Timeout:   Duration(time.Minute),
			PageSize:  500,
			Users:     UserSearch{Filter: "(objectClass=inetOrgPerson)", ID: "entryUUID", Disabled: Expr{"false"}},
			Groups:    GroupSearch{Filter: "(objectClass=groupOfNames)", Name: "cn", Member: "member", Nested: true},
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
