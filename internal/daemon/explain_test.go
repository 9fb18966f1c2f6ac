package daemon_test

import (
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
)

// explain is ppms-syncd explain LOGIN. Like a plan it writes nothing.
func (w *world) explain(login string) string {
	w.t.Helper()
	before := w.sim.Snapshot()
	must(w.t, w.app.Explain(w.t.Context(), login))
	w.unchanged(before)
	return w.text()
}

func refuse(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if containsFold(text, w) {
			t.Errorf("%q is in:\n%s", w, text)
		}
	}
}

func TestExplainSomebodyWhoIsInStep(t *testing.T) {
	t.Parallel()
	w := settled(t)
	text := w.explain("emmy")
	expect(t, text, "emmy (Emmy Noether): in the directory and in PPMS.", uid("emmy"), "enabled", "givenName", "imaging", "a member",
		"by imaging, which is in confocal-users", "yes: linked to "+uid("emmy"), "(matched)", "A by rule confocal (confocal-users ← imaging)",
		"PPMS has A", "we set A", "as it should be", "Nothing: both sides agree.", "What earlier runs did", "run 1", "applied",
		"the last run, 25 hours ago", "next run at")
	refuse(t, text, "held back")
}

func TestExplainBeforeTheFirstRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expect(t, w.explain("carl"), "updateuser: email: charles@example.com → carl@example.org", "setright: SP8, left from N to A", "will be set to A",
		"managed      not yet: the next run links it to "+uid("carl"), "There was no run yet")
	expect(t, w.explain("ada"), "ada (Ada Lovelace): in the directory, not in PPMS.", "newuser: lname Lovelace, fname Ada", "setright: SP8 STED from none to A")
}

// Whatever case somebody types: the next run takes it for the same person.
func TestExplainWhateverTheCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expect(t, w.explain("CARL"), "in the directory and in PPMS.")
	w.apply().exits(daemon.ExitOK)
	expect(t, w.explain("CARL"), "in the directory and in PPMS.")
}

// Who is linked to an account of another login is explained by either.
func TestExplainByTheLoginOfTheEntry(t *testing.T) {
	t.Parallel()
	w := renamed(t)
	must(t, w.app.Link(t.Context(), "emmy", uid("ehilbert")))
	w.text()
	w.apply().exits(daemon.ExitOK)
	for _, login := range []string{"emmy", "ehilbert"} {
		text := w.explain(login)
		expect(t, text, "emmy (Emmy Hilbert): in the directory and in PPMS.", uid("ehilbert"), "(manual)", "PPMS has A", "lname: Noether → Hilbert")
		refuse(t, text, "not in PPMS", "PPMS has none")
	}
	expect(t, w.explain("ehilbert"), "kept as the directory has it", "by imaging, which is in confocal-users")
	double := person("ehilbert", "Elsa", "Hilbert", "curielab")
	double.DN = "cn=Elsa Hilbert," + peopleBase
	double.Attrs["entryUUID"] = []string{ldaptest.EntryUUID(double.DN)}
	w.put(double)
	for _, login := range []string{"emmy", "ehilbert"} {
		expect(t, w.explain(login), "held back: duplicate-login: several entries have this login")
	}
	// Beside theirs there may be an account of the entry's login, which is nobody's.
	w.remove(double.DN)
	w.sim.PutUser(account("ehilbert", "Other", "Person", "curielab"))
	w.apply().exits(daemon.ExitOK)
	text := w.explain("ehilbert")
	expect(t, text, "it is local", "linked to another; see ppms-syncd explain emmy.")
	refuse(t, text, "both sides agree")
}

// PPMS has a spelling of its own, which no run has seen yet. A run finds it in the list of users, and so must explain,
// or it announces a newuser.
func TestExplainFindsTheSpellingOfPPMS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Seed.Users[1].Login, s.Seed.Rights = "Carl", nil })
	expect(t, w.explain("carl"), "in the directory and in PPMS.")
	w.apply().exits(daemon.ExitOK)
	w.put(person("max", "Max", "Born", "curielab"))
	w.sim.PutUser(account("Max", "Max", "Born", "curielab")) // since that run
	expect(t, w.explain("max"), "in the directory and in PPMS.")
}

// Two accounts that differ in spelling alone hold each other, in every run and so in explain, too.
func TestExplainDuplicateAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) {
		s.Seed.Users = append(s.Seed.Users, account("CARL", "Charles", "Darwin", "curielab"))
	})
	for range 2 { // before the first run, and after it
		for _, login := range []string{"carl", "CARL"} {
			text := w.explain(login)
			expect(t, text, "held back: duplicate-account", "login        "+login+"\n")
			refuse(t, text, "updateuser:", "setright:")
		}
		w.apply().exits(daemon.ExitOK)
	}
}

func TestExplainNobody(t *testing.T) {
	t.Parallel()
	w := settled(t)
	expect(t, w.explain("lisa"), "lisa: neither in the directory nor in PPMS.", "No such login; nearest: lise.", "there is nobody of this login")
	expect(t, w.explain("viistor"), "nearest: visitor")
	expect(t, w.explain("qqqqqqqq"), "none that is like it")
}

func TestExplainWhomTheReadLeavesOut(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.UserFilter = "(&(objectClass=inetOrgPerson)(!(employeeType=guest)))" })
	guest := person("gast", "G", "Gast", "curielab")
	guest.Attrs["employeeType"] = []string{"guest"}
	former := person("alt", "A", "Alt", "curielab")
	former.DN = "uid=alt,ou=former,dc=example,dc=org"
	w.put(guest, former)
	expect(t, w.explain("gast"), uid("gast"), "the filter excludes it because", "employeeType", "guest", "No entry with this login among the 4 people")
	expect(t, w.explain("alt"), former.DN, "it is outside "+peopleBase)
}

