package daemon_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
)

// faultCase is one thing that goes wrong between two runs.
type faultCase struct {
	name   string
	strike func(w *world)
	exit   int
	says   []string // in the one sentence
	many   bool     // in an institute of 400
	goesOn bool     // the run does, and ends with this code; else it ends with 1 before anything is compared
}

func ppmsFaults() []faultCase {
	sim := func(specs ...string) func(*world) { return func(w *world) { w.faults(specs...) } }
	disagree := []string{"lists of users do not agree", "cut short"}
	return []faultCase{
		{name: "wrong API key", strike: func(w *world) { w.write("pumapi-key", "another") }, says: []string{"does not accept the key", "super-administrator"}},
		{name: "key without user management", strike: sim("getusers:unauthorized"), says: []string{"getusers", "scope lacks this action"}},
		{name: "key file that others may read", strike: func(w *world) { w.mode("pumapi-key", 0o644) }, says: []string{"ppms.api_key_file", "0644", "chmod o-rwx"}},
		{name: "maintenance page with status 200", strike: sim("*:html"), says: []string{"a web page answered", "maintenance"}},
		{name: "maintenance begins during the read", strike: sim("getuser{login=emmy}:html"), says: []string{"a web page answered"}},
		{name: "error with status 200", strike: sim("getsystems:error=database is locked"), says: []string{"PPMS refused", "database is locked"}},
		{name: "empty list of users", strike: sim("getusers:empty"), says: []string{"lists no active users", "not whole"}},
		{name: "empty list of systems", strike: sim("getsystems:empty"), says: []string{"lists no systems"}},
		{name: "empty list of administrators", strike: sim("getadmins:empty"), says: []string{"lists no administrators"}},
		{name: "empty list of units", strike: sim("getgroups:empty"), says: []string{"lists no units"}},
		{name: "all users cut in half", strike: sim("getusers{active=}:cut-half"), says: disagree},
		{name: "active users cut in half", strike: sim("getusers{active=true}:cut-half"), says: disagree},
		{name: "inactive users cut in half", strike: sim("getusers{active=false}:cut-half"), says: disagree},
		{name: "all users cut at a line end", strike: sim("getusers{active=}:cut-line"), says: disagree},
		{name: "active users cut at a line end", strike: sim("getusers{active=true}:cut-line=1"), says: disagree},
		{name: "inactive users cut at a line end", strike: sim("getusers{active=false}:cut-line=1"), says: disagree},
		{name: "all three lists cut alike", strike: sim("getusers:omit=carl"), says: []string{"getusers leaves out carl", "getuser still knows"}},
		{name: "list shorter than its length", strike: sim("getusers{active=true}:cut-length"), says: []string{"broke off"}},
		{name: "getuser answers about somebody else", strike: sim("getuser{login=carl}:wrong-login=visitor"), says: []string{`asked for the user "carl"`, "another"}},
		{name: "account that getuser does not know", strike: sim("getuser{login=carl}:empty"), says: []string{"getusers lists carl", "getuser does not know"}},
		{name: "record without its second half", strike: sim("getuser{login=carl}:cut-half"), says: []string{"getuser"}},
		{name: "rights of a system are a web page", strike: sim("getsysrights:html"), says: []string{"getsysrights", "a web page answered"}},
		{name: "bytes that are no text", strike: sim("getgroups:garbage"), says: []string{"getgroups"}},
		{name: "status 500", strike: sim("getgroups:status=500"), says: []string{"500 Internal Server Error"}},
		{name: "redirect to another host", strike: sim("getadmins:redirect"), says: []string{"redirect is not followed"}},
		{name: "nobody listens", strike: func(w *world) { w.configure(func(s *settings) { s.PPMS = "http://127.0.0.1:1/pumapi/" }) }, says: []string{"cannot connect", "connection refused", "check ppms.url"}},
	}
}

