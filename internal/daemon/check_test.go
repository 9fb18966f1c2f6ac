package daemon_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
)

func containsFold(text, words string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(words))
}

// check is ppms-syncd check. It returns the lines by what they begin with.
func (w *world) check(offline bool) (ok, warn, fail string, code int) {
	w.t.Helper()
	before := w.sim.Snapshot()
	err := w.app.Check(w.t.Context(), offline)
	w.unchanged(before)
	for l := range strings.Lines(w.text()) {
		switch {
		case strings.HasPrefix(l, "ok "):
			ok += l
		case strings.HasPrefix(l, "warn "):
			warn += l
		case strings.HasPrefix(l, "FAIL "):
			fail += l
		case !regexp.MustCompile(`^\d+ things? to mend\.\n$`).MatchString(l):
			w.t.Errorf("a line of its own: %q", l)
		}
	}
	if exit, typed := errors.AsType[*daemon.ExitError](err); err != nil && (!typed || exit.Err != nil) {
		w.t.Errorf("check fails with %v", err)
	}
	return ok, warn, fail, daemon.ExitCode(err)
}

func TestCheckOfWhatIsGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ok, _, fail, code := w.check(false)
	if code != daemon.ExitOK || fail != "" {
		t.Errorf("exit code %d: %s", code, fail)
	}
	expect(t, ok, "policy sync, 2 rules", "the PPMS API key", "the bind password", "does not exist yet", "bound as "+readerDN+": 4 people, 3 groups",
		"accepts the key", "6 accounts (5 active), 2 units, 4 systems, 1 administrator", "rule confocal: 3 people get A on SP8, left, SP8 STED",
		"rule electron-microscopy: 1 person get", "the key may read rights", "schedule")
	w.apply().exits(daemon.ExitOK)
	ok, _, _, _ = w.check(false)
	expect(t, ok, "4 linked accounts, 7 rights that we gave, 0 leavers", "last run 1")
}

func TestCheckOffline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dir.Close()
	w.faults("*:html")
	if _, _, fail, code := w.check(true); code != daemon.ExitOK || fail != "" {
		t.Errorf("exit code %d: %s", code, fail)
	}
	if n := len(w.sim.Requests()); n > 0 {
		t.Errorf("PPMS was asked: %v", w.sim.Requests())
	}
	w.configure(func(s *settings) { s.CA, s.LDAP = "gone.pem", "ldaps://127.0.0.1:1" })
	_, _, fail, _ := w.check(true)
	expect(t, fail, "ldap.tls.ca_file", "gone.pem")
}

// Each line that fails says what to do.
func TestCheckOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		strike func(w *world)
		says   []string
	}{
		{"wrong key", func(w *world) { w.write("pumapi-key", "another") }, []string{"the key is wrong", "super-administrator"}},
		{"key without users", func(w *world) { w.faults("getusers:unauthorized") }, []string{"its scope lacks this action"}},
		{"key file of mode 0644", func(w *world) { w.mode("pumapi-key", 0o644) }, []string{"ppms.api_key_file", "0644", "run chmod o-rwx"}},
		{"password file of mode 0604", func(w *world) { w.mode("ldap-password", 0o604) }, []string{"ldap.bind.password_file", "0604", "run chmod o-rwx"}},
		{"empty key file", func(w *world) { w.write("pumapi-key", "") }, []string{"pumapi-key is empty"}},
		{"wrong password", func(w *world) { w.write("ldap-password", "another") }, []string{"check ldap.bind.dn and the password file"}},
		{"wrong base", func(w *world) { w.configure(func(s *settings) { s.UsersBase = "ou=poeple,dc=example,dc=org" }) }, []string{"correct ldap.users.base"}},
		{"nobody found", func(w *world) { w.configure(func(s *settings) { s.UserFilter = "(objectClass=account)" }) }, []string{"finds nobody", "ldap.users.filter"}},
		{"size limit", func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Do: ldaptest.Result(4)})
		}, []string{"olcLimits"}},
		{"expired certificate", func(w *world) { w.expiredDirectory() }, []string{"renew it"}},
		{"no file of authorities", func(w *world) { w.configure(func(s *settings) { s.CA, s.LDAP = "gone.pem", "ldaps://127.0.0.1:1" }) }, []string{"ldap.tls.ca_file", "gone.pem"}},
		{"PPMS in maintenance", func(w *world) { w.faults("*:html") }, []string{"maintenance"}},
		{"PPMS that is no PPMS", func(w *world) { w.configure(func(s *settings) { s.PPMS = strings.TrimSuffix(s.PPMS, "pumapi/") }) }, []string{"ppms.url must be"}},
		{"listener open to all", func(w *world) { w.app.Config.HTTP.Listen = "0.0.0.0:0" }, []string{"set http.web_config_file", "127.0.0.1"}},
		{"unknown group in a rule", func(w *world) {
			w.configure(func(s *settings) { s.Rights = `[{name: confocal, group: confocal-user, systems: [12], level: A}]` })
		}, []string{"rule confocal", "the group confocal-user was not found"}},
		{"unknown system", func(w *world) {
			w.configure(func(s *settings) { s.Rights = `[{name: confocal, group: confocal-users, systems: [12, 99], level: A}]` })
		}, []string{"rule confocal", "no active system of PPMS is 99", "SP8 STED (13)"}},
		{"system of no type", func(w *world) {
			w.configure(func(s *settings) {
				s.Rights = `[{name: confocal, group: confocal-users, systems: [{type: "confocal*"}], level: A}]`
			})
		}, []string{"rule confocal", `type: "confocal*"`}},
		{"inactive system", func(w *world) {
			s := system(21, "Electron microscope", "Titan Krios")
			s.Active = false
			w.sim.PutSystem(s)
		}, []string{"rule electron-microscopy", "no active system"}},
		{"lists that disagree", func(w *world) { w.faults("getusers{active=true}:cut-line=1") }, []string{"do not agree"}},
		{"rights not readable", func(w *world) { w.faults("getsysrights:unauthorized") }, []string{"getsysrights", "scope lacks"}},
		{"group in an expression", func(w *world) {
			w.configure(func(s *settings) { s.Create = `{cel: "'ppms-users' in groups"}` })
		}, []string{"'ppms-users' in groups", "the group ppms-users was not found"}},
		{"ledger that is none", func(w *world) { w.write("ledger.db", "this is no database, and long enough to be looked at as one") }, []string{"ledger"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.strike(w)
			_, _, fail, code := w.check(false)
			if code != daemon.ExitFailed {
				t.Errorf("exit code %d", code)
			}
			expect(t, fail, c.says...)
			if n := strings.Count(fail, "\n"); n != 1 {
				t.Errorf("%d lines fail:\n%s", n, fail)
			}
		})
	}
}

func TestCheckWarns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(group("em-users", cn("em-users")))
	w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Do: ldaptest.Withhold("", "telephoneNumber")})
	_, warn, fail, code := w.check(false)
	if code != daemon.ExitOK || fail != "" {
		t.Errorf("exit code %d: %s", code, fail)
	}
	expect(t, warn, "rule electron-microscopy: nobody is a member", "nobody has the attribute telephoneNumber")
}
