package ppms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table is a CSV answer with a header. What encoding/csv refuses or, told to be lazy, misreads occurs in PPMS: blanks around
// quoted values, and a broken row among good ones.
type table struct {
	columns map[string]int // by name, trimmed and in lower case
	rows    []row
}

// row is one line of a table, or several if a quoted value has line ends.
type row struct {
	line    int // in the answer, from 1
	fields  []string
	problem string // why the row cannot be used
}

// parseTable reads a header, which must name the needed columns, and the rows. A row that is broken, that ends before a
// needed column, or that has values beyond the header (a comma that nobody quoted moved them) is marked with its problem. Empty
// values beyond the header are normal: getgroup sends two.
func parseTable(text string, needed ...string) (*table, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	header, rest, ok := record(text)
	if !ok {
		return nil, malformed(text, "the header's quotes do not match")
	}
	t := &table{columns: make(map[string]int, len(header))}
	for i, name := range slices.Backward(header) { // the first of two equal names counts
		t.columns[strings.ToLower(name)] = i
	}
	last, err := t.lastOf(needed, text)
	if err != nil {
		return nil, err
	}
	line := 1 + ends(text, rest)
	for rest != "" {
		first, after, _ := strings.Cut(rest, "\n")
		if strings.TrimSpace(first) == "" {
			line, rest = line+1, after
			continue
		}
		r := row{line: line}
		fields, next, ok := record(rest)
		switch {
		case !ok: // go on after its first line, for what follows may be good
			r.problem, next = "its quotes do not match", after
		case len(fields) <= last:
			r.problem = fmt.Sprintf("it has %d values where the header has %d", len(fields), len(header))
		case len(fields) > len(header) && strings.Join(fields[len(header):], "") != "":
			r.problem = fmt.Sprintf("it has %d values where the header has %d (a comma without quotes?)", len(fields), len(header))
		default:
			r.fields = fields
		}
		t.rows = append(t.rows, r)
		line, rest = line+ends(rest, next), next
	}
	return t, nil
}

// ends counts the line ends of a text up to what is left of it.
func ends(text, left string) int { return strings.Count(text[:len(text)-len(left)], "\n") }

// lastOf is the index of the rightmost needed column, or an error that names all that are missing.
func (t *table) lastOf(needed []string, text string) (int, error) {
	last := 0
	var missing []string
	for _, name := range needed {
		i, ok := t.columns[name]
		if !ok {
			missing = append(missing, strconv.Quote(name))
		}
		last = max(last, i)
	}
	if len(missing) > 0 {
		return 0, malformed(text, "the answer has no column %s", strings.Join(missing, ", "))
	}
	return last, nil
}

// only returns the row of an answer about one thing. No row at all is no "does not exist": that is an empty body.
func (t *table) only() (row, error) {
	if len(t.rows) != 1 {
		return row{}, malformed("", "the answer has %d rows instead of one", len(t.rows))
	}
	return t.rows[0], t.rows[0].check()
}

// rowsOf reads a table and turns every row into something; an empty answer has none. A row that cannot be used is an error: what is left
// out of an answer for people looks as if it did not exist.
func rowsOf[T any](text string, one func(t *table, row row) (T, error), needed ...string) ([]T, error) {
	if text == "" {
		return nil, nil
	}
	t, err := parseTable(text, needed...)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(t.rows))
	for i, row := range t.rows {
		if err := row.check(); err != nil {
			return nil, err
		}
		if all[i], err = one(t, row); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// check says why the row cannot be used, if so.
func (r row) check() error {
	if r.problem == "" {
		return nil
	}
	return malformed("", "line %d: %s", r.line, r.problem)
}

// get is a value by its column's name; "" if the answer has no such column.
func (t *table) get(r row, column string) string {
	if i, ok := t.columns[column]; ok && i < len(r.fields) {
		return strings.TrimSpace(unescape(r.fields[i]))
	}
	return ""
}

// number is a value that must be a whole number.
func (t *table) number(r row, column string) (int, error) {
	n, err := strconv.Atoi(t.get(r, column))
	if err != nil {
		return 0, malformed(t.get(r, column), "line %d: %s is no number", r.line, column)
	}
	return n, nil
}

// truth is a value that must be true or false, in any case.
func (t *table) truth(r row, column string) (bool, error) {
	switch value := t.get(r, column); strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, malformed(value, "line %d: %s is neither true nor false", r.line, column)
	}
}

// flag is a truth of less weight: a column that is not there, or an empty value, is false.
func (t *table) flag(r row, column string) (bool, error) {
	if t.get(r, column) == "" {
		return false, nil
	}
	return t.truth(r, column)
}

// decimal is a value that must be a decimal number, or empty.
func (t *table) decimal(r row, column string) (Decimal, error) {
	d, err := ParseDecimal(t.get(r, column))
	if err != nil {
		return d, malformed(t.get(r, column), "line %d: %s is no number", r.line, column)
	}
	return d, nil
}

// day is a value that must be a date, "n/a" or empty, the last two of which are the zero time. 2019/06/02 was seen.
func (t *table) day(r row, column string, zone *time.Location) (time.Time, error) {
	text := known(t.get(r, column))
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, strings.ReplaceAll(text, "/", "-"))
	if err != nil {
		return day, malformed(text, "line %d: %s is no date", r.line, column)
	}
	return wallIn(day, zone), nil // not every day begins at midnight
}

// known is a value, or "" where PPMS says that there is none.
func known(value string) string {
	if strings.EqualFold(value, "n/a") {
		return ""
	}
	return value
}

// record reads the values of one row and returns what follows it.
func record(text string) (fields []string, rest string, ok bool) {
	for {
		value, after, ok := field(text)
		if !ok {
			return nil, "", false
		}
		fields = append(fields, value)
		if after == "" {
			return fields, "", true
		}
		text = after[1:]
		if after[0] == '\n' {
			return fields, text, true
		}
	}
}

// field reads one value, without the blanks around it, up to the comma or line end that ends it. Quotes inside a value that
// does not begin with one are part of it.
func field(text string) (value, rest string, ok bool) {
	text = strings.TrimLeft(text, " \t\r")
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ",\n")
		if end < 0 {
			end = len(text)
		}
		return strings.TrimSpace(text[:end]), text[end:], true
	}
	var quoted strings.Builder
	for {
		inside, after, closed := strings.Cut(text[1:], `"`)
		if !closed {
			return "", "", false
		}
		quoted.WriteString(inside)
		text = after
		if !strings.HasPrefix(text, `"`) {
			break
		}
		quoted.WriteByte('"') // a doubled one
	}
	rest = strings.TrimLeft(text, " \t\r")
	return strings.TrimSpace(quoted.String()), rest, rest == "" || rest[0] == ',' || rest[0] == '\n'
}
