package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/ds389test"
	"ppms-syncd/internal/ldapsrc/ldaptest/sambatest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// member is one person of the big institute, whatever directory that is kept in.
type member struct {
	login, fname, lname, mail, phone, unit string

	locked, expired bool
	name            string // of the entry, if it is not named by the login
}

// team is a group of the big institute.
type team struct {
	name    string
	members []int    // of the list of people
	primary bool     // Active Directory keeps it as the primary group of its members
	teams   []string // nested groups
}

// bigInstitute has 500 people, some of whom are odd: see the switch.
func bigInstitute() (people []member, teams []team) {
	for i := range 500 {
		m := member{
			login: fmt.Sprintf("user%03d", i), fname: fmt.Sprintf("Given%d", i), lname: fmt.Sprintf("Family%d", i),
			mail: fmt.Sprintf("user%03d@example.org", i), phone: fmt.Sprintf("+41 61 %03d", i), unit: []string{"darwinlab", "curielab"}[i%2],
		}
		switch {
		case i%50 == 1:
			m.locked = true
		case i%50 == 2:
			m.expired = true
		case i%50 == 3:
			m.mail = ""
		case i%50 == 4:
			m.phone = ""
		case i%50 == 5:
			m.unit = "unknownlab"
		case i%50 == 6:
			m.fname, m.lname = "Jörg", "Müller-Weiß"
			m.name = fmt.Sprintf("Müller-Weiß, Jörg %d", i)
		case i%50 == 7:
			m.lname = "O'Neill"
			m.name = fmt.Sprintf(`Sean "the" <O'Neill> + %d`, i)
		case i%50 == 8:
			m.fname, m.lname = "Zoe\u0308", "İnönü" // not composed
			m.name = fmt.Sprintf(`#%d; Zoë\İnönü=x`, i)
		case i == 9:
			m.login = "bad login"
		case i%50 == 10:
			m.mail = fmt.Sprintf("user%03d@example.org", i-1) // somebody else's
		case i%50 == 11:
			m.login = strings.ToUpper(m.login)
		case i%50 == 12:
			m.unit, m.fname = "", ""
		}
		people = append(people, m)
	}
	every := func(n, rest int) (out []int) {
		for i := rest; i < len(people); i += n {
			out = append(out, i)
		}
		return out
	}
	return people, []team{ // what a group contains comes first
		{name: "microscopists", members: every(3, 0)},
		{name: "imaging", members: every(10, 6), teams: []string{"microscopists"}},
		{name: "confocal-users", members: every(50, 1), teams: []string{"imaging"}},
		{name: "em-users", members: every(7, 2), primary: true},
		{name: "everybody", members: every(2, 1), teams: []string{"confocal-users", "em-users"}},
	}
}

// accountsOf is a PPMS that knows most of the people: some of them in another way, one of them wrongly.
func accountsOf(people []member) ppmssim.Seed {
	seed := facility()
	for i, m := range people {
		if i%4 == 3 || m.login == "bad login" {
			continue
		}
		a := ppmssim.User{
			Login: m.login, Fname: m.fname, Lname: m.lname, Email: m.mail, Phone: m.phone, Unitlogin: []string{"darwinlab", "curielab"}[i%2], Active: i%60 != 20,
		}
		switch {
		case i%40 == 1:
			a.Email = "old" + a.Email
		case i%40 == 2:
			a.Phone = "0"
		case i%100 == 14:
			a.Lname, a.Email = "Somebody", "else@example.org"
		}
		seed.Users = append(seed.Users, a)
		if i%20 == 6 {
			seed.Rights = append(seed.Rights, ppmssim.Right{Login: m.login, System: 12, Level: []string{"N", "S", "D"}[i/20%3]})
		}
	}
	return seed
}

// kept says how one kind of directory keeps people and groups.
type kept struct {
	person func(m *member, dn string) ldaptest.Entry
	group  func(name, dn string, members []string) ldaptest.Entry
	dn     func(name string, group bool) string
}

// entries are the institute as a directory keeps it. Those of a group's members who have it as their primary group come back
// as well, by group.
func (k *kept) entries(people []member, teams []team) (all []ldaptest.Entry, primary map[string][]string) {
	dns := make([]string, len(people))
	for i := range people {
		m := &people[i]
		dns[i] = k.dn(m.login, false)
		if m.name != "" {
			dns[i] = k.dn(m.name, false)
		}
		all = append(all, k.person(m, dns[i]))
	}
	primary = map[string][]string{}
	for _, g := range teams {
		var members []string
		for _, i := range g.members {
			members = append(members, dns[i])
		}
		dn := k.dn(g.name, true)
		if g.primary {
			primary[dn] = slices.Clone(members)
		}
		for _, other := range g.teams {
			members = append(members, k.dn(other, true))
		}
		all = append(all, k.group(g.name, dn, members))
	}
	return all, primary
}

