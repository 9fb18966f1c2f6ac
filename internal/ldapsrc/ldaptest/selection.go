package ldaptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// selected takes from each entry what the request asks for.
func (s *Server) selected(records []*record, seen *SearchSeen) []Found {
	want := newSelection(seen.Attrs, s.options.Operational)
	found := make([]Found, len(records))
	for i, r := range records {
		found[i].DN = r.dn
		for _, a := range r.attrs {
			if from, to, ranged := want.rangeOf(a.Name); ranged && s.options.MaxValRange > 0 {
				found[i].Attrs = append(found[i].Attrs, valueRange(a, from, to, s.options.MaxValRange))
			} else if want.has(a.Name) {
				found[i].Attrs = append(found[i].Attrs, limited(a, s.options.MaxValRange)...)
			}
		}
		if seen.TypesOnly {
			for j := range found[i].Attrs {
				found[i].Attrs[j].Values = nil
			}
		}
	}
	return found
}

// limited splits an attribute with too many values as Active Directory does: the attribute without values, and a first range.
func limited(a Attr, most int) []Attr {
	if most == 0 || len(a.Values) <= most {
		return []Attr{a}
	}
	return []Attr{{a.Name, nil}, valueRange(a, 0, -1, most)}
}

// valueRange is a range of an attribute's values, not more than allowed; to is -1 for the rest.
func valueRange(a Attr, from, to, most int) Attr {
	n := len(a.Values)
	end := n
	if to >= 0 {
		end = min(end, to+1)
	}
	from = min(from, n)
	end = max(from, min(end, from+most))
	last := "*"
	if end < n {
		last = strconv.Itoa(end - 1)
	}
	return Attr{fmt.Sprintf("%s;range=%d-%s", a.Name, from, last), a.Values[from:end]}
}

// selection is a request's list of attributes.
type selection struct {
	names             []string // lower case, without the special ones
	user, operational bool
	isOperational     []string
}

func newSelection(attrs, operational []string) selection {
	if operational == nil {
		operational = operationalAttributes()
	}
	s := selection{user: len(attrs) == 0, isOperational: operational}
	for _, a := range attrs {
		switch a {
		case "*":
			s.user = true
		case "+":
			s.operational = true
		default: // 1.1, which means none, is the name of no attribute
			s.names = append(s.names, strings.ToLower(a))
		}
	}
	return s
}

func (s *selection) has(name string) bool {
	lower := strings.ToLower(name)
	base, _, _ := strings.Cut(lower, ";")
	if slices.Contains(s.names, lower) || slices.Contains(s.names, base) {
		return true
	}
	if slices.ContainsFunc(s.isOperational, func(o string) bool { return strings.EqualFold(o, base) }) {
		return s.operational
	}
	return s.user
}

// rangeOf says whether the request names a range of the attribute, as in member;range=1500-*.
func (s *selection) rangeOf(name string) (from, to int, ok bool) {
	for _, n := range s.names {
		rest, found := strings.CutPrefix(n, strings.ToLower(name)+";range=")
		if !found {
			continue
		}
		low, high, _ := strings.Cut(rest, "-")
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if high == "*" {
			to, err2 = -1, nil
		}
		if err1 == nil && err2 == nil && from >= 0 {
			return from, to, true
		}
	}
	return 0, 0, false
}

func operationalAttributes() []string {
	return []string{
		"entryUUID", "entryDN", "entryCSN", "createTimestamp", "creatorsName", "modifyTimestamp", "modifiersName",
		"structuralObjectClass", "subschemaSubentry", "hasSubordinates", "numSubordinates", "memberOf", "pwdAccountLockedTime",
		"pwdChangedTime", "nsUniqueId", "nsAccountLock",
		"namingContexts", "supportedControl", "supportedExtension", "supportedLDAPVersion", "supportedSASLMechanisms",
	}
}
