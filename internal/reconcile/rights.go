package reconcile

import (
	"fmt"
	"slices"
	"strings"
)

// ruleState is a rule with what this read makes of it.
type ruleState struct {
	*Rule
	members   int
	suspended string // why it neither gives nor takes
	systems   []int32
	spelling  string // of its selectors
	seen      []int  // ids of all systems that these selectors have matched, now or before
}

// grid holds the rights of all accounts on all systems that were read, by dense indices: one byte each, so that a facility
// with 100,000 accounts and 50 systems fits in 5 MB.
type grid struct {
	systems []System
	index   map[int]int32
	levels  [][]Level // by system, then account; nil if the system's rights were not read
	covered []bool    // a suspended rule reaches the system: nothing is taken there
}

// decideRights plans grants and revocations.
//
//	wanted   PPMS has          we gave it   outcome
//	------   ---------------   ----------   ----------------------------------------
//	level    none or less      no           granted
//	level    D                 we set D     granted
//	level    D                 else         right-blocked-by-staff
//	level    less than given   yes          right-lowered-by-staff
//	level    at least that     any          kept
//	none     the given level   yes          revoked, if the person is present and enabled: to what staff had given before, else D
//	none     anything else     any          kept
//	any      S                 any          kept
func (c *comparison) decideRights() {
	g := c.readGrid()
	c.resolveRules(g)
	given := c.carryGrants(g)
	want := newWishes(len(g.systems))
	for i := range c.subjects {
		s := &c.subjects[i]
		if !c.mayHaveRights(s) {
			continue
		}
		want.of(s, c.rules)
		c.grantTo(s, g, want, given)
		c.revokeFrom(s, g, want, given)
		want.reset()
	}
	c.grants = given.kept()
	c.reportUnmatchedSystems(g)
}

