package daemon_test

import (
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// without drops the lines that are about a login.
func without(all []string, login string) []string {
	var rest []string
	for _, l := range all {
		if strings.Fields(l)[1] != login {
			rest = append(rest, l)
		}
	}
	return rest
}

func TestIdentityMismatchIsSettledByLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.staff("carl", func(u *ppmssim.User) { u.Lname = "Drawin" }) // and the e-mail is another as well
	w.apply().exits(daemon.ExitOK).did(without(firstRun(), "carl")...).issues("identity-mismatch carl").
		says(reconcile.IdentityMismatch, "Drawin", "Darwin", "`ppms-syncd link carl`")
	w.apply().did()
	must(t, w.app.Link(t.Context(), "carl", ""))
	expect(t, w.text(), "carl", "Drawin", uid("carl"))
	w.apply().exits(daemon.ExitOK).issues().
		did("updateuser carl email=carl@example.org lname=Darwin", "setright carl 12 A", "setright carl 13 A")
	w.plan().exits(daemon.ExitOK).has().issues()
}

func TestLinkOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(func() ldaptest.Entry {
		e := person("gone", "G", "Gone", "curielab")
		e.DN = "uid=gone,ou=former,dc=example,dc=org"
		return e
	}())
	for _, c := range []struct {
		login, dn, want string
		code            int
	}{
		{"nobody", "", "no entry with the login nobody", daemon.ExitFailed},
		{"gone", "", "ou=former", daemon.ExitFailed},
		{"ada", "", "PPMS has no account ada", daemon.ExitFailed},
		{"carl", uid("somebody"), "no entry " + uid("somebody"), daemon.ExitFailed},
	} {
		if err := w.app.Link(t.Context(), c.login, c.dn); daemon.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("link %s %s: %v", c.login, c.dn, err)
		}
	}
}

func TestDuplicateLoginIsSettledByLinkWithDN(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	double := person("carl", "Charles", "Darwin", "curielab")
	double.DN = "cn=Charles Darwin," + peopleBase
	double.Attrs["entryUUID"] = []string{ldaptest.EntryUUID(double.DN)}
	double.Attrs["telephoneNumber"] = []string{"+41 2"}
	w.put(double)
	w.apply().exits(daemon.ExitOK).did(without(firstRun(), "carl")...).issues("duplicate-login carl").
		says(reconcile.DuplicateLogin, uid("carl"), double.DN, "--dn")
	err := w.app.Link(t.Context(), "carl", "")
	if daemon.ExitCode(err) != daemon.ExitUsage || !strings.Contains(err.Error(), "--dn") {
		t.Errorf("link without a DN: %v", err)
	}
	must(t, w.app.Link(t.Context(), "carl", strings.ToUpper(double.DN)))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser carl email=carl@example.org phone=+41 2")
	w.plan().has().says(reconcile.DuplicateLogin, uid("carl"))
	expect(t, w.explain("carl"), "  entry            "+double.DN, "another entry    "+uid("carl"), "+41 2", "no rule gives it")
	must(t, w.app.Link(t.Context(), "carl", uid("carl"))) // the other one, which is in the group
	w.text()
	expect(t, w.explain("carl"), "  entry          "+uid("carl"), "another entry  "+double.DN, "A by rule confocal")
}

// renamed is a world in which emmy married.
func renamed(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	w := settled(t, change...)
	emmy := w.entry(uid("emmy"))
	w.remove(emmy.DN)
	emmy.DN, emmy.Attrs["uid"] = uid("ehilbert"), []string{"ehilbert"}
	emmy.Attrs["sn"] = []string{"Hilbert"}
	w.put(emmy, group("imaging", uid("ada"), uid("ehilbert")))
	return w
}

// staffRename gives emmy's account the new login in PPMS, too. Its rights do not follow by themselves.
func (w *world) staffRename() {
	w.t.Helper()
	w.staff("emmy", func(u *ppmssim.User) {
		w.sim.DeleteUser("emmy")
		u.Login = "ehilbert"
	})
}

