package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// leaf is a single value of the file and where it goes.
type leaf struct {
	path   string
	node   ast.Node
	to     reflect.Value
	limits limits
	shapes string // what a union takes beside this scalar; "" if it is none
}

// scalar reads a single value.
func (w *walker) scalar(x leaf) {
	switch kind := x.to.Kind(); {
	case x.to.Type() == reflect.TypeFor[Duration]():
		w.duration(x)
	case kind == reflect.Bool:
		if b, ok := x.node.(*ast.BoolNode); ok {
			x.to.SetBool(b.Value)
		} else {
			w.mismatch(x, aBool)
		}
	case kind == reflect.String:
		w.text(x)
	case kind == reflect.Int:
		w.whole(x)
	case kind == reflect.Float64:
		w.fraction(x)
	default:
		panic("config: no key may have the type " + x.to.Type().String())
	}
}

// mismatch reports a value of the wrong type.
func (w *walker) mismatch(x leaf, wanted string) {
	if x.shapes != "" {
		wanted = x.shapes
	}
	switch got := describe(x.node); {
	case wanted == aText && (got == aNumber || got == aBool):
		w.report(x.path, placeOf(x.node), "must be text: put it in quotes")
	case got == aNumber && (x.to.Kind() == reflect.Int || x.to.Kind() == reflect.Float64):
		w.report(x.path, placeOf(x.node), "must be %s in plain digits", wanted)
	default:
		w.report(x.path, placeOf(x.node), "must be %s, not %s", wanted, got)
	}
}

func (w *walker) text(x leaf) {
	text, ok := textOf(x.node)
	enum := x.limits.enum
	if !ok {
		if len(enum) > 0 {
			w.mismatch(x, "one of "+sentence(enum))
		} else {
			w.mismatch(x, aText)
		}
		return
	}
	multiline := x.to.Type() == reflect.TypeFor[Expression]()
	odd := func(r rune) bool { return unicode.IsControl(r) && (!multiline || r != '\n' && r != '\t') }
	switch {
	case len(strings.TrimSpace(text)) < x.limits.minLength:
		w.report(x.path, placeOf(x.node), "must not be empty")
	case strings.ContainsFunc(text, odd):
		w.report(x.path, placeOf(x.node), "must not contain line breaks or control characters; a block needs >- in front")
	case len(enum) > 0 && !slices.Contains(enum, text):
		w.report(x.path, placeOf(x.node), "%q is not known%s", text, choice(enum))
	default:
		x.to.SetString(text)
	}
}

// whole reads an integer in the one notation that everybody understands alike.
func (w *walker) whole(x leaf) {
	text := x.node.GetToken().Value
	i, err := strconv.Atoi(text)
	if _, ok := x.node.(*ast.IntegerNode); !ok || err != nil || text != strconv.Itoa(i) {
		w.mismatch(x, "a whole number")
	} else if w.within(x, float64(i)) {
		x.to.SetInt(int64(i))
	}
}

func (w *walker) fraction(x leaf) {
	text := x.node.GetToken().Value
	f, err := strconv.ParseFloat(text, 64)
	if describe(x.node) != aNumber || err != nil || strings.Trim(text, "+-.0123456789") != "" {
		w.mismatch(x, aNumber)
	} else if w.within(x, f) {
		x.to.SetFloat(f)
	}
}

// within says whether a number is inside its limits.
func (w *walker) within(x leaf, f float64) bool {
	l := x.limits
	switch {
	case l.minimum != nil && f < *l.minimum:
		w.report(x.path, placeOf(x.node), "must be at least %v", *l.minimum)
	case l.above != nil && f <= *l.above:
		w.report(x.path, placeOf(x.node), "must be more than %v", *l.above)
	case l.maximum != nil && f > *l.maximum:
		w.report(x.path, placeOf(x.node), "must be at most %s", strconv.FormatFloat(*l.maximum, 'f', -1, 64))
	default:
		return true
	}
	return false
}

func (w *walker) duration(x leaf) {
	text, ok := textOf(x.node)
	if !ok {
		w.mismatch(x, "a duration with its unit, such as 90s, 1h30m or 400d")
		return
	}
	d, err := ParseDuration(text)
	if err != nil {
		w.report(x.path, placeOf(x.node), "%q %v", text, err)
		return
	}
	x.to.SetInt(int64(d))
}

// textOf is the text of a node that is one.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

// What describe says of scalars.
const (
	aText   = "text"
	aNumber = "a number"
	aBool   = "true or false"
)

// describe says what somebody wrote. The value itself is left out: it could be a secret in the wrong place.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return aNumber
	case *ast.BoolNode:
		return aBool
	case *ast.StringNode, *ast.LiteralNode:
		return aText
	}
	return "this"
}

// choice tells which names there are, if they are few.
func choice(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": use " + sentence(names)
}

// sentence lists names as people do: a, b or c.
func sentence(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
