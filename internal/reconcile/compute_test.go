package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests in this file read like the contract: each sets up one situation in a few words and says what the plan has.

var testNow = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

const testScope = "scope-1"

// world is an Input with short hands.
type world struct{ Input }

func newWorld() *world {
	w := &world{Input{
		Now: testNow,
		Settings: Settings{
			Policy: Sync, Scope: testScope,
			LoginOK:   func(s string) bool { return !strings.ContainsAny(s, " !") },
			Protected: func(k Key) bool { return k == "root" || strings.HasPrefix(string(k), "svc-") },
			Leavers:   LeaverSettings{Grace: 168 * time.Hour, DisabledGrace: 24 * time.Hour, Confirmations: 3},
			Guards:    GuardSettings{MinPeople: 1, MaxShrink: 10},
		},
		PPMS:   PPMS{Units: []string{"SmithLab", "jones"}, Admins: []string{"boss"}, Rights: map[int][]Right{}},
		Memory: Memory{Baseline: Baseline{At: testNow.Add(-time.Hour), People: 1, Groups: 1, Scope: testScope}},
	}}
	for i := range w.Settings.Guards.Limits {
		w.Settings.Guards.Limits[i] = Limit{Count: 50, Percent: 10, Floor: 5}
	}
	for _, f := range []Field{Lname, Fname, Email, Phone} {
		w.Settings.Authoritative[f] = true
	}
	w.Directory.Groups = 1
	w.Directory.People = make([]Person, 0, 16) // so that pointers into them stay good
	w.PPMS.Accounts = make([]Account, 0, 16)
	return w
}

// person adds somebody who lacks nothing.
func (w *world) person(login string) *Person {
	p := Person{ID: "id-" + login, DN: "uid=" + login + ",ou=people", Login: login, Create: true}
	p.Fields[Lname] = []string{"L" + login}
	p.Fields[Fname] = []string{"F" + login}
	p.Fields[Email] = []string{login + "@example.org"}
	p.Fields[Unit] = []string{"smithlab"}
	w.Directory.People = append(w.Directory.People, p)
	return &w.Directory.People[len(w.Directory.People)-1]
}

// account adds the account that fits person(login).
func (w *world) account(login string) *Account {
	a := Account{Login: login, Active: true}
	a.Fields[Lname], a.Fields[Fname], a.Fields[Email], a.Fields[Unit] = "L"+login, "F"+login, login+"@example.org", "SmithLab"
	w.PPMS.Accounts = append(w.PPMS.Accounts, a)
	return &w.PPMS.Accounts[len(w.PPMS.Accounts)-1]
}

func (w *world) link(login string) {
	w.Memory.Links = append(w.Memory.Links, Link{ID: "id-" + login, Login: login, Key: KeyOf(login), DN: "uid=" + login + ",ou=people", Origin: Matched, EnabledScope: testScope})
}

// both adds person, account and link.
func (w *world) both(login string) (*Person, *Account) {
	w.link(login)
	return w.person(login), w.account(login)
}

// gone adds a linked account whose person has left, missing for so long and so often.
func (w *world) gone(login string, since time.Duration, reads int) {
	w.account(login)
	w.link(login)
	w.lookup(login, Lookup{})
	if reads > 0 {
		w.leaver(login, Cause{State: Missing, Since: testNow.Add(-since), Reads: reads, Scope: testScope})
	}
}

func (w *world) lookup(login string, l Lookup) {
	if w.Directory.Lookups == nil {
		w.Directory.Lookups = map[string]Lookup{}
	}
	w.Directory.Lookups["id-"+login] = l
}

func (w *world) leaver(login string, c Cause) {
	if w.Memory.Leavers == nil {
		w.Memory.Leavers = map[string]Cause{}
	}
	w.Memory.Leavers["id-"+login] = c
}

func (w *world) deactivated(login string, d Deactivation) {
	if w.Memory.Deactivated == nil {
		w.Memory.Deactivated = map[Key]Deactivation{}
	}
	d.Login = login
	w.Memory.Deactivated[KeyOf(login)] = d
}

