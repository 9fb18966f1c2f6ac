package config

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of the file, for editors and for checks in a pipeline. It knows names, types and limits;
// what a filter or an expression may be, only [Parse] knows.
func Schema() []byte { return slices.Clone(schema) }
