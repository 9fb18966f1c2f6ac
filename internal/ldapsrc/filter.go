package ldapsrc

import (
	"errors"
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Filter is an LDAP search filter that can be evaluated here, without a server: to say why somebody is not in a search's
// result, and for the test directory.
//
// It knows no schema. Text is compared as caseIgnoreMatch does (case, composition and repeated blanks do not count), which
// fits nearly all attributes that people filter on, objectClass included; values that are no UTF-8 are compared byte by byte,
// DNs as DNs, and >= and <= as numbers if both sides are. A directory is stricter where its schema has no such comparison:
// OpenLDAP's sn has no order, so (sn>=M) matches nothing there, and does here.
//
// What an entry has not is false, so that its negation is true. What cannot be evaluated here, a matching rule that is not known
// for example, is neither: then the filter does not match, and its negation does not either.
type Filter struct{ root *term }

// term is one component of a filter, in parentheses.
type term struct {
	op       uint64  // ldap.FilterAnd and so on
	terms    []*term // of and, or, not
	attr     string
	value    string
	folded   string     // value, for equality
	valueDN  *ldap.DN   // value, if it can be read as one
	parts    []part     // of a substring match
	ruleName string     // of an extensible match, as written
	rule     comparison // what it comes down to
	dnToo    bool       // an extensible match that looks at the DN as well
}

// part is a piece of a substring match; its tag says whether it is the first, the last or any.
type part struct {
	tag          uint64
	text, folded string
}

// CompileFilter reads a filter as RFC 4515 writes it. The error says in one sentence what is wrong with it.
func CompileFilter(s string) (*Filter, error) {
	if !strings.HasPrefix(s, "(") {
		return nil, fmt.Errorf("filter %q must be in parentheses, like (uid=*)", s)
	}
	packet, err := ldap.CompileFilter(s)
	if err == nil {
		var f *Filter
		if f, err = FilterFromPacket(packet); err == nil {
			return f, nil
		}
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok { // without "LDAP Result Code 201": nobody has asked a server yet
		err = e.Err
	}
	return nil, fmt.Errorf("filter %q: %s", s, strings.TrimPrefix(err.Error(), "ldap: "))
}

// FilterFromPacket reads a filter as it stands in a search request.
func FilterFromPacket(p *ber.Packet) (*Filter, error) {
	root, err := newTerm(p)
	if err != nil {
		return nil, err
	}
	return &Filter{root}, nil
}

// Match says whether an entry fits. The function given returns the entry's values of an attribute, whatever the case of its
// name, and nil if there are none.
func (f *Filter) Match(get func(attr string) []string) bool { return f.root.eval(get) == yes }

// Why returns "" if the entry matches, and otherwise a sentence that names the smallest component that keeps it out, and what
// the entry has instead.
func (f *Filter) Why(get func(attr string) []string) string {
	if f.Match(get) {
		return ""
	}
	return f.root.why(get)
}

// Attributes lists the attributes that the filter looks at, each once, in the order and spelling of their first appearance.
func (f *Filter) Attributes() []string { return f.root.attributes(nil) }

// String is the filter as RFC 4515 writes it. Only what must be is escaped.
func (f *Filter) String() string {
	var b strings.Builder
	f.root.write(&b)
	return b.String()
}

// newTerm reads one component. The packet may come from the wire, so nothing about its shape is taken for granted.
func newTerm(p *ber.Packet) (*term, error) {
	if p == nil || p.ClassType != ber.ClassContext {
		return nil, errors.New("not a filter")
	}
	t := &term{op: uint64(p.Tag)}
	var err error
	switch t.op {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		return t, t.readTerms(p)
	case ldap.FilterPresent:
		t.attr = p.Data.String()
	case ldap.FilterExtensibleMatch:
		err = t.readExtensible(p)
	case ldap.FilterSubstrings:
		err = t.readSubstrings(p)
	case ldap.FilterEqualityMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual, ldap.FilterApproxMatch:
		err = t.readComparison(p)
	default:
		err = fmt.Errorf("unknown kind of component (%d)", p.Tag)
	}
	if err != nil {
		return nil, err
	}
	if anyAttribute := t.op == ldap.FilterExtensibleMatch && t.attr == ""; !anyAttribute && !isAttribute(t.attr) {
		return nil, fmt.Errorf("%q is no name of an attribute", t.attr)
	}
	return t, nil
}

func (t *term) readTerms(p *ber.Packet) error {
	for _, child := range p.Children {
		sub, err := newTerm(child)
		if err != nil {
			return err
		}
		t.terms = append(t.terms, sub)
	}
	if t.op == ldap.FilterNot && len(t.terms) != 1 {
		return errors.New("a negation has exactly one part")
	}
	return nil
}

func (t *term) readComparison(p *ber.Packet) error {
	if len(p.Children) != 2 {
		return errors.New("a comparison has an attribute and a value")
	}
	t.attr = p.Children[0].Data.String()
	t.setValue(p.Children[1].Data.String())
	return nil
}

// setValue prepares the value for comparisons.
func (t *term) setValue(v string) {
	t.value, t.folded = v, folded(v)
	if dn, err := ldap.ParseDN(v); err == nil && len(dn.RDNs) > 0 {
		t.valueDN = dn
	}
}

func (t *term) readSubstrings(p *ber.Packet) error {
	if len(p.Children) != 2 || len(p.Children[1].Children) == 0 {
		return errors.New("a substring match needs a piece of text")
	}
	t.attr = p.Children[0].Data.String()
	last := len(p.Children[1].Children) - 1
	for i, c := range p.Children[1].Children {
		switch {
		case c.Tag > ldap.FilterSubstringsFinal, c.Data.Len() == 0,
			c.Tag == ldap.FilterSubstringsInitial && i != 0, c.Tag == ldap.FilterSubstringsFinal && i != last:
			return errors.New("a substring match has a piece that is empty, misplaced or unknown")
		}
		t.parts = append(t.parts, part{uint64(c.Tag), c.Data.String(), foldedPart(c.Data.String())})
	}
	return nil
}

func (t *term) readExtensible(p *ber.Packet) error {
	for _, c := range p.Children {
		switch uint64(c.Tag) {
		case ldap.MatchingRuleAssertionMatchingRule:
			t.ruleName = c.Data.String()
		case ldap.MatchingRuleAssertionType:
			t.attr = c.Data.String()
		case ldap.MatchingRuleAssertionMatchValue:
			t.setValue(c.Data.String())
		case ldap.MatchingRuleAssertionDNAttributes:
			b := c.Data.Bytes()
			t.dnToo = len(b) > 0 && b[0] != 0
		default:
			return errors.New("an extensible match has an unknown piece")
		}
	}
	if t.ruleName != "" && !isAttribute(t.ruleName) { // the same alphabet
		return fmt.Errorf("%q is no name of a matching rule", t.ruleName)
	}
	t.rule = comparisonOf(t.ruleName)
	if t.ruleName == "" && t.attr == "" {
		return errors.New("an extensible match needs an attribute or a rule")
	}
	if t.value == "" { // go-ldap takes one without := as well
		return errors.New("an extensible match needs := and a value")
	}
	return nil
}

// isAttribute says whether a name can be that of an attribute, with options: letters, digits, hyphens, dots and semicolons. The
// underscore is not allowed by RFC 4512, but some directories have it.
func isAttribute(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;_") == ""
}