func TestRenamedLoginWaitsForStaff(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	for range 3 {
		w.apply().exits(daemon.ExitOK).did().issues("renamed emmy").says(reconcile.Renamed, "ehilbert", "rename the account in PPMS")
		expect(t, w.explain("ehilbert"), "held back: renamed")
		expect(t, w.explain("emmy"), "held back: renamed")
		w.pass(200 * time.Hour) // nobody leaves here
	}
	// Staff rename the account, and its rights go with it.
	w.staffRename()
	w.sim.SetRight("ehilbert", 12, "A")
	w.sim.SetRight("ehilbert", 13, "A")
	for _, login := range []string{"emmy", "ehilbert"} { // before a run has seen it
		text := w.explain(login)
		expect(t, text, "ehilbert (Emmy Hilbert): in the directory and in PPMS.", "updateuser: lname: Noether → Hilbert", "we set A")
		refuse(t, text, "held back")
	}
	w.apply().exits(daemon.ExitOK).did("updateuser ehilbert lname=Hilbert").issues()
	w.plan().exits(daemon.ExitOK).has().issues()
	// What we gave is still ours.
	w.put(group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did("setright ehilbert 12 D", "setright ehilbert 13 D")
}

func TestRenamedLoginWithTwoAccountsIsSettledByLink(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	w.sim.PutUser(account("ehilbert", "Emmy", "Hilbert", "curielab"))
	w.apply().exits(daemon.ExitOK).did().issues("renamed emmy").says(reconcile.Renamed, "both accounts", "`ppms-syncd link ehilbert`")
	must(t, w.app.Link(t.Context(), "ehilbert", ""))
	w.text()
	w.set(uid("ehilbert"), "mail", "hilbert@example.org")
	w.apply().exits(daemon.ExitOK).did("updateuser ehilbert email=hilbert@example.org", "setright ehilbert 12 A", "setright ehilbert 13 A")
	for range 3 { // the old account is nobody's now
		w.pass(200 * time.Hour)
		w.apply().exits(daemon.ExitOK).did().issues()
	}
}

func TestLoginReused(t *testing.T) {
	t.Parallel()
	w := settled(t)
	other := person("emmy", "Emil", "Nolde", "darwinlab")
	other.Attrs["entryUUID"] = []string{ldaptest.EntryUUID("cn=another")}
	w.put(other)
	for range 4 {
		w.apply().exits(daemon.ExitOK).did().issues("login-reused emmy").says(reconcile.LoginReused, "`ppms-syncd link emmy`")
		w.pass(100 * time.Hour)
	}
	must(t, w.app.Link(t.Context(), "emmy", ""))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser emmy fname=Emil lname=Nolde").issues()
}

// To say whose an account is takes nothing away: no read has shown that a rule gave this person what the one before had.
func TestLinkTakesNothingAway(t *testing.T) {
	t.Parallel()
	w := settled(t)
	other := person("emmy", "Emil", "Nolde", "darwinlab")
	other.Attrs["entryUUID"] = []string{ldaptest.EntryUUID("cn=another")}
	w.put(other, group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did().issues("login-reused emmy")
	must(t, w.app.Link(t.Context(), "emmy", ""))
	w.text()
	w.apply().exits(daemon.ExitHeld).did("updateuser emmy fname=Emil lname=Nolde").issues("needs-approval emmy", "needs-approval emmy")
	w.put(group("imaging", uid("ada"), uid("emmy")))
	w.apply().exits(daemon.ExitOK).did().issues()
	w.put(group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did("setright emmy 12 D", "setright emmy 13 D")
}

func TestUnlinkMakesLocal(t *testing.T) {
	t.Parallel()
	w := settled(t)
	must(t, w.app.Unlink(t.Context(), "emmy"))
	expect(t, w.text(), "no longer linked")
	if err := w.app.Unlink(t.Context(), "emmy"); daemon.ExitCode(err) != daemon.ExitFailed || !strings.Contains(err.Error(), "not linked") {
		t.Errorf("a second time: %v", err)
	}
	w.remove(uid("emmy"))
	for range 4 { // nobody's account is no leaver's
		w.apply().exits(daemon.ExitOK).did().issues()
		w.pass(100 * time.Hour)
	}
}

// What was given before an unlink counts as staff's, though the next read links the account again.
func TestUnlinkGivesUpWhatWasOurs(t *testing.T) {
	t.Parallel()
	w := settled(t)
	must(t, w.app.Unlink(t.Context(), "emmy"))
	w.text()
	w.put(group("imaging", uid("ada")))
	w.days(3)
	if level := w.sim.Right("emmy", 12); level != "A" {
		t.Errorf("the right is %q", level)
	}
}

func TestMigrationIsSettledByLinkAll(t *testing.T) {
	t.Parallel()
	w := settled(t)
	for _, login := range []string{"ada", "carl", "emmy", "lise"} {
		w.set(uid(login), "entryUUID", ldaptest.EntryUUID("cn=new,"+uid(login)))
	}
	w.set(uid("lise"), "telephoneNumber", "+41 1")
	before := w.sim.Snapshot()
	for range 4 {
		w.apply().exits(daemon.ExitOK).did().issues("login-reused ada", "login-reused carl", "login-reused emmy", "login-reused lise")
		w.pass(100 * time.Hour)
	}
	err := w.app.LinkAll(t.Context(), false)
	if daemon.ExitCode(err) != daemon.ExitFailed || !strings.Contains(err.Error(), "nothing was linked") {
		t.Errorf("nobody answered: %v", err)
	}
	expect(t, w.text(), "To be linked (4)", "ada", "lise")
	var asked string
	w.app.Ask = func(question string) daemon.Answer { asked = question; return daemon.No }
	if err := w.app.LinkAll(t.Context(), false); daemon.ExitCode(err) != daemon.ExitFailed {
		t.Errorf("the answer was no: %v", err)
	}
	w.text()
	expect(t, asked, "4 accounts?")
	w.apply().did()
	w.unchanged(before)
	w.app.Ask = func(string) daemon.Answer { return daemon.Yes }
	must(t, w.app.LinkAll(t.Context(), false))
	expect(t, w.text(), "Linked 4 accounts")
	must(t, w.app.LinkAll(t.Context(), true))
	expect(t, w.text(), "Nothing to link")
	w.apply().exits(daemon.ExitOK).did("updateuser lise phone=+41 1").issues()
	// What we gave is still ours.
	w.put(group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did("setright emmy 12 D", "setright emmy 13 D")
}

// Each of these holds a new account or one field, and says why.
func TestWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	w := settled(t)
	alone := func(e ldaptest.Entry, attr string, values ...string) ldaptest.Entry {
		delete(e.Attrs, attr)
		if len(values) > 0 {
			e.Attrs[attr] = values
		}
		return e
	}
	w.put(
		alone(person("half", "H", "Half", "curielab"), "mail"),
		alone(person("lost", "L", "Lost", "curielab"), "ou", "lostlab"),
		alone(person("twin", "T", "Twin", "curielab"), "mail", "OLD@example.org"), // an inactive account has it
		alone(person("bad", "B", "Bad", "curielab"), "uid", "bad login"),
	)
	w.set(uid("carl"), "mail", "visitor@example.org")
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	w.apply().exits(daemon.ExitOK).did("updateuser carl phone=+41 1").
		issues("bad-login bad login", "email-taken carl", "email-taken twin", "incomplete half", "unknown-unit lost").
		says(reconcile.EmailTaken, "visitor").says(reconcile.EmailTaken, "old (inactive)").says(reconcile.Incomplete, "email").
		says(reconcile.UnknownUnit, "lostlab")
}

// A login that differs only in case is the same person, in PPMS's own spelling.
func TestCaseOfLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Seed.Users[2].Login = "Emmy" })
	w.set(uid("emmy"), "telephoneNumber", "+41 1")
	w.set(uid("emmy"), "mail", "EMMY@Example.ORG") // the same address
	w.apply().exits(daemon.ExitOK).issues()
	if u, ok := w.sim.User("Emmy"); !ok || u.Phone != "+41 1" || u.Email != "emmy@example.org" || w.sim.Right("Emmy", 12) != "A" {
		t.Errorf("%+v", u)
	}
	if _, ok := w.sim.User("emmy"); ok {
		t.Error("there is a second account")
	}
	w.plan().exits(daemon.ExitOK).has()
	must(t, w.app.Link(t.Context(), "emmy", ""))
	expect(t, w.text(), "Emmy", "is now linked to "+uid("emmy"))
}

func TestCreateConditionMakesNobodyALeaver(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.Create = `{cel: "'em-users' in groups"}` })
	w.put(person("new", "N", "New", "curielab"), person("other", "O", "Other", "curielab"), group("em-users", uid("lise"), uid("new")))
	w.apply().exits(daemon.ExitOK).did("newuser new", "setright new 21 N")
	w.days(10)
}

// Of who has an account it says nothing, where it fails neither.
func TestCreateConditionThatFailsHoldsNewPeopleOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Create = `{cel: "int(attr('sn')) > 3"}` })
	w.apply().exits(daemon.ExitOK).did(without(firstRun(), "ada")...).issues("incomplete ada").says(reconcile.Incomplete, "create: ")
}
