package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/reconcile"
)

func compileSchema(t *testing.T) (*jsonschema.Schema, any) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json") // checks it against the meta schema, too
	if err != nil {
		t.Fatal(err)
	}
	return s, doc
}

// asJSON reads YAML as a validator of JSON Schemas would.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestExample(t *testing.T) {
	c, err := Parse("example.yaml", Example(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings:\n%s", c.Warnings)
	}
	if !c.DryRun {
		t.Error("what packages install must not write to PPMS")
	}
	schema, _ := compileSchema(t)
	if err := schema.Validate(asJSON(t, Example(""))); err != nil {
		t.Error(err)
	}
}

// What the schema can judge, it judges as the walk does.
func TestSchemaAgreesWithWalk(t *testing.T) {
	schema, _ := compileSchema(t)
	for _, kind := range []string{"good", "warn"} {
		for name, data := range files(t, kind) {
			if err := schema.Validate(asJSON(t, data)); err != nil {
				t.Errorf("%s/%s: %v", kind, name, err)
			}
		}
	}
	structural := []string{
		"type-", "unknown-", "missing-", "enum-", "minimum", "maximum", "empty-", "page-size", "rate-", "selector", "secret-password",
		"secret-api", "secret-token", "secret-as", "rule-both", "rule-neither", "rule-no-systems", "duration", "null", "number-key",
		"profile-unknown", "attribute-looks", "many",
	}
	// What a JSON document cannot show, or what depends on another key.
	beyond := []string{"type-number", "type-int-octal", "duration-zero", "duration-overflow"}
	refused := 0
	for name, data := range files(t, "bad") {
		if slices.Contains(beyond, name) || !slices.ContainsFunc(structural, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		if name == "many" {
			data = bytes.ReplaceAll(data, []byte(", creations: {}"), nil) // the reader here takes no duplicates
		}
		if schema.Validate(asJSON(t, data)) == nil {
			t.Errorf("bad/%s: the schema takes it", name)
		}
		refused++
	}
	if refused < 40 {
		t.Errorf("only %d bad files were tried", refused)
	}
}

func files(t *testing.T, kind string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", kind, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".yaml")] = data
	}
	return all
}

// The types, the schema and the example have the same keys.
func TestKeys(t *testing.T) {
	want := paths(reflect.TypeFor[Config](), "")
	slices.Sort(want)
	_, doc := compileSchema(t)
	got := schemaKeys(doc.(map[string]any), "")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-types +schema):\n%s", diff)
	}
	shown := map[string]bool{}
	exampleKeys(asJSON(t, Example("")), "", shown)
	for _, path := range want {
		if !strings.HasSuffix(path, ".cel") && !shown[path] { // every source may be an expression; one shows how
			t.Errorf("the example lacks %s", path)
		}
		delete(shown, path)
	}
	for path := range shown {
		t.Errorf("the example has %s, which nobody knows", path)
	}
}

func schemaKeys(s map[string]any, prefix string) []string {
	var keys []string
	if properties, ok := s["properties"].(map[string]any); ok {
		for name, p := range properties {
			path := join(prefix, name)
			if d, _ := p.(map[string]any)["description"].(string); d == "" {
				keys = append(keys, path+" (has no description)")
			}
			keys = append(append(keys, path), schemaKeys(p.(map[string]any), path)...)
		}
	}
	if items, ok := s["items"].(map[string]any); ok {
		keys = append(keys, schemaKeys(items, prefix+"[]")...)
	}
	if alternatives, ok := s["oneOf"].([]any); ok {
		for _, a := range alternatives {
			keys = append(keys, schemaKeys(a.(map[string]any), prefix)...)
		}
	}
	return keys
}

func exampleKeys(v any, prefix string, shown map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			shown[join(prefix, name)] = true
			exampleKeys(x, join(prefix, name), shown)
		}
	case []any:
		for _, x := range v {
			exampleKeys(x, prefix+"[]", shown)
		}
	}
}

// Each default in the schema is one that the schema takes, and the example says the same.
func TestSchemaDefaults(t *testing.T) {
	_, doc := compileSchema(t)
	root := doc.(map[string]any)
	counted := 0
	var walk func(s map[string]any, path string)
	walk = func(s map[string]any, path string) {
		if value, ok := s["default"]; ok {
			counted++
			c := jsonschema.NewCompiler()
			if err := c.AddResource("part.json", s); err != nil {
				t.Fatal(err)
			}
			part, err := c.Compile("part.json")
			if err != nil {
				t.Fatal(err)
			}
			if err := part.Validate(value); err != nil {
				t.Errorf("%s: default %v: %v", path, value, err)
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			walk(p.(map[string]any), join(path, name))
		}
	}
	walk(root, "")
	if counted < 40 {
		t.Errorf("only %d defaults", counted)
	}
}

// The names in the tags are those of the packages that give them a meaning.
func TestNames(t *testing.T) {
	enum := func(typ reflect.Type, name string) []string {
		for _, k := range keysOf(typ) {
			if k.name == name {
				return k.limits.enum
			}
		}
		return nil
	}
	var policies, methods, fields []string
	for _, p := range reconcile.Policies() {
		policies = append(policies, string(p))
	}
	for _, m := range ldapsrc.BindMethods() {
		methods = append(methods, string(m))
	}
	for f := range reconcile.Field(reconcile.NumFields) {
		fields = append(fields, f.String())
	}
	var attributes []string
	for _, k := range keysOf(reflect.TypeFor[Attributes]()) {
		attributes = append(attributes, k.name)
	}
	for _, x := range []struct{ want, got []string }{
		{policies, enum(reflect.TypeFor[Config](), "policy")},
		{methods, enum(reflect.TypeFor[Bind](), "method")},
		{fields, enum(reflect.TypeFor[Accounts](), "authoritative")},
		{append([]string{"login"}, fields...), attributes},
	} {
		if diff := cmp.Diff(x.want, x.got); diff != "" {
			t.Errorf("names (-package +tags):\n%s", diff)
		}
	}
}
