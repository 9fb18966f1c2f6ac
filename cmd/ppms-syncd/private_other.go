//go:build !linux

package main

// private has no counterpart that all other systems know.
func private() {}
