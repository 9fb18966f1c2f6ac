package ldapsrc

import (
	"fmt"
	"slices"

	"ppms-syncd/internal/reconcile"
)

// ruleBook knows, for each group, which rules it gives its members something by.
type ruleBook struct {
	sources []RuleSource
	reach   map[int][]reached // by group
	reads   []ruleRead
	best    []*reached // by rule, of the person at hand
}

// reached is a rule whose group contains some other group, or is it.
type reached struct {
	rule  int
	group int
	rank  int      // of the path among those of the rule
	names []string // of the path, once somebody has it; shared by all members
}

// ruleRead collects why a rule cannot be trusted.
type ruleRead struct {
	suspect string
	dn      string // of the person for whom its condition failed; the first by DN, so that order does not matter
	root    string // DN of its group; "" for a condition
	ways    ways   // from there
	groups  []int  // that it reaches
}

func newRuleBook(sources []RuleSource, g *groupGraph) *ruleBook {
	b := &ruleBook{sources: sources, reach: make(map[int][]reached), reads: make([]ruleRead, len(sources)), best: make([]*reached, len(sources))}
	for i, s := range sources {
		if s.When != nil {
			b.reads[i].suspect = g.doubt(s.When.expr.groups)
			continue
		}
		root, problem := g.find(s.Group)
		if problem != "" {
			b.reads[i].suspect = problem
			continue
		}
		below := g.below(root)
		b.reads[i].suspect = g.badBelow(below.order)
		b.reads[i].root, b.reads[i].ways, b.reads[i].groups = g.groups[root].key, below, slices.Sorted(slices.Values(below.order))
		for rank, at := range below.order {
			b.reach[at] = append(b.reach[at], reached{rule: i, group: at, rank: rank})
		}
	}
	return b
}

// members lists the rules that apply to a person, in their order, each with its best path.
func (b *ruleBook) members(g *groupGraph, p *subject, direct []int) []reconcile.Member {
	clear(b.best)
	for _, d := range direct {
		for i := range b.reach[d] {
			r := &b.reach[d][i]
			if old := b.best[r.rule]; old == nil || r.rank < old.rank {
				b.best[r.rule] = r
			}
		}
	}
	var out []reconcile.Member
	for i, s := range b.sources {
		if s.When == nil {
			if r := b.best[i]; r != nil {
				if r.names == nil {
					r.names = g.pathNames(b.reads[i].ways.to(r.group))
					slices.Reverse(r.names)
				}
				out = append(out, reconcile.Member{Rule: i, Path: r.names})
			}
			continue
		}
		holds, err := s.When.holds(p)
		if err != nil {
			b.failed(i, p.entry.DN, err)
		} else if holds {
			out = append(out, reconcile.Member{Rule: i})
		}
	}
	return out
}

func (b *ruleBook) failed(rule int, dn string, err error) {
	r := &b.reads[rule]
	if r.suspect == "" || r.dn != "" && dn < r.dn {
		r.suspect, r.dn = fmt.Sprintf("its condition failed for %s: %v", dn, err), dn
	}
}

// result is what was found of each rule's groups.
func (b *ruleBook) result(g *groupGraph, known []string) []reconcile.RuleRead {
	out := make([]reconcile.RuleRead, len(b.reads))
	for i, r := range b.reads {
		if s := b.sources[i]; s.When != nil {
			out[i] = g.usedBy(s.When.expr.groups, known)
		} else {
			out[i] = g.found(r.groups, known)
		}
		out[i].Suspect, out[i].Root = r.suspect, r.root
	}
	return out
}

// usedBy is what was found of the groups that an expression names, or of all if it may look at any.
func (g *groupGraph) usedBy(use groupUse, known []string) reconcile.RuleRead {
	if !use.any || use.named {
		return g.found(g.named(use), known)
	}
	all := make([]int, len(g.groups))
	for i := range all {
		all[i] = i
	}
	out := g.found(all, nil)
	out.Any, out.Empty = true, nil
	return out
}

// found tells these groups apart. known are DNs that were groups at an earlier read: one that is still listed as a member, but was not
// read this time, may have been hidden from the reader.
func (g *groupGraph) found(groups []int, known []string) (out reconcile.RuleRead) {
	for _, at := range groups {
		x := &g.groups[at]
		if x.empty {
			out.Empty = append(out.Empty, x.key)
			continue
		}
		out.Groups = append(out.Groups, x.key)
		switch { // people whose primary group it is would hide that the list is withheld
		case g.primary.Group == "":
		case x.lists:
			out.Groups = append(out.Groups, reconcile.ListMark+x.key)
		default:
			out.Empty = append(out.Empty, reconcile.ListMark+x.key)
		}
	}
	slices.Sort(out.Groups)
	for _, dn := range known {
		if _, read := g.byKey[dn]; read || !g.nested {
			continue
		}
		if slices.ContainsFunc(g.direct[dn], func(at int) bool { return slices.Contains(groups, at) }) {
			out.Unread = append(out.Unread, dn)
		}
	}
	return out
}
