package ldapsrc

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// find looks for a group by name or DN. The text says why there is not exactly one.
func (g *groupGraph) find(nameOrDN string) (int, string) {
	at := g.byName[foldName(nameOrDN)]
	switch {
	case len(at) == 1:
		return at[0], ""
	case len(at) > 1:
		dns := make([]string, len(at))
		for i, x := range at {
			dns[i] = g.groups[x].dn
		}
		return 0, fmt.Sprintf("the name %s fits %d groups: %s; use its DN", nameOrDN, len(at), strings.Join(dns, "; "))
	}
	if strings.Contains(nameOrDN, "=") {
		if key, err := dnKey(nameOrDN); err == nil {
			if i, ok := g.byKey[key]; ok {
				return i, ""
			}
		}
	}
	return 0, fmt.Sprintf("the group %s was not found", nameOrDN)
}

// badBelow says why not all members of these groups are known.
func (g *groupGraph) badBelow(reached []int) string {
	worst := -1
	for _, i := range reached {
		if g.groups[i].bad != "" && (worst < 0 || i < worst) {
			worst = i
		}
	}
	if worst < 0 {
		return ""
	}
	return g.groups[worst].bad
}

// named are the groups that an expression names, and all that these contain.
func (g *groupGraph) named(use groupUse) []int {
	reached := make(map[int]bool)
	for _, n := range use.names {
		if i, problem := g.find(n); problem == "" {
			for _, r := range g.below(i).order {
				reached[r] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(reached))
}

// doubt says why what an expression sees of the groups cannot be trusted: a group that it names does not exist or is one of
// several, or has a member that could not be understood. "" if it can.
func (g *groupGraph) doubt(use groupUse) string {
	if !use.any {
		return ""
	}
	var reached []int
	if !use.named { // it may look at any of them
		for i := range g.groups {
			reached = append(reached, i)
		}
	}
	for _, n := range use.names {
		i, problem := g.find(n)
		if problem == "" && !slices.Contains(g.groups[i].names, n) && g.groups[i].dn != n {
			problem = fmt.Sprintf("the group %s was not found; expressions distinguish case, and %s exists", n, g.groups[i].name)
		}
		if problem != "" {
			return problem
		}
		reached = append(reached, g.below(i).order...)
	}
	return g.badBelow(reached)
}
