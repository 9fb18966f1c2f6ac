package ldapsrc

import (
	"cmp"
	"slices"
)

// ways are the best ways through the groups to all that can be reached: the shorter first, then by the groups' names, then by their
// DNs. Each is kept as its last step, since paths spelled out take the square of what a long chain of groups has.
type ways struct {
	order []int       // groups, by their way
	via   map[int]int // the group before it on its way; -1 at the start
}

// step is one way on, and the place of the way before it: names is the same for ways that are spelled alike.
type step struct{ at, via, names, rank int }

// walk goes level by level, so that cycles end by themselves. next gives the neighbours of a group, which come after it on a path if
// the walk goes down, and before it otherwise.
func (g *groupGraph) walk(start []int, next func(int) []int, down bool) ways {
	w := ways{via: make(map[int]int)}
	level := make([]step, len(start))
	for i, at := range start {
		level[i] = step{at: at, via: -1}
	}
	byName := func(a, b step) int {
		own, before := cmp.Compare(g.groups[a.at].name, g.groups[b.at].name), cmp.Compare(a.names, b.names)
		if down {
			return cmp.Or(before, own)
		}
		return cmp.Or(own, before)
	}
	for len(level) > 0 {
		slices.SortFunc(level, func(a, b step) int {
			own, before := cmp.Compare(a.at, b.at), cmp.Compare(a.rank, b.rank)
			if down {
				return cmp.Or(byName(a, b), before, own)
			}
			return cmp.Or(byName(a, b), own, before)
		})
		var further []step
		names := 0
		for i, s := range level {
			if i > 0 && byName(level[i-1], s) != 0 {
				names++
			}
			if _, known := w.via[s.at]; known {
				continue
			}
			for _, n := range next(s.at) {
				if _, known := w.via[n]; !known {
					further = append(further, step{n, s.at, names, len(w.order)})
				}
			}
			w.via[s.at] = s.via
			w.order = append(w.order, s.at)
		}
		level = further
	}
	return w
}

// to lists the groups of a way, the one it leads to first.
func (w *ways) to(at int) []int {
	var path []int
	for ; at >= 0; at = w.via[at] {
		path = append(path, at)
	}
	return path
}

// below gives the ways from a group to each that it contains, itself included.
func (g *groupGraph) below(root int) ways {
	return g.walk([]int{root}, func(i int) []int { return g.groups[i].children }, true)
}

// above gives, for somebody whom these groups list, the ways up to each group that contains them.
func (g *groupGraph) above(direct []int) ways {
	return g.walk(direct, func(i int) []int { return g.groups[i].parents }, false)
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
func (g *groupGraph) pathNames(p []int) []string {
	names := make([]string, len(p))
	for i, x := range p {
		names[i] = g.groups[x].name
	}
	return names
}