// emptied has a rule with a person whom it gave something before one of the lists of its groups had nobody any more.
func (w *world) emptied(list string) {
	p, _ := w.both("ann")
	w.both("bob")
	w.rule(Autonomous, p)
	w.has("ann", Autonomous)
	w.has("bob", Autonomous)
	w.gave("bob", Autonomous)
	w.Directory.Rules[0].Empty = []string{list}
	w.Memory.Rules = map[string]RuleMemory{"confocal": {Members: 2, Groups: []string{"cn=confocal", list}}}
}

// rule adds a rule on system 12 ("SP8") that gives A, with the person as member.
func (w *world) rule(level Level, people ...*Person) {
	w.Settings.Rules = append(w.Settings.Rules, Rule{Name: "confocal", Level: level, Systems: []Selector{{Name: "SP8*"}}})
	w.Directory.Rules = append(w.Directory.Rules, RuleRead{})
	w.PPMS.Systems = append(w.PPMS.Systems, System{ID: 12, Facility: 2, Type: "Confocal", Name: "SP8 left", Active: true})
	w.PPMS.Rights[12] = append(w.PPMS.Rights[12], Right{Login: "somebody-else", Level: Novice})
	for _, p := range people {
		p.Rules = []Member{{Rule: 0, Path: []string{"confocal-users", "imaging"}}}
	}
}

func (w *world) has(login string, level Level) {
	w.PPMS.Rights[12] = append(w.PPMS.Rights[12], Right{Login: login, Level: level})
}

func (w *world) gave(login string, level Level) *Grant {
	w.Memory.Grants = append(w.Memory.Grants, Grant{Login: login, System: 12, Level: level, Rule: "confocal", At: testNow.Add(-48 * time.Hour), WantedScope: testScope})
	return &w.Memory.Grants[len(w.Memory.Grants)-1]
}

// short spells changes and issues as words: "newuser ann", "updateuser ann email,phone", "setright ann 12 ->A".
func short(p Plan) []string {
	var out []string
	for i := range p.Changes {
		out = append(out, shortChange(&p.Changes[i]))
	}
	for i := range p.Withheld {
		out = append(out, "withheld "+shortChange(&p.Withheld[i]))
	}
	for _, i := range p.Issues {
		out = append(out, strings.TrimSpace(fmt.Sprintf("issue %s %s", i.Kind, i.Login)))
	}
	return out
}

func shortChange(c *Change) string {
	s := string(c.Kind) + " " + c.Login
	if c.Kind == SetRight {
		s += fmt.Sprintf(" %d %s->%s", c.System, *c.From, c.To)
	}
	if c.Kind == UpdateUser {
		var names []string
		for name, v := range c.Fields {
			names = append(names, fmt.Sprintf("%s=%s", name, v.To))
		}
		slices.Sort(names)
		s += " " + strings.Join(names, ",")
	}
	if c.Unproven {
		s += " (unproven)"
	}
	return s
}

