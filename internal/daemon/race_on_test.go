//go:build race

package daemon_test

// withRace says whether these tests run with the race detector.
const withRace = true
