package ppmssim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ppmssim"
)

func TestNoTrailingSlashIs405(t *testing.T) {
	p := start(t)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodPost, "/pumapi", 405},
		{http.MethodPost, "/facility/pumapi", 405},
		{http.MethodGet, "/pumapi/", 405},
		{http.MethodPost, "/pumapi/", 200},
		{http.MethodPost, "/facility/pumapi/", 200},
		{http.MethodPost, "/", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, strings.TrimSuffix(p.url, "/pumapi/")+c.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.want)
		}
	}
}

func TestStatusIs200EvenWhenItFailed(t *testing.T) {
	p := start(t)
	p.want("action=getusers apikey=wrong", "error: request not authorized\r\n")
	p.want("action=auth apikey=wrong", "error: request not authorized\r\n")
	p.want("action=getmoney", "error: unknown action\r\n")
	p.want("action=auth", "")
}

func TestKeyInURLCountsForNothing(t *testing.T) {
	p := start(t)
	p.url += "?apikey=" + theKey
	p.want("action=getusers apikey=", "error: request not authorized\r\n")
}

func TestUnknownIsEmpty(t *testing.T) {
	p := start(t)
	for _, call := range []string{
		"action=getuser login=nobody", "action=getuser login=", "action=getuser", "action=getuser format=json login=nobody",
		"action=getgroup unitlogin=nolab", "action=getgroupusers unitlogin=nolab", "action=getuserrights login=nobody",
	} {
		p.want(call, "")
	}
}

func TestListsAddUp(t *testing.T) {
	p := start(t)
	sum := slices.Concat(lines(p.ask("action=getusers active=true")), lines(p.ask("action=getusers active=false")))
	slices.Sort(sum)
	if all := slices.Sorted(slices.Values(lines(p.ask("action=getusers")))); !slices.Equal(all, sum) {
		t.Errorf("all %v, sum %v", all, sum)
	}
}

func TestNewUser(t *testing.T) {
	p := start(t)
	p.want("action=newuser login=nina lname=New fname=Nina email=n@example.org unitlogin=smithlab active=false phone=1", "OK newuser\r\n")
	u, ok := p.User("nina")
	want := ppmssim.User{
		Login: "nina", Lname: "New", Fname: "Nina", Email: "n@example.org", Phone: "1", Unitlogin: "smithlab",
		Active: true, UserID: u.UserID,
	}
	if diff := cmp.Diff(want, u); !ok || diff != "" {
		t.Error("a new user is active, whatever was asked for:", diff)
	}
	p.want("action=getuserrights login=nina", "")
	if !slices.Contains(lines(p.ask("action=getgroupusers unitlogin=smithlab")), "nina") {
		t.Error("not in the unit")
	}
}

func TestNewUserLackingFields(t *testing.T) {
	p := start(t)
	for _, lacking := range []string{"login", "lname", "fname", "email", "unitlogin"} {
		call := "action=newuser login=nina lname=New fname=Nina email=n@example.org unitlogin=smithlab"
		got := p.ask(call + " " + lacking + "=")
		if !strings.HasPrefix(got, "error:") || !strings.Contains(got, lacking) {
			t.Errorf("without %s: %q", lacking, got)
		}
	}
	if _, ok := p.User("nina"); ok {
		t.Error("created all the same")
	}
}

func TestNewUserUpdatesWhoExists(t *testing.T) {
	p := start(t)
	p.want("action=newuser login=bgone lname=Stranger fname=Sam email=s@example.org unitlogin=smithlab", "OK newuser\r\n")
	u, _ := p.User("bgone")
	if u.Lname != "Stranger" || u.Email != "s@example.org" || u.Active {
		t.Errorf("%+v", u)
	}
	want := []ppmssim.Change{
		{Object: "user bgone", Field: "lname", Before: "Gone", After: "Stranger"},
		{Object: "user bgone", Field: "fname", Before: "Bob", After: "Sam"},
		{Object: "user bgone", Field: "email", Before: "bob.gone@example.org", After: "s@example.org"},
		{Object: "user bgone", Field: "unitlogin", Before: "oldlab", After: "smithlab"},
	}
	if diff := cmp.Diff(want, p.Effects()[0].Changes); diff != "" {
		t.Error(diff)
	}
}

func TestUpdUserCreatesAGhost(t *testing.T) {
	p := start(t)
	if got := p.ask("action=upduser login=jdo email=jane@example.org"); !strings.Contains(got, "OK") {
		t.Error(got)
	}
	u, ok := p.User("jdo")
	if !ok || u.Email != "jane@example.org" || u.Lname != "" || !u.Active {
		t.Errorf("%v %+v", ok, u)
	}
}

