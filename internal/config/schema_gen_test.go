package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"

	"ppms-syncd/internal/ldapsrc"
)

// The schema is made from the types of Config and their defaults. It is kept as a file, for it is fixed when the program is built.
func TestSchemaIsMadeFromTypes(t *testing.T) {
	made, err := makeSchema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, Schema()) {
		t.Errorf("schema.json is out of date; go test ./internal/config -update writes it\n%s", cmp.Diff(string(Schema()), string(made)))
	}
}

func makeSchema() ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true}
	s := r.Reflect(&Config{})
	s.Title = "Configuration of ppms-syncd"
	if err := addDefaults(s, everyDefault()); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(data, '\n'), nil
}

// everyDefault gives the defaults of all profiles, as if they had one name, which is no default that differs.
func everyDefault() []reflect.Value {
	var all []reflect.Value
	for _, name := range slices.Sorted(maps.Keys(ldapsrc.Profiles())) {
		c := defaults(name)
		c.LDAP.Profile = ldapsrc.OpenLDAP
		all = append(all, reflect.ValueOf(c).Elem())
	}
	return all
}

// addDefaults writes the defaults into the schema, where all profiles have the same. The zero value of a key that is required, or
// empty by itself, is none.
func addDefaults(s *jsonschema.Schema, all []reflect.Value) error {
	for _, k := range keysOf(all[0].Type()) {
		property, ok := s.Properties.Get(k.name)
		if !ok {
			return fmt.Errorf("the schema lacks the key %s", k.name)
		}
		each := fields(all, k)
		value := each[0]
		switch {
		case k.limits.required && value.Kind() != reflect.Struct, k.name == "authoritative":
		case value.Kind() == reflect.Struct && property.Properties != nil:
			if err := addDefaults(property, each); err != nil {
				return err
			}
		case !alike(each):
		case value.Kind() == reflect.Bool || value.Kind() == reflect.Slice || !value.IsZero():
			property.Default = value.Interface()
		}
	}
	return nil
}

func fields(all []reflect.Value, k key) []reflect.Value {
	out := make([]reflect.Value, len(all))
	for i, v := range all {
		out[i] = v.FieldByIndex(k.field.Index)
	}
	return out
}

// alike says whether a key has one default, whatever the profile.
func alike(each []reflect.Value) bool {
	return !slices.ContainsFunc(each, func(v reflect.Value) bool { return !reflect.DeepEqual(v.Interface(), each[0].Interface()) })
}

// JSONSchemaExtend adds that a rule has either a group or a condition.
func (Rule) JSONSchemaExtend(s *jsonschema.Schema) {
	s.OneOf = []*jsonschema.Schema{{Required: []string{"group"}}, {Required: []string{"when"}}}
}

// JSONSchemaExtend adds the short form.
func (Source) JSONSchemaExtend(s *jsonschema.Schema) {
	oneOf(s, &jsonschema.Schema{Type: "string", Pattern: attributePattern, Description: "Name of a directory attribute."})
}

// JSONSchemaExtend adds the short form.
func (Create) JSONSchemaExtend(s *jsonschema.Schema) { oneOf(s, &jsonschema.Schema{Type: "boolean"}) }

// JSONSchemaExtend adds the short form.
func (When) JSONSchemaExtend(s *jsonschema.Schema) {
	one := uint64(1)
	oneOf(s, &jsonschema.Schema{Type: "string", MinLength: &one, Description: "CEL condition."})
}

// JSONSchemaExtend adds the short form, and that an empty mapping selects nothing.
func (Selector) JSONSchemaExtend(s *jsonschema.Schema) {
	one := uint64(1)
	s.MinProperties = &one
	oneOf(s, &jsonschema.Schema{Type: "integer", Minimum: "1", Description: "Id of a system."})
}

// oneOf makes the schema of a mapping that of either this mapping or the short form.
func oneOf(s, short *jsonschema.Schema) {
	mapping := *s
	*s = jsonschema.Schema{OneOf: []*jsonschema.Schema{short, &mapping}}
}

// JSONSchema says how a duration looks.
func (Duration) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{Type: "string", Pattern: durationPattern, MinLength: &one}
}
