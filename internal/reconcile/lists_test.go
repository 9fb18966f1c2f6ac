package reconcile_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
)

// TestListsAreComplete: what lists all constants of a type leaves none out.
func TestListsAreComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "plan.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string][]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			typ, typed := spec.Type.(*ast.Ident)
			value, literal := spec.Values[0].(*ast.BasicLit)
			if typed && literal && value.Kind == token.STRING {
				text, err := strconv.Unquote(value.Value)
				if err != nil {
					t.Fatal(err)
				}
				constants[typ.Name] = append(constants[typ.Name], text)
			}
		}
		return true
	})
	for name, listed := range map[string][]string{
		"Outcome":   texts(reconcile.Outcomes()),
		"IssueKind": texts(reconcile.IssueKinds()),
		"Guard":     texts(append(reconcile.Guards(), reconcile.ScopeGuard)),
	} {
		want := constants[name]
		slices.Sort(want)
		slices.Sort(listed)
		if diff := cmp.Diff(want, listed); diff != "" || len(want) == 0 {
			t.Errorf("%s (-constants +list):\n%s", name, diff)
		}
	}
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}