func directoryFaults() []faultCase {
	people := func(do ldaptest.Do) func(*world) {
		return func(w *world) { w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Do: do}) }
	}
	other := func(o ldaptest.Options) func(*world) { return func(w *world) { w.otherDirectory(o) } }
	return []faultCase{
		{name: "size limit of the server", strike: other(ldaptest.Options{SizeLimit: 3}), says: []string{"size limit", "olcLimits"}},
		{name: "size limit after some people", strike: people(ldaptest.Result(4).After(2)), says: []string{"size limit", "olcLimits"}},
		{name: "administrative limit", strike: people(ldaptest.Result(11)), says: []string{"nsLookThroughLimit"}},
		{name: "connection lost in the middle", strike: people(ldaptest.Cut(300)), says: []string{"connection was lost"}},
		{name: "reference to another server", strike: people(ldaptest.Reference("ldap://other.example.org/ou=x")), says: []string{"on another server", "ldap.referrals"}},
		{name: "somebody left out once", strike: func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Times: 1, Do: ldaptest.Hide(uid("carl"))})
		}, says: []string{"the read was wrong", uid("carl")}},
		{name: "wrong base of people", strike: func(w *world) { w.configure(func(s *settings) { s.UsersBase = "ou=poeple,dc=example,dc=org" }) }, says: []string{"ldap.users.base", "does not exist"}},
		{name: "wrong base of groups", strike: func(w *world) { w.configure(func(s *settings) { s.GroupsBase = "ou=gruops,dc=example,dc=org" }) }, says: []string{"ldap.groups.base", "does not exist"}},
		{name: "base hidden: success without entries", strike: func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "objectClass=*", Do: ldaptest.Empty()})
		}, says: []string{"ldap.users.base", "0 entries instead of one"}},
		{name: "wrong password", strike: func(w *world) { w.write("ldap-password", "another") }, says: []string{"name or the password"}},
		{name: "expired certificate", strike: func(w *world) { w.expiredDirectory() }, says: []string{"certificate is not valid now", "renew it"}},
		{name: "directory down", strike: func(w *world) { w.dir.Close() }, says: []string{"nothing listens there"}},
		{name: "stable ids not readable", strike: people(ldaptest.Withhold("", "entryUUID")), says: []string{"entryUUID", "may not see it"}},
	}
}

// mistakes are those of people; the run goes on and takes nothing away.
func mistakes() []faultCase {
	hide := func(n int) func(*world) {
		return func(w *world) {
			var faults []ldaptest.Fault
			for i := range n {
				faults = append(faults, ldaptest.Fault{Do: ldaptest.Hide(uid(fmt.Sprintf("p%02d", i+1)))})
			}
			w.dir.SetFaults(faults...)
		}
	}
	cases := []faultCase{
		{name: "group deleted by mistake", strike: func(w *world) { w.remove(cn("confocal-users")) }, says: []string{"rule-suspended", "confocal-users was not found"}},
		{name: "group emptied by mistake", strike: func(w *world) { w.put(group("confocal-users", cn("confocal-users"))) }, says: []string{"rule-suspended", "no members, though it had 3"}},
		{name: "nested group hidden", strike: func(w *world) { w.dir.SetFaults(ldaptest.Fault{Do: ldaptest.Hide(cn("imaging"))}) }, says: []string{"rule-suspended", cn("imaging")}},
		{name: "all groups hidden", strike: func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Filter: "groupOfNames", Do: ldaptest.Empty()})
		}, says: []string{"rule-suspended", "was not found"}},
		{name: "members not readable", strike: func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: ldaptest.Withhold("", "member")})
		}, says: []string{"rule-suspended", "no members"}},
		{name: "all people hidden", exit: daemon.ExitHeld, strike: func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Filter: "inetOrgPerson", Do: ldaptest.Empty()})
		}, says: []string{"min_people", "0 people"}},
		{name: "30 of 400 people hidden", many: true, strike: hide(30), says: []string{"In sync"}},
		{name: "60 of 400 people hidden", many: true, exit: daemon.ExitHeld, strike: hide(60), says: []string{"Guard shrink: 60 people", "40 may be missing"}},
		{name: "attributes not readable", strike: func(w *world) {
			w.dir.SetFaults(ldaptest.Fault{Base: peopleBase, Do: ldaptest.Withhold("", "uid")})
		}, says: []string{"incomplete", "no login"}},
		{name: "administrator not listed", strike: func(w *world) {
			w.sim.PutUser(ppmssim.User{Login: "root", Lname: "Root", Unitlogin: "curielab", Active: true, Admin: true})
			w.faults("getadmins:omit=boss")
			w.put(person("boss", "Bigger", "Boss", "darwinlab"))
		}, says: []string{"In sync"}},
	}
	for i := range cases {
		cases[i].goesOn = true
	}
	return cases
}

