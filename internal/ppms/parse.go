package ppms

import (
	"strings"
	"unicode"

	"ppms-syncd/internal/reconcile"
)

// parseList reads one value a line: logins, unitlogins. Neither occurs in them, so a control character or what looks like
// HTML means that this is no list.
func parseList(text string) ([]string, error) {
	var values []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		value := strings.TrimSpace(unescape(line))
		switch {
		case line == "":
			continue
		case value == "", strings.ContainsFunc(value, unicode.IsControl):
			return nil, malformed(line, "a line of the list has control characters or only blanks")
		case line[0] == '<', strings.ContainsRune(line, '<') && strings.ContainsRune(line, '>'):
			return nil, malformed(line, "a line of the list looks like HTML")
		case saysError(line):
			return nil, malformed(line, "the list ends in an error")
		}
		values = append(values, value)
	}
	return values, nil
}

func saysError(line string) bool {
	const prefix = "error:"
	return len(line) >= len(prefix) && strings.EqualFold(line[:len(prefix)], prefix)
}

// pair is one line of a rights answer: who or what, and the level.
type pair struct {
	level reconcile.Level
	value string
}

// parsePairs reads LEVEL:value and LEVEL,"value" lines (the second with format=csv). The first colon or comma separates;
// a value may hold more of both.
func parsePairs(text string) ([]pair, error) {
	var pairs []pair
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		at := strings.IndexAny(line, ":,")
		if at < 0 {
			return nil, malformed(line, "a line has no LEVEL:value")
		}
		level, ok := reconcile.ParseLevel(strings.ToUpper(strings.TrimSpace(line[:at])))
		if !ok {
			return nil, malformed(line, "a line has a level that is not known")
		}
		value := strings.TrimSpace(line[at+1:])
		if line[at] == ',' {
			if value, ok = unquote(value); !ok {
				return nil, malformed(line, "a line's quotes do not match")
			}
		}
		value = strings.TrimSpace(unescape(value))
		if value == "" || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, malformed(line, "a line's value is empty or has control characters")
		}
		pairs = append(pairs, pair{level, value})
	}
	return pairs, nil
}

// unquote reads a value that is the last of its line.
func unquote(text string) (string, bool) {
	value, rest, ok := field(text)
	if strings.HasPrefix(text, `"`) {
		return value, ok && rest == ""
	}
	return text, true
}

// parseStatus reads the answer of a write. The exact words of success are not known for each action ("OK newuser" and
// "done" were seen), so the word OK or done anywhere will do: nobody believes it without reading back. A no is a text that begins
// with "error:", which never comes here: one further on may be about something else, such as a mail that was not sent.
func parseStatus(text string) (struct{}, error) {
	words := strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	for _, word := range words {
		if strings.EqualFold(word, "ok") || strings.EqualFold(word, "done") {
			return struct{}{}, nil
		}
	}
	if text == "" {
		return struct{}{}, &fault{kind: Unconfirmed, what: "PPMS answered nothing"}
	}
	return struct{}{}, &fault{kind: Unconfirmed, what: "PPMS answered neither yes nor no", said: text}
}
