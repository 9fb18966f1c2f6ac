package reconcile

import "slices"

// RuledSystems lists the systems whose rights a run has to read: those that a rule names, and those on which we gave rights.
// Only systems that PPMS has are asked for.
func RuledSystems(s Settings, systems []System, m Memory) []int {
	wanted := map[int]bool{}
	for i := range m.Grants {
		wanted[m.Grants[i].System] = true
	}
	for _, r := range m.Rules {
		for _, id := range r.Systems {
			wanted[id] = true
		}
	}
	var ids []int
	for i := range systems {
		system := &systems[i]
		named := slices.ContainsFunc(s.Rules, func(r Rule) bool {
			return slices.ContainsFunc(r.Systems, func(sel Selector) bool { return sel.Matches(system) })
		})
		if named || wanted[system.ID] {
			ids = append(ids, system.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// RightView is one line of the explanation of somebody's rights.
type RightView struct {
	System System
	Wanted Level // by the rules, None if none gives it
	Rule   string
	Path   []string
	Have   Level
	Gave   *Grant // what the ledger says that we gave
}

// PersonView is everything about one login: what the sides and the ledger have, and what the plan makes of it.
type PersonView struct {
	Person      *Person
	Account     *Account
	Link        *Link
	Matched     bool   // the link is one that the next run makes
	Unsettled   bool   // an issue holds the whole person
	Known       Key    // of the account that the person, who is held, is known by: the issue says that login
	Other       string // login of the account that the person is linked to instead of this one
	Leaver      *Cause
	Untouchable string   // why the account is never written
	Rules       []string // names of those that fit the person, or gave a right
	Rights      []RightView
	Holds       []Hold
}

// View looks one login up in the input of a plan.
func View(in Input, login string) PersonView {
	c := newComparison(&in)
	c.identify()
	key := KeyOf(login)
	v := PersonView{Untouchable: c.untouchable(key)}
	if account, ok := c.accounts[key]; ok {
		v.Account = &c.PPMS.Accounts[account]
	}
	v.Link = c.linkedTo[key]
	for i := range c.newLinks {
		if KeyOf(c.newLinks[i].Login) == key {
			v.Link = &c.newLinks[i]
			v.Matched = c.links[v.Link.ID] == nil
		}
	}
	found := c.personOf(key, v.Link)
	if found != nil {
		v.Person = found.Person
		v.Unsettled = found.held
		switch link := c.links[found.ID]; {
		case link == nil:
		case found.held:
			v.Known = KeyOf(link.Login)
		case v.Link == nil:
			v.Other = link.Login
		}
	}
	if v.Link != nil {
		if cause, ok := c.Memory.Leavers[v.Link.ID]; ok {
			v.Leaver = &cause
		}
	}
	v.Rights = c.rightsView(key, found)
	v.Rules = c.ruleNames(found, v.Rights)
	for _, h := range c.Memory.Held() {
		if c.after(h.Key) == key {
			v.Holds = append(v.Holds, h)
		}
	}
	return v
}

// personOf finds who has a login or, by the link, its account: of several of that login the one that is linked.
func (c *comparison) personOf(key Key, link *Link) (found *subject) {
	for i := range c.subjects {
		s := &c.subjects[i]
		linked := link != nil && s.ID == link.ID
		switch {
		case s.key == key && (linked || found == nil || found.key != key), linked && found == nil:
			found = s
		}
	}
	return found
}

func (c *comparison) ruleNames(s *subject, rights []RightView) (names []string) {
	if s != nil {
		for _, m := range s.Rules {
			names = append(names, c.Settings.Rules[m.Rule].Name)
		}
	}
	for i := range rights {
		if grant := rights[i].Gave; grant != nil {
			names = append(names, grant.Rule)
		}
	}
	return names
}

func (c *comparison) rightsView(key Key, s *subject) []RightView {
	g := c.readGrid()
	c.resolveRules(g)
	given := c.carryGrants(g)
	want := newWishes(len(g.systems))
	if s != nil {
		want.of(s, c.rules)
	}
	account, exists := c.accounts[key]
	var views []RightView
	for i := range g.systems {
		dense := int32(i)
		v := RightView{System: g.systems[i], Wanted: want.level[i]}
		if m := want.from[i]; m != nil {
			v.Rule, v.Path = c.rules[m.Rule].Name, m.Path
		}
		if exists && g.levels[i] != nil {
			v.Have = g.levels[i][account]
			v.Gave = given.find(account, dense)
		}
		if v.Wanted != None || v.Have != None || v.Gave != nil {
			views = append(views, v)
		}
	}
	return views
}
