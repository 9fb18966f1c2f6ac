package ldapsrc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake starts a server in memory that everybody may read.
func fake(tb testing.TB, o ldaptest.Options) (*ldaptest.Server, string) {
	tb.Helper()
	o.AllowAnonymous = o.BindDN == "" && o.OnBind == nil
	s := ldaptest.New(o)
	url, err := s.Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s, url
}

func person(uid string, more ...string) ldaptest.Entry {
	attrs := map[string][]string{
		"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {"X " + uid}, "sn": {"Sn" + uid}, "givenName": {"X"}, "mail": {uid + "@example.org"},
	}
	for i := 0; i < len(more); i += 2 {
		attrs[more[i]] = append(attrs[more[i]], more[i+1])
	}
	return ldaptest.Entry{DN: "uid=" + uid + "," + peopleBase, Attrs: attrs}
}

func groupOf(cn string, members ...string) ldaptest.Entry {
	return ldaptest.Entry{DN: "cn=" + cn + "," + groupBase, Attrs: map[string][]string{
		"objectClass": {"groupOfNames"}, "cn": {cn}, "member": members,
	}}
}

func uidDN(uid string) string { return "uid=" + uid + "," + peopleBase }
func cnDN(cn string) string   { return "cn=" + cn + "," + groupBase }

func tree(entries ...ldaptest.Entry) []ldaptest.Entry {
	return append([]ldaptest.Entry{
		{DN: "dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"domain"}, "dc": {"example"}}},
		{DN: peopleBase, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"people"}}},
		{DN: groupBase, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"groups"}}},
	}, entries...)
}

// hundred is a directory that takes several pages of ten.
func hundred() []ldaptest.Entry {
	var all []ldaptest.Entry
	for i := range 35 {
		all = append(all, person(fmt.Sprintf("p%02d", i)))
	}
	return tree(append(all, groupOf("users", uidDN("p01"), uidDN("p02")))...)
}

