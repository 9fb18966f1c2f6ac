package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// walker walks the tree of a file against the Go types and collects all that does not fit.
type walker struct {
	file     string
	lines    []string
	problems Problems
	wrong    map[string]bool  // paths that have a problem
	places   map[string]place // of every key and list item that is in the file
}

// place is where something stands.
type place struct {
	line, column int
	node         ast.Node // nil for the root
}

// report adds a problem at a path. Only the first one of a path is kept: the others would follow from it.
func (w *walker) report(path string, at place, format string, args ...any) {
	if w.wrong[path] {
		return
	}
	w.wrong[path] = true
	w.add(path, at, fmt.Sprintf(format, args...), false)
}

func (w *walker) add(path string, at place, message string, warning bool) {
	switch {
	case w.full():
		return
	case len(w.problems) == maxProblems-1:
		message += " (and there is more: this is the last problem that is listed)"
	}
	w.problems = append(w.problems, Problem{w.file, at.line, at.column, path, message, warning})
}

// maxProblems is more than anybody reads of a file that is no configuration at all.
const maxProblems = 500

func (w *walker) full() bool { return len(w.problems) >= maxProblems }

// has says whether the file has the key.
func (w *walker) has(path string) bool { _, ok := w.places[path]; return ok }

// at is where a path stands, or the nearest thing around it.
func (w *walker) at(path string) place {
	for path != "" {
		if p, ok := w.places[path]; ok {
			return p
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return place{1, 1, nil}
}

func placeOf(n ast.Node) place {
	p := place{1, 1, n}
	tk := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 { // whose own token is a colon
		tk = m.Values[0].Key.GetToken()
	}
	if tk != nil && tk.Position != nil {
		p.line, p.column = max(tk.Position.Line, 1), max(tk.Position.Column, 1)
	}
	return p
}

// value reads a node into a Go value.
func (w *walker) value(path string, n ast.Node, v reflect.Value, l limits) {
	w.places[path] = placeOf(n)
	if _, ok := n.(*ast.NullNode); ok {
		w.report(path, placeOf(n), "has no value; leave the key out for its default")
		return
	}
	if u, ok := reflect.TypeAssert[union](v.Addr()); ok {
		v.SetZero()
		if _, ok := n.(*ast.MappingNode); !ok {
			w.scalar(leaf{path, n, reflect.ValueOf(u.short()).Elem(), limits{minLength: 1}, u.shapes()})
			return
		}
	}
	if v.Kind() == reflect.Struct {
		w.mapping(path, n, v)
	} else if v.Kind() == reflect.Slice {
		w.list(path, n, v, l)
	} else {
		w.scalar(leaf{path, n, v, l, ""})
	}
}

func (w *walker) mapping(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		w.report(path, placeOf(n), "must be a mapping of keys, not %s", describe(n))
		return
	}
	keys, first := keysOf(v.Type()), map[string]int{}
	for _, kv := range m.Values {
		if w.full() {
			return
		}
		name, at := kv.Key.GetToken().Value, placeOf(kv.Key)
		here := join(path, name)
		if line, twice := first[name]; twice {
			w.add(here, at, fmt.Sprintf("the key is given twice, first in line %d", line), false)
			continue
		}
		first[name] = at.line
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i < 0 {
			if !wordLike(name) { // another file altogether, perhaps one with secrets
				here = join(path, "?")
			}
			w.add(here, at, unknown(here, name, keys), false)
			continue
		}
		w.value(here, kv.Value, v.FieldByIndex(keys[i].field.Index), keys[i].limits)
		if m, ok := kv.Value.(*ast.MappingNode); ok && !m.IsFlowStyle { // what it lacks is looked for at its key
			at.node = m
			w.places[here] = at
		}
	}
	for _, k := range keys {
		if k.limits.required && first[k.name] == 0 {
			w.report(join(path, k.name), w.at(path), "required key is missing%s", choice(k.limits.enum))
		}
	}
}

func (w *walker) list(path string, n ast.Node, v reflect.Value, l limits) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		w.report(path, placeOf(n), "must be a list, not %s", describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	if len(s.Values) < l.minItems {
		w.report(path, placeOf(n), "must not be empty")
	}
	item := limits{minLength: l.minLength, enum: l.enum}
	for i, x := range s.Values {
		w.value(fmt.Sprintf("%s[%d]", path, i), x, v.Index(i), item)
	}
}
