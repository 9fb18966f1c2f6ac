package ppmssim

import (
	"slices"
	"strconv"
	"strings"
)

const maintenance = `<!DOCTYPE html>
<html><head><title>PPMS - Maintenance</title></head>
<body><h1>PPMS is being updated</h1><p>Please come back in a few minutes.</p></body></html>
`

// instead is the body of an answer that does not come from the action.
func (s *Sim) instead(f *Fault) (body, contentType string) {
	var a answer
	switch f.Kind {
	case FaultHTML:
		return maintenance, "text/html; charset=utf-8"
	case FaultStatus:
		return "<html><body><h1>Server Error</h1></body></html>\r\n", "text/html; charset=utf-8"
	case FaultGarbage:
		return strings.Repeat("\x00\xff\xfe\x1f\x8b\x08 \x80\xc3(\r\x1b[", 40), "application/octet-stream"
	case FaultUnauthorized:
		a = notAuthorized()
	case FaultError:
		text := f.Arg
		if text == "" {
			text = "internal error"
		}
		a = refuse(text)
	case FaultEmpty, FaultRedirect, FaultResetBefore, FaultHang, FaultCutHalf, FaultCutLine, FaultCutLength, FaultOmit,
		FaultWrongLogin, FaultShorten, FaultSlow, FaultDelay, FaultNothing, FaultResetAfter, FaultHangAfter:
		a = none()
	}
	return s.wire.render(a)
}

// redirectTo is where FaultRedirect sends the client: a host that no client should follow to with a key in the body.
func (f *Fault) redirectTo() string {
	if f.Arg != "" {
		return f.Arg
	}
	return "http://127.0.0.2:9/pumapi/"
}

// mislead turns the question into one about somebody else.
func (q *request) mislead() {
	swap := func(param string, all []string) {
		if !q.has(param) {
			return
		}
		other := q.fault.Arg
		if other == "" {
			i := slices.IndexFunc(all, func(x string) bool { return x != q.value(param) })
			if i < 0 {
				return
			}
			other = all[i]
		}
		q.params.Set(param, other)
	}
	swap("login", logins(q.state.users))
	swap("unitlogin", unitlogins(q.state.units))
}

func logins(users []User) []string {
	var all []string
	for _, u := range users {
		all = append(all, u.Login)
	}
	return all
}

func unitlogins(units []Unit) []string {
	var all []string
	for _, u := range units {
		all = append(all, u.Unitlogin)
	}
	return all
}

// spoilLines takes lines away from an answer.
func (f *Fault) spoilLines(a *answer) {
	switch {
	case f == nil:
	case f.Kind == FaultOmit:
		a.lines = slices.DeleteFunc(a.lines, f.omits)
	case f.Kind == FaultCutLine && f.Arg == "":
		a.lines = a.lines[:len(a.lines)/2]
	case f.Kind == FaultCutLine:
		n, _ := strconv.Atoi(f.Arg) // as check found
		a.lines = a.lines[:max(0, len(a.lines)-n)]
	}
}

// omits says whether one of a line's values is the one to leave out, be it bare, quoted, behind a level or the whole line.
func (f *Fault) omits(line string) bool {
	_, after, _ := strings.Cut(line, ":")
	bare := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(`,:"`, r) })
	return line == f.Arg || after == f.Arg || strings.Contains(line, quoted(f.Arg)) || slices.Contains(bare, f.Arg)
}