// Every way in which a read can be incomplete, and what the reader says about it. The last column are incidents of others
// in which people were disabled because a reader took such an answer for a complete one.
func TestIncompleteReads(t *testing.T) {
	t.Parallel()
	people := func(page int, do ldaptest.Do) []ldaptest.Fault {
		return []ldaptest.Fault{{Base: peopleBase, Filter: "inetOrgPerson", Page: page, Do: do}}
	}
	for _, c := range []struct {
		name   string
		faults []ldaptest.Fault
		change func(*ldapsrc.Config)
		server func(*ldaptest.Options)
		want   []string
	}{
		{name: "size limit on page 2", faults: people(2, ldaptest.Result(4)), want: []string{"page 2", "size limit", "olcLimits"}},
		{name: "administrative limit", faults: people(1, ldaptest.Result(11)), want: []string{"page 1", "nsLookThroughLimit"}},
		{name: "administrative limit after entries", faults: people(1, ldaptest.Result(11).After(3)), want: []string{"nsLookThroughLimit"}},
		{name: "busy on page 3", faults: people(3, ldaptest.Result(51)), want: []string{"page 3", "busy"}},
		{name: "unavailable", faults: people(2, ldaptest.Result(52).After(5)), want: []string{"shutting down"}},
		{name: "time limit", faults: people(2, ldaptest.Result(3)), want: []string{"time limit"}},
		{name: "insufficient access", faults: people(1, ldaptest.Result(50)), want: []string{"may not do this", "access rules"}},
		{name: "operations error", faults: people(1, ldaptest.Result(1)), want: []string{"result code 1"}},
		{name: "unknown result code", faults: people(2, ldaptest.Result(4242)), want: []string{"result code 4242"}},
		{name: "no such object in the middle", faults: people(2, ldaptest.Result(32)), want: []string{"does not exist, or the reader may not see it"}},
		{name: "referral instead of a result", faults: people(1, ldaptest.Referral("ldap://other.example.org/")), want: []string{"refers to another"}},
		{name: "connection cut in an entry", faults: people(2, ldaptest.Cut(700)), want: []string{"page 2", "connection was lost"}},
		{name: "connection cut before page 2", faults: people(2, ldaptest.Cut(0)), want: []string{"page 2", "connection was lost"}},
		{name: "connection cut in the groups", faults: []ldaptest.Fault{{Base: groupBase, Filter: "groupOfNames", Do: ldaptest.Cut(20)}}, want: []string{"the search for groups", "connection was lost"}},
		{name: "stalled", faults: people(2, ldaptest.Stall()), change: func(c *ldapsrc.Config) { c.Timeout = 5 * time.Second }, want: []string{"page 2", "time ran out", "ldap.timeout"}},
		{name: "trickling", faults: people(2, ldaptest.Trickle(1, 5*time.Millisecond)), change: func(c *ldapsrc.Config) { c.Timeout = 5 * time.Second }, want: []string{"time ran out"}},
		{name: "repeated cookie", faults: people(0, ldaptest.RepeatCookie()), want: []string{"cookie for the second time"}},
		{name: "paging control lost on page 2", faults: people(2, ldaptest.DropPaging()), want: []string{"page 2 came without the paging control"}},
		{name: "paging control lost on page 1", faults: people(1, ldaptest.DropPaging()), want: []string{"page 1 came without the paging control"}},
		{
			name: "paging control lost on page 1, which is shorter than asked for", faults: people(1, ldaptest.DropPaging()),
			server: func(o *ldaptest.Options) { o.MaxPageSize = 7 }, want: []string{"page 1 came without the paging control"},
		},
		{
			name: "exactly a page from a server without paging", faults: people(1, ldaptest.DropPaging()),
			server: func(o *ldaptest.Options) { o.RootDSE = withoutPaging }, want: []string{"exactly one page"},
		},
		{name: "reference", faults: people(2, ldaptest.Reference("ldap://other.example.org/ou=x,dc=example,dc=org??sub")), want: []string{"on another server", "ou=x", "ldap.referrals"}},
		{name: "reference among the groups", faults: []ldaptest.Fault{{Base: groupBase, Filter: "groupOfNames", Do: ldaptest.Reference("ldap://other.example.org/ou=x")}}, want: []string{"the search for groups", "on another server"}},
		{name: "reference while reading the base", faults: []ldaptest.Fault{{Base: peopleBase, Filter: "objectClass=*", Do: ldaptest.Reference("ldap://other.example.org/ou=x")}}, want: []string{"ldap.users.base", "on another server"}},
		{
			name: "another reference than the allowed", faults: people(2, ldaptest.Reference("ldap://other.example.org/ou=y??sub")),
			change: func(c *ldapsrc.Config) { c.Referrals = []string{"ldap://other.example.org/ou=x"} }, want: []string{"ou=y"},
		},
		{name: "range of a group's members", server: func(o *ldaptest.Options) { o.MaxValRange = 1 }, want: []string{"the rest of member", "nothing new"}},
		{name: "undecodable name", faults: people(2, ldaptest.BadDN(uidDN("p12"))), want: []string{"cannot be understood"}},
		{name: "no stable id", faults: people(1, ldaptest.Withhold(uidDN("p03"), "entryUUID")), want: []string{uidDN("p03"), "0 values of entryUUID"}},
		{name: "no attributes at all", faults: people(0, ldaptest.Withhold("", "entryUUID")), want: []string{"0 values of entryUUID", "may not see it"}},
		{name: "entry twice", faults: people(2, ldaptest.Duplicate(uidDN("p13"))), want: []string{"have the same entryUUID"}},
		{name: "entry twice, in another case", faults: people(2, again(uidDN("p13"))), want: []string{"have the same entryUUID"}},
		{name: "entry on two pages", faults: people(3, again(uidDN("p13"))), want: []string{"have the same entryUUID"}},
		{name: "group twice, in another case", faults: []ldaptest.Fault{{Base: groupBase, Filter: "groupOfNames", Do: again(cnDN("users"))}}, want: []string{"came twice"}},
		{name: "attribute in two parts", faults: []ldaptest.Fault{{Base: groupBase, Filter: "groupOfNames", Do: halve("member", "MEMBER")}}, want: []string{"MEMBER of " + cnDN("users") + " came twice"}},
		{name: "attribute in two parts, of a person", faults: people(2, halve("mail", "mail")), want: []string{"mail of " + uidDN("p10") + " came twice"}},
		{name: "group twice", faults: []ldaptest.Fault{{Base: groupBase, Do: ldaptest.Duplicate(cnDN("users"))}}, want: []string{"came twice"}},
		{name: "garbage", faults: people(2, ldaptest.Garbage()), want: []string{"no LDAP"}},
		{name: "two paging controls", faults: people(1, ldaptest.PagingTwice()), want: []string{"page 1 came with 2 paging controls"}},
		{name: "entry from elsewhere", faults: people(2, ldaptest.Rename(uidDN("p13"), "uid=p13,ou=people,dc=example,dc=com")), want: []string{"the search for people", "another entry", "dc=com"}},
		{name: "group from elsewhere", faults: []ldaptest.Fault{{Base: groupBase, Filter: "groupOfNames", Do: ldaptest.Rename(cnDN("users"), "cn=users,"+peopleBase)}}, want: []string{"the search for groups", "another entry"}},
		{name: "huge length", faults: people(2, ldaptest.HugeLength()), want: []string{"2147483647 bytes"}},
		{name: "answer to another request", faults: people(2, ldaptest.WrongMessageID()), change: func(c *ldapsrc.Config) { c.Timeout = 5 * time.Second }, want: []string{"time ran out"}},
		{name: "base hidden: success without entries", faults: []ldaptest.Fault{{Base: peopleBase, Filter: "objectClass=*", Do: ldaptest.Empty()}}, want: []string{"ldap.users.base", "0 entries instead of one"}},
		{name: "base is another entry", faults: []ldaptest.Fault{{Base: groupBase, Filter: "objectClass=*", Do: ldaptest.Rename(groupBase, "ou=other")}}, want: []string{"ldap.groups.base", "another entry"}},
		{name: "wrong base", change: func(c *ldapsrc.Config) { c.Users.Base = "ou=poeple,dc=example,dc=org" }, want: []string{"ldap.users.base", "ou=poeple", "does not exist"}},
		{name: "wrong group base", change: func(c *ldapsrc.Config) { c.Groups.Base = "ou=gruops,dc=example,dc=org" }, want: []string{"ldap.groups.base", "does not exist"}},
		{name: "size limit at the end of a page", server: func(o *ldaptest.Options) { o.SizeLimit = 20 }, want: []string{"size limit"}},
		{name: "server's size limit over all pages", server: func(o *ldaptest.Options) { o.SizeLimit = 25 }, want: []string{"page 3", "size limit"}},
		{name: "canary missing", faults: people(0, ldaptest.Hide(uidDN("p33"))), change: func(c *ldapsrc.Config) { c.Canaries = []string{"UID=p33, " + peopleBase} }, want: []string{"the canary UID=p33", "did not come back"}},
		{name: "canary without mail", faults: people(0, ldaptest.Withhold(uidDN("p33"), "mail")), change: func(c *ldapsrc.Config) { c.Canaries = []string{uidDN("p33")} }, want: []string{"without email"}},
		{name: "canary outside the filter", change: func(c *ldapsrc.Config) { c.Canaries = []string{"cn=reader,dc=example,dc=org"} }, want: []string{"did not come back"}},
		{name: "canary group without members", faults: []ldaptest.Fault{{Base: groupBase, Do: ldaptest.Withhold("", "member")}}, change: func(c *ldapsrc.Config) { c.Canaries = []string{cnDN("users")} }, want: []string{"without members"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := ldaptest.Options{Entries: hundred(), Faults: c.faults}
			if c.server != nil {
				c.server(&o)
			}
			_, url := fake(t, o)
			cfg := config(url)
			cfg.PageSize = 10
			if c.change != nil {
				c.change(&cfg)
			}
			mustFail(t, cfg, mapping(), append(c.want, url)...)
		})
	}
}

