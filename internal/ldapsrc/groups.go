package ldapsrc

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ppms-syncd/internal/reconcile"
)

// group is one group of the directory.
type group struct {
	key   string // of its DN
	dn    string
	name  string   // for people to read
	names []string // all that it is called

	members  []string // keys or uids; only until the graph is built
	number   string   // by which people name it as their primary group; "" if none do
	lists    bool     // lists somebody, whoever that is
	empty    bool     // lists nobody at all, and is nobody's primary group
	bad      string   // why not all of its members are known
	children []int    // groups that it lists, by name
	parents  []int    // groups that list it
}

// groupGraph is all groups, and who lists whom. It is built once, of complete lists, so that the order in which a server
// returns things does not matter.
type groupGraph struct {
	groups []group          // by key
	byKey  map[string]int   // key of the DN
	byName map[string][]int // folded name
	nested bool             // groups that list groups count
	uids   bool             // members are uids, not DNs
	direct map[string][]int // key of a member → groups that list it, ascending
	byUID  map[string][]int // the same for members whom their uid stands for
	// Primary groups do not list their people. See Kind.
	primary  Primary
	byNumber map[string][]int
}

// memberUID is the attribute of posixGroup, which has bare uids (RFC 2307).
const memberUID = "memberUid"

func (g *groupGraph) add(e *entry, search GroupSearch) error {
	if err := e.named("a group"); err != nil {
		return err
	}
	names := make([]string, 0, 1)
	for _, n := range e.get(search.Name) {
		if n = strings.TrimSpace(n); n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	out := group{key: e.key, dn: e.DN, names: names, name: e.DN}
	if own, ok := ownName(e.DN, search.Name, names); ok {
		out.name = own
	} else if len(names) > 0 {
		out.name = names[0]
	}
	out.readMembers(search.Member, e.all(search.Member))
	if g.primary.Group != "" {
		out.readNumber(g.primary.Group, e.get(g.primary.Group))
	}
	g.groups = append(g.groups, out)
	return nil
}

func (g *group) readMembers(attribute string, values []string) {
	kind, read := "DN", dnKey
	switch {
	case strings.EqualFold(attribute, memberUID):
		kind, read = "uid", uidKey
	case strings.EqualFold(attribute, "uniqueMember"):
		read = uniqueKey
	}
	g.members = make([]string, 0, len(values))
	worst := "" // the first in order, so that the server's order does not matter
	for _, m := range values {
		k, err := read(m)
		switch {
		case err != nil && (g.bad == "" || m < worst):
			worst = m
			g.bad = fmt.Sprintf("a member of the group %s cannot be understood: %q is no %s", g.dn, m, kind)
		case err == nil && k != "": // an empty name is a usual dummy
			g.members = append(g.members, k)
		}
	}
	g.lists, g.empty = len(values) > 0, len(values) == 0
}

// readNumber reads what people name their primary group by. Without it nobody knows whose it is.
func (g *group) readNumber(attribute string, values []string) {
	if len(values) != 1 {
		g.bad = fmt.Sprintf("not all members of the group %s are known: it has %d values of %s", g.dn, len(values), attribute)
		return
	}
	number, err := groupNumber(attribute, values[0])
	if err != nil {
		g.bad = fmt.Sprintf("not all members of the group %s are known: %s: %v", g.dn, attribute, err)
	}
	g.number = number
}

// uidKey normalises a uid as its matching rule does.
func uidKey(uid string) (string, error) {
	if !utf8.ValidString(uid) || strings.ContainsFunc(uid, unicode.IsControl) {
		return "", errors.New("it is no text")
	}
	return foldText(uid), nil
}

// uniqueKey leaves out the bits that a uniqueMember may end in, as in cn=x#'0101'B.
func uniqueKey(member string) (string, error) {
	if at := strings.LastIndex(member, "#'"); at >= 0 && strings.HasSuffix(member, "'B") && strings.Trim(member[at+2:len(member)-2], "01") == "" {
		member = member[:at]
	}
	return dnKey(member)
}

// build connects the groups once all have been added.
func (g *groupGraph) build(search GroupSearch) error {
	g.nested = search.Nested
	slices.SortFunc(g.groups, func(a, b group) int { return cmp.Compare(a.key, b.key) })
	g.byKey = make(map[string]int, len(g.groups))
	g.byName = make(map[string][]int, len(g.groups))
	g.direct, g.byUID, g.byNumber = make(map[string][]int), make(map[string][]int), make(map[string][]int)
	for i := range g.groups {
		x := &g.groups[i]
		if _, twice := g.byKey[x.key]; twice {
			return incomplete("the next run tries again", "the group %s came twice", x.dn)
		}
		g.byKey[x.key] = i
		for _, n := range x.names {
			f := foldName(n)
			if at := g.byName[f]; len(at) == 0 || at[len(at)-1] != i {
				g.byName[f] = append(at, i)
			}
		}
	}
	g.uids = search.Base != "" && strings.EqualFold(search.Member, memberUID)
	for i := range g.groups {
		g.connect(i)
	}
	return nil
}

// connect enters who is in a group.
func (g *groupGraph) connect(i int) {
	x, index := &g.groups[i], g.direct
	if g.uids {
		index = g.byUID
	}
	for _, m := range x.members {
		listing := index[m]
		if len(listing) > 0 && listing[len(listing)-1] == i {
			continue // listed twice, in two spellings
		}
		index[m] = append(listing, i)
		if child, ok := g.byKey[m]; ok && !g.uids && g.nested && child != i {
			x.children = append(x.children, child)
			g.groups[child].parents = append(g.groups[child].parents, i)
		}
	}
	x.members = nil
	if x.number != "" {
		g.byNumber[x.number] = append(g.byNumber[x.number], i)
	}
}

// of gives the groups that a person is in without nesting, ascending: those that list the DN, those that list a uid, and the
// primary one. The error is about the person alone.
func (g *groupGraph) of(e *entry) ([]int, error) {
	all := g.direct[e.key]
	add := func(more []int) {
		if len(more) > 0 {
			all = append(slices.Clip(all), more...)
		}
	}
	var bad error
	if g.uids {
		known := false
		for _, uid := range e.get(uidAttribute) {
			k, err := uidKey(uid)
			if err != nil {
				bad = fmt.Errorf("%s: %w", uidAttribute, err)
			}
			if k != "" {
				known = true
				add(g.byUID[k])
			}
		}
		if !known && bad == nil {
			bad = fmt.Errorf("%s: there is none, though groups list people by it; let the reader see it", uidAttribute)
		}
	}
	if g.primary.Person != "" {
		for _, v := range e.get(g.primary.Person) {
			number, err := groupNumber(g.primary.Person, v)
			if err != nil {
				bad = fmt.Errorf("%s: %w", g.primary.Person, err)
				continue
			}
			for _, i := range g.byNumber[number] {
				g.groups[i].empty = false
			}
			add(g.byNumber[number])
		}
	}
	if len(all) > len(g.direct[e.key]) {
		slices.Sort(all)
		all = slices.Compact(all)
	}
	return all, bad
}

// uidAttribute is what memberUid speaks of.
const uidAttribute = "uid"

// attributes are those of a group.
func (g *groupGraph) attributes(search GroupSearch) []string {
	return distinct(append(nonEmpty(g.primary.Group), search.Name, search.Member))
}

// memberAttributes are those by which groups know people, beside their DN.
func memberAttributes(search GroupSearch, kind Kind) []string {
	if search.Base == "" {
		return nil
	}
	out := nonEmpty(kind.Primary.Person)
	if strings.EqualFold(search.Member, memberUID) {
		out = append(out, uidAttribute)
	}
	return out
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func foldName(s string) string { return string(reconcile.KeyOf(s)) }
