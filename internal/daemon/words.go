package daemon

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// printer writes for people. What comes from the directory or PPMS is made harmless for a terminal first.
type printer struct {
	out    io.Writer
	colour bool
	err    error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

func (p *printer) paint(c text.Color, s string) string {
	if !p.colour {
		return s
	}
	return c.EscapeSeq() + s + text.Reset.EscapeSeq()
}

func (p *printer) heading(c text.Color, format string, args ...any) {
	p.printf("\n%s\n", p.paint(c, fmt.Sprintf(format, args...)))
}

// table writes rows under titles, indented by two blanks.
func (p *printer) table(titles []string, rows [][]string) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	line := func(cells []string) table.Row {
		row := make(table.Row, len(cells))
		for i, cell := range cells {
			row[i] = harmless(cell)
		}
		return row
	}
	if titles != nil {
		t.AppendHeader(line(titles))
	}
	for _, row := range rows {
		t.AppendRow(line(row))
	}
	for l := range strings.Lines(t.Render()) {
		p.printf("  %s", l)
	}
	p.printf("\n")
}

// Harmless makes each line of a text harmless for a terminal.
func Harmless(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = harmless(lines[i])
	}
	return strings.Join(lines, "\n")
}

// harmless shows what a terminal would obey instead of obeying it: control characters and marks that turn the direction of text.
func harmless(s string) string {
	bad := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if bad(r) {
			out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// count is a number with its noun: "1 person", "2 people".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands puts commas into a number.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ago is how long ago something was, as people say it.
func ago(then, now time.Time) string {
	switch d := now.Sub(then); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes") + " ago"
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour", "hours") + " ago"
	default:
		return count(int(d/(24*time.Hour)), "day", "days") + " ago"
	}
}

// clock is a time as people read it, in the local zone.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// shortHash is enough of a hash to type.
func shortHash(hash string) string {
	const prefix, digits = "sha256:", 12
	if len(hash) < len(prefix)+digits {
		return hash
	}
	return hash[:len(prefix)+digits]
}

// stamp is a time for programs; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
