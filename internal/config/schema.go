package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"ppms-syncd/internal/ldapsrc"
)

// Schema is the JSON Schema (2020-12) of the file, made from the types of [Config], for editors and for checks in a pipeline.
// It knows names, types and limits; what a filter or an expression may be, only [Parse] knows.
func Schema() ([]byte, error) {
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
