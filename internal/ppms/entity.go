package ppms

import (
	"strconv"
	"strings"
)

// unescape undoes HTML entities, which PPMS sends in logins and names at least at some sites (CRUK-CI's client undoes them).
// Only whole ones count, with their semicolon: an "R&D" or "AT&T" stays as it is.
func unescape(value string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(value, "&")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		const longest = 9 // with the semicolon: "#1114111;"
		name, _, ended := strings.Cut(after[:min(len(after), longest)], ";")
		if char, known := entity(name); ended && known {
			out.WriteString(char)
			value = after[len(name)+1:]
			continue
		}
		out.WriteByte('&')
		value = after
	}
}

// entity knows the five that must be escaped, and all numbers: .NET writes an ü as &#252;.
func entity(name string) (string, bool) {
	switch name {
	case "amp":
		return "&", true
	case "lt":
		return "<", true
	case "gt":
		return ">", true
	case "quot":
		return `"`, true
	case "apos":
		return "'", true
	}
	digits, isNumber := strings.CutPrefix(strings.ToLower(name), "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	number, err := strconv.ParseInt(digits, base, 32)
	if !isNumber || err != nil || number <= 0 {
		return "", false
	}
	return string(rune(number)), true
}
