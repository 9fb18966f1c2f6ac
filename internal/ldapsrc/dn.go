package ldapsrc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// dnKey normalises a distinguished name, so that two names of one entry give the same key. Case, blanks around separators,
// repeated blanks, ways of escaping and long names of attribute types do not count. No value has a bare comma in the key, so
// that the end of a key is the key of a parent.
func dnKey(dn string) (string, error) {
	if plain(dn) {
		return strings.ToLower(dn), nil // which returns the very string if it is in lower case already
	}
	if !utf8.ValidString(dn) { // the parser would make all such names alike
		return "", errors.New("it is not valid UTF-8")
	}
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, rdn := range parsed.RDNs {
		if i > 0 {
			b.WriteByte(',')
		}
		parts := make([]string, len(rdn.Attributes))
		for j, a := range rdn.Attributes {
			if a.Type == "" {
				return "", fmt.Errorf("%q has a part without a type", dn)
			}
			parts[j] = shortType(a.Type) + "=" + escapeComma(foldText(a.Value))
		}
		slices.Sort(parts)
		b.WriteString(strings.Join(parts, "+"))
	}
	return b.String(), nil
}

// plain says whether the name is so simple that lower case is all it takes: printable ASCII, well-known types, nothing
// escaped, no blanks but single ones inside values. Nearly all names are.
func plain(dn string) bool {
	start := 0 // of the RDN
	for i := 0; i <= len(dn); i++ {
		if i < len(dn) && dn[i] != ',' {
			if c := dn[i]; c < ' ' || c > '~' || strings.IndexByte(`\"+;#<>`, c) >= 0 {
				return false
			}
			continue
		}
		kind, value, ok := strings.Cut(dn[start:i], "=")
		if !ok || !shortKnown(kind) || value == "" || value[0] == ' ' || value[len(value)-1] == ' ' || strings.Contains(value, "  ") {
			return false
		}
		start = i + 1
	}
	return true
}

func shortKnown(kind string) bool {
	if len(kind) > 3 {
		return false
	}
	switch strings.ToLower(kind) {
	case "cn", "uid", "ou", "dc", "o", "c", "l", "st", "sn":
		return true
	}
	return false
}

// shortType replaces the long names and OIDs of RFC 4519 that servers may return as they were entered.
func shortType(kind string) string {
	switch kind = strings.ToLower(kind); kind {
	case "commonname", "2.5.4.3":
		return "cn"
	case "userid", "0.9.2342.19200300.100.1.1":
		return "uid"
	case "organizationalunitname", "2.5.4.11":
		return "ou"
	case "domaincomponent", "0.9.2342.19200300.100.1.25":
		return "dc"
	case "organizationname", "2.5.4.10":
		return "o"
	case "countryname", "2.5.4.6":
		return "c"
	case "localityname", "2.5.4.7":
		return "l"
	case "stateorprovincename", "2.5.4.8":
		return "st"
	case "surname", "2.5.4.4":
		return "sn"
	}
	return kind
}

// foldText normalises text as caseIgnoreMatch does: composition, case and repeated blanks do not count. Case is lower case, as servers
// have it, and no more: with Unicode's folding Strauß and Strauss, who may both be there, would be one. What is no text, which a DN
// can have in escaped form, stays as it is.
func foldText(s string) string {
	if !utf8.ValidString(s) {
		return s
	}
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), " ")
}

func escapeComma(s string) string {
	if !strings.ContainsAny(s, `,+\`) {
		return s
	}
	return strings.NewReplacer(`\`, `\5c`, `,`, `\2c`, `+`, `\2b`).Replace(s)
}

// below says whether an entry is the base or somewhere under it; both are keys.
func below(key, base string) bool {
	return base == "" || key == base || strings.HasSuffix(key, ","+base)
}

// ownName gives the value that names the entry, if one of the values does: of several it is the one that does not depend on
// the order in which a server returns them.
func ownName(dn, attribute string, values []string) (string, bool) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return "", false
	}
	for _, a := range parsed.RDNs[0].Attributes {
		if shortType(a.Type) != shortType(attribute) {
			continue
		}
		for _, v := range values {
			if foldText(v) == foldText(a.Value) {
				return v, true
			}
		}
	}
	return "", false
}

// SameDN says whether two DNs name one entry. One that cannot be understood names none.
func SameDN(a, b string) bool {
	x, err := dnKey(a)
	if err != nil {
		return false
	}
	y, err := dnKey(b)
	return err == nil && x == y
}