func TestCompute(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(w *world)
		want []string
	}{
		{"in step", func(w *world) { w.both("ann") }, nil},
		{"somebody new", func(w *world) { w.person("ann") }, []string{"newuser ann"}},
		{"somebody new whom accounts.create leaves out", func(w *world) { w.person("ann").Create = false }, nil},
		{"somebody new who is disabled", func(w *world) { w.person("ann").State = Disabled }, nil},
		{"all that is missing is named at once", func(w *world) {
			p := w.person("ann")
			p.Fields[Fname], p.Fields[Email] = nil, []string{" "}
		}, []string{"issue incomplete ann"}},
		{"a unit that PPMS would create", func(w *world) { w.person("ann").Fields[Unit] = []string{"smithlap"} }, []string{"issue unknown-unit ann"}},
		{"an e-mail of an inactive account", func(w *world) {
			w.person("ann")
			a := w.account("annold")
			a.Active, a.Fields[Email] = false, "ANN@example.org"
		}, []string{"issue email-taken ann"}},
		{"two new people with one e-mail", func(w *world) {
			w.person("ann").Fields[Email] = []string{"lab@example.org"}
			w.person("bob").Fields[Email] = []string{"lab@example.org"}
		}, []string{"issue email-taken ann", "issue email-taken bob"}},
		{"a login that cannot be", func(w *world) { w.person("ann smith") }, []string{"issue bad-login ann smith"}},
		{"a login with a line end", func(w *world) { w.person("ann\nsmith") }, []string{"issue bad-login ann\ufffdsmith"}},
		{"two entries with one login", func(w *world) {
			w.person("ann")
			w.person("ANN").ID = "other"
		}, []string{"issue duplicate-login ANN", "issue duplicate-login ann"}},
		{"two entries with one login, chosen by hand", func(w *world) {
			_, a := w.both("ann")
			a.Fields[Phone] = "1"
			w.Directory.People[0].Fields[Phone] = []string{"2"}
			w.Memory.Links[0].Origin = ByHand
			w.person("ANN").ID = "other"
		}, []string{"updateuser ann phone=2", "issue duplicate-login ANN"}},
		{"two accounts with one login", func(w *world) {
			w.person("ann").Fields[Phone] = []string{"2"} // which the first of them lacks
			w.account("ann")
			w.account("Ann")
		}, []string{"issue duplicate-account Ann"}},
		{"an entry that could not be understood", func(w *world) { w.person("ann").Problems = []string{"unitlogin: no such key"} }, []string{"issue incomplete ann"}},
		{"first match: the last name agrees", func(w *world) {
			w.person("ann").Fields[Lname] = []string{"lANN"}
			w.account("Ann").Fields[Email] = "x@y"
		}, []string{"updateuser Ann email=ann@example.org,fname=Fann,lname=lANN"}},
		{"first match: nothing agrees", func(w *world) {
			w.person("ann")
			a := w.account("ann")
			a.Fields[Email], a.Fields[Lname] = "x@y", "Other"
		}, []string{"issue identity-mismatch ann"}},
		{"first match: two empty e-mails do not agree", func(w *world) {
			w.person("ann").Fields[Email] = nil
			a := w.account("ann")
			a.Fields[Email], a.Fields[Lname] = "", "Other"
		}, []string{"issue identity-mismatch ann"}},
		{"a login that now is somebody else's", func(w *world) { w.both("ann"); w.Directory.People[0].ID = "new" }, []string{"issue login-reused ann"}},
		{"a new login, which PPMS does not have", func(w *world) { p, _ := w.both("ann"); p.Login = "anna" }, []string{"issue renamed ann"}},
		{"a new login, renamed in PPMS too", func(w *world) {
			p, a := w.both("ann")
			p.Login, a.Login = "anna", "Anna"
		}, nil},
		{"a new login, and PPMS has a stranger under it", func(w *world) {
			p, a := w.both("ann")
			p.Login, a.Login, a.Fields[Email], a.Fields[Lname] = "anna", "Anna", "x@y", "Other"
		}, []string{"issue renamed ann"}},
		{"a new login, and PPMS has both", func(w *world) {
			p, _ := w.both("ann")
			p.Login = "anna"
			w.account("anna")
		}, []string{"issue renamed ann"}},
		{"an account that PPMS no longer has", func(w *world) { w.link("ann"); w.person("ann") }, []string{"issue account-gone ann"}},
		{"fields that differ, in one update", func(w *world) {
			_, a := w.both("ann")
			a.Fields[Email], a.Fields[Fname] = "old@example.org", "Old"
		}, []string{"updateuser ann email=ann@example.org,fname=Fann"}},
		{"a field that is not authoritative", func(w *world) { _, a := w.both("ann"); a.Fields[Unit] = "jones" }, nil},
		{"blanks, composition and the case of e-mails do not differ", func(w *world) {
			p, a := w.both("ann")
			p.Fields[Lname], a.Fields[Lname] = []string{"van  de\u0301 Berg "}, "van d\u00e9 Berg"
			a.Fields[Email] = "Ann@Example.org"
		}, nil},
		{"any value of several is as good", func(w *world) {
			p, a := w.both("ann")
			p.Fields[Email], a.Fields[Email] = []string{"new@example.org", "ann@example.org"}, "ann@example.org"
		}, nil},
		{"what the directory lacks stays", func(w *world) { _, a := w.both("ann"); a.Fields[Phone] = "123" }, nil},
		{"an e-mail that is taken holds that field alone", func(w *world) {
			p, _ := w.both("ann")
			p.Fields[Email], p.Fields[Phone] = []string{"bob@example.org"}, []string{"1"}
			w.account("bob")
		}, []string{"updateuser ann phone=1", "issue email-taken ann"}},
		{"an administrator", func(w *world) { _, a := w.both("boss"); a.Fields[Email] = "x@y" }, nil},
		{"an administrator of last week", func(w *world) {
			_, a := w.both("ann")
			a.Fields[Email] = "x@y"
			w.Memory.Admins = map[Key]time.Time{"ann": testNow.Add(-6 * 24 * time.Hour)}
		}, nil},
		{"an administrator of long ago", func(w *world) {
			_, a := w.both("ann")
			a.Fields[Email] = "x@y"
			w.Memory.Admins = map[Key]time.Time{"ann": testNow.Add(-8 * 24 * time.Hour)}
		}, []string{"updateuser ann email=ann@example.org"}},
		{"somebody protected", func(w *world) { _, a := w.both("svc-1"); a.Fields[Email] = "x@y"; w.person("root") }, nil},
		{"a guest", func(w *world) { w.account("guest") }, nil},
		{"inactive by staff", func(w *world) { _, a := w.both("ann"); a.Active = false; a.Fields[Phone] = "x" }, []string{"issue inactive-by-staff ann"}},
		{"back, and deactivated by us", func(w *world) {
			_, a := w.both("ann")
			a.Active = false
			w.deactivated("ann", Deactivation{})
		}, []string{"updateuser ann active=true"}},
		{"back, deactivated by us, then by staff", func(w *world) {
			_, a := w.both("ann")
			a.Active = false
			w.deactivated("ann", Deactivation{Overruled: true})
		}, []string{"issue inactive-by-staff ann"}},

		{"activated by staff, deactivated by them, and activated again", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("x")
			w.deactivated("ann", Deactivation{Overruled: true})
			w.PPMS.Accounts[0].Active = false
			_, obs := Compute(w.Input)
			w.Memory.Deactivated = obs.Deactivated
			w.PPMS.Accounts[0].Active = true
		}, []string{"newuser x", "issue reactivated-by-staff ann"}},
		{"missing for the first time", func(w *world) { w.person("x"); w.gone("ann", 0, 0) }, []string{"newuser x"}},
		{"missing often enough, not long enough", func(w *world) { w.gone("ann", 100*time.Hour, 9); w.person("x") }, []string{"newuser x"}},
		{"missing long enough, not often enough", func(w *world) { w.gone("ann", 200*time.Hour, 1); w.person("x") }, []string{"newuser x"}},
		{"missing long and often", func(w *world) { w.gone("ann", 168*time.Hour, 2); w.person("x") }, []string{"newuser x", "updateuser ann active=false"}},
		{"missing, but the second look failed", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("x")
			w.lookup("ann", Lookup{Err: "timeout"})
		}, []string{"newuser x"}},
		{"missing, but nobody looked again", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("x")
			w.Directory.Lookups = nil
		}, []string{"newuser x"}},
		{"missing by id, there by login", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("Ann").ID = "new"
		}, []string{"issue login-reused ann"}},
		{"missing under another scope", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			c := w.Memory.Leavers["id-ann"]
			c.Scope = "old"
			w.leaver("ann", c)
			w.person("x")
		}, []string{"newuser x", "updateuser ann active=false (unproven)"}},
		{"missing while the read shrank", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("x")
			w.Memory.Baseline.People = 100
		}, []string{"newuser x"}},
		{"disabled: the shorter grace", func(w *world) {
			p, _ := w.both("ann")
			p.State = Disabled
			w.leaver("ann", Cause{State: Expired, Since: testNow.Add(-24 * time.Hour), Reads: 2, Scope: testScope})
		}, []string{"updateuser ann active=false"}},
		{"disabled after missing: counted anew", func(w *world) {
			p, _ := w.both("ann")
			p.State = Disabled
			w.leaver("ann", Cause{State: Missing, Since: testNow.Add(-240 * time.Hour), Reads: 20, Scope: testScope})
		}, nil},
		{"reactivated by staff", func(w *world) {
			w.gone("ann", 999*time.Hour, 9)
			w.person("x")
			w.deactivated("ann", Deactivation{})
		}, []string{"newuser x", "issue reactivated-by-staff ann"}},
		{"a leaver who is protected or an administrator", func(w *world) {
			w.gone("boss", 999*time.Hour, 9)
			w.gone("svc-1", 999*time.Hour, 9)
			w.person("x")
		}, []string{"newuser x"}},
		{"a guest is no leaver", func(w *world) { w.account("guest"); w.person("x") }, []string{"newuser x"}},

		{"a right: wanted and not there", func(w *world) { p, _ := w.both("ann"); w.rule(Autonomous, p) }, []string{"setright ann 12 ->A"}},
		{"a right: raised", func(w *world) { p, _ := w.both("ann"); w.rule(Autonomous, p); w.has("ann", Novice) }, []string{"setright ann 12 N->A"}},
		{"a right: more than wanted", func(w *world) { p, _ := w.both("ann"); w.rule(Novice, p); w.has("ann", Autonomous) }, nil},
		{"a right: superuser", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.has("ann", Novice)
			w.has("ann", Superuser)
		}, nil},
		{"a right: with a new account", func(w *world) { p := w.person("ann"); w.rule(Novice, p) }, []string{"newuser ann", "setright ann 12 ->N"}},
		{"a right: of an account that is held", func(w *world) {
			p := w.person("ann")
			p.Fields[Unit] = nil
			w.rule(Novice, p)
		}, []string{"issue incomplete ann"}},
		{"a right: blocked by staff", func(w *world) { p, _ := w.both("ann"); w.rule(Autonomous, p); w.has("ann", Deactivated) }, []string{"issue right-blocked-by-staff ann"}},
		{"a right: lowered by staff", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.has("ann", Novice)
			w.gave("ann", Autonomous)
		}, []string{"issue right-lowered-by-staff ann"}},
		{"a right: what we revoked is given again", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.has("ann", Deactivated)
			w.gave("ann", Deactivated)
		}, []string{"setright ann 12 D->A"}},
		{"a right: what we revoked is given again, though PPMS does not list it", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.gave("ann", Deactivated)
		}, []string{"setright ann 12 D->A"}},
		{"a right: staff gave again what we revoked", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.has("ann", Novice)
			w.gave("ann", Deactivated)
		}, []string{"setright ann 12 N->A"}},
		{"a right: no longer wanted", func(w *world) {
			p, _ := w.both("ann")
			q, _ := w.both("bob")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
			w.gave("bob", Autonomous)
			_ = q
		}, []string{"setright bob 12 A->D"}},
		{"a right: no longer wanted, since before the configuration changed", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
			w.gave("bob", Autonomous).WantedScope = "old"
		}, []string{"setright bob 12 A->D (unproven)"}},
		{"a right: no longer wanted, and staff had given less before us", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
			w.gave("bob", Autonomous).Before = Novice
		}, []string{"setright bob 12 A->N"}},
		{"a right: no longer wanted, but staff lowered and raised it since", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
			w.gave("bob", Autonomous).Overruled = true
		}, nil},
		{"a right: no longer wanted, but staff gave it", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
		}, nil},
		{"a right: no longer wanted, but staff changed it", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.rule(Novice, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
			w.gave("bob", Novice)
		}, nil},
		{"a right: no longer wanted, but S by now, or not listed", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.both("cyd")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Superuser)
			w.gave("bob", Autonomous)
			w.gave("cyd", Autonomous)
		}, nil},
		{"a right: of somebody disabled or missing stays", func(w *world) {
			p, _ := w.both("ann")
			q, _ := w.both("bob")
			w.gone("cyd", 0, 0)
			w.rule(Autonomous, p)
			q.State = Disabled
			for _, login := range []string{"ann", "bob", "cyd"} {
				w.has(login, Autonomous)
				w.gave(login, Autonomous)
			}
		}, nil},
		{"a rule whose group is gone", func(w *world) {
			w.both("ann")
			w.rule(Autonomous)
			w.Directory.Rules[0].Suspect = "group confocal-users is not found"
			w.has("ann", Autonomous)
			w.gave("ann", Autonomous)
		}, []string{"issue rule-suspended"}},
		{"a rule that lost all members", func(w *world) {
			w.both("ann")
			w.rule(Autonomous)
			w.has("ann", Autonomous)
			w.gave("ann", Autonomous)
			w.Memory.Rules = map[string]RuleMemory{"confocal": {Members: 1, Selectors: `{name: "SP8*"}`, Systems: []int{12}}}
		}, []string{"issue rule-suspended"}},
		{"a rule whose nested group lists nobody any more", func(w *world) { w.emptied("cn=imaging") }, []string{"issue rule-suspended"}},
		{"a rule whose group has people only by their primary group any more", func(w *world) { w.emptied(ListMark + "cn=confocal") }, []string{"issue rule-suspended"}},
		{"somebody of whom the read could not tell", func(w *world) {
			p, a := w.both("ann")
			p.State, a.Fields[Fname] = Doubtful, "x"
			w.rule(Autonomous, p)
			w.leaver("ann", Cause{State: Disabled, Since: testNow.Add(-999 * time.Hour), Reads: 9, Scope: testScope})
			q, b := w.both("bob")
			q.State, b.Active = Doubtful, false
			w.deactivated("bob", Deactivation{})
			w.person("new").State = Doubtful
		}, nil},
		{"a link by hand to an account of another login, and the entry takes that login", func(w *world) {
			_, a := w.both("ann")
			a.Fields[Phone] = "1"
			w.Directory.People[0].Fields[Phone] = []string{"2"}
			w.Memory.Links[0].Key = "annie"
		}, []string{"updateuser ann phone=2"}},
		{"many people with one e-mail", func(w *world) {
			for _, login := range []string{"a", "b", "c", "d", "e", "f"} {
				w.person(login).Fields[Email] = []string{"lab@example.org"}
			}
		}, []string{"issue email-taken a", "issue email-taken b", "issue email-taken c", "issue email-taken d", "issue email-taken e", "issue email-taken f"}},
		{"a rule whose nested group was hidden", func(w *world) {
			p, _ := w.both("ann")
			w.both("bob")
			w.rule(Autonomous, p)
			w.has("ann", Autonomous)
			w.has("bob", Autonomous)
			w.gave("bob", Autonomous)
			w.Directory.Rules[0].Unread = []string{"cn=imaging"}
			w.Memory.Rules = map[string]RuleMemory{"confocal": {Members: 2, Groups: []string{"cn=confocal", "cn=imaging"}}}
		}, []string{"issue rule-suspended"}},
		{"a system that PPMS renamed", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			w.PPMS.Systems[0].Name = "Stellaris"
			w.has("ann", Autonomous)
			w.gave("ann", Autonomous)
			w.Memory.Rules = map[string]RuleMemory{"confocal": {Members: 1, Selectors: `{name: "SP8*"}`, Systems: []int{12}}}
		}, []string{"issue system-unmatched", "issue system-unmatched"}},
		{"a system whose rights were not read", func(w *world) {
			p, _ := w.both("ann")
			w.rule(Autonomous, p)
			delete(w.PPMS.Rights, 12)
		}, nil},
		{"a hold on a right, a field and a person", func(w *world) {
			p, a := w.both("ann")
			a.Fields[Fname], a.Fields[Lname] = "x", "y"
			w.rule(Autonomous, p)
			w.person("bob")
			w.Memory.Holds = []Hold{
				{Key: "ann", Field: "system:12", Reason: "undone"}, {Key: "ann", Field: "fname", Reason: "undone"}, {Key: "bob", Reason: "asked"},
			}
		}, []string{"updateuser ann lname=Lann", "issue held ann", "issue held ann", "issue held bob"}},
		{"policy create-only", func(w *world) {
			w.Settings.Policy = CreateOnly
			p, a := w.both("ann")
			a.Fields[Fname] = "x"
			q := w.person("bob")
			w.rule(Novice, p, q)
		}, []string{"newuser bob", "withheld updateuser ann fname=Fann", "withheld setright ann 12 ->N", "withheld setright bob 12 ->N"}},
		{"policy upsert-only", func(w *world) {
			w.Settings.Policy = UpsertOnly
			w.gone("ann", 168*time.Hour, 2)
			w.person("x")
		}, []string{"newuser x", "withheld updateuser ann active=false"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.make(w)
			plan, _ := Compute(w.Input)
			if diff := cmp.Diff(test.want, short(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			for _, c := range slices.Concat(plan.Changes, plan.Withheld) {
				if c.Reason == "" {
					t.Errorf("%s has no reason", shortChange(&c))
				}
			}
			for _, i := range plan.Issues {
				if i.Detail == "" {
					t.Errorf("issue %s of %s has no detail", i.Kind, i.Login)
				}
			}
		})
	}
}
