package daemon_test

import (
	"fmt"
	"slices"
	"strings"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
)

// institute is the directory that most tests begin with:
//
//	ada   Lovelace  darwinlab  in imaging, which is in confocal-users
//	carl  Darwin    darwinlab  in confocal-users
//	emmy  Noether   curielab   in imaging
//	lise  Meitner   curielab   in em-users
func institute() []ldaptest.Entry {
	return []ldaptest.Entry{
		folder("dc=example,dc=org", "domain", "dc"), folder(peopleBase, "organizationalUnit", "ou"),
		folder(groupBase, "organizationalUnit", "ou"), folder("ou=former,dc=example,dc=org", "organizationalUnit", "ou"),
		person("ada", "Ada", "Lovelace", "darwinlab"), person("carl", "Charles", "Darwin", "darwinlab"),
		person("emmy", "Emmy", "Noether", "curielab"), person("lise", "Lise", "Meitner", "curielab"),
		group("confocal-users", uid("carl"), cn("imaging")), group("imaging", uid("ada"), uid("emmy")), group("em-users", uid("lise")),
	}
}

// facility is the PPMS that most tests begin with: carl has another e-mail and a right already, ada has no account.
func facility() ppmssim.Seed {
	carl := account("carl", "Charles", "Darwin", "darwinlab")
	carl.Email = "charles@example.com"
	boss, old := account("boss", "Big", "Boss", "curielab"), account("old", "Old", "Hand", "curielab")
	boss.Admin, old.Active = true, false
	return ppmssim.Seed{
		Units: []ppmssim.Unit{{Unitlogin: "darwinlab", Active: true}, {Unitlogin: "curielab", Active: true}},
		Users: []ppmssim.User{
			boss, carl, account("emmy", "Emmy", "Noether", "curielab"), account("lise", "Lise", "Meitner", "curielab"), old,
			account("visitor", "A", "Visitor", "darwinlab"),
		},
		Systems: []ppmssim.System{
			system(12, "Confocal", "SP8, left"), system(13, "Confocal", "SP8 STED"), system(21, "Electron microscope", "Titan Krios"),
			system(31, "Sequencer", "NovaSeq"),
		},
		Rights: []ppmssim.Right{{Login: "carl", System: 12, Level: "N"}, {Login: "visitor", System: 31, Level: "N"}},
	}
}

func uid(login string) string { return "uid=" + login + "," + peopleBase }

func cn(name string) string { return "cn=" + name + "," + groupBase }

func folder(dn, class, attr string) ldaptest.Entry {
	rdn, _, _ := strings.Cut(dn, ",")
	_, name, _ := strings.Cut(rdn, "=")
	return ldaptest.Entry{DN: dn, Attrs: map[string][]string{"objectClass": {class}, attr: {name}}}
}

func person(login, fname, lname, unit string) ldaptest.Entry {
	return ldaptest.Entry{DN: uid(login), Attrs: map[string][]string{
		"objectClass": {"inetOrgPerson"}, "uid": {login}, "cn": {fname + " " + lname}, "sn": {lname}, "givenName": {fname},
		"mail": {login + "@example.org"}, "ou": {unit}, "entryUUID": {ldaptest.EntryUUID(uid(login))},
	}}
}

func group(name string, members ...string) ldaptest.Entry {
	return ldaptest.Entry{DN: cn(name), Attrs: map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members}}
}

// account is one that is in step with the person of that name.
func account(login, fname, lname, unit string) ppmssim.User {
	return ppmssim.User{Login: login, Fname: fname, Lname: lname, Email: login + "@example.org", Unitlogin: unit, Active: true}
}

func system(id int, kind, name string) ppmssim.System {
	return ppmssim.System{ID: id, Facility: 2, Type: kind, Name: name, Active: true, Bookable: true}
}

// put adds entries to the directory, or replaces those of the same DN.
func (w *world) put(entries ...ldaptest.Entry) {
	for _, e := range entries {
		w.remove(e.DN)
		w.Entries = append(w.Entries, e)
	}
	w.dir.SetEntries(w.Entries)
}

// remove takes entries out of the directory.
func (w *world) remove(dns ...string) {
	w.Entries = slices.DeleteFunc(slices.Clone(w.Entries), func(e ldaptest.Entry) bool { return slices.Contains(dns, e.DN) })
	w.dir.SetEntries(w.Entries)
}

// entry is a copy of an entry.
func (w *world) entry(dn string) ldaptest.Entry {
	w.t.Helper()
	i := slices.IndexFunc(w.Entries, func(e ldaptest.Entry) bool { return e.DN == dn })
	if i < 0 {
		w.t.Fatalf("the directory has no %s", dn)
	}
	e := ldaptest.Entry{DN: dn, Attrs: map[string][]string{}}
	for name, values := range w.Entries[i].Attrs {
		e.Attrs[name] = slices.Clone(values)
	}
	return e
}

// set changes an attribute of an entry; without values it goes.
func (w *world) set(dn, attr string, values ...string) {
	w.t.Helper()
	e := w.entry(dn)
	delete(e.Attrs, attr)
	if len(values) > 0 {
		e.Attrs[attr] = values
	}
	w.put(e)
}

// staff changes an account in PPMS by hand.
func (w *world) staff(login string, change func(*ppmssim.User)) {
	w.t.Helper()
	u, ok := w.sim.User(login)
	if !ok {
		w.t.Fatalf("PPMS has no account %s", login)
	}
	change(&u)
	w.sim.PutUser(u)
}

// faults sets what PPMS does wrong.
func (w *world) faults(specs ...string) {
	w.t.Helper()
	var faults []ppmssim.Fault
	for _, spec := range specs {
		f, err := ppmssim.ParseFault(spec)
		must(w.t, err)
		faults = append(faults, f)
	}
	w.sim.SetFaults(faults)
}

// crowd adds n people to both sides, in step, called p01 and so on.
func crowd(s *settings, n int) {
	for i := range n {
		login, lname := fmt.Sprintf("p%02d", i+1), fmt.Sprintf("Person%02d", i+1)
		s.Entries = append(s.Entries, person(login, "Some", lname, "curielab"))
		s.Seed.Users = append(s.Seed.Users, account(login, "Some", lname, "curielab"))
	}
}
