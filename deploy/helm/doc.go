// Package helm holds the tests of the chart beside it: that its documents agree, and, with the build tag kubernetes, that Helm and a real
// API server take it. `make test-kubernetes` runs all of them.
package helm
