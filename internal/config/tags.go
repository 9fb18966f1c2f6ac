package config

import (
	"reflect"
	"strconv"
	"strings"
)

// limits are what a field's jsonschema tag says beyond its type. The walk enforces what the schema tells.
type limits struct {
	required  bool
	enum      []string
	minimum   *float64
	above     *float64 // exclusive minimum
	maximum   *float64
	minLength int
	minItems  int
}

func limitsOf(f reflect.StructField) limits {
	var l limits
	for tag := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		name, value, _ := strings.Cut(tag, "=")
		switch name {
		case "required":
			l.required = true
		case "enum":
			l.enum = append(l.enum, value)
		case "minimum":
			l.minimum = number(value)
		case "exclusiveMinimum":
			l.above = number(value)
		case "maximum":
			l.maximum = number(value)
		case "minLength":
			l.minLength = 1
		case "minItems":
			l.minItems = 1
		}
	}
	return l
}

func number(s string) *float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil
	}
	return &f
}

// key is one key that a mapping may have.
type key struct {
	name   string
	field  reflect.StructField
	limits limits
}

// keysOf lists the keys of a struct type in its order.
func keysOf(t reflect.Type) []key {
	var keys []key
	for f := range t.Fields() {
		if name := f.Tag.Get("json"); name != "" && name != "-" {
			keys = append(keys, key{name, f, limitsOf(f)})
		}
	}
	return keys
}

// paths lists all keys below a type, such as ldap.users.filter and rights[].level.
func paths(t reflect.Type, prefix string) []string {
	var all []string
	if t.Kind() == reflect.Slice {
		all = paths(t.Elem(), prefix+"[]")
	}
	if t.Kind() == reflect.Struct {
		for _, k := range keysOf(t) {
			path := join(prefix, k.name)
			all = append(append(all, path), paths(k.field.Type, path)...)
		}
	}
	return all
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
