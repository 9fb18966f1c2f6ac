package ppmssim

import (
	"encoding/json"
	"html"
	"slices"
	"strconv"
	"strings"
)

// Wire is how answers look on the wire, where servers were seen to differ. The zero value is what the recordings of PyPPMS
// show: CRLF after every line, the last one too.
type Wire struct {
	LF      bool // lines end with LF
	OpenEnd bool // the last line lacks its end
	Blanks  bool // blanks at both ends of lines and after the commas of headers, as in Imagopole's samples
	// EscapeHTML sends values with entities, such as O&#39;Brien. CRUK-CI's client undoes that in logins and names, King's
	// College's does it to the name of a group before it asks for it; others know nothing of it.
	EscapeHTML bool
	// ContentType of answers that are no JSON; "" is text/plain in UTF-8. What PPMS sends is not known.
	ContentType string
}

// answer is what an action has to say: lines, or JSON.
type answer struct {
	lines []string
	head  int // how many lines come before the records; the last of them names the columns
	json  []byte
}

func none() answer { return answer{} }

func word(text string) answer { return answer{lines: []string{text}} }

func refuse(text string) answer { return word("error: " + text) }

func notAuthorized() answer { return refuse("request not authorized") }

// cell is one value of a record. Bare ones (numbers and booleans) stand without quotes.
type cell struct {
	name, text string
	bare       bool
}

func textCell(name, text string) cell { return cell{name: name, text: text} }

func bare(name, text string) cell { return cell{name, text, true} }

func number(name string, n int) cell { return bare(name, strconv.Itoa(n)) }

func boolCell(name string, b bool) cell { return bare(name, strconv.FormatBool(b)) }

// capital is a boolean as getsystems and the toolbox's lists spell it.
func capital(name string, b bool) cell {
	if b {
		return bare(name, "True")
	}
	return bare(name, "False")
}

// table is an answer in CSV: one line that names the columns, then the records.
func table(columns []string, rows ...[]cell) answer {
	lines := []string{strings.Join(columns, ",")}
	for _, row := range rows {
		lines = append(lines, csvLine(row))
	}
	return answer{lines: lines, head: 1}
}

func csvLine(row []cell) string {
	fields := make([]string, len(row))
	for i, c := range row {
		fields[i] = c.text
		if !c.bare {
			fields[i] = quoted(c.text)
		}
	}
	return strings.Join(fields, ",")
}

// quoted doubles quotes inside, which is a choice: no recording has any.
func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// object is a record as JSON, its members in the order of the columns.
func object(row []cell) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range row {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(jsonString(c.name) + ":")
		if c.bare {
			b.WriteString(strings.ToLower(c.text))
		} else {
			b.WriteString(jsonString(c.text))
		}
	}
	b.WriteByte('}')
	return []byte(b.String())
}

func jsonString(s string) string {
	data, err := json.Marshal(s)
	if err != nil { // a string
		panic(err)
	}
	return string(data)
}

// escaped is a value as the server sends it.
func (w Wire) escaped(value string) string {
	if !w.EscapeHTML {
		return value
	}
	return html.EscapeString(value)
}

// render gives body and content type.
func (w Wire) render(a answer) (body, contentType string) {
	if a.json != nil {
		return string(a.json), "application/json; charset=utf-8"
	}
	contentType = w.ContentType
	if contentType == "" {
		contentType = "text/plain; charset=utf-8"
	}
	if len(a.lines) == 0 {
		return "", contentType
	}
	lines := slices.Clone(a.lines)
	end := "\r\n"
	if w.LF {
		end = "\n"
	}
	between, last := end, end
	if w.Blanks {
		between, last = " "+end+" ", " "+end
		if a.head > 0 {
			names := &lines[a.head-1]
			*names = strings.ReplaceAll(strings.ReplaceAll(*names, ", ", ","), ",", ", ")
		}
	}
	body = strings.Join(lines, between)
	if !w.OpenEnd {
		body += last
	}
	return body, contentType
}
