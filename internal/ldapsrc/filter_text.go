package ldapsrc

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// why explains a component that does not match.
func (t *term) why(get func(string) []string) string {
	switch t.op {
	case ldap.FilterAnd:
		for _, wanted := range []truth{no, undefined} { // a plain mismatch says more than what cannot be known
			for _, sub := range t.terms {
				if sub.eval(get) == wanted {
					return sub.why(get)
				}
			}
		}
	case ldap.FilterOr:
		if len(t.terms) == 1 {
			return t.terms[0].why(get)
		}
	case ldap.FilterNot:
		if inner := t.terms[0]; inner.op == ldap.FilterNot {
			return inner.terms[0].why(get)
		}
		if t.eval(get) == no {
			return t.text() + " excludes it: " + t.found(get)
		}
	}
	if t.eval(get) == undefined {
		return t.text() + " can only be judged by the directory: " + t.found(get)
	}
	return t.text() + " does not match: " + t.found(get)
}

// found says what the entry has of the attributes that the component looks at.
func (t *term) found(get func(string) []string) string {
	names := t.attributes(nil)
	if len(names) == 0 {
		return "it names no attribute"
	}
	facts := make([]string, len(names))
	for i, name := range names {
		facts[i] = fact(name, get(name))
	}
	return strings.Join(facts, ", ")
}

// fact says what an attribute of an entry is, in a few words. Passwords are never shown.
func fact(name string, values []string) string {
	const most, longest = 3, 80
	if len(values) == 0 {
		return "the entry has no " + name
	}
	if lower := strings.ToLower(name); strings.Contains(lower, "password") || strings.HasSuffix(lower, "pwd") {
		return name + " is not shown"
	}
	shown := make([]string, 0, most)
	for _, v := range values[:min(most, len(values))] {
		if runes := []rune(v); len(runes) > longest {
			v = string(runes[:longest]) + "…"
		}
		shown = append(shown, strconv.Quote(v))
	}
	text := name + " is " + strings.Join(shown, " and ")
	if more := len(values) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// attributes appends the names that the component looks at to those already seen.
func (t *term) attributes(seen []string) []string {
	for _, sub := range t.terms {
		seen = sub.attributes(seen)
	}
	if t.attr == "" {
		return seen
	}
	for _, s := range seen {
		if strings.EqualFold(s, t.attr) {
			return seen
		}
	}
	return append(seen, t.attr)
}

func (t *term) text() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t *term) write(b *strings.Builder) {
	b.WriteByte('(')
	switch t.op {
	case ldap.FilterAnd:
		b.WriteByte('&')
	case ldap.FilterOr:
		b.WriteByte('|')
	case ldap.FilterNot:
		b.WriteByte('!')
	case ldap.FilterSubstrings:
		t.writeParts(b)
	case ldap.FilterPresent:
		b.WriteString(t.attr + "=*")
	case ldap.FilterGreaterOrEqual:
		b.WriteString(t.attr + ">=" + escaped(t.value))
	case ldap.FilterLessOrEqual:
		b.WriteString(t.attr + "<=" + escaped(t.value))
	case ldap.FilterApproxMatch:
		b.WriteString(t.attr + "~=" + escaped(t.value))
	case ldap.FilterExtensibleMatch:
		b.WriteString(t.attr)
		if t.dnToo {
			b.WriteString(":dn")
		}
		if t.ruleName != "" {
			b.WriteString(":" + t.ruleName)
		}
		b.WriteString(":=" + escaped(t.value))
	default:
		b.WriteString(t.attr + "=" + escaped(t.value))
	}
	for _, sub := range t.terms {
		sub.write(b)
	}
	b.WriteByte(')')
}

func (t *term) writeParts(b *strings.Builder) {
	b.WriteString(t.attr + "=")
	for i, p := range t.parts {
		if i == 0 && p.tag != ldap.FilterSubstringsInitial {
			b.WriteByte('*')
		}
		b.WriteString(escaped(p.text))
		if p.tag != ldap.FilterSubstringsFinal {
			b.WriteByte('*')
		}
	}
}

// escaped writes a value into a filter. Unlike ldap.EscapeFilter it leaves letters of all languages readable.
func escaped(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError || unicode.IsControl(r) || strings.ContainsRune(`()*\`, r) {
			for i := range size {
				fmt.Fprintf(&b, `\%02x`, s[i])
			}
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}