// escaped is a value in a DN.
var escaped = strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`, `"`, `\"`, "<", `\<`, ">", `\>`, ";", `\;`, "#", `\#`, "=", `\=`)

func set(attrs map[string][]string, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			attrs[pairs[i]] = []string{pairs[i+1]}
		}
	}
}

// inetOrg keeps people as inetOrgPerson and groups as groupOfNames. Who is locked or expired is up to the server.
func inetOrg(state func(m *member) (attribute, value string)) *kept {
	return &kept{
		dn: func(name string, group bool) string {
			switch {
			case group:
				return cn(name)
			case strings.HasPrefix(strings.ToLower(name), "user"):
				return uid(name)
			}
			return "cn=" + escaped.Replace(name) + "," + peopleBase
		},
		person: func(m *member, dn string) ldaptest.Entry {
			attrs := map[string][]string{"objectClass": {"inetOrgPerson"}}
			name := m.name
			if name == "" {
				name = m.login
			}
			set(attrs, "uid", m.login, "cn", name, "sn", m.lname, "givenName", m.fname, "mail", m.mail, "telephoneNumber", m.phone, "ou", m.unit)
			attribute, value := state(m)
			set(attrs, attribute, value)
			return ldaptest.Entry{DN: dn, Attrs: attrs}
		},
		group: func(name, dn string, members []string) ldaptest.Entry {
			return ldaptest.Entry{DN: dn, Attrs: map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members}}
		},
	}
}

// activeDirectory keeps them as users and groups of a domain.
func activeDirectory() *kept {
	return &kept{
		dn: func(name string, _ bool) string { return "CN=" + escaped.Replace(name) + "," + sambatest.Staff },
		person: func(m *member, dn string) ldaptest.Entry {
			control, expires := "544", "9223372036854775807"
			if m.locked {
				control = "546"
			}
			if m.expired {
				expires = "131592384000000000" // 2018
			}
			attrs := map[string][]string{"objectClass": {"user"}}
			set(attrs, "sAMAccountName", m.login, "sn", m.lname, "givenName", m.fname, "mail", m.mail, "telephoneNumber", m.phone,
				"ou", m.unit, "userAccountControl", control, "accountExpires", expires)
			return ldaptest.Entry{DN: dn, Attrs: attrs}
		},
		group: func(name, dn string, members []string) ldaptest.Entry {
			return ldaptest.Entry{DN: dn, Attrs: map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}, "member": members}}
		},
	}
}

// bigWorld is the institute in a directory of a kind, and a PPMS. What the directory calls its entries comes with it.
func bigWorld(t *testing.T, profile string) (w *world, dns []string) {
	t.Helper()
	people, teams := bigInstitute()
	folders := institute()[:4]
	var password string
	w = newWorld(t, func(s *settings) {
		s.Profile, s.UserFilter, s.Disabled, s.Seed = profile, "", "", accountsOf(people)
		s.RunTimeout, s.ReadTimeout, s.CallTimeout = "5m", "1m", "20s"
		s.Guards = "creations: {count: 500, percent: 100}, updates: {count: 500, percent: 100}, grants: {count: 500, percent: 100}"
		switch profile {
		case "openldap":
			entries, _ := inetOrg(func(m *member) (attribute, value string) {
				switch {
				case m.locked:
					return "pwdAccountLockedTime", "000001010000Z"
				case m.expired:
					return "pwdEndTime", "20180101000000Z"
				}
				return "", ""
			}).entries(people, teams)
			slapd := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{
				Entries: append(folders, entries...), Database: []string{"overlay ppolicy"}, ReaderLimits: "size.soft=500 size.hard=unlimited",
			})
			s.LDAP, s.CA, s.BindDN, password = slapd.TLSURL, slapd.CAFile, slapd.ReaderDN, slapd.ReaderPassword
			s.Entries = entries
		case "389ds":
			entries, _ := inetOrg(func(m *member) (attribute, value string) {
				if m.locked || m.expired { // it has no date for the end of an account
					return "nsAccountLock", "true"
				}
				return "", ""
			}).entries(people, teams)
			ds := ds389test.Start(t, ds389test.Options{Entries: append(folders, entries...)})
			s.LDAP, s.BindDN, password = ds.URL, ds.ReaderDN, ds.ReaderPassword
			s.Entries = entries
		case "active-directory":
			entries, primary := activeDirectory().entries(people, teams)
			samba := sambatest.Start(t, sambatest.Options{Entries: entries})
			for group, members := range primary {
				samba.SetPrimaryGroup(group, members...)
			}
			s.LDAP, s.CA, s.BindDN, password = samba.TLSURL, samba.CAFile, samba.ReaderDN, samba.ReaderPassword
			s.UsersBase, s.GroupsBase, s.Login, s.Entries = sambatest.Staff, sambatest.Staff, "sAMAccountName", entries
		}
	})
	w.write("ldap-password", password)
	for _, e := range w.Entries {
		dns = append(dns, e.DN)
	}
	return w, dns
}

