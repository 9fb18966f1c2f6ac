package ppms

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Kind is what went wrong with a call.
type Kind uint8

// The kinds of failure. The names of their [Kind.String] are outcomes in metrics.
const (
	// Unauthorised: the key is wrong or lacks the scope for the action.
	Unauthorised Kind = iota + 1
	// Refused: PPMS said no ("error: …").
	Refused
	// NotPUMAPI: a web page, a redirect or a status that says that something else answers at this address.
	NotPUMAPI
	// HTTPStatus: 5xx, 408 or 429.
	HTTPStatus
	// NotSent: there was no connection, or the call was not begun; nothing reached PPMS.
	NotSent
	// Lost: the request was or may have been sent, and no whole answer came back.
	Lost
	// Malformed: an answer that is not of the shape that the action has.
	Malformed
	// Unconfirmed: the answer to a write says neither yes nor no.
	Unconfirmed
)

// String is the name in logs and metrics.
func (k Kind) String() string {
	switch k {
	case Unauthorised:
		return "unauthorised"
	case Refused:
		return "refused"
	case NotPUMAPI:
		return "not-pumapi"
	case HTTPStatus:
		return "http-status"
	case NotSent:
		return "not-sent"
	case Lost:
		return "lost"
	case Malformed:
		return "malformed"
	case Unconfirmed:
		return "unconfirmed"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// advice is what to do about it, where that is always the same.
func (k Kind) advice() string {
	switch k {
	case Unauthorised:
		return "; the key is wrong or its scope lacks this action: a PPMS super-administrator can check both"
	case NotPUMAPI:
		return "; ppms.url must be https://HOST/INSTANCE/pumapi/ and PPMS must not be in maintenance"
	case Refused, HTTPStatus, NotSent, Lost, Malformed, Unconfirmed:
	}
	return ""
}

// Error is a call that failed. Neither its text nor what it wraps holds the key.
type Error struct {
	Action string // as in metrics and plans: updateuser, where PUMAPI says upduser
	Kind   Kind
	Status int           // of HTTP, if that is what failed
	Detail string        // one line; the server's words are quoted and cut
	After  time.Duration // how long the server asked to wait (Retry-After)
	Err    error         // the failure of the network or the context, if that is what it was
}

// Error is the action, what happened and what to do.
func (e *Error) Error() string { return "ppms " + e.Action + ": " + e.Detail + e.Kind.advice() }

// Unwrap gives the failure below, so that errors.Is finds a cancelled context.
func (e *Error) Unwrap() error { return e.Err }

// Retryable says whether a read may be sent again: the failure is one that passes. A write may never be.
func (e *Error) Retryable() bool {
	switch e.Kind {
	case NotSent:
		_, certificate := errors.AsType[*tls.CertificateVerificationError](e.Err)
		return !certificate
	case Lost, HTTPStatus:
		return true
	case Unauthorised, Refused, NotPUMAPI, Malformed, Unconfirmed:
	}
	return false
}

// KindOf is the kind of an error of this package, 0 for any other.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

// Fate is what the end of a write tells about what PPMS did.
type Fate uint8

// The fates of a write.
const (
	// Unknown: it may have been done or not; read back.
	Unknown Fate = iota
	// NeverSent: nothing reached PPMS.
	NeverSent
	// Rejected: PPMS said no.
	Rejected
	// Confirmed: PPMS said yes. That proves nothing (setright says "done" to levels that do not exist); read back.
	Confirmed
)

// FateOf answers for the error of a write. An HTTP status or a web page decides nothing: a proxy may have answered in the
// place of a PPMS that did the work.
func FateOf(err error) Fate {
	if err == nil {
		return Confirmed
	}
	switch KindOf(err) {
	case NotSent:
		return NeverSent
	case Unauthorised, Refused:
		return Rejected
	case NotPUMAPI, HTTPStatus, Lost, Malformed, Unconfirmed:
	}
	return Unknown
}

// fault is an Error in the making: the server's words are still as they came, to be scrubbed before they are cut.
type fault struct {
	kind   Kind
	what   string
	said   string // by the server
	status int
	after  time.Duration
	err    error
}

func (f *fault) Error() string { return f.what }

func (f *fault) Unwrap() error { return f.err }

// bug turns a panic into an answer that nobody understood: calls are made from goroutines in which it would end the program.
func bug(err *error) {
	if p := recover(); p != nil {
		*err = &fault{kind: Malformed, what: fmt.Sprintf("this is a bug, please report it: %v", p)}
	}
}

func malformed(said, format string, args ...any) error {
	return &fault{kind: Malformed, what: fmt.Sprintf(format, args...), said: said}
}
