package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"ppms-syncd/internal/ldapsrc"
)

// Profiles of which more is known than their defaults.
const (
	activeDirectory = "active-directory"
	freeIPA         = "freeipa"
)

func (k *checker) ldap() {
	c := k.c.LDAP
	k.servers()
	k.bind()
	k.positive("ldap.timeout", c.Timeout)
	k.searches()
	for i, r := range c.Referrals {
		path := fmt.Sprintf("ldap.referrals[%d]", i)
		if k.sound(path) && !ldapURL(r) {
			k.fail(path, "must be an LDAP URL, such as ldap://other.example.org/dc=example,dc=org")
		}
	}
	for i, dn := range c.Canaries {
		if path := fmt.Sprintf("ldap.canaries[%d]", i); k.sound(path) {
			k.dn(path, dn)
		}
	}
}

// servers checks where to connect.
func (k *checker) servers() {
	c := k.c.LDAP
	plain := false // ldap:// is among the URLs
	for i, u := range c.URLs {
		path := fmt.Sprintf("ldap.urls[%d]", i)
		if err := checkServerURL(u, c.StartTLS); err != nil && k.sound(path) {
			k.fail(path, "%v", err)
		}
		if c.Profile == activeDirectory && globalCatalog(u) && k.sound(path) {
			k.fail(path, "is the global catalog, which has only a part of each entry and of each group: leave the port out")
		}
		plain = plain || strings.HasPrefix(strings.ToLower(u), "ldap://")
	}
	if c.StartTLS && !plain && k.sound("ldap.urls") {
		k.fail("ldap.start_tls", "is for ldap:// URLs, and there is none")
	}
}

func (k *checker) searches() {
	c := k.c.LDAP
	if k.sound("ldap.users.base") {
		k.dn("ldap.users.base", c.Users.Base)
	}
	if c.Profile == freeIPA && c.Users.Base != "" && !strings.HasPrefix(strings.ToLower(c.Users.Base), "cn=users,cn=accounts,") && !k.wrong["ldap.users.base"] {
		k.odd("ldap.users.base", "preserved and staged users of FreeIPA are elsewhere in the tree: the base of those who work is cn=users,cn=accounts,…")
	}
	k.filter("ldap.users.filter", c.Users.Filter)
	k.attribute("ldap.users.id", c.Users.ID, "")
	k.c.compiled.disabled = k.condition("ldap.users.disabled.cel", c.Users.Disabled.CEL)
	if c.Groups.Base != "" {
		k.dn("ldap.groups.base", c.Groups.Base)
	}
	k.filter("ldap.groups.filter", c.Groups.Filter)
	k.attribute("ldap.groups.name", c.Groups.Name, "")
	k.attribute("ldap.groups.member", c.Groups.Member, "")
}

// globalCatalog says whether a URL has one of the ports on which Active Directory serves the whole forest.
func globalCatalog(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Port() == "3268" || u.Port() == "3269")
}

// ldapURL says whether a reference to another server looks as servers write them.
func ldapURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "ldap" || u.Scheme == "ldaps") && u.Host != ""
}

// checkServerURL refuses what cannot be dialled, and what would send a password in the clear.
func checkServerURL(s string, startTLS bool) error {
	if strings.Contains(s, "@") { // not repeated: it could be a password
		return errors.New("must not have a user or password in it: they belong to ldap.bind")
	}
	return ldapsrc.CheckURL(s, startTLS)
}

// bind checks that each method has what it needs, and nothing that would be ignored.
func (k *checker) bind() {
	b, t := k.c.LDAP.Bind, k.c.LDAP.TLS
	if t.CertFile != "" && t.KeyFile == "" {
		k.missing("ldap.tls.key_file", ": cert_file is of no use without it")
	}
	if t.KeyFile != "" && t.CertFile == "" {
		k.missing("ldap.tls.cert_file", ": key_file is of no use without it")
	}
	switch b.Method {
	case "simple":
		k.missing("ldap.bind.dn", ": method simple needs it")
		k.missing("ldap.bind.password_file", ": method simple needs it")
		if b.DN != "" {
			k.dn("ldap.bind.dn", b.DN)
		}
		return
	case "external":
		if t.CertFile == "" && !k.allSockets() {
			k.fail("ldap.bind.method", "external needs a client certificate (ldap.tls.cert_file and key_file), or only ldapi:// URLs")
		}
	}
	if b.DN != "" {
		k.fail("ldap.bind.dn", "is of no use with method %s", b.Method)
	}
	if b.PasswordFile != "" {
		k.fail("ldap.bind.password_file", "is of no use with method %s", b.Method)
	}
}

func (k *checker) allSockets() bool {
	for _, u := range k.c.LDAP.URLs {
		if !strings.HasPrefix(u, "ldapi://") {
			return false
		}
	}
	return true
}
