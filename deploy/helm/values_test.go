package helm

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/google/go-cmp/cmp"
)

const chart = "ppms-syncd"

var update = flag.Bool("update", false, "rewrite what is made from something else")

// value is one that an operator may set.
type value struct{ key, preset, means string }

// values are those of values.yaml. What has a comment is a value; what has none is a section.
func values(t *testing.T) []value {
	t.Helper()
	file, err := parser.ParseFile(chart+"/values.yaml", parser.ParseComments)
	must(t, err)
	var all []value
	var walk func(prefix string, n ast.Node)
	walk = func(prefix string, n ast.Node) {
		m, ok := n.(*ast.MappingNode)
		if !ok {
			t.Fatalf("%s has neither a comment nor values below it", prefix)
		}
		for _, kv := range m.Values {
			key := strings.TrimPrefix(prefix+"."+kv.Key.String(), ".")
			if means := comment(kv.GetComment()); means != "" {
				must(t, kv.Value.SetComment(nil))
				all = append(all, value{key, flow(kv.Value), means})
			} else {
				walk(key, kv.Value)
			}
		}
	}
	walk("", file.Docs[0].Body)
	return all
}

// comment is the text above a key. What stands above an empty line is about the file.
func comment(c *ast.CommentGroupNode) string {
	if c == nil {
		return ""
	}
	last := c.Comments[len(c.Comments)-1].GetToken().Position.Line
	var lines []string
	for _, line := range slices.Backward(c.Comments) {
		if at := line.GetToken().Position.Line; at != last {
			break
		}
		lines = append([]string{strings.TrimSpace(line.GetToken().Value)}, lines...)
		last--
	}
	return strings.Join(lines, " ")
}

// flow is a value on one line.
func flow(n ast.Node) string {
	m, ok := n.(*ast.MappingNode)
	if !ok || m.IsFlowStyle {
		return n.String()
	}
	parts := make([]string, len(m.Values))
	for i, kv := range m.Values {
		parts[i] = kv.Key.String() + ": " + flow(kv.Value)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// TestReadme: the table in the chart's README is values.yaml, told differently.
func TestReadme(t *testing.T) {
	const path, begin, end = chart + "/README.md", "<!-- made by go test ./deploy/helm -update -->\n", "<!-- end of what is made -->\n"
	var table strings.Builder
	table.WriteString("| value | default | meaning |\n|---|---|---|\n")
	for _, v := range values(t) {
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", v.key, strings.ReplaceAll(v.preset, "|", `\|`), v.means)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	was, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", path)
	}
	if *update {
		must(t, os.WriteFile(path, []byte(before+begin+table.String()+end+after), 0o600))
		return
	}
	if diff := cmp.Diff(table.String(), was); diff != "" {
		t.Errorf("run go test ./deploy/helm -update: %s", diff)
	}
}

// TestSchemaKnowsEveryValue, and nothing that is none; and only maps that are passed through may have keys of any name.
func TestSchemaKnowsEveryValue(t *testing.T) {
	var root node
	text, err := os.ReadFile(chart + "/values.schema.json")
	must(t, err)
	must(t, json.Unmarshal(text, &root))
	var want []string
	for _, v := range values(t) {
		want = append(want, v.key)
	}
	known := map[string]bool{}
	root.walk(t, "", func(path string, section bool) (deeper bool) {
		known[path] = known[path] || !section || slices.Contains(want, path)
		return !known[path]
	})
	maps.DeleteFunc(known, func(_ string, is bool) bool { return !is })
	delete(known, "global") // Helm's own
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(known))); diff != "" {
		t.Error(diff)
	}
}

// node is a schema.
type node struct {
	Properties map[string]*node `json:"properties"`
	Additional any              `json:"additionalProperties"`
	Items      *node            `json:"items"`
}

// walk shows the keys to those who look, and all of them to the test.
func (n *node) walk(t *testing.T, path string, look func(path string, section bool) (deeper bool)) {
	t.Helper()
	if n.Properties != nil && n.Additional != false {
		t.Errorf("%q takes keys that it does not know", path)
	}
	nobody := func(string, bool) bool { return false }
	if n.Items != nil {
		n.Items.walk(t, path+"[]", nobody)
	}
	for name, below := range n.Properties {
		path := strings.TrimPrefix(path+"."+name, ".")
		if look(path, below.Properties != nil) {
			below.walk(t, path, look)
		} else {
			below.walk(t, path, nobody)
		}
	}
}

// TestPodsHaveTheTimeThatTheServiceHas to end in: both wait for the same program.
func TestPodsHaveTheTimeThatTheServiceHas(t *testing.T) {
	unit, err := os.ReadFile("../systemd/ppms-syncd.service")
	must(t, err)
	_, rest, _ := strings.Cut(string(unit), "TimeoutStopSec=")
	seconds, _, _ := strings.Cut(rest, "\n")
	for _, v := range values(t) {
		if v.key == "terminationGracePeriodSeconds" && v.preset != seconds {
			t.Errorf("%s s, and systemd's service has %s s", v.preset, seconds)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
