package ppmssim

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one way to fail, for the requests that it matches. [ParseFault] reads it from a flag.
type Fault struct {
	Action string // of PUMAPI, "reads", "writes" or "*"
	Param  string // only requests in which this parameter …
	Value  string // … has this value; "" for all
	Kind   FaultKind
	Arg    string // what the kind takes; "" is its default
	First  int    // the first matching request that fails, from 1; 0 is 1
	Last   int    // the last one; 0 is no end
}

// FaultKind says how a request fails.
type FaultKind string

// The kinds of fault. Those above FaultCutHalf happen instead of the action: nothing changes.
const (
	FaultError        FaultKind = "error"        // "error: ARG", with status 200
	FaultHTML         FaultKind = "html"         // a maintenance page, with status 200
	FaultEmpty        FaultKind = "empty"        // an empty body; of getadmins: nobody
	FaultUnauthorized FaultKind = "unauthorized" // as with a wrong key
	FaultStatus       FaultKind = "status"       // status ARG, 500 if none; "429/7" adds Retry-After: 7
	FaultRedirect     FaultKind = "redirect"     // 307, which repeats the POST, to ARG: another host
	FaultGarbage      FaultKind = "garbage"      // bytes that are no text
	FaultResetBefore  FaultKind = "reset-before" // the connection is reset
	FaultHang         FaultKind = "hang"         // no answer until the client goes

	// These answer less than, or other than, what the action said.
	FaultCutHalf    FaultKind = "cut-half"    // the first half of the bytes, with the length of that half: nothing gives it away
	FaultCutLine    FaultKind = "cut-line"    // cut at a line end: the last ARG lines are missing, half of them if none
	FaultCutLength  FaultKind = "cut-length"  // the first half, with the length of the whole
	FaultOmit       FaultKind = "omit"        // without the lines that have ARG as one of their values
	FaultWrongLogin FaultKind = "wrong-login" // reads only: the answer for the login or unitlogin ARG, or for another than asked
	FaultShorten    FaultKind = "shorten"     // values are cut to 10 characters, ARG "20", "lname" or "lname/20"; writes store them so
	FaultSlow       FaultKind = "slow"        // a byte at a time, with pauses of ARG, 10ms if none
	FaultDelay      FaultKind = "delay"       // ARG later, 1s if none

	// These are about writes: the answer says one thing and the state another.
	FaultNothing    FaultKind = "nothing"     // says that it is done, and is not
	FaultResetAfter FaultKind = "reset-after" // is done, and the connection is reset
	FaultHangAfter  FaultKind = "hang-after"  // is done, and there is no answer until the client goes
)

// kinds lists all kinds.
func kinds() []FaultKind {
	return []FaultKind{
		FaultError, FaultHTML, FaultEmpty, FaultUnauthorized, FaultStatus, FaultRedirect, FaultGarbage, FaultResetBefore,
		FaultHang, FaultCutHalf, FaultCutLine, FaultCutLength, FaultOmit, FaultWrongLogin, FaultShorten, FaultSlow, FaultDelay,
		FaultNothing, FaultResetAfter, FaultHangAfter,
	}
}

// ParseFault reads a fault:
//
//	ACTION[{PARAM=VALUE}]:KIND[=ARG][@REQUESTS]
//
// ACTION is one of PUMAPI's, "reads", "writes" or "*"; the braces narrow it to requests with that parameter. KIND is one of
// the constants. REQUESTS counts those that match, from 1: "3", "2-4", "5-" or "-2"; all, if it is absent. Examples:
//
//	getusers:cut-half@2              the second list of users lacks its second half
//	getuser{login=jdoe}:wrong-login  who asks for jdoe gets somebody else
//	writes:reset-after@3-            from the third write on, no answer arrives
//	*:status=429/7@-2                two times too many requests, then all is well
//	upduser:shorten=lname/20         last names end after 20 characters
func ParseFault(spec string) (Fault, error) {
	wrong := func(why string) (Fault, error) {
		return Fault{}, fmt.Errorf("fault %q: %s; write ACTION[{PARAM=VALUE}]:KIND[=ARG][@REQUESTS]", spec, why)
	}
	grammar := regexp.MustCompile(`^([a-z*]+)(?:\{([a-zA-Z]+)=([^}]*)\})?:([a-z-]+)(?:=(.*?))?(?:@(\d*)(-?)(\d*))?$`)
	m := grammar.FindStringSubmatch(spec)
	if m == nil {
		return wrong("cannot be read")
	}
	f := Fault{Action: m[1], Param: m[2], Value: m[3], Kind: FaultKind(m[4]), Arg: m[5]}
	var err1, err2 error
	if m[6] != "" {
		f.First, err1 = strconv.Atoi(m[6])
	}
	switch {
	case m[8] != "":
		f.Last, err2 = strconv.Atoi(m[8])
	case m[7] == "":
		f.Last = f.First
	}
	counted := m[6] == "" || f.First > 0
	if errors.Join(err1, err2) != nil || !counted || m[8] != "" && f.Last < max(f.First, 1) || strings.HasSuffix(spec, "@") {
		return wrong("its range of requests makes no sense")
	}
	if err := f.check(); err != nil {
		return wrong(err.Error())
	}
	return f, nil
}

