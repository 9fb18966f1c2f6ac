// Package configs holds commented configurations: one with every key, which the packages install, and a short one for each kind
// of directory. ppms-syncd config example prints them.
package configs

import (
	"embed"
	"slices"
	"strings"
)

//go:embed *.yaml
var files embed.FS

const whole = "example"

// Example is the text of the configuration for a profile, or of the one with every key if the name is "". It is nil if there is
// none.
func Example(profile string) []byte {
	if profile == whole {
		return nil
	}
	if profile == "" {
		profile = whole
	}
	text, err := files.ReadFile(profile + ".yaml")
	if err != nil {
		return nil
	}
	return text
}

// Profiles lists the kinds of directories that have an example, sorted.
func Profiles() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("configs: " + err.Error()) // what is embedded can be read
	}
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); name != whole {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
