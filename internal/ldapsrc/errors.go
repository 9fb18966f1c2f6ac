package ldapsrc

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// IncompleteError says that the directory was not read, or not all of it. Nothing of what was read may be used.
type IncompleteError struct {
	Server string // URL; "" if no server could be used
	Reason string // what happened
	Do     string // what to do about it; "" if the reason says it all
	Err    error  // what it came from, if something did
}

// Error is one sentence: where, what, and what to do.
func (e *IncompleteError) Error() string {
	text := "the directory was not read"
	if e.Server != "" {
		text += " from " + e.Server
	}
	text += ": " + e.Reason
	if e.Do != "" {
		text += "; " + e.Do
	}
	return text
}

// Unwrap gives the cause.
func (e *IncompleteError) Unwrap() error { return e.Err }

// readerName stands in advice for the name of the reader, until it is known.
const readerName = "THE READER"

func incomplete(do, format string, args ...any) *IncompleteError {
	return &IncompleteError{Reason: fmt.Sprintf(format, args...), Do: do}
}

// failed turns an error of the network, of TLS or of the server into one that says what to do. The context comes first:
// once it has ended, whatever the socket says is only its echo.
func failed(ctx context.Context, doing string, err error) *IncompleteError {
	if already, ok := errors.AsType[*IncompleteError](err); ok {
		return already
	}
	out := &IncompleteError{Err: err}
	var reason string
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		out.Err, reason = context.Canceled, "it was cancelled"
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		out.Err, reason, out.Do = context.DeadlineExceeded, "the time ran out",
			"look whether the server answers at all, or raise ldap.timeout"
	default:
		reason, out.Do = sentence(err)
	}
	out.Reason = doing + ": " + reason
	return out
}
