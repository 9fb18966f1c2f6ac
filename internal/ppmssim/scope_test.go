package ppmssim_test

import (
	"fmt"
	"strings"
	"testing"

	"ppms-syncd/internal/ppmssim"
)

// question is a call of an action that has something to say to it, by the default seed.
type question struct {
	call   string
	people bool // it needs a key that may manage users
	head   int  // how many lines stand before the records
}

// questions has every action of PUMAPI that there is here.
func questions() []question {
	return []question{
		{"action=auth login=jdoe pwd=jane", false, 0},
		{"action=getusers", true, 0},
		{"action=getuser login=jdoe", true, 1},
		{"action=newuser login=new lname=N fname=N email=n unitlogin=smithlab", true, 0},
		{"action=upduser login=jdoe phone=1", true, 0},
		{"action=getadmins", true, 0},
		{"action=getgroups", true, 0},
		{"action=getgroup unitlogin=smithlab", true, 1},
		{"action=getgroupusers unitlogin=smithlab", true, 0},
		{"action=newgroup unitlogin=newlab", true, 0},
		{"action=updgroup unitlogin=smithlab headname=X", true, 0},
		{"action=getsystems", false, 1},
		{"action=getsysrights id=12", false, 0},
		{"action=getuserrights login=jdoe", false, 0},
		{"action=setright id=12 login=jdoe type=N", false, 0},
		{"action=getuserexp", true, 1},
		{"action=getbooking id=12", false, 0},
		{"action=nextbooking id=57", false, 0},
		{"action=getrunningsheet plateformid=1 day=2026-03-02", false, 1},
		{"action=getorders", false, 2},
		{"action=getorderlines orderref=1002", false, 2},
		{"action=createorder serviceid=302 login=jdoe quantity=1", false, 0},
		{"action=getinvoicelist", false, 0},
		{"action=getinvoice invoiceid=2026-02-01", false, 0},
		{"action=getinvoicedetails invoiceid=2026-02-01", false, 3},
		{"action=getservices coreid=1", false, 1},
		{"action=getprojects", false, 1},
		{"action=getprojectusers projectid=6", false, 0},
		{"action=getuserprojects login=jdoe", false, 0},
		{"action=getbcodes", false, 1},
	}
}

// A key without user management is refused by the actions that are about users and groups, and by no other; a wrong key by all.
func TestScopeOfEachAction(t *testing.T) {
	p := start(t, func(o *ppmssim.Options) { o.Scope.NoUsers = true })
	const refusal = "error: request not authorized\r\n"
	before := fmt.Sprint(p.Snapshot())
	for _, q := range questions() {
		p.want(q.call+" apikey=wrong", refusal)
		if q.people {
			p.want(q.call, refusal)
		}
	}
	if fmt.Sprint(p.Snapshot()) != before {
		t.Error("what was refused has changed something")
	}
	for _, q := range questions() {
		if body := p.ask(q.call); !q.people && (body == "" || strings.HasPrefix(body, "error")) {
			t.Errorf("%s: %q", q.call, body)
		}
	}
}

// noheaders takes away what stands before the records, and of an answer that has no header nothing.
func TestNoHeadersOfEachAction(t *testing.T) {
	with, without := start(t), start(t)
	for _, q := range questions() {
		whole := lines(with.ask(q.call))
		if len(whole) <= q.head {
			t.Errorf("%s has no records: %q", q.call, whole)
			continue
		}
		if got, want := lines(without.ask(q.call+" noheaders=true")), whole[q.head:]; strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q, want %q", q.call, got, want)
		}
	}
}

// The table of questions leaves no action out: faults know them all.
func TestEachActionIsAsked(t *testing.T) {
	asked := map[string]bool{}
	for _, q := range questions() {
		action, _, _ := strings.Cut(strings.TrimPrefix(q.call, "action="), " ")
		asked[action] = true
	}
	for _, action := range ppmssim.Actions() {
		if !asked[action] {
			t.Errorf("%s is not among the questions", action)
		}
	}
}
