package ldapsrc

import (
	"slices"
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

// all gives the raw values of an attribute and of its subtypes, such as member;lang-de, which count as its own (RFC 4512 2.5.2).
func (e *entry) all(name string) []string {
	values := e.get(name)
	for _, a := range e.Attributes {
		if base, _, options := strings.Cut(a.Name, ";"); options && strings.EqualFold(base, name) {
			values = append(slices.Clip(values), a.Values...)
		}
	}
	return values
}
