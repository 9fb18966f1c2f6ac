package daemon

import (
	"errors"
	"fmt"

	"ppms-syncd/internal/config"
)

// The exit codes of the program, as scripts and systemd see them.
const (
	ExitOK      = 0
	ExitFailed  = 1  // before the first write
	ExitPending = 2  // plan --exit-code: there are changes
	ExitHeld    = 3  // a guard held something
	ExitPartial = 4  // writing began and not every change was applied
	ExitUsage   = 64 // EX_USAGE of sysexits.h
	ExitConfig  = 78 // EX_CONFIG of sysexits.h
)

// ExitError is an error that knows how the program ends. Its Err may be nil: everything was said already.
type ExitError struct {
	Code int
	Err  error
}

// Error is the message below, or the bare code.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap gives the error below.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the code that an error means.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	if _, ok := errors.AsType[*config.Problems](err); ok {
		return ExitConfig
	}
	return ExitFailed
}

// usage is an error of whoever typed the command.
func usage(format string, args ...any) error {
	return &ExitError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}
