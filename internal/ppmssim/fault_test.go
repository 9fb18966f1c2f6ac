package ppmssim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ppms-syncd/internal/ppmssim"
)

func parse(t *testing.T, spec string) ppmssim.Fault {
	t.Helper()
	f, err := ppmssim.ParseFault(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFault(t *testing.T) {
	for spec, want := range map[string]ppmssim.Fault{
		"getuser:html":                   {Action: "getuser", Kind: ppmssim.FaultHTML},
		"getusers:cut-half@2":            {Action: "getusers", Kind: ppmssim.FaultCutHalf, First: 2, Last: 2},
		"writes:reset-after@3-":          {Action: "writes", Kind: ppmssim.FaultResetAfter, First: 3},
		"*:status=429/7@-2":              {Action: "*", Kind: ppmssim.FaultStatus, Arg: "429/7", Last: 2},
		"upduser:shorten=lname/20@2-4":   {Action: "upduser", Kind: ppmssim.FaultShorten, Arg: "lname/20", First: 2, Last: 4},
		"getuser{login=a@b:c}:empty":     {Action: "getuser", Param: "login", Value: "a@b:c", Kind: ppmssim.FaultEmpty},
		"reads:wrong-login=x@y.org":      {Action: "reads", Kind: ppmssim.FaultWrongLogin, Arg: "x@y.org"},
		"*:redirect=http://h:1/pumapi/":  {Action: "*", Kind: ppmssim.FaultRedirect, Arg: "http://h:1/pumapi/"},
		"setright:error=system, busy@1-": {Action: "setright", Kind: ppmssim.FaultError, Arg: "system, busy", First: 1},
	} {
		f, err := ppmssim.ParseFault(spec)
		if err != nil || f != want {
			t.Errorf("%s: %+v, %v", spec, f, err)
		}
		if f.String() != spec {
			t.Errorf("%s is spelled %s", spec, f)
		}
	}
}

func TestParseFaultRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		"":                          "cannot be read",
		"getuser":                   "cannot be read",
		"getuser:html@x":            "cannot be read",
		"getuser:html@":             "range",
		"getuser:html@0":            "range",
		"getuser:html@0-2":          "range",
		"getuser:html@-0":           "range",
		"getuser:html@4-2":          "range",
		"getmoney:html":             "no action",
		"getuser:explode":           "no kind",
		"getuser:nothing":           "writes nothing",
		"newuser:wrong-login":       "for reads",
		"writes:wrong-login":        "for reads",
		"*:status=boom":             "status takes",
		"*:slow=fast":               "duration",
		"getusers:cut-line=-1":      "invalid syntax",
		"getusers:omit":             "omit needs",
		"*:html=x":                  "takes no argument",
		"upduser:shorten=lname/20/": "shorten takes",
	} {
		if _, err := ppmssim.ParseFault(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
}

func TestFaultSpellingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := ppmssim.Fault{
			Action: rapid.SampledFrom([]string{"*", "reads", "getusers", "getuser"}).Draw(t, "action"),
			Kind:   rapid.SampledFrom([]ppmssim.FaultKind{ppmssim.FaultError, ppmssim.FaultOmit}).Draw(t, "kind"),
			Arg:    rapid.StringMatching(`[a-zA-Z:=. -]{1,9}`).Draw(t, "arg"),
			First:  rapid.IntRange(0, 5).Draw(t, "first"),
		}
		if rapid.Bool().Draw(t, "ends") {
			f.Last = max(f.First, 1) + rapid.IntRange(0, 3).Draw(t, "more")
		}
		if rapid.Bool().Draw(t, "narrow") {
			f.Param, f.Value = "login", rapid.StringMatching(`[a-z@:=.]{0,6}`).Draw(t, "value")
		}
		if got, err := ppmssim.ParseFault(f.String()); err != nil || got != f {
			t.Fatalf("%s: %+v, %v", f, got, err)
		}
	})
}

