package ldaptest

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ParseLDIF reads the content records of an LDIF file (RFC 2849): comments, folded lines and base64 values, but neither changes
// nor values kept in other files. Errors name the line. Values of an attribute that is spelled in several ways come together
// under the first spelling.
func ParseLDIF(r io.Reader) ([]Entry, error) {
	var entries []Entry
	var entry *Entry
	spelling := map[string]string{}
	err := eachLine(r, func(line string) error {
		if line == "" { // the end of a record
			entry = nil
			return nil
		}
		name, value, err := parseLine(line)
		switch {
		case err != nil:
			return err
		case entry == nil && name == "version":
			if value != "1" {
				return fmt.Errorf("LDIF version %q is not 1", value)
			}
		case entry == nil && name == "dn":
			clear(spelling)
			entries = append(entries, Entry{DN: value, Attrs: map[string][]string{}})
			entry = &entries[len(entries)-1]
		case entry == nil:
			return fmt.Errorf("a record begins with dn, not with %q", name)
		case strings.EqualFold(name, "dn"):
			return errors.New("a blank line is missing before dn")
		case strings.EqualFold(name, "changetype"), strings.EqualFold(name, "control"):
			return errors.New("records of changes are not read here")
		default:
			lower := strings.ToLower(name)
			if spelling[lower] == "" {
				spelling[lower] = name
			}
			name = spelling[lower]
			entry.Attrs[name] = append(entry.Attrs[name], value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// eachLine calls f for each logical line: continuations are joined, comments left out. Its errors get the line's number.
func eachLine(r io.Reader, f func(string) error) error {
	in := bufio.NewReader(r)
	logical, first := "", 0 // the line that is being put together, and where it began
	flush := func() error {
		defer func() { logical, first = "", 0 }()
		if first == 0 || strings.HasPrefix(logical, "#") {
			return nil
		}
		if err := f(logical); err != nil {
			return fmt.Errorf("line %d: %w", first, err)
		}
		return nil
	}
	for number := 1; ; number++ {
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", number, err)
		}
		last := err != nil
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if rest, ok := strings.CutPrefix(line, " "); ok {
			if first == 0 || logical == "" {
				return fmt.Errorf("line %d: nothing to continue", number)
			}
			logical += rest
		} else {
			if err := flush(); err != nil {
				return err
			}
			logical, first = line, number
		}
		if last {
			return flush()
		}
	}
}

func parseLine(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return "", "", errors.New("a line has a name, a colon and a value")
	case name == "" || strings.ContainsAny(name, " \t"):
		return "", "", fmt.Errorf("%q is no name of an attribute", name)
	case strings.HasPrefix(value, "<"):
		return "", "", fmt.Errorf("%s: values in other files are not read", name)
	case strings.HasPrefix(value, ":"):
		b, err := base64.StdEncoding.DecodeString(strings.TrimLeft(value[1:], " "))
		if err != nil {
			return "", "", fmt.Errorf("%s: no base64", name)
		}
		return name, string(b), nil
	}
	return name, strings.TrimLeft(value, " "), nil
}

// WriteLDIF writes entries as LDIF content records, the attributes sorted by name behind objectClass. There is no
// version line, because slapadd does not take it.
func WriteLDIF(w io.Writer, entries []Entry) error {
	b := bufio.NewWriter(w)
	for i, e := range entries {
		if i > 0 {
			_ = b.WriteByte('\n')
		}
		writeLine(b, "dn", e.DN)
		names := slices.SortedFunc(maps.Keys(e.Attrs), func(x, y string) int {
			if first := strings.EqualFold(x, "objectClass"); first != strings.EqualFold(y, "objectClass") {
				if first {
					return -1
				}
				return 1
			}
			return strings.Compare(x, y)
		})
		for _, name := range names {
			for _, v := range e.Attrs[name] {
				writeLine(b, name, v)
			}
		}
	}
	return b.Flush() // with the first error of all writes
}

// writeLine folds after 76 bytes.
func writeLine(b *bufio.Writer, name, value string) {
	const width = 76
	line := name + ": " + value
	if !isSafe(value) {
		line = name + ":: " + base64.StdEncoding.EncodeToString([]byte(value))
	}
	for len(line) > width {
		_, _ = b.WriteString(line[:width] + "\n")
		line = " " + line[width:]
	}
	_, _ = b.WriteString(line + "\n")
}

// isSafe says whether a value may stand as it is: RFC 2849's SAFE-STRING that does not end with a blank.
func isSafe(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == 0 || c == '\n' || c == '\r' || c >= 0x80 {
			return false
		}
	}
	return s == "" || !strings.ContainsRune(" :<", rune(s[0])) && s[len(s)-1] != ' '
}
