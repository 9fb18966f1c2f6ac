package ldapsrc

import (
	"cmp"
	"slices"
	"strings"

	"ppms-syncd/internal/reconcile"
)

// group is one group of the directory.
type group struct {
	key   string // of its DN
	dn    string
	name  string   // for people to read
	names []string // all that it is called

	members  []string // keys; only until the graph is built
	empty    bool     // lists nobody at all
	bad      string   // what of its members could not be understood
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
	direct map[string][]int // key of a member → groups that list it, ascending
}

func (g *groupGraph) add(e *entry, search GroupSearch) error {
	key, err := dnKey(e.DN)
	if err != nil {
		return incomplete("look at it with ldapsearch", "a group's name %q cannot be understood: %v", e.DN, err)
	}
	names := make([]string, 0, 1)
	for _, n := range e.get(search.Name) {
		if n = strings.TrimSpace(n); n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	out := group{key: key, dn: e.DN, names: names, name: e.DN}
	if own, ok := ownName(e.DN, search.Name, names); ok {
		out.name = own
	} else if len(names) > 0 {
		out.name = names[0]
	}
	members := e.get(search.Member)
	out.members = make([]string, 0, len(members))
	for _, m := range members {
		k, err := dnKey(m)
		switch {
		case err != nil && (out.bad == "" || m < out.bad):
			out.bad = m
		case err == nil && k != "": // an empty name is a usual dummy
			out.members = append(out.members, k)
		}
	}
	out.empty = len(members) == 0
	g.groups = append(g.groups, out)
	return nil
}

// build connects the groups once all have been added.
func (g *groupGraph) build(nested bool) error {
	g.nested = nested
	slices.SortFunc(g.groups, func(a, b group) int { return cmp.Compare(a.key, b.key) })
	g.byKey = make(map[string]int, len(g.groups))
	g.byName = make(map[string][]int, len(g.groups))
	g.direct = make(map[string][]int)
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
	for i := range g.groups {
		x := &g.groups[i]
		for _, m := range x.members {
			listing := g.direct[m]
			if len(listing) > 0 && listing[len(listing)-1] == i {
				continue // listed twice, in two spellings
			}
			g.direct[m] = append(listing, i)
			if child, ok := g.byKey[m]; ok && nested && child != i {
				x.children = append(x.children, child)
				g.groups[child].parents = append(g.groups[child].parents, i)
			}
		}
		x.members = nil
	}
	return nil
}

func foldName(s string) string { return string(reconcile.KeyOf(s)) }
