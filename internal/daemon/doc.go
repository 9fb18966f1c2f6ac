// Package daemon is where the parts meet: configuration, directory, PPMS, comparison and ledger become one run.
//
// Start at [run.do]: it reads like the sentence that describes a run. Everything a command of the program does is a method of
// [App].
package daemon
