package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file, or with Warning set, one that is odd.
type Problem struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Path    string // of the key, such as ldap.users.filter or rights[0].level; "" for the file as a whole
	Message string
	Warning bool
}

// String is one line in the form that editors and terminals know how to follow.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// section is the key of the first level.
func (p Problem) section() string {
	if end := strings.IndexAny(p.Path, ".["); end >= 0 {
		return p.Path[:end]
	}
	return p.Path
}

// Problems is all that is wrong with a file, in the order of the file. As an error it is always a *Problems.
type Problems []Problem //nolint:errname // it is a list first, and an error only when it is returned as one

// Error is one line for each problem.
func (p *Problems) Error() string { return p.String() }

// String is one line for each problem.
func (p Problems) String() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// sort brings the problems into the order of the file.
func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}
