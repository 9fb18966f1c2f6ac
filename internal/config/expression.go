package config

import (
	"errors"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"ppms-syncd/internal/ldapsrc"
)

// condition compiles an expression that is true or false.
func (k *checker) condition(path string, source Expression) *ldapsrc.Condition {
	if source == "" {
		return nil // the walk has said so
	}
	c, err := ldapsrc.CompileCondition(string(source))
	k.expression(path, string(source), err)
	return c
}

// expression reports an error in an expression where it stands in the file, and a question for groups that nobody reads.
func (k *checker) expression(path, source string, err error) {
	var in *ldapsrc.ExprError
	switch {
	case errors.As(err, &in):
		at := k.at(path)
		at.line, at.column = k.inside(at, in.Line, in.Column)
		k.report(path, at, "%s", strings.ReplaceAll(in.Message, "\n", " "))
	case err != nil:
		k.fail(path, "%v", err)
	case k.c.LDAP.Groups.Base == "" && asksForGroups(source):
		k.fail(path, "asks for groups, but none are read: set ldap.groups.base")
	}
}

// asksForGroups says whether the variables of the groups stand in an expression, outside of its texts.
func asksForGroups(source string) bool {
	outside := regexp.MustCompile(`"(\\.|[^"\\])*"|'(\\.|[^'\\])*'`).ReplaceAllString(source, " ")
	return regexp.MustCompile(`\b(groups|group_dns)\b`).MatchString(outside)
}

// inside turns a place in a text into one in the file, as well as that can be known: where YAML folds lines it is the
// beginning of the text.
func (w *walker) inside(at place, line, column int) (fileLine, fileColumn int) {
	switch n := at.node.(type) {
	case *ast.LiteralNode:
		if n.Start.Type == token.LiteralType && at.line+line <= len(w.lines) {
			return at.line + line, w.indent(at.line) + column
		}
	case *ast.StringNode:
		if raw := []rune(w.lines[at.line-1]); line == 1 && at.column <= len(raw) {
			if offset, ok := written(raw[at.column-1:], column-1); ok {
				return at.line, at.column + offset
			}
		}
	}
	return at.line, at.column
}

// indent is the depth of a block whose header stands in a line.
func (w *walker) indent(header int) int {
	for _, line := range w.lines[header:] {
		if text := strings.TrimLeft(line, " "); strings.TrimSpace(text) != "" {
			return len(line) - len(text)
		}
	}
	return 0
}

// written counts the characters that YAML needs for the first n of a text, its opening quote included. It fails if the text
// does not end in this line.
func written(raw []rune, n int) (int, bool) {
	quote := rune(0)
	if len(raw) > 0 && (raw[0] == '"' || raw[0] == '\'') {
		quote = raw[0]
	}
	at := 0
	if quote != 0 {
		at++
	}
	for ; n > 0 && at < len(raw); n-- {
		switch {
		case quote == '"' && raw[at] == '\\' && at+1 < len(raw):
			at += escaped(raw[at+1])
		case quote == '\'' && raw[at] == quote:
			at += 2
		default:
			at++
		}
	}
	return at, n == 0 && at <= len(raw)
}

// escaped is the length of an escape sequence that begins with \ and this character.
func escaped(kind rune) int {
	switch kind {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
