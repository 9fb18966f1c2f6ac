package ldapsrc

import (
	"cmp"
	"slices"
)

// path is a way through the groups, from the outermost to the innermost.
type path []int

// compare puts shorter paths first, then goes by the groups' names, then by their DNs.
func (g *groupGraph) compare(a, b path) int {
	return cmp.Or(cmp.Compare(len(a), len(b)),
		slices.CompareFunc(a, b, func(x, y int) int { return cmp.Compare(g.groups[x].name, g.groups[y].name) }),
		slices.Compare(a, b))
}

// walk finds the best path to every group that can be reached, level by level, so that cycles end by themselves. next gives
// the neighbours of a group and extend the path to one of them.
func (g *groupGraph) walk(start []path, end func(path) int, next func(int) []int, extend func(path, int) path) map[int]path {
	best := make(map[int]path)
	for level := start; len(level) > 0; {
		slices.SortFunc(level, g.compare)
		var further []path
		for _, p := range level {
			at := end(p)
			if _, known := best[at]; known {
				continue
			}
			best[at] = p
			for _, n := range next(at) {
				if _, known := best[n]; !known {
					further = append(further, extend(p, n))
				}
			}
		}
		level = further
	}
	return best
}

// below gives the best path from a group to each that it contains, itself included.
func (g *groupGraph) below(root int) map[int]path {
	return g.walk([]path{{root}},
		func(p path) int { return p[len(p)-1] },
		func(i int) []int { return g.groups[i].children },
		func(p path, n int) path { return append(slices.Clip(p), n) })
}

// above gives, for somebody whom these groups list, each group that contains them, with the best path down from it.
func (g *groupGraph) above(direct []int) map[int]path {
	start := make([]path, len(direct))
	for i, d := range direct {
		start[i] = path{d}
	}
	return g.walk(start,
		func(p path) int { return p[0] },
		func(i int) []int { return g.groups[i].parents },
		func(p path, n int) path { return append(path{n}, p...) })
}

// containing lists all groups that contain somebody whom these groups list, ascending. It is above without the paths, for
// everybody.
func (g *groupGraph) containing(direct []int) []int {
	nested := false
	for _, d := range direct {
		nested = nested || len(g.groups[d].parents) > 0
	}
	if !nested {
		return direct
	}
	all := slices.Clone(direct)
	seen := make(map[int]bool, 2*len(direct))
	for _, d := range direct {
		seen[d] = true
	}
	for i := 0; i < len(all); i++ {
		for _, p := range g.groups[all[i]].parents {
			if !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	slices.Sort(all)
	return all
}

// pathNames spells a path.
func (g *groupGraph) pathNames(p path) []string {
	names := make([]string, len(p))
	for i, x := range p {
		names[i] = g.groups[x].name
	}
	return names
}
