package ppmssim

import (
	"maps"
	"slices"
)

// Actions names all there are.
func Actions() []string { return slices.Sorted(maps.Keys(actions())) }
