package ldapsrc

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// ExprError is an expression that does not compile.
type ExprError struct {
	Line, Column int // of the expression, both from 1; the column counts characters
	Message      string
}

// Error names place and reason.
func (e *ExprError) Error() string {
	return fmt.Sprintf("line %d, column %d of the expression: %s", e.Line, e.Column, e.Message)
}

// Value is how one field of a person comes from an entry: an attribute, or an expression. The zero Value is none.
type Value struct {
	attribute string
	expr      *expression
}

// Attribute takes all values of an attribute.
func Attribute(name string) Value { return Value{attribute: name} }

// CompileValue compiles an expression that gives a string or a list of strings. The error is an [*ExprError].
func CompileValue(source string) (Value, error) {
	e, err := compile(source, func(t *cel.Type) error {
		if t.IsExactType(cel.StringType) || t.IsExactType(cel.ListType(cel.StringType)) {
			return nil
		}
		return fmt.Errorf("the expression must give a string or a list of strings, not %s", t)
	})
	if err != nil {
		return Value{}, err
	}
	return Value{expr: e}, nil
}

// IsZero says that nothing is mapped.
func (v Value) IsZero() bool { return v.attribute == "" && v.expr == nil }

// String is the attribute's name or the expression.
func (v Value) String() string {
	if v.expr != nil {
		return v.expr.source
	}
	return v.attribute
}

// Attributes lists what the value is made of.
func (v Value) Attributes() []string {
	switch {
	case v.expr != nil:
		return v.expr.attributes
	case v.attribute != "":
		return []string{v.attribute}
	}
	return nil
}

// Condition is a compiled expression that is true or false of a person.
type Condition struct{ expr *expression }

// CompileCondition compiles an expression that gives true or false. The error is an [*ExprError].
func CompileCondition(source string) (*Condition, error) {
	e, err := compile(source, func(t *cel.Type) error {
		if t.IsExactType(cel.BoolType) {
			return nil
		}
		return fmt.Errorf("the expression must give true or false, not %s", t)
	})
	if err != nil {
		return nil, err
	}
	return &Condition{expr: e}, nil
}

// String is the expression.
func (c *Condition) String() string { return c.expr.source }

// Attributes lists what the condition looks at.
func (c *Condition) Attributes() []string { return c.expr.attributes }

// expression is a compiled one, and what it needs of the directory.
type expression struct {
	source     string
	program    cel.Program
	attributes []string // each once, sorted
	groups     groupUse
}

// groupUse is what an expression asks of the groups.
type groupUse struct {
	any   bool     // it looks at them at all
	named bool     // and only in the form 'name' in groups
	names []string // then these, in order of appearance
	dns   []string // those of group_dns
}

// maxCost bounds one evaluation for one person, in CEL's units: roughly a comparison each. A condition over some hundred
// groups needs some thousands.
const maxCost = 200_000

func compile(source string, accept func(*cel.Type) error) (*expression, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, firstIssue(issues)
	}
	if err := accept(checked.OutputType()); err != nil {
		return nil, &ExprError{1, 1, err.Error()}
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil { // a constant part that can only fail, such as a bad regular expression
		return nil, &ExprError{1, 1, err.Error()}
	}
	e := &expression{source: source, program: program}
	e.inspect(checked.NativeRep().Expr())
	return e, nil
}

// firstIssue reports the first mistake in the text. Those behind it often follow from it.
func firstIssue(issues *cel.Issues) error {
	all := issues.Errors()
	if len(all) == 0 {
		return &ExprError{1, 1, issues.Err().Error()}
	}
	first := slices.MinFunc(all, func(a, b *cel.Error) int {
		if a.Location.Line() != b.Location.Line() {
			return a.Location.Line() - b.Location.Line()
		}
		return a.Location.Column() - b.Location.Column()
	})
	// CEL counts columns from 0, and knows no place at all for some errors.
	return &ExprError{max(first.Location.Line(), 1), max(first.Location.Column()+1, 1), first.Message}
}

// inspect collects the attributes and groups that the expression names.
func (e *expression) inspect(root ast.Expr) {
	uses, named := 0, 0
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		if isGroups(x) {
			uses++
		}
		if x.Kind() != ast.CallKind {
			return
		}
		args := x.AsCall().Args()
		switch x.AsCall().FunctionName() {
		case firstFunction, allFunction:
			e.attributes = append(e.attributes, args[1].AsLiteral().Value().(string))
		case operators.In:
			if name, ok := literal(args[0]); ok && isGroups(args[1]) {
				if args[1].AsIdent() == dnsVariable {
					e.groups.dns = append(e.groups.dns, name)
				} else {
					e.groups.names = append(e.groups.names, name)
				}
				named++
			}
		}
	}))
	e.attributes = distinct(e.attributes)
	e.groups.any, e.groups.named = uses > 0, uses == named
}

func isGroups(x ast.Expr) bool {
	return x.Kind() == ast.IdentKind && (x.AsIdent() == groupsVariable || x.AsIdent() == dnsVariable)
}

func literal(x ast.Expr) (string, bool) {
	if x.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := x.AsLiteral().Value().(string)
	return s, ok
}

// strings evaluates an expression that gives one string or several.
func (e *expression) strings(p *subject) ([]string, error) {
	out, _, err := e.program.Eval(p)
	if err != nil {
		return nil, err
	}
	switch v := out.(type) {
	case types.String:
		return []string{string(v)}, nil
	case traits.Lister:
		var all []string
		for it := v.Iterator(); it.HasNext() == types.True; {
			s, ok := it.Next().(types.String)
			if !ok {
				return nil, errors.New("the list has something that is no string")
			}
			all = append(all, string(s))
		}
		return all, nil
	}
	return nil, fmt.Errorf("the expression gave %s", out.Type().TypeName())
}

// holds evaluates a condition.
func (c *Condition) holds(p *subject) (bool, error) {
	out, _, err := c.expr.program.Eval(p)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression gave %s", out.Type().TypeName())
	}
	return bool(b), nil
}
