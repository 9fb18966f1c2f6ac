// Package configs holds the commented example of a configuration. It is what the packages install and what
// ppms-syncd config example prints.
package configs

import (
	_ "embed"
	"slices"
)

//go:embed example.yaml
var example []byte

// Example is the text of example.yaml.
func Example() []byte { return slices.Clone(example) }
