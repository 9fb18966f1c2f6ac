package ldapsrc

// Profile is a kind of directory: what the configuration means where it says nothing, and what no key of it says.
type Profile struct {
	Users    UserSearch
	Disabled string // expression that is true of people who may no longer work
	Groups   GroupSearch
	Kind     Kind
}

// Kind is what one knows of a directory by its kind alone.
type Kind struct {
	// Primary says how people and their primary group find each other; members' lists leave it out.
	Primary Primary
	// Always are attributes that every person has. If one is asked for and does not come, the reader may not see it.
	Always []string
	// Rare are attributes that hardly anybody has, so that nobody having one means nothing.
	Rare []string
	// DomainScope asks the server not to mention the other parts of its forest, which every search from the top would refer to.
	DomainScope bool
}

// Primary is an attribute of people with a number, and one of groups with the same number. Both are "" where there is no such
// thing. Of an objectSid the number is the last part.
type Primary struct{ Person, Group string }

// OpenLDAP is the profile of a configuration that names none.
const OpenLDAP = "openldap"

// Profiles are the kinds of directories by the name that the configuration has for them.
func Profiles() map[string]Profile {
	groupOfNames := GroupSearch{Filter: "(objectClass=groupOfNames)", Name: "cn", Member: "member", Nested: true}
	return map[string]Profile{
		// Of the locks of the password policy only the permanent one counts: the others end by themselves.
		OpenLDAP: {
			Users:    UserSearch{Filter: "(objectClass=inetOrgPerson)", ID: "entryUUID"},
			Disabled: "attr('pwdAccountLockedTime') == '000001010000Z' || expiredTime(attr('pwdEndTime'))",
			Groups:   groupOfNames,
			Kind:     Kind{Rare: []string{"pwdAccountLockedTime", "pwdEndTime"}},
		},
		"posix": {
			Users:    UserSearch{Filter: "(objectClass=posixAccount)", ID: "entryUUID"},
			Disabled: "expiredDays(attr('shadowExpire')) || attr('pwdAccountLockedTime') == '000001010000Z'",
			Groups:   GroupSearch{Filter: "(objectClass=posixGroup)", Name: "cn", Member: memberUID},
			Kind: Kind{
				Primary: Primary{"gidNumber", "gidNumber"},
				Always:  []string{"gidNumber"},
				Rare:    []string{"pwdAccountLockedTime", "shadowExpire"},
			},
		},
		// The type of account is that of people: computers and trusts, which are users, too, have others. The name that is
		// unique in the domain is sAMAccountName; a cn is so only among its neighbours.
		"active-directory": {
			Users:    UserSearch{Filter: "(sAMAccountType=805306368)", ID: objectGUID},
			Disabled: "flag(attr('userAccountControl'), 2) || expiredTicks(attr('accountExpires'))",
			Groups:   GroupSearch{Filter: "(objectClass=group)", Name: "sAMAccountName", Member: "member", Nested: true},
			Kind: Kind{
				Primary:     Primary{"primaryGroupID", objectSID},
				Always:      []string{"primaryGroupID", "userAccountControl"},
				Rare:        []string{"accountExpires"},
				DomainScope: true,
			},
		},
		"389ds": {
			Users:    UserSearch{Filter: "(|(objectClass=inetOrgPerson)(objectClass=nsPerson))", ID: "nsUniqueId"},
			Disabled: "attr('nsAccountLock').lowerAscii() == 'true'",
			Groups:   groupOfNames,
			Kind:     Kind{Rare: []string{"nsAccountLock"}},
		},
		"freeipa": {
			Users:    UserSearch{Filter: "(objectClass=inetOrgPerson)", ID: "ipaUniqueID"},
			Disabled: "attr('nsAccountLock').lowerAscii() == 'true' || expiredTime(attr('krbPrincipalExpiration'))",
			Groups:   GroupSearch{Filter: "(objectClass=ipaUserGroup)", Name: "cn", Member: "member", Nested: true},
			Kind:     Kind{Rare: []string{"krbPrincipalExpiration", "nsAccountLock"}},
		},
	}
}
