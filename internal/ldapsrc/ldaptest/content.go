package ldaptest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Entry is one entry of the directory. Attribute names keep their spelling; values may be binary. The DN needs not be one:
// an entry whose DN cannot be read is returned by every subtree search, as something that a client must refuse.
type Entry struct {
	DN    string
	Attrs map[string][]string
}

// EntryUUID is the entryUUID of an entry that has none of its own. It is made from the DN, so that it is the same in every run;
// an entry that shall keep it over a rename needs an entryUUID among its attributes.
func EntryUUID(dn string) string {
	h := sha256.Sum256([]byte(keyOf(dn)))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8 (custom), RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// content is what the server holds. It is never changed, only replaced.
type content struct {
	records  []*record
	byKey    map[string]*record
	contexts []string // naming contexts: entries without an entry above them
}

// record is an entry, prepared for searches.
type record struct {
	dn     string
	parsed *ldap.DN            // nil if the DN cannot be read
	attrs  []Attr              // sorted by name
	values map[string][]string // by lower-case name; that of a name without options has those with options, too
}

func newContent(entries []Entry) *content {
	c := &content{byKey: make(map[string]*record, len(entries))}
	for _, e := range entries {
		r := newRecord(e, Attr{"entryUUID", []string{EntryUUID(e.DN)}}, Attr{"entryDN", []string{e.DN}})
		c.records = append(c.records, r)
		if r.parsed != nil {
			c.byKey[keyOf(e.DN)] = r
		}
	}
	for _, r := range c.records {
		if r.parsed != nil && c.above(r.parsed) == nil {
			c.contexts = append(c.contexts, r.dn)
		}
	}
	return c
}

// above finds the closest entry above a DN.
func (c *content) above(dn *ldap.DN) *record {
	for i := 1; i < len(dn.RDNs); i++ {
		up := ldap.DN{RDNs: dn.RDNs[i:]}
		if r := c.byKey[strings.ToLower(up.String())]; r != nil {
			return r
		}
	}
	return nil
}

// newRecord prepares an entry, and gives it those of the computed attributes that it has not.
func newRecord(e Entry, computed ...Attr) *record {
	r := &record{dn: e.DN, values: make(map[string][]string, len(e.Attrs)+2)}
	if dn, err := ldap.ParseDN(e.DN); err == nil && len(dn.RDNs) > 0 {
		r.parsed = dn
	}
	for name, values := range e.Attrs {
		r.attrs = append(r.attrs, Attr{name, slices.Clone(values)})
	}
	for _, a := range computed {
		if !slices.ContainsFunc(r.attrs, func(b Attr) bool { return strings.EqualFold(a.Name, b.Name) }) {
			r.attrs = append(r.attrs, a)
		}
	}
	r.attrs = slices.DeleteFunc(r.attrs, func(a Attr) bool { // neither shown nor searched
		return strings.EqualFold(a.Name, "userPassword") || len(a.Values) == 0
	})
	slices.SortFunc(r.attrs, func(a, b Attr) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range r.attrs {
		lower := strings.ToLower(a.Name)
		r.values[lower] = append(r.values[lower], a.Values...)
		if base, _, ok := strings.Cut(lower, ";"); ok {
			r.values[base] = append(r.values[base], a.Values...)
		}
	}
	return r
}

// get is what a filter sees of the entry.
func (r *record) get(attr string) []string { return r.values[strings.ToLower(attr)] }

// keyOf spells equal DNs alike. What is no DN stands for itself.
func keyOf(dn string) string {
	if parsed, err := ldap.ParseDN(dn); err == nil {
		dn = parsed.String()
	}
	return strings.ToLower(dn)
}

func sameDN(a, b string) bool { return strings.EqualFold(a, b) || keyOf(a) == keyOf(b) }
