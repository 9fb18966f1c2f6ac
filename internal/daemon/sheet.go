package daemon

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ppms-syncd/internal/ppms"
)

// Form is how the toolbox prints what it found.
type Form string

// The forms.
const (
	TableForm Form = "table" // for people
	JSONForm  Form = "json"  // for programs: an array of objects, or one object about one thing
	CSVForm   Form = "csv"   // for spreadsheets: no value can become a formula there
)

// sheet is columns and rows of strings, numbers, truths, times and lists of strings.
type sheet struct {
	columns []string
	rows    [][]any
	single  bool   // about one thing, of which there is one row at most
	note    string // for people, below the table
	none    string // said to people where there are no rows
}

func (s *sheet) add(values ...any) { s.rows = append(s.rows, values) }

// without notes something that the list of PPMS has, and of which it has nothing to say.
func (s *sheet) without(what, name string) {
	if s.note == "" {
		s.note = what + ": " + name
		return
	}
	s.note += ", " + name
}

// date is a day without a time; "" for none.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func (a *App) printSheet(s *sheet, form Form) error {
	switch form {
	case JSONForm:
		data, err := s.json()
		if err == nil {
			_, err = a.Out.Write(data)
		}
		return err
	case CSVForm:
		_, err := a.Out.Write(s.csv())
		return err
	case TableForm:
	}
	p := &printer{out: a.Out, colour: a.Colour}
	switch {
	case len(s.rows) == 0:
		p.printf("%s\n", cmp.Or(s.none, "None."))
	case s.single:
		rows := make([][]string, len(s.columns))
		for i, title := range s.titles() {
			rows[i] = []string{title, forPeople(s.rows[0][i])}
		}
		p.table(nil, rows)
	default:
		p.table(s.titles(), s.texts(forPeople))
	}
	if s.note != "" {
		p.printf("%s\n", Harmless(s.note))
	}
	return p.err
}

func (s *sheet) titles() []string {
	titles := make([]string, len(s.columns))
	for i, column := range s.columns {
		titles[i] = strings.ReplaceAll(column, "_", " ")
	}
	return titles
}

func (s *sheet) texts(text func(any) string) [][]string {
	rows := make([][]string, len(s.rows))
	for i, row := range s.rows {
		rows[i] = make([]string, len(row))
		for j, value := range row {
			rows[i][j] = text(value)
		}
	}
	return rows
}

// forPeople writes a time in the facility's time zone, to the minute.
func forPeople(value any) string {
	switch v := value.(type) {
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format("2006-01-02 15:04")
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []int:
		return strings.Trim(fmt.Sprint(v), "[]")
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(value)
}

// csv begins with the columns. What begins as a formula does gets an apostrophe before it, since a spreadsheet would run it; numbers
// are left alone.
func (s *sheet) csv() []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	titles := make([]string, len(s.columns))
	for i, column := range s.columns { // those of services are PPMS's
		titles[i] = harmlessCell(column)
	}
	_ = w.Write(titles) // to memory
	for _, row := range s.texts(forSpreadsheets) {
		_ = w.Write(row)
	}
	w.Flush()
	return out.Bytes()
}

func forSpreadsheets(value any) string {
	switch v := value.(type) {
	case int, bool, ppms.Decimal:
		return fmt.Sprint(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format(time.RFC3339)
	case []int:
		return strings.Trim(fmt.Sprint(v), "[]")
	case []string:
		return harmlessCell(strings.Join(v, " "))
	}
	return harmlessCell(fmt.Sprint(value))
}

func harmlessCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// json has the members of each object in the order of the columns. A time that there is not is null.
func (s *sheet) json() ([]byte, error) {
	objects := make([]json.RawMessage, len(s.rows))
	for i, row := range s.rows {
		var err error
		if objects[i], err = s.object(row); err != nil {
			return nil, err
		}
	}
	switch {
	case !s.single:
		return encodeJSON(objects)
	case len(objects) == 0:
		return []byte("null\n"), nil
	}
	return encodeJSON(objects[0])
}

func (s *sheet) object(row []any) (json.RawMessage, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, column := range s.columns {
		if i > 0 {
			out.WriteByte(',')
		}
		value := row[i]
		switch v := value.(type) {
		case time.Time:
			if v.IsZero() {
				value = nil
			}
		case []string:
			value = append([]string{}, v...) // [] rather than null
		case []int:
			value = append([]int{}, v...)
		}
		name, err := json.Marshal(column)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(data)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
