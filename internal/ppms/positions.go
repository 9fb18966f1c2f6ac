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

// parse reads the rows. Once there was one, each line must be one, for nothing that costs money may be left out. Values are trimmed,
// and without entities.
func (p positions[T]) parse(text string) ([]T, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	total := strings.Count(text, "\n")
	var all []T
	for rest := text; rest != ""; {
		line := 1 + total - strings.Count(rest, "\n")
		first, after, _ := strings.Cut(rest, "\n")
		fields, next, ok := record(rest)
		if !ok {
			next = after // a quote in a title
		}
		rest = next
		for i := range fields {
			fields[i] = strings.TrimSpace(unescape(fields[i]))
		}
		good := ok && len(fields) >= p.columns && strings.Join(fields[p.columns:], "") == "" && p.isRow(fields)
		switch {
		case strings.TrimSpace(first) == "", !good && len(all) == 0 && (line <= p.preamble || p.isHeader != nil && p.isHeader(fields)):
			continue
		case !good:
			return nil, malformed(first, "line %d is no row of %d values", line, p.columns)
		}
		value, err := p.one(fields[:p.columns])
		if err != nil {
			return nil, malformed(first, "line %d: %v", line, err)
		}
		all = append(all, value)
	}
	return all, nil
}
