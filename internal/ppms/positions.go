package ppms

import "strings"

// positions is the shape of an answer whose columns are known by their order and not by their names: those of orders and invoices.
type positions[T any] struct {
	preamble int // how many lines, the header included, may stand before the first row
	columns  int
	isRow    func(fields []string) bool // tells a row from the lines before
	isHeader func(fields []string) bool // tells the header, where it may come after the preamble; nil: it is among it
	one      func(fields []string) (T, error)
}

// parse reads the rows. Once there was one, each line must be one, for nothing that costs money may be left out. Without any there must
// be a header at least, or whatever a server says might pass for an empty list. Values are trimmed, and without entities.
func (p positions[T]) parse(text string) ([]T, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var all []T
	line, header := 1, false
	for rest := text; rest != ""; {
		first, _, _ := strings.Cut(rest, "\n")
		fields, next, good := p.row(rest)
		at := line
		line, rest = line+ends(rest, next), next
		switch {
		case strings.TrimSpace(first) == "":
			continue
		case !good && len(all) == 0 && (at <= p.preamble || p.isHeader != nil && p.isHeader(fields)):
			header = header || len(fields) >= p.columns
			continue
		case !good:
			return nil, malformed(first, "line %d is no row of %d values", at, p.columns)
		}
		value, err := p.one(fields[:p.columns])
		if err != nil {
			return nil, malformed(first, "line %d: %v", at, err)
		}
		all = append(all, value)
	}
	if text != "" && len(all) == 0 && !header {
		return nil, malformed(text, "the answer has neither rows nor a header of %d columns", p.columns)
	}
	return all, nil
}

// row reads the values of one row and returns what follows it. It is good if it is a row indeed.
func (p positions[T]) row(text string) (fields []string, rest string, good bool) {
	fields, rest, ok := record(text)
	if !ok { // a quote in a title
		_, rest, _ = strings.Cut(text, "\n")
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(unescape(fields[i]))
	}
	return fields, rest, ok && len(fields) >= p.columns && strings.Join(fields[p.columns:], "") == "" && p.isRow(fields)
}
