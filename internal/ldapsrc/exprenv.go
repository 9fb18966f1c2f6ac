package ldapsrc

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Names inside expressions. Those with an @ cannot be written by anybody: attr('mail') becomes @attr(@entry, 'mail').
const (
	groupsVariable = "groups"
	dnsVariable    = "group_dns"
	dnVariable     = "dn"
	entryVariable  = "@entry"
	firstFunction  = "@attr"
	allFunction    = "@attrs"
)

// environment declares what expressions may use. Attribute names must be constants, so that a search can ask for just what
// is needed; that is why attr and attrs are macros.
func environment() (*cel.Env, error) {
	entry := cel.DynType // nobody can name it, so nobody can put anything else in its place
	list := cel.ListType(cel.StringType)
	return cel.NewEnv(append(expiryFunctions(entry),
		ext.Strings(),
		cel.Variable(entryVariable, entry),
		cel.Variable(dnVariable, cel.StringType),
		cel.Variable(groupsVariable, list),
		cel.Variable(dnsVariable, list),
		cel.Macros(
			cel.GlobalVarArgMacro("attr", attributeMacro("attr", firstFunction)),
			cel.GlobalVarArgMacro("attrs", attributeMacro("attrs", allFunction)),
		),
		cel.Function(firstFunction, cel.Overload("attr_first", []*cel.Type{entry, cel.StringType}, cel.StringType,
			cel.BinaryBinding(func(e, name ref.Val) ref.Val {
				values, err := e.(*subject).values(string(name.(types.String)))
				if err != nil {
					return types.WrapErr(err)
				}
				if len(values) == 0 {
					return types.String("")
				}
				return types.String(values[0])
			}))),
		cel.Function(allFunction, cel.Overload("attr_all", []*cel.Type{entry, cel.StringType}, list,
			cel.BinaryBinding(func(e, name ref.Val) ref.Val {
				values, err := e.(*subject).values(string(name.(types.String)))
				if err != nil {
					return types.WrapErr(err)
				}
				return types.NewStringList(types.DefaultTypeAdapter, values)
			}))),
		cel.Function("flag", cel.Overload("flag_string_int", []*cel.Type{cel.StringType, cel.IntType}, cel.BoolType,
			cel.BinaryBinding(flag))),
	)...)
}

// withEntry hands the entry to a function that people call without it.
func withEntry(function string) cel.MacroFactory {
	return func(h cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		return h.NewCall(function, append([]ast.Expr{h.NewIdent(entryVariable)}, args...)...), nil
	}
}

func attributeMacro(name, function string) cel.MacroFactory {
	return func(h cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		if len(args) != 1 {
			return nil, &cel.Error{Message: fmt.Sprintf("%s takes one attribute name, as in %s('mail')", name, name)} // placed at the call
		}
		attribute, ok := literal(args[0])
		if !ok {
			return nil, h.NewError(args[0].ID(), fmt.Sprintf("%s takes a constant attribute name in quotes, as in %s('mail')", name, name))
		}
		if !isAttribute(attribute) {
			return nil, h.NewError(args[0].ID(), fmt.Sprintf("%q is no attribute name", attribute))
		}
		return h.NewCall(function, h.NewIdent(entryVariable), h.NewLiteral(types.String(attribute))), nil
	}
}

// flag tests bits of a decimal number, as Active Directory's userAccountControl is one. All bits of the mask must be set.
// An entry without the attribute has no flags; anything else that is no number is an error, since a guess could make
// somebody a leaver, or hide one.
func flag(number, mask ref.Val) ref.Val {
	text := string(number.(types.String))
	if text == "" {
		return types.False
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return types.NewErr("flag: %q is no decimal number", text)
	}
	m := int64(mask.(types.Int))
	if m == 0 {
		return types.NewErr("flag: a mask of 0 has no bits, and would fit everybody")
	}
	return types.Bool(n&m == m)
}

// subject is the person whom expressions look at. It is both the activation and the value behind @entry, so that going on
// to the next person costs nothing.
type subject struct {
	entry  *entry
	groups []string
	dns    []string
	now    time.Time // start of the read
}

// ResolveName answers the expression's variables.
func (s *subject) ResolveName(name string) (any, bool) {
	switch name {
	case entryVariable:
		return s, true
	case dnVariable:
		return types.String(s.entry.DN), true
	case groupsVariable:
		return types.NewStringList(types.DefaultTypeAdapter, s.groups), true
	case dnsVariable:
		return types.NewStringList(types.DefaultTypeAdapter, s.dns), true
	}
	return nil, false
}

// Parent says that there is nothing else.
func (*subject) Parent() cel.Activation { return nil }

// values gives an attribute's values, trimmed, without empty ones.
func (s *subject) values(name string) ([]string, error) { return clean(name, s.entry.get(name)) }

// clean trims values and drops empty ones. The usual values, which need neither, are returned as they are.
func clean(name string, values []string) ([]string, error) {
	dirty := false
	for _, v := range values {
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("a value of %s is not valid UTF-8", name)
		}
		dirty = dirty || v == "" || strings.TrimSpace(v) != v
	}
	if !dirty {
		return values, nil
	}
	kept := make([]string, 0, len(values))
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

// The rest makes a subject a value of CEL. Expressions cannot name it, so nothing of this is ever asked for.

// ConvertToNative is refused.
func (s *subject) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("an entry is no %s", t)
}

// ConvertToType is refused.
func (s *subject) ConvertToType(ref.Type) ref.Val {
	return types.NewErr("an entry cannot be converted")
}

// Equal compares identities.
func (s *subject) Equal(other ref.Val) ref.Val { return types.Bool(s == other) }

// Type is as declared.
func (s *subject) Type() ref.Type { return cel.DynType }

// Value is the subject.
func (s *subject) Value() any { return s }