// Whatever goes wrong ends with its exit code and one clear sentence, and takes nothing away. With -v the table is shown.
func TestFaults(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var rows []string
	t.Run("each", func(t *testing.T) {
		t.Parallel()
		for _, c := range slices.Concat(ppmsFaults(), directoryFaults(), mistakes()) {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				exit, sentence := c.run(t)
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, fmt.Sprintf("%s\t%d\t%s", c.name, exit, sentence))
			})
		}
	})
	t.Cleanup(func() {
		slices.Sort(rows)
		var table strings.Builder
		tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(tw, "FAULT\tEXIT\tSENTENCE\n"+strings.Join(rows, "\n"))
		_ = tw.Flush()
		t.Logf("\n%s", table.String())
	})
}

// run returns the exit code and the sentence.
func (c *faultCase) run(t *testing.T) (exit int, sentence string) {
	t.Helper()
	w := settled(t, func(s *settings) {
		if c.many {
			manyPeople(s)
		}
	})
	if !c.goesOn { // something to take away, and something to give
		w.put(group("confocal-users", uid("lise"), cn("imaging")))
	}
	c.strike(w)
	before, effects := w.sim.Snapshot(), len(w.sim.Effects())
	got := w.apply()
	w.kept(before)
	if c.goesOn {
		got.exits(c.exit)
		must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
		sentence = tellingLine(w.text(), c.says[0])
	} else {
		got.exits(daemon.ExitFailed)
		sentence = got.err.Error()
		w.unchanged(before)
		if n := len(w.sim.Effects()); n != effects {
			t.Errorf("PPMS was sent %d writes", n-effects)
		}
		if got.text != "" {
			t.Errorf("a plan was printed: %s", got.text)
		}
		if strings.Contains(sentence, "\n") {
			t.Errorf("more than one line: %s", sentence)
		}
	}
	expect(t, sentence, c.says...)
	return daemon.ExitCode(got.err), sentence
}

// tellingLine is the first line with these words.
func tellingLine(text, words string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return text
}

// kept expects that nobody lost anything: no account, no access, no right.
func (w *world) kept(before ppmssim.Seed) {
	w.t.Helper()
	for _, u := range before.Users {
		if now, ok := w.sim.User(u.Login); !ok || u.Active && !now.Active {
			w.t.Errorf("%s lost the account", u.Login)
		}
	}
	for _, r := range before.Rights {
		if now := w.sim.Right(r.Login, r.System); now != r.Level {
			w.t.Errorf("the right of %s on %d was %s and is %q", r.Login, r.System, r.Level, now)
		}
	}
}

// manyPeople makes an institute of 400.
func manyPeople(s *settings) {
	crowd(s, 396)
	var members []string
	for i := range 80 {
		members = append(members, uid(fmt.Sprintf("p%02d", i+1)))
	}
	s.Entries = append(s.Entries, group("sequencing", members...))
	s.Rights = `[{name: confocal, group: confocal-users, systems: [{type: "Confocal*"}], level: A}, {name: sequencing, group: sequencing, systems: [31], level: N}]`
	s.Guards = "grants: {count: 500, percent: 100}"
}

// otherDirectory puts another server with the same content in the place of the directory.
func (w *world) otherDirectory(o ldaptest.Options) {
	w.t.Helper()
	o.Entries, o.BindDN, o.Password = w.Entries, readerDN, password
	s := ldaptest.New(o)
	w.t.Cleanup(s.Close)
	address, err := s.Start()
	must(w.t, err)
	w.configure(func(s *settings) { s.LDAP = address })
}

// expiredDirectory is one whose certificate has ended.
func (w *world) expiredDirectory() {
	w.t.Helper()
	certs, err := ldaptest.NewCerts(ldaptest.CertOptions{Expired: true})
	must(w.t, err)
	w.secureDirectory(certs)
}

// secureDirectory is one that wants TLS.
func (w *world) secureDirectory(certs *ldaptest.Certs) {
	w.t.Helper()
	server, err := certs.ServerConfig()
	must(w.t, err)
	w.write("ca.pem", string(certs.CA))
	w.configure(func(s *settings) { s.CA = "ca.pem" })
	w.otherDirectory(ldaptest.Options{TLS: server})
}

// securePPMS puts TLS before the world's PPMS.
func (w *world) securePPMS(certs *ldaptest.Certs) {
	w.t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	var err error
	server.TLS, err = certs.ServerConfig()
	must(w.t, err)
	server.StartTLS()
	w.t.Cleanup(server.Close)
	w.configure(func(s *settings) { s.PPMS = server.URL + "/pumapi/" })
}