// withoutPaging is a root DSE that names another control alone.
var withoutPaging = map[string][]string{"supportedControl": {"2.16.840.1.113730.3.4.2"}}

// again sends an entry once more, with its name in capitals, whichever page it belongs to.
func again(dn string) ldaptest.Do {
	return func(r *ldaptest.Reply) {
		for _, e := range r.All {
			if e.DN == dn {
				e.DN = strings.ToUpper(dn)
				r.Entries = append(slices.Clip(r.Entries), e)
			}
		}
	}
}

// halve sends the last value of an attribute by itself, under a name of its own.
func halve(attribute, as string) ldaptest.Do {
	return func(r *ldaptest.Reply) {
		r.Entries = slices.Clone(r.Entries)
		for i := range r.Entries {
			attrs := slices.Clone(r.Entries[i].Attrs)
			for j, a := range attrs {
				if n := len(a.Values) - 1; a.Name == attribute && n >= 0 {
					attrs[j].Values = a.Values[:n]
					attrs = append(attrs, ldaptest.Attr{Name: as, Values: a.Values[n:]})
				}
			}
			r.Entries[i].Attrs = attrs
		}
	}
}

// What looks unusual and is complete all the same.
func TestCompleteReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults []ldaptest.Fault
		change func(*ldapsrc.Config)
		server func(*ldaptest.Options)
	}{
		{name: "plain"},
		{
			name: "server without paging", faults: []ldaptest.Fault{{Do: ldaptest.IgnorePaging()}},
			server: func(o *ldaptest.Options) { o.RootDSE = withoutPaging },
		},
		{name: "smaller pages than asked for", server: func(o *ldaptest.Options) { o.MaxPageSize = 7 }},
		{name: "trickling, but in time", faults: []ldaptest.Fault{{Base: peopleBase, Page: 2, Do: ldaptest.Trickle(100, time.Millisecond)}}},
		{
			name: "allowed reference", faults: []ldaptest.Fault{{Base: peopleBase, Page: 2, Do: ldaptest.Reference("LDAP://Other.example.org/OU=x,dc=example,dc=org??sub")}},
			change: func(c *ldapsrc.Config) { c.Referrals = []string{"ldap://other.example.org/ou=x, dc=example, dc=org"} },
		},
		{
			name: "allowed host", faults: []ldaptest.Fault{{Base: peopleBase, Page: 2, Do: ldaptest.Reference("ldap://other.example.org/ou=y??sub")}},
			change: func(c *ldapsrc.Config) { c.Referrals = []string{"ldap://other.example.org/"} },
		},
		{name: "canaries", change: func(c *ldapsrc.Config) { c.Canaries = []string{uidDN("P33"), cnDN("users")} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := ldaptest.Options{Entries: hundred(), Faults: c.faults}
			if c.server != nil {
				c.server(&o)
			}
			_, url := fake(t, o)
			cfg := config(url)
			cfg.PageSize = 10
			if c.change != nil {
				c.change(&cfg)
			}
			r := mustRead(t, cfg, mapping(), ldapsrc.Request{})
			if len(r.Directory.People) != 35 || r.Directory.Groups != 1 {
				t.Errorf("got %d people and %d groups", len(r.Directory.People), r.Directory.Groups)
			}
		})
	}
}

