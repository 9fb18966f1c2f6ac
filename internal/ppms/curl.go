package ppms

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// curl is the request as a line that can be pasted, where $KEY holds the key and $PASSWORD a user's password.
func curl(address string, form url.Values) string {
	var line strings.Builder
	line.WriteString(`curl --data-urlencode "apikey=$KEY"`)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		argument := quote(name + "=" + form.Get(name))
		if name == "pwd" {
			argument = `"pwd=$PASSWORD"`
		}
		line.WriteString(" --data-urlencode " + argument)
	}
	return line.String() + " " + quote(address)
}

// quote makes one word of a POSIX shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