func TestSetFaultsPanicsOnAMistake(t *testing.T) {
	p := start(t)
	defer func() {
		if recover() == nil {
			t.Error("taken")
		}
	}()
	p.SetFaults([]ppmssim.Fault{{Action: "getuser", Kind: "nonsense"}})
}

// TestFaults is one call under one fault: the body or the failure, and whether the write happened.
func TestFaults(t *testing.T) {
	users := lines(start(t).ask("action=getusers"))
	whole := strings.Join(users, "\r\n") + "\r\n"
	const write = "action=upduser login=jdoe phone=99"
	for _, c := range []struct {
		fault, call string
		status      int // 0: no answer at all
		body        string
		cut         bool // the body ends before it should
		done        bool // the write happened
	}{
		{"getusers:error", "action=getusers", 200, "error: internal error\r\n", false, false},
		{"upduser:error=no=way", write, 200, "error: no=way\r\n", false, false},
		{"getusers:empty", "action=getusers", 200, "", false, false},
		{"upduser:unauthorized", write, 200, "error: request not authorized\r\n", false, false},
		{"upduser:status", write, 500, "<html><body><h1>Server Error</h1></body></html>\r\n", false, false},
		{"upduser:redirect", write, 307, "", false, false},
		{"upduser:reset-before", write, 0, "", false, false},
		{"upduser:reset-after", write, 0, "", false, true},
		{"upduser:nothing", write, 200, "OK upduser\r\n", false, false},
		{"getusers:cut-half", "action=getusers", 200, whole[:len(whole)/2], false, false},
		{"getusers:cut-length", "action=getusers", 200, whole[:len(whole)/2], true, false},
		{"getusers:cut-line", "action=getusers", 200, strings.Join(users[:6], "\r\n") + "\r\n", false, false},
		{"getusers:cut-line=2", "action=getusers", 200, strings.Join(users[:len(users)-2], "\r\n") + "\r\n", false, false},
		{"getusers:cut-line=99", "action=getusers", 200, "", false, false},
		{"reads:omit=admin", "action=getadmins", 200, "mkeller\r\n", false, false},
		{"reads:omit=jdoe", "action=getsysrights id=57", 200, "S:admin\r\nA:ANovak\r\nN:acme-guest\r\nA:jmueller\r\nS:mkeller\r\n", false, false},
		{"getadmins:slow=1us", "action=getadmins", 200, "admin\r\nmkeller\r\n", false, false},
		{"upduser:delay=1ms", write, 200, "OK upduser\r\n", false, true},
		{"upduser:cut-half", write, 200, "OK upd", false, true},
		{"newuser:html", write, 200, "OK upduser\r\n", false, true}, // another action
		{"upduser{login=x}:html", write, 200, "OK upduser\r\n", false, true},
		{"upduser{login=jdoe}:empty", write, 200, "", false, false},
		{"reads:empty", write, 200, "OK upduser\r\n", false, true},
		{"writes:empty", write, 200, "", false, false},
	} {
		t.Run(c.fault+" "+c.call, func(t *testing.T) {
			p := start(t, withFaults(c.fault))
			body, status, err := p.try(c.call)
			switch {
			case c.status == 0:
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("no reset: %v", err)
				}
			case c.cut:
				if !errors.Is(err, io.ErrUnexpectedEOF) || body != c.body {
					t.Errorf("%v %q", err, body)
				}
			case err != nil || status != c.status || body != c.body:
				t.Errorf("status %d, %v\n got %q\nwant %q", status, err, body, c.body)
			}
			u, _ := p.User("jdoe")
			if (u.Phone == "99") != c.done {
				t.Errorf("phone is %s", u.Phone)
			}
			if e := p.Effects(); strings.HasPrefix(c.call, "action=upd") && (len(e) != 1 || e[0].Changed != c.done) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestFaultPages(t *testing.T) {
	p := start(t, withFaults("getusers:html", "getuser:garbage", "getgroups:status=429/7", "getgroup:redirect=http://h.example/pumapi/"))
	if got := p.ask("action=getusers"); !strings.HasPrefix(got, "<!DOCTYPE html>") {
		t.Error(got)
	}
	if got := p.ask("action=getuser login=jdoe"); !strings.ContainsRune(got, 0) {
		t.Error("garbage is text")
	}
	for call, want := range map[string]string{"action=getgroups": "7", "action=getgroup unitlogin=x": "http://h.example/pumapi/"} {
		resp, err := p.post(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Retry-After") + resp.Header.Get("Location"); got != want {
			t.Errorf("%s: %d %s", call, resp.StatusCode, got)
		}
	}
}

func TestFaultWrongLogin(t *testing.T) {
	p := start(t, withFaults("*:wrong-login"))
	if got := lines(p.ask("action=getuser login=jdoe"))[1]; !strings.HasPrefix(got, `"admin",`) {
		t.Error(got)
	}
	if got := lines(p.ask("action=getgroup unitlogin=smithlab"))[1]; !strings.HasPrefix(got, `"muellerlab",`) {
		t.Error(got)
	}
	p.ask("action=upduser login=jdoe phone=5")
	if u, _ := p.User("jdoe"); u.Phone != "5" {
		t.Error("a write hit somebody else")
	}
	p.SetFaults([]ppmssim.Fault{parse(t, "getuser:wrong-login=bgone")})
	if got := lines(p.ask("action=getuser login=jdoe"))[1]; !strings.HasPrefix(got, `"bgone",`) {
		t.Error(got)
	}
}

// Whatever is asked about somebody is answered about somebody else.
func TestFaultWrongLoginOfEachRead(t *testing.T) {
	p := start(t)
	for _, call := range []string{
		"action=getuser login=jdoe", "action=getuserrights login=jdoe", "action=getuserexp login=jdoe", "action=getuserprojects login=jdoe",
		"action=getgroup unitlogin=smithlab", "action=getgroupusers unitlogin=smithlab",
	} {
		p.SetFaults(nil)
		right := p.ask(call)
		p.SetFaults([]ppmssim.Fault{parse(t, "reads:wrong-login")})
		if wrong := p.ask(call); wrong == right {
			t.Errorf("%s: %q", call, wrong)
		}
	}
}

// A value may have all in it that separates values.
func TestFaultOmitOfAnyValue(t *testing.T) {
	const login, name = `o'hara, j:r`, `63" "Max", left`
	p := start(t)
	p.PutUser(ppmssim.User{Login: login, Active: true})
	p.PutSystem(ppmssim.System{ID: 91, Name: name})
	p.SetRight(login, 57, "N")
	for call, value := range map[string]string{
		"action=getusers": login, "action=getuser login=o'hara,_j:r": login, "action=getsysrights id=57": login, "action=getsystems": name,
		"action=getsysrights id=57 format=csv": login,
	} {
		p.SetFaults(nil)
		before := len(lines(p.ask(call)))
		p.SetFaults([]ppmssim.Fault{parse(t, "reads:omit="+value)})
		if after := len(lines(p.ask(call))); after != before-1 {
			t.Errorf("%s: %d lines instead of %d", call, after, before-1)
		}
	}
}

func TestFaultShorten(t *testing.T) {
	p := start(t, withFaults("writes:shorten=lname/4"))
	p.ask("action=upduser login=jdoe lname=Müllerová fname=Johannesburg")
	if u, _ := p.User("jdoe"); u.Lname != "Müll" || u.Fname != "Johannesburg" {
		t.Errorf("%+v", u)
	}
	p.SetFaults([]ppmssim.Fault{parse(t, "getuser:shorten=3")})
	p.want("action=getuser login=jdoe noheaders=true", `"jdoe","Mül","Joh","jan","+41","","","smithlab",false,false,true`+"\r\n")
	if u, _ := p.User("jdoe"); u.Lname != "Müll" {
		t.Error("a read changed the state")
	}
}

func TestFaultCounts(t *testing.T) {
	for spec, want := range map[string]string{
		"getadmins:empty": ".....", "getadmins:empty@1": ".xxxx", "getadmins:empty@2-3": "x..xx", "getadmins:empty@4-": "xxx..",
		"getadmins:empty@-2": "..xxx",
	} {
		p := start(t, withFaults(spec))
		var got strings.Builder
		for range 5 {
			p.ask("action=getusers") // does not count
			if p.ask("action=getadmins") == "" {
				got.WriteByte('.')
			} else {
				got.WriteByte('x')
			}
		}
		if got.String() != want {
			t.Errorf("%s: %s, want %s", spec, got.String(), want)
		}
	}
}

func TestFirstFaultWins(t *testing.T) {
	p := start(t, withFaults("getadmins:empty@2", "*:error=second"))
	p.want("action=getadmins", "error: second\r\n")
	p.want("action=getadmins", "")
}

// hang: the client gives up, and the simulator goes on.
func TestFaultHang(t *testing.T) {
	for fault, done := range map[string]bool{"upduser:hang@1": false, "upduser:hang-after@1": true} {
		p := start(t, withFaults(fault))
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			resp, err := p.post(ctx, "action=upduser login=jdoe phone=99")
			if err == nil {
				resp.Body.Close()
			}
			failed <- err
		}()
		for len(p.Effects()) == 0 { // the request is in
			select {
			case err := <-failed:
				t.Fatalf("answered: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", fault, err)
		}
		if u, _ := p.User("jdoe"); (u.Phone == "99") != done {
			t.Errorf("%s: phone %s", fault, u.Phone)
		}
		p.ask("action=upduser login=jdoe phone=1")
	}
}

func TestStopEndsWhatHangs(t *testing.T) {
	p := start(t, withFaults("newuser:hang"))
	failed := make(chan error)
	go func() {
		_, _, err := p.try("action=newuser login=x")
		failed <- err
	}()
	for len(p.Effects()) == 0 {
		<-time.After(time.Millisecond)
	}
	p.client.CloseIdleConnections()
	p.stop()
	if err := <-failed; err == nil {
		t.Error("answered")
	}
}

func TestLatencyEndsWithTheClient(t *testing.T) {
	p := start(t, func(o *ppmssim.Options) { o.Latency = time.Hour })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	resp, err := p.post(ctx, "action=upduser login=jdoe phone=99")
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if len(p.Effects()) != 0 {
		t.Error("it happened all the same")
	}
}

// A client that follows redirects would send the key to another host: the fault repeats the POST.
func TestRedirectRepeatsThePost(t *testing.T) {
	other := start(t)
	p := start(t, withFaults("*:redirect="+other.url))
	p.client.CheckRedirect = nil
	p.ask("action=upduser login=jdoe phone=99")
	if len(other.Effects()) != 1 || len(p.Effects()) != 1 || p.Effects()[0].Changed {
		t.Error("not repeated there")
	}
}

func TestKindsNeedNoArgument(t *testing.T) {
	for _, kind := range []ppmssim.FaultKind{
		ppmssim.FaultError, ppmssim.FaultHTML, ppmssim.FaultEmpty, ppmssim.FaultUnauthorized, ppmssim.FaultStatus,
		ppmssim.FaultRedirect, ppmssim.FaultGarbage, ppmssim.FaultResetBefore, ppmssim.FaultHang, ppmssim.FaultCutHalf,
		ppmssim.FaultCutLine, ppmssim.FaultCutLength, ppmssim.FaultWrongLogin, ppmssim.FaultShorten, ppmssim.FaultSlow,
		ppmssim.FaultDelay, ppmssim.FaultNothing, ppmssim.FaultResetAfter, ppmssim.FaultHangAfter,
	} {
		if f := parse(t, fmt.Sprintf("*:%s@1", kind)); f.Kind != kind {
			t.Errorf("%s", kind)
		}
	}
}