func TestCancelledRead(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, url := fake(t, ldaptest.Options{Entries: hundred(), Faults: []ldaptest.Fault{{
		Base: peopleBase, Filter: "inetOrgPerson", Do: func(r *ldaptest.Reply) { r.Stall = true; cancel() },
	}}})
	s, err := ldapsrc.New(config(url), mapping(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Read(ctx, ldapsrc.Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	_, url := fake(t, ldaptest.Options{Entries: hundred()})
	r, err := read(t, config(url), mapping(), ldapsrc.Request{Missing: func([]reconcile.Person) []string { panic("oops") }})
	if r != nil || err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestServersInTurn(t *testing.T) {
	t.Parallel()
	const closed = "ldap://127.0.0.1:1" // which nobody is given by chance
	_, busy := fake(t, ldaptest.Options{OnBind: func(string, string) (int, string) { return 52, "shutting down" }})
	_, refuses := fake(t, ldaptest.Options{OnBind: func(string, string) (int, string) {
		return 49, "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 533, v4563"
	}})
	good := func(string, string) (int, string) { return 0, "" }
	second, works := fake(t, ldaptest.Options{Entries: hundred(), OnBind: good})
	third, breaks := fake(t, ldaptest.Options{Entries: hundred(), OnBind: good, Faults: []ldaptest.Fault{{Page: 2, Do: ldaptest.Result(51)}}})

	cfg := config(closed)
	cfg.PageSize = 10
	cfg.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: "cn=reader", Password: passwordFile(t, "geheim")}
	cfg.URLs = []string{closed, busy, works}
	if r := mustRead(t, cfg, mapping(), ldapsrc.Request{}); r.Server != works {
		t.Errorf("read from %s", r.Server)
	}
	cfg.URLs = []string{closed, busy}
	mustFail(t, cfg, mapping(), "none of 2 servers", "nothing listens there", "shutting down")

	asked := len(second.Searches())
	cfg.URLs = []string{refuses, works}
	mustFail(t, cfg, mapping(), "account is disabled", "enable it", refuses) // a second attempt would count towards a lock-out
	cfg.URLs = []string{breaks, works}
	mustFail(t, cfg, mapping(), "busy", breaks) // the read has begun
	if n := len(second.Searches()); n != asked {
		t.Errorf("the other server was asked %d times", n-asked)
	}
	if len(third.Searches()) == 0 {
		t.Error("the first server was not asked")
	}
}

// A server that accepts and says nothing gets only its share of the time.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, works := fake(t, ldaptest.Options{Entries: hundred()})
	cfg := config("ldap://" + l.Addr().String())
	cfg.Timeout = 10 * time.Second // for the other server it is half
	cfg.URLs = append(cfg.URLs, works)
	if r := mustRead(t, cfg, mapping(), ldapsrc.Request{}); r.Server != works {
		t.Errorf("read from %s", r.Server)
	}
	cfg.URLs, cfg.Timeout = cfg.URLs[:1], 200*time.Millisecond
	mustFail(t, cfg, mapping(), "time ran out")
}

func TestPasswordStaysSecret(t *testing.T) {
	t.Parallel()
	_, url := fake(t, ldaptest.Options{OnBind: func(_, password string) (int, string) { return 49, "bad password " + password }})
	cfg := config(url)
	cfg.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: "cn=reader", Password: passwordFile(t, "geheim")}
	_, err := read(t, cfg, mapping(), ldapsrc.Request{})
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e), "geheim") {
			t.Errorf("the password is in %v", e)
		}
	}
}