func TestUpdUserChangesOnlyWhatItIsGiven(t *testing.T) {
	p := start(t)
	before, _ := p.User("asmith")
	p.ask("action=upduser login=asmith phone= mustchpwd=true active=False")
	after, _ := p.User("asmith")
	before.Phone, before.Mustchpwd, before.Active = "", true, false
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownUnitBecomesAGroup(t *testing.T) {
	p := start(t)
	p.ask("action=upduser login=jdoe unitlogin=smtihlab")
	if !slices.Contains(lines(p.ask("action=getgroups active=true")), "smtihlab") {
		t.Error("no group came to be")
	}
	want := []ppmssim.Change{
		{Object: "unit smtihlab", Field: "exists", Before: "false", After: "true"},
		{Object: "unit smtihlab", Field: "unitlogin", After: "smtihlab"},
		{Object: "unit smtihlab", Field: "unitname", After: "smtihlab"},
		{Object: "unit smtihlab", Field: "ext", After: "false"},
		{Object: "unit smtihlab", Field: "active", After: "true"},
		{Object: "unit smtihlab", Field: "creationdate", After: "2026/03/02"},
		{Object: "user jdoe", Field: "unitlogin", Before: "smithlab", After: "smtihlab"},
	}
	if diff := cmp.Diff(want, p.Effects()[0].Changes); diff != "" {
		t.Error(diff)
	}
}

func TestDeactivatingKeepsRights(t *testing.T) {
	p := start(t)
	before := p.ask("action=getuserrights login=jdoe")
	p.ask("action=upduser login=jdoe active=false")
	p.want("action=getuserrights login=jdoe", before)
	if !slices.Contains(lines(p.ask("action=getsysrights id=12")), "A:jdoe") {
		t.Error("gone from the system")
	}
}

func TestGroups(t *testing.T) {
	p := start(t)
	p.want("action=updgroup unitlogin=ghost unitBcode=CC-9 active=false", "OK updgroup\r\n")
	p.want("action=newgroup unitlogin=smithlab headname=Eve active=false", "OK newgroup\r\n")
	p.want("action=getgroups active=false", "oldlab\r\nghost\r\n")
	for _, u := range p.Snapshot().Units {
		switch u.Unitlogin {
		case "ghost":
			if u.Unitbcode != "CC-9" || u.Active {
				t.Errorf("%+v", u)
			}
		case "smithlab":
			if u.Headname != "Eve" || u.Unitname != "Smith Lab" || !u.Active {
				t.Errorf("%+v", u)
			}
		}
	}
}

func TestGroupRowIsLongerThanItsHeader(t *testing.T) {
	body := lines(start(t).ask("action=getgroup unitlogin=smithlab"))
	if !strings.HasSuffix(body[1], `,"",`) {
		t.Error(body[1])
	}
}

func TestSetRight(t *testing.T) {
	p := start(t)
	for _, c := range []struct{ call, want, level string }{
		{"id=13 login=jdoe type=N", "done\r\n", "N"},
		{"id=13 login=jdoe", "done\r\n", "A"},        // no type is A
		{"id=13 login=jdoe type=Z", "done\r\n", "A"}, // a level that does not exist: done, and nothing
		{"id=13 login=jdoe type=d", "done\r\n", "A"}, // nor does a small one
		{"id=13 login=jdoe type=", "done\r\n", "A"},  // nor an empty one
		{"id=13 login=jdoe type=D", "done\r\n", "D"}, // losing a right
		{"id=13 login=jdoe type=S", "done\r\n", "S"}, // an S goes in
		{"id=13 login=jdoe type=N", "done\r\n", "N"}, // and is overwritten
		{"id=0 login=jdoe", "error: invalid id\r\n", "N"},
		{"id=99 login=jdoe", "error: invalid id\r\n", "N"},
		{"id=x login=jdoe", "error: invalid id\r\n", "N"},
		{"login=jdoe", "error: invalid id\r\n", "N"},
		{"id=13 login=nobody", "error: invalid user nobody\r\n", "N"},
		{"id=13", "error: invalid user \r\n", "N"},
	} {
		p.want("action=setright "+c.call, c.want)
		if got := p.Right("jdoe", 13); got != c.level {
			t.Errorf("%s: level %q, want %q", c.call, got, c.level)
		}
	}
	p.want("action=setright id=31 login=bgone type=N", "done\r\n") // neither is active
	if p.Right("bgone", 31) != "N" {
		t.Error("inactive ones are not refused")
	}
}

func TestAdministratorStandsTwiceInTheRights(t *testing.T) {
	p := start(t)
	want := []string{"S:admin", "D:lchen", "S:mkeller"}
	got := lines(p.ask("action=getsysrights id=12"))
	if got[0] != want[0] || !slices.Contains(got, "A:mkeller") || got[len(got)-1] != "S:mkeller" {
		t.Errorf("%v", got)
	}
	p.SetAdmin("mkeller", false)
	if got := lines(p.ask("action=getsysrights id=12")); slices.Contains(got, "S:mkeller") || !slices.Contains(got, "A:mkeller") {
		t.Errorf("%v", got)
	}
	p.want("action=getadmins", "admin\r\n")
	p.want("action=getsysrights id=-1", "S:admin\r\n") // of a system that does not exist
}

func TestSystemIDThatIsNoNumber(t *testing.T) {
	p := start(t)
	p.PutSystem(ppmssim.System{ID: 60, RawID: "no-number", Facility: 2, Name: "x, y", Active: true})
	got := lines(p.ask("action=getsystems"))
	if want := `2,no-number,"","x, y","",True,False,False,False,False,False`; got[len(got)-1] != want {
		t.Errorf("got %s", got[len(got)-1])
	}
}

func TestCaseOfLogins(t *testing.T) {
	t.Run("exact", func(t *testing.T) {
		p := start(t)
		p.want("action=getuser login=JDOE", "")
		p.want("action=setright id=12 login=JDOE", "error: invalid user JDOE\r\n")
		p.ask("action=upduser login=JDOE phone=9")
		if _, ok := p.User("JDOE"); !ok {
			t.Error("no second account")
		}
	})
	t.Run("folded", func(t *testing.T) {
		p := start(t, func(o *ppmssim.Options) { o.FoldLogins = true })
		if got := lines(p.ask("action=getuser login=aNOVAK"))[1]; !strings.HasPrefix(got, `"ANovak",`) {
			t.Error("not PPMS's own spelling:", got)
		}
		p.ask("action=setright id=12 login=anovak type=N")
		p.ask("action=newuser login=JDOE lname=D fname=J email=e unitlogin=smithlab")
		if got := p.Snapshot(); len(got.Users) != len(ppmssim.DefaultSeed().Users) {
			t.Error("a second account")
		}
		if p.Right("ANovak", 12) != "N" || !slices.Contains(lines(p.ask("action=getsysrights id=12")), "N:ANovak") {
			t.Error("the right is not his")
		}
	})
}

func TestScopeOfTheKey(t *testing.T) {
	p := start(t, func(o *ppmssim.Options) { o.Scope = ppmssim.Scope{NoUsers: true, Facilities: []int{2}} })
	p.want("action=getusers", "error: request not authorized\r\n")
	p.want("action=auth", "")
	p.want("action=setright id=57 login=asmith type=N", "done\r\n")
	if got := p.ask("action=setright id=12 login=jdoe"); !strings.HasPrefix(got, "error: system right not authorized") {
		t.Error(got)
	}
}

func TestAuthOfPeople(t *testing.T) {
	p := start(t)
	p.want("action=auth login=jdoe pwd=jane", "OK\r\n")
	p.want("action=auth login=jdoe pwd=john", "")
	p.want("action=auth login=asmith pwd=", "") // has none
	p.want("action=auth login=nobody pwd=x", "")
	p.ask("action=upduser login=jdoe active=false")
	p.want("action=auth login=jdoe pwd=jane", "")
}

func TestStaffsHands(t *testing.T) {
	p := start(t)
	p.PutUser(ppmssim.User{Login: "guest", Lname: "Guest", Active: true})
	p.SetRight("guest", 12, "A")
	p.SetRight("jdoe", 12, "")
	p.DeleteUser("asmith")
	p.PutUnit(ppmssim.Unit{Unitlogin: "oldlab", Active: true})
	got := lines(p.ask("action=getsysrights id=12"))
	if !slices.Contains(got, "A:guest") || slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, ":jdoe") || strings.HasSuffix(l, ":asmith") }) {
		t.Errorf("%v", got)
	}
	p.want("action=getuser login=asmith", "")
	p.want("action=getgroups active=false", "")
	if u, _ := p.User("jdoe"); u.Lname != "Doe" {
		t.Error("the index is off after a deletion")
	}
	if len(p.Effects()) != 0 {
		t.Error("hands leave effects")
	}
}
