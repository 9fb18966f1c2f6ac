package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// unknown says what to do about a key that nobody knows.
func unknown(path, name string, known []key) string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	if hint := secretHint(name, names); hint != "" {
		return hint
	}
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("unknown key, did you mean %s?", near)
	}
	if far := elsewhere(path, name); far != "" {
		return fmt.Sprintf("unknown key here, did you mean %s?", far)
	}
	return "unknown key; known here are " + strings.Join(names, ", ")
}

// secretHint answers those who would write a secret into the file. The value is never shown.
func secretHint(name string, known []string) string {
	const rule = "secrets are only ever files: use "
	plain := flat(name)
	for _, k := range known {
		if strings.HasSuffix(k, "_file") && flat(k) == plain+"file" {
			return rule + k
		}
	}
	if !regexp.MustCompile(`pass(word|wd|phrase)?$|pwd|secret|token|apikey|credential`).MatchString(plain) {
		return ""
	}
	for _, k := range []string{"password_file", "api_key_file"} {
		if slices.Contains(known, k) {
			return rule + k
		}
	}
	return rule + "ldap.bind.password_file or ppms.api_key_file"
}

// nearest finds the known name that a person most likely meant; "" if none is near.
func nearest(name string, known []string) string {
	best, at := "", len(name)/3+1
	for _, k := range known {
		d := distance(flat(name), flat(k))
		if d < at || d == at && best == "" && at > 1 {
			best, at = k, d
		}
	}
	return best
}

// elsewhere finds the only place where the name is a key.
func elsewhere(path, name string) string {
	found := ""
	for _, p := range paths(reflect.TypeFor[Config](), "") {
		if p != path && strings.HasSuffix("."+p, "."+name) {
			if found != "" {
				return ""
			}
			found = p
		}
	}
	return found
}

// wordLike says whether a key looks like one that somebody thought up for a configuration.
func wordLike(name string) bool {
	return len(name) <= 30 && regexp.MustCompile(`^[\p{L}\p{N}_. -]+$`).MatchString(name)
}

// flat drops what people vary in names.
func flat(s string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToLower(s))
}

// distance counts the letters to insert, drop, change or swap to make one word of the other.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
