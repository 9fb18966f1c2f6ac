package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// done is a change that run 7 applied.
func done(kind Kind, login string, fields map[string]Value) Change {
	return Change{Kind: kind, Login: login, Fields: fields, PersonID: "id-" + login, Outcome: Applied}
}

func doneRight(from, to string) Change {
	return Change{Kind: SetRight, Login: "ann", System: 12, SystemName: "SP8 left", From: &from, To: to, Rule: "confocal", PersonID: "id-ann", Outcome: Applied}
}

func fromTo(name, from, to string) map[string]Value {
	return map[string]Value{name: {From: &from, To: to}}
}

func TestUndo(t *testing.T) {
	mail := func(from string) Change { return done(UpdateUser, "ann", fromTo("email", from, "ann@example.org")) }
	off := done(UpdateUser, "ann", activeFromTo("true", "false"))
	on := done(UpdateUser, "ann", activeFromTo("false", "true"))
	for _, test := range []struct {
		name    string
		journal []Change
		make    func(w *world, a *Account)
		want    []string
		says    string // in the issue
	}{
		{"a field", []Change{mail("old@example.org")}, nil, []string{"updateuser ann email=old@example.org"}, ""},
		{"a field that was empty", []Change{done(UpdateUser, "ann", fromTo("phone", "", "1"))}, func(_ *world, a *Account) { a.Fields[Phone] = "1" }, []string{"updateuser ann phone="}, ""},
		{"a field that PPMS spells otherwise", []Change{mail("old@example.org")}, func(_ *world, a *Account) { a.Fields[Email] = "Ann@Example.org" }, []string{"updateuser ann email=old@example.org"}, ""},
		{"a field that somebody changed since", []Change{mail("old@example.org")}, func(_ *world, a *Account) { a.Fields[Email] = "x@y" }, []string{"issue not-undone ann"}, `email is "x@y" by now, not "ann@example.org"`},
		{"a field that is as it was", []Change{mail("old@example.org")}, func(_ *world, a *Account) { a.Fields[Email] = "OLD@example.org" }, nil, ""},
		{"one of two fields", []Change{done(UpdateUser, "ann", map[string]Value{"lname": {From: new("Old"), To: "Lann"}, "fname": {From: new("Old"), To: "x"}})}, nil, []string{"updateuser ann lname=Old", "issue not-undone ann"}, "fname"},
		{"an e-mail that somebody else has by now", []Change{mail("bob@example.org")}, func(w *world, _ *Account) { w.account("bob") }, []string{"issue email-taken ann"}, "belongs to bob"},
		{"a unit that is gone", []Change{done(UpdateUser, "ann", fromTo("unitlogin", "oldlab", "smithlab"))}, nil, []string{"issue unknown-unit ann"}, "oldlab"},
		{"a name that was empty", []Change{done(UpdateUser, "ann", fromTo("lname", "", "Lann"))}, nil, []string{"issue not-undone ann"}, "would refuse"},
		{"a field of an account that is inactive by now", []Change{mail("old@example.org")}, func(_ *world, a *Account) { a.Active = false }, []string{"issue not-undone ann"}, "inactive by now"},
		{"a new account", []Change{done(NewUser, "ann", nil)}, nil, []string{"updateuser ann active=false"}, ""},
		{"a new account, inactive by now", []Change{done(NewUser, "ann", nil)}, func(_ *world, a *Account) { a.Active = false }, nil, ""},
		{"a deactivation", []Change{off}, func(w *world, a *Account) { a.Active = false; w.deactivated("ann", Deactivation{}) }, []string{"updateuser ann active=true"}, ""},
		{"a deactivation that somebody took back", []Change{off}, nil, nil, ""},
		{"a deactivation that is somebody else's by now", []Change{off}, func(w *world, a *Account) { a.Active = false; w.deactivated("ann", Deactivation{Overruled: true}) }, []string{"issue not-undone ann"}, "somebody else"},
		{"a reactivation", []Change{on}, nil, []string{"updateuser ann active=false"}, ""},
		{"a first grant", []Change{doneRight("", "A")}, func(w *world, _ *Account) { w.has("ann", Autonomous) }, []string{"setright ann 12 A->D"}, ""},
		{"a raise", []Change{doneRight("N", "A")}, func(w *world, _ *Account) { w.has("ann", Autonomous) }, []string{"setright ann 12 A->N"}, ""},
		{"a revocation", []Change{doneRight("A", "D")}, func(w *world, _ *Account) { w.has("ann", Deactivated) }, []string{"setright ann 12 D->A"}, ""},
		{"a revocation that PPMS does not list", []Change{doneRight("A", "D")}, nil, []string{"setright ann 12 D->A"}, ""},
		{"a right that is as it was", []Change{doneRight("", "A")}, nil, nil, ""},
		{"a right that somebody lowered since", []Change{doneRight("", "A")}, func(w *world, _ *Account) { w.has("ann", Novice) }, []string{"issue not-undone ann"}, "it is N by now"},
		{"a right that is S by now", []Change{doneRight("N", "A")}, func(w *world, _ *Account) { w.has("ann", Superuser) }, []string{"issue not-undone ann"}, "it is S by now"},
		{"a right on a system that is gone", []Change{doneRight("", "A")}, func(w *world, _ *Account) { w.PPMS.Systems = nil }, []string{"issue not-undone ann"}, "no such system"},
		{"what was refused, stale or not applied", func() (all []Change) {
			for _, o := range []Outcome{Refused, Stale, NotApplied, NotSent, DoesNotStick} {
				c := mail("old@example.org")
				c.Outcome = o
				all = append(all, c)
			}
			return all
		}(), nil, nil, ""},
		{"what is in doubt", func() []Change { c := mail("x"); c.Outcome = InDoubt; return []Change{c} }(), nil, []string{"issue not-undone ann"}, "in doubt"},
		{"an administrator", []Change{mail("old@example.org")}, func(w *world, _ *Account) { w.PPMS.Admins = []string{"ann"} }, []string{"issue not-undone ann"}, "administrator"},
		{"a protected account", []Change{done(UpdateUser, "svc-1", fromTo("email", "old", "svc-1@example.org"))}, func(w *world, _ *Account) { w.both("svc-1") }, []string{"issue not-undone svc-1"}, "protected"},
		{"an account that is local by now", []Change{mail("old@example.org")}, func(w *world, _ *Account) { w.Memory.Links = nil }, []string{"issue not-undone ann"}, "local"},
		{"an account that is gone", []Change{mail("old@example.org")}, func(w *world, _ *Account) { w.PPMS.Accounts = w.PPMS.Accounts[:0] }, []string{"issue not-undone ann"}, "no such account"},
		{"an account that PPMS renamed", []Change{mail("old@example.org")}, func(w *world, a *Account) { a.Login, w.Memory.Links[0].Login = "Anna", "Anna" }, []string{"updateuser Anna email=old@example.org"}, ""},
		{"somebody who is held", []Change{mail("old@example.org")}, func(w *world, _ *Account) {
			w.Memory.Holds = []Hold{{Key: "ann", Reason: "on leave", At: testNow}}
		}, []string{"issue not-undone ann"}, "on leave; `ppms-syncd release ann` ends that"},
		{"a field that is held", []Change{mail("old@example.org")}, func(w *world, _ *Account) { w.Memory.Holds = []Hold{{Key: "ann", Field: "email"}} }, []string{"updateuser ann email=old@example.org"}, ""},
		{"under any policy", []Change{off}, func(w *world, a *Account) {
			w.Settings.Policy, a.Active = CreateOnly, false
			w.deactivated("ann", Deactivation{})
		}, []string{"updateuser ann active=true"}, ""},
		{"what another run did is nothing", nil, nil, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			p, a := w.both("ann")
			w.rule(Autonomous, p)
			if test.make != nil {
				test.make(w, a)
			}
			plan := Undo(UndoInput{Now: testNow, Run: 7, Journal: test.journal, Settings: w.Settings, PPMS: w.PPMS, Memory: w.Memory})
			if diff := cmp.Diff(test.want, short(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if plan.Undoes != 7 || plan.Hash != PlanHash(plan.Policy, plan.Changes) {
				t.Errorf("it undoes run %d and has the hash %s", plan.Undoes, plan.Hash)
			}
			for i := range plan.Changes {
				if c := &plan.Changes[i]; !strings.HasPrefix(c.Reason, "undoes run 7: ") || c.PersonID == "" {
					t.Errorf("%+v", c)
				}
			}
			if details := fmt.Sprint(plan.Issues); !strings.Contains(details, test.says) {
				t.Errorf("%s, without %q", details, test.says)
			}
		})
	}
}

// What a run has done and an undo has undone is as if neither had been: but for accounts, which cannot be deleted, and for
// rights, of which D stands for none.
func TestUndoGivesBackWhatWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := snapshot(w)
		plan, obs := Compute(w.Input)
		settle(w, plan, obs)
		journal := slices.Clone(plan.Changes)
		created := map[string]bool{}
		for i := range journal {
			journal[i].Outcome = Applied
			created[journal[i].Login] = created[journal[i].Login] || journal[i].Kind == NewUser
		}
		undo := Undo(UndoInput{Now: w.Now, Run: 1, Journal: journal, Ended: w.Now, Settings: w.Settings, PPMS: w.PPMS, Memory: w.Memory})
		for i := range undo.Issues { // an e-mail may have gone to somebody else, and names cannot become empty
			if kind := undo.Issues[i].Kind; kind != EmailTaken && kind != UnknownUnit && !strings.Contains(undo.Issues[i].Detail, "would refuse") {
				t.Fatalf("%v", undo.Issues)
			}
		}
		for i := range undo.Changes {
			settleChange(w, &undo.Changes[i])
		}
		after := snapshot(w)
		for login, was := range before {
			if len(undo.Issues) == 0 && after[login] != was {
				t.Fatalf("%s was %s, and is %s; the run: %v; undone: %v", login, was, after[login], short(plan), short(undo))
			}
		}
		for _, a := range w.PPMS.Accounts {
			if created[a.Login] && a.Active {
				t.Fatalf("%s is still active", a.Login)
			}
		}
		again := Undo(UndoInput{Now: w.Now, Run: 1, Journal: journal, Ended: w.Now, Settings: w.Settings, PPMS: w.PPMS, Memory: w.Memory})
		if len(again.Changes) > 0 {
			t.Fatalf("undone twice: %v", short(again))
		}
	})
}

// snapshot spells each account with its rights.
func snapshot(w *world) map[string]string {
	all := map[string]string{}
	for _, a := range w.PPMS.Accounts {
		text := fmt.Sprint(a.Fields, a.Active)
		for id := 1; id <= 4; id++ {
			level := Deactivated
			for _, r := range w.PPMS.Rights[id] {
				if r.Login == a.Login {
					level = max(level, r.Level)
				}
			}
			text += " " + level.String()
		}
		all[a.Login] = text
	}
	return all
}
