package ldapsrc

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// truth is a value of X.511's three-valued logic, ordered so that and is the least, or the greatest of its terms.
type truth int8

const (
	no        truth = -1
	undefined truth = 0
	yes       truth = 1
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t *term) eval(get func(string) []string) truth {
	switch t.op {
	case ldap.FilterAnd:
		result := yes
		for _, sub := range t.terms {
			result = min(result, sub.eval(get))
		}
		return result
	case ldap.FilterOr:
		result := no
		for _, sub := range t.terms {
			result = max(result, sub.eval(get))
		}
		return result
	case ldap.FilterNot:
		return -t.terms[0].eval(get)
	case ldap.FilterPresent:
		return truthOf(len(get(t.attr)) > 0)
	}
	if t.op == ldap.FilterExtensibleMatch && (t.attr == "" || t.rule == compareUnknown) {
		return undefined // without an attribute it means all that the rule fits, which needs a schema
	}
	result := no
	for _, v := range get(t.attr) {
		result = max(result, t.evalValue(v))
	}
	if result == no && t.dnToo {
		return undefined // the DN is not known here
	}
	return result
}

// evalValue compares one value.
func (t *term) evalValue(v string) truth {
	switch t.op {
	case ldap.FilterSubstrings:
		return truthOf(t.hasParts(v))
	case ldap.FilterGreaterOrEqual:
		return truthOf(compareValues(v, t.value) >= 0)
	case ldap.FilterLessOrEqual:
		return truthOf(compareValues(v, t.value) <= 0)
	case ldap.FilterExtensibleMatch:
		return t.evalRule(v)
	}
	return truthOf(t.equal(v))
}

// comparison is what a matching rule comes down to here.
type comparison uint8

const (
	compareUnknown comparison = iota
	compareFolded
	compareExact
	compareAllBits
	compareAnyBit
)

// comparisonOf knows the matching rules that need no schema, by name and OID; the last two are Active Directory's.
func comparisonOf(rule string) comparison {
	switch strings.ToLower(rule) {
	case "", "caseignorematch", "2.5.13.2", "caseignoreia5match", "1.3.6.1.4.1.1466.109.114.2",
		"distinguishednamematch", "2.5.13.1", "integermatch", "2.5.13.14":
		return compareFolded
	case "caseexactmatch", "2.5.13.5", "caseexactia5match", "1.3.6.1.4.1.1466.109.114.1", "octetstringmatch", "2.5.13.17":
		return compareExact
	case "1.2.840.113556.1.4.803":
		return compareAllBits
	case "1.2.840.113556.1.4.804":
		return compareAnyBit
	}
	return compareUnknown
}

func (t *term) evalRule(v string) truth {
	switch t.rule {
	case compareFolded:
		return truthOf(t.equal(v))
	case compareExact:
		return truthOf(v == t.value)
	case compareAllBits, compareAnyBit:
		have, err1 := strconv.ParseInt(v, 10, 64)
		want, err2 := strconv.ParseInt(t.value, 10, 64)
		if err1 != nil || err2 != nil {
			return undefined
		}
		if t.rule == compareAllBits {
			return truthOf(have&want == want)
		}
		return truthOf(have&want != 0)
	case compareUnknown:
	}
	return undefined
}

func (t *term) equal(v string) bool {
	if folded(v) == t.folded {
		return true
	}
	if t.valueDN == nil || !strings.Contains(v, "=") {
		return false
	}
	dn, err := ldap.ParseDN(v)
	return err == nil && t.valueDN.EqualFold(dn)
}

func (t *term) hasParts(v string) bool {
	rest := folded(v)
	for _, p := range t.parts {
		text := p.folded
		switch p.tag {
		case ldap.FilterSubstringsInitial:
			if !strings.HasPrefix(rest, text) {
				return false
			}
			rest = rest[len(text):]
		case ldap.FilterSubstringsFinal:
			if !strings.HasSuffix(rest, text) {
				return false
			}
		default:
			_, after, found := strings.Cut(rest, text)
			if !found {
				return false
			}
			rest = after
		}
	}
	return true
}

// compareValues orders numbers as numbers and everything else as text.
func compareValues(a, b string) int {
	x, err1 := strconv.ParseInt(a, 10, 64)
	y, err2 := strconv.ParseInt(b, 10, 64)
	if err1 == nil && err2 == nil {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return strings.Compare(folded(a), folded(b))
}

// folded prepares a value as caseIgnoreMatch does. What is no text stays as it is: an objectGUID must not be folded.
func folded(s string) string { return strings.Trim(foldedPart(s), " ") }

// foldedPart keeps one blank at either end, where a piece of a value may have it.
func foldedPart(s string) string {
	if !utf8.ValidString(s) {
		return s
	}
	s = strings.ToLower(norm.NFKC.String(s))
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if r != ' ' || i == 0 || s[i-1] != ' ' {
			b.WriteRune(r)
		}
	}
	return b.String()
}
