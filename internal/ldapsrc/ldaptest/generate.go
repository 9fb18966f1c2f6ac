package ldaptest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// GenOptions say what Generate makes. The zero value of a number is none, but for Labs.
type GenOptions struct {
	People int
	Groups int
	Nested int    // so many of the groups have groups as members instead of people; every second of these holds another of them
	Labs   int    // default 12
	Seed   uint64 // another seed makes other names and memberships
	Base   string // default dc=example,dc=org
}

// Generate makes a directory: ou=people with inetOrgPerson entries and ou=groups with groupOfNames entries, as OpenLDAP has
// them. The same options make the same entries.
//
// A person has uid, cn, sn, givenName, mail, ou (the lab) and employeeType (staff, student or guest); nine of ten have a
// telephoneNumber. Groups are called like confocal-users, nested ones like imaging-all, and then the same with a number.
func Generate(o GenOptions) []Entry {
	if o.Base == "" {
		o.Base = "dc=example,dc=org"
	}
	if o.Labs == 0 {
		o.Labs = 12
	}
	g := &generator{
		GenOptions: o,
		random:     rand.New(rand.NewPCG(o.Seed, 0)), //nolint:gosec // test data, the same in every run
		taken:      map[string]int{},
	}
	rdn, _, _ := strings.Cut(o.Base, ",")
	attr, name, _ := strings.Cut(rdn, "=")
	class := map[string]string{"dc": "domain", "o": "organization", "ou": "organizationalUnit"}[strings.ToLower(attr)]
	g.add(o.Base, class, map[string][]string{attr: {name}})
	for _, ou := range []string{"people", "groups"} {
		g.add("ou="+ou+","+o.Base, "organizationalUnit", map[string][]string{"ou": {ou}})
	}
	for i := range o.People {
		g.person(i)
	}
	g.groups()
	return g.entries
}

type generator struct {
	GenOptions

	random  *rand.Rand
	taken   map[string]int // names and how often they were given
	people  []string       // DNs
	entries []Entry
}

func (g *generator) add(dn, class string, attrs map[string][]string) {
	attrs["objectClass"] = []string{class}
	if class == "inetOrgPerson" {
		attrs["objectClass"] = []string{"inetOrgPerson", "organizationalPerson", "person", "top"}
	}
	g.entries = append(g.entries, Entry{DN: dn, Attrs: attrs})
}

// unique numbers a name that was given before.
func (g *generator) unique(name string) string {
	g.taken[name]++
	if n := g.taken[name]; n > 1 {
		return fmt.Sprintf("%s%d", name, n)
	}
	return name
}

func (g *generator) pick(list string) string {
	words := strings.Fields(list)
	return words[g.random.IntN(len(words))]
}

func (g *generator) person(i int) {
	given := g.pick("Anna Ben Chiara David Elif Femke Goran Hélène Ivan Jürgen Kenji Laura Mei Noah Olga Paulo Qiu Rosa Sven " +
		"Tomás Uma Viktor Wanda Xenia Yusuf Zoë")
	sn := g.pick("Ackermann Bianchi Costa Dubois Eriksson Fischer García Huber Ito Jensen Keller Lefèvre Müller Novak Okafor " +
		"Petrov Rossi Schäfer Tanaka Ueda Vogel Weber Yılmaz Zhang")
	uid := g.unique(plain(given[:1] + sn))
	kind := "staff"
	switch n := g.random.IntN(10); {
	case n < 3:
		kind = "student"
	case n < 4:
		kind = "guest"
	}
	attrs := map[string][]string{
		"uid": {uid}, "cn": {given + " " + sn}, "sn": {sn}, "givenName": {given}, "mail": {uid + "@example.org"},
		"ou": {fmt.Sprintf("lab%02d", g.random.IntN(g.Labs)+1)}, "employeeType": {kind},
	}
	if g.random.IntN(10) > 0 {
		attrs["telephoneNumber"] = []string{fmt.Sprintf("+41 61 555 %04d", i)}
	}
	dn := "uid=" + uid + ",ou=people," + g.Base
	g.people = append(g.people, dn)
	g.add(dn, "inetOrgPerson", attrs)
}

// groups makes the groups of people first, then those that hold groups.
func (g *generator) groups() {
	const most = 60 // members of a group of people, and never more than a fifth of all
	nested := min(g.Nested, g.Groups-1)
	var leaves, parents []string
	for range g.Groups - max(nested, 0) {
		size := min(len(g.people), 1+g.random.IntN(min(most, len(g.people)/5+1)))
		var members []string
		for _, i := range g.random.Perm(len(g.people))[:size] {
			members = append(members, g.people[i])
		}
		leaves = append(leaves, g.group(g.pick("confocal cytometry sequencing microct massspec nmr lightsheet sorter em cryo-em "+
			"proteomics culture")+"-users", members))
	}
	for i := range nested {
		var members []string
		for _, j := range g.random.Perm(len(leaves))[:min(3, len(leaves))] {
			members = append(members, leaves[j])
		}
		if i%2 == 1 { // two levels: a group of groups of groups
			members = append(members, parents[i-1])
		}
		parents = append(parents, g.group(g.pick("imaging analytics genomics campus")+"-all", members))
	}
}

// group adds one and returns its DN. A groupOfNames must have a member, so an empty one gets what directories put there: itself.
func (g *generator) group(name string, members []string) string {
	cn := g.unique(name)
	dn := "cn=" + cn + ",ou=groups," + g.Base
	if len(members) == 0 {
		members = []string{dn}
	}
	g.add(dn, "groupOfNames", map[string][]string{"cn": {cn}, "member": members})
	return dn
}

// plain spells a name in ASCII and lower case, for logins.
func plain(s string) string {
	return strings.ToLower(strings.NewReplacer("é", "e", "è", "e", "ë", "e", "á", "a", "í", "i", "ü", "ue", "ä", "ae", "ı", "i").Replace(s))
}
