package config

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON Schema (2020-12) of the file, made from the types of [Config], for editors and for checks in a pipeline.
// It knows names, types and limits; what a filter or an expression may be, only [Parse] knows.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true}
	s := r.Reflect(&Config{})
	s.Title = "Configuration of ppms-syncd"
	if err := addDefaults(s, reflect.ValueOf(defaults()).Elem()); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(data, '\n'), nil
}

// addDefaults writes the defaults into the schema. The zero value of a key that is required, or empty by itself, is none.
func addDefaults(s *jsonschema.Schema, v reflect.Value) error {
	for _, k := range keysOf(v.Type()) {
		property, ok := s.Properties.Get(k.name)
		if !ok {
			return fmt.Errorf("the schema lacks the key %s", k.name)
		}
		value := v.FieldByIndex(k.field.Index)
		switch {
		case k.limits.required && value.Kind() != reflect.Struct, k.name == "authoritative":
		case value.Kind() == reflect.Struct && property.Properties != nil:
			if err := addDefaults(property, value); err != nil {
				return err
			}
		case value.Kind() == reflect.Bool || value.Kind() == reflect.Slice || !value.IsZero():
			property.Default = value.Interface()
		}
	}
	return nil
}

// JSONSchemaExtend adds that a rule has either a group or a condition.
func (Rule) JSONSchemaExtend(s *jsonschema.Schema) {
	s.OneOf = []*jsonschema.Schema{{Required: []string{"group"}}, {Required: []string{"when"}}}
}
