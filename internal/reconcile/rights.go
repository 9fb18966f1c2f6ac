package reconcile

import (
	"fmt"
	"slices"
	"strings"
)

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
	c.unsure = map[int]bool{}
	for i := range g.systems {
		c.unsure[g.systems[i].ID] = g.covered[i] || g.levels[i] == nil
	}
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

// carryGrants keeps the memory of what we gave, under the accounts' present logins. A D of ours ends when somebody gives the right
// again; one that is not listed stays, since whether PPMS lists a D is not known.
//
// Where this read may show that it was the name that changed, of a group or of an entry, and not the membership, it ends the proof of every
// grant, also of those that it does not look at: who is disabled, held or away comes back when nobody can see that any more.
func (c *comparison) carryGrants(g *grid) *given {
	x := &given{at: make(map[[2]int32]int, len(c.Memory.Grants)), of: map[int32][]int{}, lost: map[int]bool{}}
	former := c.formerAccounts()
	for _, grant := range c.Memory.Grants {
		if former[KeyOf(grant.Login)] || c.anotherGroup(grant.System) {
			grant.WantedScope = ""
		}
		another := c.another(KeyOf(grant.Login))
		if login, ok := c.moved[KeyOf(grant.Login)]; ok {
			grant.Login = login
		}
		account, known := c.accounts[KeyOf(grant.Login)]
		system, exists := g.index[grant.System]
		if known && another {
			continue
		}
		exists = exists && known
		if exists && g.levels[system] != nil {
			have := g.levels[system][account]
			if grant.Level == Deactivated && have > Deactivated {
				continue // staff gave it again: theirs now
			}
			grant.noteStaff(have)
		}
		x.list = append(x.list, grant)
		if exists {
			x.at[[2]int32{account, system}] = len(x.list) - 1
			x.of[account] = append(x.of[account], len(x.list)-1)
		}
	}
	return x
}

// formerAccounts are those of people whom groups list under a DN that they had before.
func (c *comparison) formerAccounts() map[Key]bool {
	former := map[Key]bool{}
	for i := range c.subjects {
		if link := c.links[c.subjects[i].ID]; link != nil && c.subjects[i].Former {
			former[KeyOf(link.Login)] = true
		}
	}
	return former
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
			if gave.Level == Deactivated {
				have = max(have, Deactivated)
			}
		}
		if have >= wanted {
			continue
		}
		rule := &c.rules[want.from[system].Rule]
		where := fmt.Sprintf("%s (%d): rule %s gives %s, PPMS has %s", g.systems[system].Name, g.systems[system].ID, rule.Name, wanted, orNone(have.String()))
		switch {
		case have == Deactivated && (gave == nil || gave.Level != Deactivated):
			c.issue(RightBlockedByStaff, login, "%s, which we did not set: left so; lift it in PPMS if the rule is right", where)
		case gave != nil && gave.Level != Deactivated && have < gave.Level:
			c.issue(RightLoweredByStaff, login, "%s, though we gave %s on %s: left so; raise it in PPMS if the rule is right", where, gave.Level, day(gave.At))
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