func TestPasswordFileProblems(t *testing.T) {
	t.Parallel()
	_, url := fake(t, ldaptest.Options{Entries: hundred()})
	cfg := config(url)
	cfg.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: "cn=reader", Password: passwordFile(t, "x")}
	if err := os.Chmod(cfg.Bind.Password.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	mustFail(t, cfg, mapping(), "the reader's password", "chmod o-rwx")
	cfg.Bind.Password.Path = filepath.Join(t.TempDir(), "none")
	mustFail(t, cfg, mapping(), "the reader's password", "no such file")
}

// Only what the mapping needs is asked for, operational attributes by name.
func TestSearchesAskForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	s, url := fake(t, ldaptest.Options{Entries: hundred()})
	m := mapping(ldapsrc.RuleSource{Name: "r", When: condition(t, "attr('employeeType') == 'staff'")})
	cfg := config(url)
	cfg.Users.Disabled = condition(t, "'000001010000Z' in attrs('pwdAccountLockedTime')")
	mustRead(t, cfg, m, ldapsrc.Request{})
	got := map[string][]string{}
	for _, q := range s.Searches() {
		if q.Scope == 2 && q.Page == 1 {
			slices.Sort(q.Attrs)
			got[q.Base] = q.Attrs
			if !q.Paged || q.TypesOnly || q.SizeLimit != 0 {
				t.Errorf("odd search %+v", q)
			}
		}
	}
	want := map[string][]string{
		groupBase:  {"cn", "member"},
		peopleBase: {"employeeType", "entryUUID", "givenName", "mail", "pwdAccountLockedTime", "sn", "telephoneNumber", "uid"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func condition(tb testing.TB, expr string) *ldapsrc.Condition {
	tb.Helper()
	c, err := ldapsrc.CompileCondition(expr)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func value(tb testing.TB, expr string) ldapsrc.Value {
	tb.Helper()
	v, err := ldapsrc.CompileValue(expr)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