func (c *comparison) mayHaveRights(s *subject) bool {
	if s.held || s.State != Enabled {
		return false
	}
	if s.account == none {
		return s.creating
	}
	a := c.accountOf(s)
	return a.Active && c.untouchable(KeyOf(a.Login)) == ""
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
		r := ruleState{Rule: &c.Settings.Rules[i], members: members[i]}
		if i < len(c.Directory.Rules) {
			r.suspended = c.Directory.Rules[i].Suspect
		}
		before, known := c.Memory.Rules[r.Name]
		if r.suspended == "" && members[i] == 0 && before.Members > 0 {
			r.suspended = fmt.Sprintf("it has no members, though it had %d; give it one again, or take it out of the configuration", before.Members)
		}
		c.resolveSystems(g, &r)
		if known && before.Selectors == r.spelling {
			r.seen = union(r.seen, before.Systems)
		}
		if r.suspended == "" {
			r.suspended = c.lostGroup(i, before)
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

// lostGroup finds a nested group that gave people to the rule, is still named as a member, but was not read this time: the
// reader may have lost the right to see it.
func (c *comparison) lostGroup(rule int, before RuleMemory) string {
	if rule >= len(c.Directory.Rules) {
		return ""
	}
	for _, dn := range c.Directory.Rules[rule].Unread {
		if slices.Contains(before.Groups, dn) {
			return "its nested group " + dn + " is still a member, but was not read this time; let the reader see it, or remove it from the group"
		}
	}
	return ""
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

// wishes collects what the rules want for one person: by system the level, and the membership that gives it. It is used
// again for each person.
type wishes struct {
	level   []Level
	from    []*Member
	touched []int32
}

func newWishes(systems int) *wishes {
	return &wishes{level: make([]Level, systems), from: make([]*Member, systems)}
}

func (w *wishes) of(s *subject, rules []ruleState) {
	for i := range s.Rules {
		m := &s.Rules[i]
		rule := &rules[m.Rule]
		if rule.suspended != "" {
			continue
		}
		for _, system := range rule.systems {
			if w.level[system] == None {
				w.touched = append(w.touched, system)
			}
			if rule.Level > w.level[system] || rule.Level == w.level[system] && m.Rule < w.from[system].Rule {
				w.level[system], w.from[system] = rule.Level, m
			}
		}
	}
}

func (w *wishes) reset() {
	for _, system := range w.touched {
		w.level[system], w.from[system] = None, nil
	}
	w.touched = w.touched[:0]
}

// given is the memory of what we gave, with an index by account and system.
type given struct {
	list []Grant
	at   map[[2]int32]int
	of   map[int32][]int // by account
	lost map[int]bool    // of the list: staff's now, and no rule wants it
}

func (x *given) kept() []Grant {
	kept := make([]Grant, 0, len(x.list))
	for i := range x.list {
		if !x.lost[i] {
			kept = append(kept, x.list[i])
		}
	}
	return kept
}

func (x *given) find(account, system int32) *Grant {
	if i, ok := x.at[[2]int32{account, system}]; ok {
		return &x.list[i]
	}
	return nil
}

// carryGrants keeps the memory of what we gave, under the accounts' present logins. Where a level that we set is no longer
// there, and nothing of the memory could matter again, revokeFrom drops it.
func (c *comparison) carryGrants(g *grid) *given {
	x := &given{at: make(map[[2]int32]int, len(c.Memory.Grants)), of: map[int32][]int{}, lost: map[int]bool{}}
	for _, grant := range c.Memory.Grants {
		if login, ok := c.moved[KeyOf(grant.Login)]; ok {
			grant.Login = login
		}
		account, known := c.accounts[KeyOf(grant.Login)]
		system, exists := g.index[grant.System]
		if known && exists && g.levels[system] != nil && grant.Level == Deactivated && g.levels[system][account] != Deactivated {
			continue // we had revoked it, and staff gave it again: theirs now
		}
		x.list = append(x.list, grant)
		if known && exists {
			x.at[[2]int32{account, system}] = len(x.list) - 1
			x.of[account] = append(x.of[account], len(x.list)-1)
		}
	}
	return x
}

// grantTo plans what is wanted and not there.
func (c *comparison) grantTo(s *subject, g *grid, want *wishes, given *given) {
	slices.Sort(want.touched)
	for _, system := range want.touched {
		levels := g.levels[system]
		if levels == nil {
			continue
		}
		have, login := None, strings.TrimSpace(s.Login)
		var gave *Grant
		if s.account != none {
			have, login = levels[s.account], c.accountOf(s).Login
			gave = given.find(s.account, system)
		}
		wanted := want.level[system]
		if gave != nil {
			gave.Unwanted, gave.WantedScope = nil, c.Settings.Scope
			gave.noteStaff(have)
		}
		if have >= wanted {
			continue
		}
		rule := &c.rules[want.from[system].Rule]
		where := fmt.Sprintf("%s (%d): rule %s gives %s, PPMS has %s", g.systems[system].Name, g.systems[system].ID, rule.Name, wanted, orNone(have.String()))
		switch {
		case have == Deactivated && (gave == nil || gave.Level != Deactivated):
			c.issue(RightBlockedByStaff, login, "%s, which we did not set: left so", where)
		case gave != nil && gave.Level != Deactivated && have < gave.Level:
			c.issue(RightLoweredByStaff, login, "%s, though we gave %s on %s: left so", where, gave.Level, day(gave.At))
		default:
			from := have.String()
			c.changes = append(c.changes, &Change{
				Kind: SetRight, Login: login, System: g.systems[system].ID, SystemName: g.systems[system].Name, From: &from,
				To: wanted.String(), Rule: rule.Name, Path: want.from[system].Path, Reason: because(rule, want.from[system]),
				PersonID: s.ID, DN: s.DN,
			})
		}
	}
}

func because(rule *ruleState, m *Member) string {
	if len(m.Path) == 0 {
		return "rule " + rule.Name + ": its condition holds"
	}
	return "rule " + rule.Name + ": member of " + strings.Join(reversed(m.Path), ", which is in ")
}

func reversed(path []string) []string {
	out := slices.Clone(path)
	slices.Reverse(out)
	return out
}

// revokeFrom plans the end of what we gave and no rule gives any more.
func (c *comparison) revokeFrom(s *subject, g *grid, want *wishes, given *given) {
	if s.account == none {
		return
	}
	for _, i := range given.of[s.account] {
		grant := &given.list[i]
		system := g.index[grant.System]
		levels := g.levels[system]
		if want.level[system] != None || levels == nil || grant.Level == Deactivated {
			continue
		}
		grant.noteStaff(levels[s.account])
		if c.frozen || g.covered[system] || c.leftRule(grant, system) {
			continue
		}
		cause := c.cause(grant.Unwanted, Enabled, grant.WantedScope)
		grant.Unwanted = &cause
		given.lost[i] = grant.Overruled
		if grant.Overruled || levels[s.account] != grant.Level {
			continue
		}
		from, to := grant.Level.String(), Deactivated
		if grant.Before == Novice {
			to = Novice
		}
		c.changes = append(c.changes, &Change{
			Kind: SetRight, Login: c.accountOf(s).Login, System: grant.System, SystemName: g.systems[system].Name, From: &from,
			To: to.String(), Rule: grant.Rule, Reason: fmt.Sprintf("no rule gives it any more; we gave it on %s by rule %s", day(grant.At), grant.Rule),
			PersonID: s.ID, DN: s.DN, Unproven: cause.Scope != c.Settings.Scope,
		})
	}
}

// noteStaff sees that somebody else gave the right another level. A right that is not listed may be a list cut short, and an S
// may be an administrator's: neither says anything about our grant.
func (g *Grant) noteStaff(have Level) {
	if have != g.Level && have != None && have != Superuser && g.Level != Deactivated {
		g.Overruled = true
	}
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
			c.issue(SystemUnmatched, "", "rule %s: system %d %s and no longer fits; the %d rights that we gave on it stay", r.Name, id, name, rights[id])
		}
	}
}

func (c *comparison) ruleMemory() map[string]RuleMemory {
	rules := make(map[string]RuleMemory, len(c.rules))
	for i := range c.rules {
		r := &c.rules[i]
		next := RuleMemory{Members: r.members, Selectors: r.spelling, Systems: r.seen}
		if before := c.Memory.Rules[r.Name]; r.suspended != "" {
			next.Members, next.Groups = max(next.Members, before.Members), before.Groups
		} else if i < len(c.Directory.Rules) {
			next.Groups = c.Directory.Rules[i].Groups
		}
		rules[r.Name] = next
	}
	return rules
}