// TestServersAgree loads the same 500 people into slapd, 389 Directory Server and a Samba domain controller. The same changes
// and the same issues come out of each, at the first run and when what it saw has been there for some days.
func TestServersAgree(t *testing.T) {
	t.Parallel()
	profiles := []string{"openldap", "389ds", "active-directory"}
	first, later := make([]reconcile.Plan, len(profiles)), make([]reconcile.Plan, len(profiles))
	t.Run("each", func(t *testing.T) {
		t.Parallel()
		for i, profile := range profiles {
			t.Run(profile, func(t *testing.T) {
				t.Parallel()
				w, dns := bigWorld(t, profile)
				got := w.apply().exits(daemon.ExitOK)
				if len(got.wrote) != len(got.Changes) {
					t.Errorf("%d of %d changes were written", len(got.wrote), len(got.Changes))
				}
				first[i] = anonymous(got.Plan, dns)
				for range 3 {
					w.pass(25 * time.Hour)
					w.apply()
				}
				later[i] = anonymous(w.plan().Plan, dns)
			})
		}
	})
	t.Cleanup(func() {
		if t.Failed() || slices.ContainsFunc(later, func(p reconcile.Plan) bool { return p.Version == 0 }) {
			return // one failed, or is not installed
		}
		expectBigPlans(t, &first[0], &later[0])
		for i, profile := range profiles[1:] {
			if diff := cmp.Diff(first[0], first[i+1]); diff != "" {
				t.Errorf("first run (-openldap +%s):\n%s", profile, diff)
			}
			if diff := cmp.Diff(later[0], later[i+1]); diff != "" {
				t.Errorf("days later (-openldap +%s):\n%s", profile, diff)
			}
		}
	})
}

// anonymous leaves out what must differ: stable ids, the configuration, and DNs, which stand as numbers in the details.
func anonymous(p reconcile.Plan, dns []string) reconcile.Plan {
	p.ConfigHash = ""
	for i := range p.Changes {
		p.Changes[i].PersonID, p.Changes[i].DN = "", ""
	}
	var pairs []string
	for i, dn := range dns {
		pairs = append(pairs, dn, fmt.Sprintf("entry %d", i))
	}
	r := strings.NewReplacer(pairs...)
	for i := range p.Issues {
		p.Issues[i].Detail = r.Replace(p.Issues[i].Detail)
	}
	return p
}

// expectBigPlans knows of the institute what must come out whatever it is kept in.
func expectBigPlans(t *testing.T, first, later *reconcile.Plan) {
	t.Helper()
	people, _ := bigInstitute()
	accounts, emails := map[string]bool{}, map[string]bool{}
	for _, u := range accountsOf(people).Users {
		accounts[u.Login], emails[u.Email] = true, true
	}
	var want, got []string
	for i := range people {
		m := &people[i]
		works := !m.locked && !m.expired && m.login != "bad login"
		complete := m.fname != "" && m.mail != "" && m.unit != "" && m.unit != "unknownlab"
		if works && complete && !accounts[m.login] && !emails[m.mail] {
			want = append(want, m.login)
		}
	}
	paths, issues := map[string]bool{}, map[reconcile.IssueKind]bool{}
	for i := range first.Changes {
		c := &first.Changes[i]
		if c.Kind == reconcile.NewUser {
			got = append(got, c.Login)
		}
		paths[strings.Join(c.Path, " ")] = true
	}
	slices.Sort(want)
	slices.Sort(got)
	same(t, "new users", got, want)
	for _, p := range []string{"confocal-users imaging", "confocal-users imaging microscopists", "em-users"} {
		if !paths[p] {
			t.Errorf("nobody got a right by way of %s", p)
		}
	}
	for _, i := range slices.Concat(first.Issues, later.Issues) {
		issues[i.Kind] = true
	}
	for _, kind := range []reconcile.IssueKind{
		reconcile.BadLogin, reconcile.EmailTaken, reconcile.IdentityMismatch, reconcile.Incomplete, reconcile.UnknownUnit,
		reconcile.InactiveByStaff, reconcile.RightBlockedByStaff, reconcile.NeedsApproval,
	} {
		if !issues[kind] {
			t.Errorf("there is no issue %s", kind)
		}
	}
	if later.Summary.Deactivations == 0 {
		t.Error("nobody who is locked or expired will be deactivated")
	}
}
