package config

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. No configuration comes near them; they keep the time of the parser, which is more than linear, short.
const (
	maxBytes  = 256 << 10
	maxTokens = 30_000
	maxDepth  = 20
)

// flaw is what makes a text no YAML, or none that is read here.
type flaw struct {
	line, column int
	message      string
}

func flawAt(tk *token.Token, format string, args ...any) *flaw {
	f := &flaw{1, 1, fmt.Sprintf(format, args...)}
	if tk != nil && tk.Position != nil {
		f.line, f.column = max(tk.Position.Line, 1), max(tk.Position.Column, 1)
	}
	return f
}

// parseYAML turns a text into the root mapping of its only document.
func parseYAML(data []byte) (root *ast.MappingNode, bad *flaw) {
	defer func() { // the parser is known to panic on some texts that are no YAML
		if r := recover(); r != nil {
			root, bad = nil, &flaw{1, 1, "not valid YAML: the parser gave up on it"}
		}
	}()
	if bad := checkText(data); bad != nil {
		return nil, bad
	}
	tokens := lexer.Tokenize(string(data))
	if bad := checkTokens(tokens); bad != nil {
		return nil, bad
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxFlaw(err)
	}
	if len(file.Docs) > 1 {
		return nil, flawAt(file.Docs[1].Start, "the file has more than one YAML document")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, &flaw{1, 1, "the configuration is empty; ppms-syncd config example prints one to start from"}
	}
	root, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, flawAt(file.Docs[0].Body.GetToken(), "the configuration must be a mapping of keys, not %s", describe(file.Docs[0].Body))
	}
	return root, nil
}

// checkText refuses what is no text.
func checkText(data []byte) *flaw {
	if len(data) > maxBytes {
		return &flaw{1, 1, fmt.Sprintf("the file has %d bytes: a configuration has at most %d", len(data), maxBytes)}
	}
	for n, line := range bytes.Split(data, []byte("\n")) {
		column := 0
		for len(line) > 0 {
			r, size := utf8.DecodeRune(line)
			column++
			if r == utf8.RuneError && size == 1 {
				return &flaw{n + 1, column, "the file is not UTF-8 here"}
			}
			if last := len(line) == 1; r == 0x7f || r < ' ' && r != '\t' && (r != '\r' || !last) {
				return &flaw{n + 1, column, fmt.Sprintf("the file has a control character (%U) here", r)}
			}
			line = line[size:]
		}
	}
	return nil
}

// checkTokens refuses YAML that only makes a configuration hard to read, or the parser slow.
func checkTokens(tokens token.Tokens) *flaw {
	if len(tokens) > maxTokens {
		return flawAt(tokens[maxTokens], "the file is too long for a configuration")
	}
	depth, dashes, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position != nil && tk.Position.Line != line {
			line, dashes = tk.Position.Line, 0
		}
		depth += opens(tk.Type)
		if tk.Type == token.SequenceEntryType {
			dashes++
		}
		if refusal := refused(tk.Type); refusal != "" {
			return flawAt(tk, "%s", refusal)
		}
		if refusal := doubtful(tk, depth > 0); refusal != "" {
			return flawAt(tk, "%s", refusal)
		}
		if depth+dashes > maxDepth {
			return flawAt(tk, "nested too deep for a configuration")
		}
	}
	return nil
}

// refused says why a kind of token has no place here; "" if it has one. Each of them can make a file mean something else than
// it seems to.
func refused(kind token.Type) string {
	if kind == token.AnchorType || kind == token.AliasType || kind == token.MergeKeyType {
		return "anchors and aliases are not supported: write the value out"
	}
	if kind == token.TagType {
		return "tags are not supported: write the plain value"
	}
	if kind == token.DirectiveType {
		return "directives are not supported"
	}
	if kind == token.MappingKeyType {
		return "keys with ? are not supported: write key: value"
	}
	return ""
}

// doubtful says why an unquoted text is not taken: the parser would read another value from it than the one that is there, or
// take the next key for a part of it.
func doubtful(tk *token.Token, inBrackets bool) string {
	if tk.Type == token.DoubleQuoteType && !goodEscapes([]rune(tk.Origin)) {
		return "not valid YAML: \\x, \\u and \\U need 2, 4 and 8 hexadecimal digits; single quotes take a \\ as it is"
	}
	if tk.Type != token.StringType || tk.Prev != nil && (tk.Prev.Type == token.LiteralType || tk.Prev.Type == token.FoldedType) {
		return ""
	}
	if strings.Contains(strings.TrimSpace(tk.Origin), "\t") {
		return "a text with a tab in it needs quotes"
	}
	if inBrackets && (strings.Contains(tk.Value, ": ") || strings.HasSuffix(tk.Value, ":") || strings.ContainsAny(tk.Value, "[]{}")) {
		return "not valid YAML: a comma is missing, or quotes"
	}
	return ""
}

// goodEscapes says whether the escape sequences with digits have all their digits.
func goodEscapes(raw []rune) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		n := escaped(raw[i+1])
		if n > 2 {
			if i+n > len(raw) {
				return false
			}
			if _, err := strconv.ParseUint(string(raw[i+2:i+n]), 16, 32); err != nil {
				return false
			}
		}
		i += n - 1
	}
	return true
}

// opens is what a bracket does to the depth.
func opens(kind token.Type) int {
	if kind == token.MappingStartType || kind == token.SequenceStartType {
		return 1
	}
	if kind == token.MappingEndType || kind == token.SequenceEndType {
		return -1
	}
	return 0
}

// syntaxFlaw takes place and reason from the parser's error, and leaves out the piece of the file that it would show.
func syntaxFlaw(err error) *flaw {
	var at interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &at) {
		return &flaw{1, 1, "not valid YAML: the parser gave up on it"}
	}
	if m := at.GetMessage(); strings.Contains(m, "\t") || strings.Contains(m, "tab character") {
		return flawAt(at.GetToken(), "not valid YAML: a tab cannot indent; use blanks")
	}
	return flawAt(at.GetToken(), "not valid YAML: %s", at.GetMessage())
}
