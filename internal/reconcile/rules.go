package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ruleState is a rule with what this read makes of it.
type ruleState struct {
	*Rule
	read      *RuleRead
	members   int
	suspended string // why it neither gives nor takes
	systems   []int32
	spelling  string // of its selectors
	seen      []int  // ids of all systems that these selectors have matched, now or before
	another   bool   // its group is another than at the last accepted read, or gone
}

// grid holds the rights of all accounts on all systems that were read, by dense indices: one byte each, so that a facility
// with 100,000 accounts and 50 systems fits in 5 MB.
type grid struct {
	systems []System
	index   map[int]int32
	levels  [][]Level // by system, then account; nil if the system's rights were not read
	covered []bool    // a suspended rule reaches the system: nothing is taken there
}

func (c *comparison) readGrid() *grid {
	g := &grid{systems: slices.Clone(c.PPMS.Systems), index: map[int]int32{}}
	slices.SortFunc(g.systems, func(a, b System) int { return a.ID - b.ID })
	g.levels = make([][]Level, len(g.systems))
	g.covered = make([]bool, len(g.systems))
	for i := range g.systems {
		id := g.systems[i].ID
		g.index[id] = int32(i)
		rights, read := c.PPMS.Rights[id]
		if !read {
			continue
		}
		levels := make([]Level, len(c.PPMS.Accounts))
		for j := range rights {
			if account, ok := c.accounts[KeyOf(rights[j].Login)]; ok {
				levels[account] = max(levels[account], rights[j].Level)
			}
		}
		g.levels[i] = levels
	}
	return g
}

// resolveRules finds each rule's systems and whether its membership can be trusted.
func (c *comparison) resolveRules(g *grid) {
	members := make([]int, len(c.Settings.Rules))
	for i := range c.subjects {
		for _, m := range c.subjects[i].Rules {
			members[m.Rule]++
		}
	}
	c.rules = make([]ruleState, len(c.Settings.Rules))
	for i := range c.Settings.Rules {
		r := ruleState{Rule: &c.Settings.Rules[i], read: &RuleRead{}, members: members[i]}
		if i < len(c.Directory.Rules) {
			r.read = &c.Directory.Rules[i]
		}
		before := c.Memory.Rules[r.Name]
		r.suspended = r.read.Suspect
		if r.suspended == "" && members[i] == 0 && before.Members > 0 {
			r.suspended = fmt.Sprintf("it has no members, though it had %d; give it one again, or take it out of the configuration", before.Members)
		}
		r.suspended = cmp.Or(r.suspended, r.read.lost(before.Groups))
		r.another = r.read.replaced(before.Groups)
		c.resolveSystems(g, &r)
		if before.Selectors == r.spelling {
			r.seen = union(r.seen, before.Systems)
		}
		if r.suspended != "" {
			c.issue(RuleSuspended, "", "rule %s gives and takes nothing: %s", r.Name, r.suspended)
			for _, id := range r.seen {
				if dense, ok := g.index[id]; ok {
					g.covered[dense] = true
				}
			}
		}
		c.rules[i] = r
	}
}

// replaced says whether the rule's group is another than before, or one of all groups is gone.
func (r *RuleRead) replaced(before []string) bool {
	return r.gone(before) != "" || r.Root != "" && len(before) > 0 && !slices.Contains(before, r.Root)
}

// gone finds a group that had somebody before and is not there, or has nobody, where any group may count. It may have been hidden, or
// nobody needs it any more: the reader cannot tell, and since nothing names it, nobody can be asked to correct the name.
func (r *RuleRead) gone(before []string) string {
	if !r.Any {
		return ""
	}
	now := setOf(r.Groups)
	for _, dn := range before {
		if !now[dn] && !strings.HasPrefix(dn, AttributeMark) {
			return "the group " + strings.TrimPrefix(dn, ListMark) + " is gone, or lists nobody any more; let the reader see it, if it is there"
		}
	}
	return ""
}