func TestExplainLocalAccount(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(cn("em-users")) // a rule that is suspended is nothing to somebody local
	w.sim.SetRight("visitor", 12, "D")
	text := w.explain("visitor")
	expect(t, text, "visitor: in PPMS, not in the directory.", "it is local, and ppms-syncd never writes it",
		"kept: staff gave it", "PPMS has D          as it should be", "the search finds nobody of this login")
	refuse(t, text, "rule-suspended")
}

func TestExplainAdministratorAndProtected(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) {
		s.Entries = append(s.Entries, person("boss", "Big", "Boss", "curielab"), person("svc-x", "S", "X", "curielab"))
	})
	w.put(group("em-users", uid("lise"), uid("boss")))
	w.remove(cn("imaging"), cn("confocal-users"))
	expect(t, w.explain("boss"), "a PPMS administrator", "Nothing: the account is a PPMS administrator.")
	expect(t, w.explain("svc-x"), "protected by accounts.protect")
}

func TestExplainLeaver(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.apply().exits(daemon.ExitOK)
	w.pass(24 * time.Hour)
	w.apply().exits(daemon.ExitOK)
	text := w.explain("carl")
	expect(t, text, "carl: in PPMS, not in the directory.", "yes: linked to "+uid("carl"),
		"missing since", "seen in 2 complete reads", "to be deactivated (policy sync) from", "after 3 reads")
	w.pass(200 * time.Hour)
	expect(t, w.explain("carl"), "updateuser: active: true → false", "no longer in the directory since")
	w.apply().exits(daemon.ExitOK).did(carlLeaves)
	for range 2 { // just deactivated, and a run later
		text := w.explain("carl")
		expect(t, text, "false", "run 4", "Nothing: the account is inactive already.")
		refuse(t, text, "to be deactivated")
		w.apply().exits(daemon.ExitOK)
	}
	w.staff("carl", func(u *ppmssim.User) { u.Active = true })
	w.apply().exits(daemon.ExitOK)
	text = w.explain("carl")
	expect(t, text, "held back: reactivated-by-staff")
	refuse(t, text, "to be deactivated")
}

func TestExplainDisabled(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Disabled = "attr('title') == 'gone'" })
	w.set(uid("carl"), "title", "gone")
	expect(t, w.explain("carl"), "Nothing yet: the person is disabled in the directory, which no run has seen.")
	w.apply().exits(daemon.ExitOK)
	expect(t, w.explain("carl"), "disabled since", "seen in 1 complete read;", "to be deactivated")
	must(t, w.app.Hold(t.Context(), "carl", "on leave"))
	w.text()
	refuse(t, w.explain("carl"), "to be deactivated", "no run has seen")
}

func TestExplainWhoIsHeld(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("carl"), "mail", "visitor@example.org")
	w.sim.SetRight("emmy", 12, "N")
	w.remove(cn("em-users"))
	w.put(person("half", "H", "Half", "nolab"))
	expect(t, w.explain("carl"), "held back: email-taken: e-mail visitor@example.org belongs to visitor")
	expect(t, w.explain("emmy"), "held back: right-lowered-by-staff")
	expect(t, w.explain("lise"), "held back: rule-suspended", "em-users was not found")
	expect(t, w.explain("half"), "held back: unknown-unit")
}

func TestExplainWhatAGuardHolds(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.Rights = `[{name: confocal, group: confocal-users, systems: [13], level: A}]` })
	expect(t, w.explain("emmy"), "setright: SP8, left from A to D", "but guard scope holds it", "needs-approval")
}

// What others of the plan count is not known to explain, and so it takes the word of the last plan, whatever was written by hand since.
func TestExplainWhatTheLastRunHeld(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { s.Guards = "creations: {count: 1, percent: 0, floor: 1}" })
	w.put(person("max", "Max", "Born", "curielab"), person("erwin", "Erwin", "Schroedinger", "curielab"))
	held := w.apply().exits(daemon.ExitHeld)
	expect(t, w.explain("max"), "newuser:", "but guard creations holds it")
	must(t, w.app.SetRight(t.Context(), daemon.RightOptions{Login: "visitor", System: "12", Level: "N", WriteOptions: daemon.WriteOptions{Yes: true}}))
	w.text()
	w.faults("getusers:html")
	w.apply().exits(daemon.ExitFailed)
	w.faults()
	expect(t, w.explain("max"), "newuser:", "but guard creations holds it")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "Run 2 was held (creations: 2, limit 1)", "ppms-syncd approve ")
	w.configure(func(s *settings) { s.Guards = "creations: {count: 2, percent: 0, floor: 2}" })
	refuse(t, w.explain("max"), "holds it")
	w.configure(func(s *settings) { s.Guards = "creations: {count: 1, percent: 0, floor: 1}" })
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	w.text()
	text := w.explain("max")
	expect(t, text, "newuser:")
	refuse(t, text, "holds it")
}

func TestExplainUnderALesserPolicy(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.Policy = "create-only" })
	w.set(uid("carl"), "telephoneNumber", "+41 1")
	expect(t, w.explain("carl"), "not by policy create-only: updateuser: phone: (none) → +41 1")
}
