// Package config reads the configuration file: strictly, and completely or not at all.
//
// Start at [Load]. The file becomes a tree of nodes that know where they stand, the tree is walked against the Go types of
// [Config], and what was read is then checked for its meaning. Everything that is wrong is reported at once, each thing with
// line and column, before anything is contacted; a configuration with a problem is never half applied.
//
// The types are the only description of the file: their tags hold names, limits and texts, for the walk as well as for the
// JSON [Schema].
package config