// lost finds a group that gave people to the rule and is still named, as a member or by a condition, but was not read this time, or
// lists nobody any more: the reader may have lost the right to see it.
func (r *RuleRead) lost(before []string) string {
	had := setOf(before)
	for _, dn := range r.Empty {
		if !had[dn] {
			continue
		}
		if name, ok := strings.CutPrefix(dn, AttributeMark); ok {
			return "nobody has the attribute " + name + " any more; let the reader see it, or take it out of the expression"
		}
		if name, ok := strings.CutPrefix(dn, ListMark); ok {
			return "the group " + name + " lists nobody any more, and has people only by their primary group; let the reader see its members, or list somebody in it"
		}
		return "the group " + dn + " lists nobody any more; let the reader see its members, or remove it from what names it"
	}
	for _, dn := range r.Unread {
		if had[dn] {
			return "the nested group " + dn + " is still a member, but was not read this time; let the reader see it, or remove it from the group"
		}
	}
	return ""
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// resolveSystems fills in the systems that the rule's selectors match.
func (c *comparison) resolveSystems(g *grid, r *ruleState) {
	var spellings []string
	for _, sel := range r.Systems {
		spellings = append(spellings, sel.String())
		matched := false
		for i := range g.systems {
			if !sel.Matches(&g.systems[i]) {
				continue
			}
			matched = true
			dense := int32(i)
			if !slices.Contains(r.systems, dense) {
				r.systems = append(r.systems, dense)
				r.seen = append(r.seen, g.systems[i].ID)
			}
		}
		if !matched {
			c.issue(SystemUnmatched, "", "rule %s: no active system of PPMS is %s", r.Name, sel)
		}
	}
	r.spelling = strings.Join(spellings, ", ")
	slices.Sort(r.seen)
}

func union(a, b []int) []int {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// Matches says whether the selector names the system. Inactive systems are never named.
func (s Selector) Matches(system *System) bool {
	return system.Active &&
		(s.ID == 0 || s.ID == system.ID) &&
		(s.Facility == 0 || s.Facility == system.Facility) &&
		(s.Name == "" || glob(s.Name, system.Name)) &&
		(s.Type == "" || glob(s.Type, system.Type))
}

// glob matches * (anything) and ? (one character), case as given.
func glob(pattern, s string) bool {
	p, t := []rune(tidy(pattern)), []rune(tidy(s))
	star, mark, i, j := -1, 0, 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// leftRule says whether the right ended because PPMS changed the system, not because the directory changed the person.
func (c *comparison) leftRule(grant *Grant, system int32) bool {
	for i := range c.rules {
		r := &c.rules[i]
		if slices.Contains(r.seen, grant.System) && !slices.Contains(r.systems, system) {
			return true
		}
	}
	return false
}

// anotherGroup says whether one of the rules on a system has a group that is another than before, which took its name, or one of
// those that it may look at is gone: then nobody has seen anybody leave it.
func (c *comparison) anotherGroup(system int) bool {
	return slices.ContainsFunc(c.rules, func(r ruleState) bool { return r.another && slices.Contains(r.seen, system) })
}

// reportUnmatchedSystems names the systems that a rule lost by a change in PPMS and on which rights that we gave stay.
func (c *comparison) reportUnmatchedSystems(g *grid) {
	rights := map[int]int{}
	for i := range c.grants {
		if c.grants[i].Level != Deactivated {
			rights[c.grants[i].System]++
		}
	}
	for i := range c.rules {
		r := &c.rules[i]
		for _, id := range r.seen {
			dense, exists := g.index[id]
			if exists && slices.Contains(r.systems, dense) || rights[id] == 0 {
				continue
			}
			name := "is gone from PPMS"
			if exists {
				name = "(" + g.systems[dense].Name + ") was changed in PPMS"
			}
			c.issue(SystemUnmatched, "", "rule %s: system %d %s and no longer fits; the %d rights that we gave on it stay: correct the rule, "+
				"or take them back in PPMS", r.Name, id, name, rights[id])
		}
	}
}

func (c *comparison) seen() Seen {
	s := Seen{Disabling: c.Directory.Disabling.Groups}
	for f := range Field(NumFields) {
		if s.Fields[f] = c.Directory.Fields[f].Groups; c.unseen[f] {
			s.Fields[f] = c.Memory.Seen.Fields[f]
		}
	}
	return s
}

func (c *comparison) ruleMemory() map[string]RuleMemory {
	rules := make(map[string]RuleMemory, len(c.rules))
	for i := range c.rules {
		r := &c.rules[i]
		next := RuleMemory{Members: r.members, Selectors: r.spelling, Systems: r.seen, Groups: r.read.Groups}
		if before := c.Memory.Rules[r.Name]; r.suspended != "" {
			next.Members, next.Groups = max(next.Members, before.Members), before.Groups
		}
		rules[r.Name] = next
	}
	return rules
}
