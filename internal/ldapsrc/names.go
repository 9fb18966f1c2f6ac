package ldapsrc

import (
	"errors"

	"github.com/go-ldap/ldap/v3"
)

// CheckFilter says what is wrong with a search filter.
func CheckFilter(filter string) error {
	_, err := CompileFilter(filter)
	return err
}

// CheckDN says what is wrong with a distinguished name.
func CheckDN(dn string) error {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return err
	}
	if len(parsed.RDNs) == 0 {
		return errors.New("the name is empty")
	}
	return nil
}
