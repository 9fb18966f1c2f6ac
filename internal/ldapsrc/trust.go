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
	for _, n := range slices.Concat(use.names, use.dns) {
		if i, problem := g.find(n); problem == "" {
			for _, r := range g.below(i).order {
				reached[r] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(reached))
}

// misspelt says why an expression never finds a group by this name, or by this DN, though find does.
func (x *group) misspelt(n string, dn bool) string {
	switch name := slices.Contains(x.names, n); {
	case dn && x.dn == n, !dn && name:
		return ""
	case dn && name:
		return fmt.Sprintf("the group %s was not found; group_dns has DNs, and this is a name: use groups", n)
	case !dn && x.dn == n:
		return fmt.Sprintf("the group %s was not found; groups has names, and this is a DN: use group_dns", n)
	case dn:
		return fmt.Sprintf("the group %s was not found; expressions distinguish case and blanks, and %s exists", n, x.dn)
	}
	return fmt.Sprintf("the group %s was not found; expressions distinguish case, and %s exists", n, x.name)
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
	for at, n := range slices.Concat(use.names, use.dns) {
		i, problem := g.find(n)
		if problem == "" {
			problem = g.groups[i].misspelt(n, at >= len(use.names))
		}
		if problem != "" {
			return problem
		}
		reached = append(reached, g.below(i).order...)
	}
	return g.badBelow(reached)
}
