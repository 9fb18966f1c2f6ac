package ldapsrc

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// entry is one directory entry while it is being mapped. It is dropped afterwards.
type entry struct {
	*ldap.Entry
	key string // of its DN; "" if that cannot be understood
}

// named refuses an entry whose name cannot be understood.
func (e *entry) named(what string) error {
	if e.key != "" {
		return nil
	}
	_, err := dnKey(e.DN)
	return incomplete("look at it with ldapsearch", "the name %q of %s cannot be understood: %v", e.DN, what, err)
}

// get gives the raw values of an attribute, whatever the case of its name.
func (e *entry) get(name string) []string { return e.GetEqualFoldAttributeValues(name) }

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
