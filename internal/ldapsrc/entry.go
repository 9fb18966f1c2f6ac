package ldapsrc

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// entry is one directory entry while it is being mapped. It is dropped afterwards.
type entry ldap.Entry

// get gives the raw values of an attribute, whatever the case of its name.
func (e *entry) get(name string) []string {
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, name) {
			return a.Values
		}
	}
	return nil
}