// String spells the fault as [ParseFault] reads it.
func (f Fault) String() string {
	s := f.Action
	if f.Param != "" {
		s += "{" + f.Param + "=" + f.Value + "}"
	}
	s += ":" + string(f.Kind)
	if f.Arg != "" {
		s += "=" + f.Arg
	}
	switch {
	case f.First == 0 && f.Last == 0:
		return s
	case f.First == f.Last:
		return fmt.Sprintf("%s@%d", s, f.First)
	}
	s += "@"
	if f.First != 0 {
		s += strconv.Itoa(f.First)
	}
	s += "-"
	if f.Last != 0 {
		s += strconv.Itoa(f.Last)
	}
	return s
}

// check says what is wrong with a fault.
func (f Fault) check() error {
	act, known := actions()[f.Action]
	if !known && f.Action != "*" && f.Action != "reads" && f.Action != "writes" {
		return fmt.Errorf("PUMAPI has no action %q here", f.Action)
	}
	if !slices.Contains(kinds(), f.Kind) {
		return fmt.Errorf("there is no kind %q, only %v", f.Kind, kinds())
	}
	if f.Kind == FaultNothing && known && !act.writes {
		return fmt.Errorf("%s writes nothing", f.Action)
	}
	if f.Kind == FaultWrongLogin && (act.writes || f.Action == "writes") {
		return errors.New("wrong-login is for reads: a write would hit somebody else")
	}
	return f.checkArg()
}

func (f Fault) checkArg() error {
	if f.Arg == "" {
		if f.Kind == FaultOmit {
			return errors.New("omit needs the value whose lines shall be missing")
		}
		return nil
	}
	var err error
	switch f.Kind {
	case FaultSlow, FaultDelay:
		_, err = time.ParseDuration(f.Arg)
	case FaultCutLine:
		_, err = strconv.ParseUint(f.Arg, 10, 16)
	case FaultStatus:
		if !regexp.MustCompile(`^[2-5]\d\d(/\d+)?$`).MatchString(f.Arg) {
			err = errors.New("status takes a code, and after a slash the seconds of Retry-After")
		}
	case FaultShorten:
		if !regexp.MustCompile(`^([a-zA-Z]+|\d+|[a-zA-Z]+/\d+)$`).MatchString(f.Arg) {
			err = errors.New("shorten takes a field, a number, or both with a slash between")
		}
	case FaultRedirect:
		_, err = url.Parse(f.Arg)
	case FaultError, FaultOmit, FaultWrongLogin:
	case FaultHTML, FaultEmpty, FaultUnauthorized, FaultGarbage, FaultResetBefore, FaultHang, FaultCutHalf, FaultCutLength,
		FaultNothing, FaultResetAfter, FaultHangAfter:
		err = fmt.Errorf("%s takes no argument", f.Kind)
	}
	return err
}

// instead says that the action does not happen.
func (f *Fault) instead() bool {
	switch f.Kind {
	case FaultError, FaultHTML, FaultEmpty, FaultUnauthorized, FaultStatus, FaultRedirect, FaultGarbage, FaultResetBefore, FaultHang:
		return true
	case FaultCutHalf, FaultCutLine, FaultCutLength, FaultOmit, FaultWrongLogin, FaultShorten, FaultSlow, FaultDelay,
		FaultNothing, FaultResetAfter, FaultHangAfter:
	}
	return false
}

// shortening is the field, "" for all but the names of things, and the number of characters that are left.
func (f *Fault) shortening() (field string, size int) {
	size = 10
	for part := range strings.SplitSeq(f.Arg, "/") {
		if n, err := strconv.Atoi(part); err == nil {
			size = n
		} else {
			field = part
		}
	}
	return field, size
}

// pause is how long the fault waits.
func (f *Fault) pause(otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(f.Arg); err == nil {
		return d
	}
	return otherwise
}

// armed is a fault of a running simulator, with the number of requests that it has matched.
type armed struct {
	Fault
	seen int
}

// matches counts a request and says whether it fails.
func (a *armed) matches(name string, writes bool, params url.Values) bool {
	switch {
	case a.Action == "reads" && writes, a.Action == "writes" && !writes:
		return false
	case a.Action != "*" && a.Action != "reads" && a.Action != "writes" && a.Action != name:
		return false
	case a.Param != "" && params.Get(a.Param) != a.Value:
		return false
	}
	a.seen++
	return a.seen >= a.First && (a.Last == 0 || a.seen <= a.Last)
}

// SetFaults replaces the faults and begins to count anew. Of several that fit a request the first counts. It panics on a
// fault that [ParseFault] would refuse, which is a mistake in the program.
func (s *Sim) SetFaults(faults []Fault) {
	list := make([]armed, len(faults))
	for i, f := range faults {
		if err := f.check(); err != nil {
			panic(fmt.Sprintf("ppmssim: fault %s: %v", f, err))
		}
		list[i] = armed{Fault: f}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = list
}

// fault is the one that hits a request, or nil.
func (s *Sim) fault(name string, writes bool, params url.Values) *Fault {
	var hit *Fault
	for i := range s.faults {
		if s.faults[i].matches(name, writes, params) && hit == nil {
			hit = &s.faults[i].Fault
		}
	}
	return hit
}
