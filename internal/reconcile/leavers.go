package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// decideLeavers follows who is missing, disabled or expired, and plans deactivations.
//
// Only linked, active accounts are looked at: for anybody else there is nothing to take away. A read that shrank confirms
// nobody; the memory stays as it was.
func (c *comparison) decideLeavers() {
	if c.frozen {
		return
	}
	c.carryDeactivations()
	before := c.Memory.Seen.Disabling
	c.hidden = cmp.Or(c.Directory.Disabling.lost(before), c.Directory.Disabling.gone(before))
	present := make(map[string]*subject, len(c.subjects))
	for i := range c.subjects {
		present[c.subjects[i].ID] = &c.subjects[i]
	}
	links := slices.SortedFunc(maps.Values(c.links), func(a, b *Link) int { return cmp.Compare(a.ID, b.ID) })
	for i := range c.newLinks {
		if c.links[c.newLinks[i].ID] == nil {
			links = append(links, &c.newLinks[i])
		}
	}
	for _, link := range links {
		if s := present[link.ID]; s != nil {
			c.decidePresent(link, s)
		} else {
			c.decideMissing(link)
		}
	}
}

// decidePresent follows somebody whom the read returned.
func (c *comparison) decidePresent(link *Link, s *subject) {
	switch {
	case s.held && s.State == Enabled:
	case s.held || s.State == Doubtful:
		c.keepCause(link)
	case s.State == Enabled:
		c.forgetOverruled(KeyOf(link.Login))
	default:
		c.leave(link, s.State, "", c.shownEnabled(link, s))
	}
}

// keepCause is for somebody of whom nothing can be decided in this read: what was known of them stays known.
func (c *comparison) keepCause(link *Link) {
	if cause, ok := c.Memory.Leavers[link.ID]; ok {
		c.leavers[link.ID] = cause
	}
}

// shownEnabled is the scope of the last accepted read that showed somebody enabled who is disabled in this one; "" where it may be the
// group or the attribute that is no longer seen, and not the person who lost it.
func (c *comparison) shownEnabled(link *Link, s *subject) string {
	why := c.hidden
	if s.Former {
		why = "groups list " + s.DN + " as " + link.DN + "; let them follow"
	}
	before, known := c.Memory.Leavers[link.ID]
	if known = known && before.state() == (Cause{State: s.State}).state(); known || why == "" {
		return link.EnabledScope
	}
	c.issue(RuleSuspended, "", "whom this read is the first to show as disabled is not deactivated without approval: %s", why)
	return ""
}

// decideMissing follows a linked person whom the read did not return. Somebody whose login the read has is never a leaver,
// whatever their id.
func (c *comparison) decideMissing(link *Link) {
	if c.people[KeyOf(link.Login)] > 0 || c.people[link.Key] > 0 {
		return
	}
	if account, there := c.accounts[KeyOf(link.Login)]; there && c.doubtful(link) {
		if a := &c.PPMS.Accounts[account]; a.Active {
			c.issue(IdentityMismatch, a.Login, "%s, to whom an account of this login was linked, is not in the directory to be compared with this one: "+
				"deactivate it in PPMS if it is theirs; `ppms-syncd unlink %s` says that it is not", link.DN, a.Login)
		}
		return
	}
	where, known := c.Directory.Lookups[link.ID]
	if !known || where.Err != "" {
		c.keepCause(link)
		return
	}
	detail := "no longer in the directory"
	if where.DN != "" {
		detail = "no longer found by the search; the entry is now " + where.DN + ";"
	}
	c.leave(link, Missing, detail, link.EnabledScope)
}

// leave counts one more read that showed the state, and deactivates when that is enough. shown is the scope of the last accepted read that
// showed the opposite.
func (c *comparison) leave(link *Link, state State, detail, shown string) {
	key := KeyOf(link.Login)
	account, ok := c.accounts[key]
	if !ok || c.duplicates[key] || !c.PPMS.Accounts[account].Active || c.untouchable(key) != "" {
		return
	}
	var before *Cause
	if known, ok := c.Memory.Leavers[link.ID]; ok {
		before = &known
	}
	cause := c.cause(before, state, shown)
	c.leavers[link.ID] = cause
	login := c.PPMS.Accounts[account].Login
	if ours, ok := c.deactivated[key]; ok {
		c.issue(ReactivatedByStaff, login, "%s in the directory; we deactivated the account on %s and somebody activated it again: left so; "+
			"deactivate it in PPMS if that was no intent", state, day(ours.At))
		return
	}
	if !c.Settings.Leavers.due(cause, c.Now) {
		return
	}
	if detail == "" {
		detail = state.String() + " in the directory"
	}
	c.changes = append(c.changes, &Change{
		Kind: UpdateUser, Login: login, Fields: activeFromTo("true", "false"), PersonID: link.ID, DN: link.DN,
		Reason:   fmt.Sprintf("%s since %s, seen in %d complete reads", detail, day(cause.Since), cause.Reads),
		Unproven: cause.Scope != c.Settings.Scope,
	})
}

// due says whether a leaver was seen often and long enough.
func (l LeaverSettings) due(cause Cause, now time.Time) bool {
	return cause.Reads >= l.Confirmations && !now.Before(l.End(cause))
}

// End is when the grace of a leaver ends.
func (l LeaverSettings) End(cause Cause) time.Time {
	if cause.State == Missing {
		return cause.Since.Add(l.Grace)
	}
	return cause.Since.Add(l.DisabledGrace)
}

// carryDeactivations keeps the memory of what we deactivated, under the accounts' present logins, for as long as it holds. What is active
// somebody else has activated, whoever it is about.
func (c *comparison) carryDeactivations() {
	for key, ours := range c.Memory.Deactivated {
		another := c.another(key)
		if login, ok := c.moved[key]; ok {
			key, ours.Login = KeyOf(login), login
		}
		account, there := c.accounts[key]
		if there && another {
			continue
		}
		ours.Overruled = ours.Overruled || there && c.PPMS.Accounts[account].Active
		c.deactivated[key] = ours
	}
}

// forgetOverruled ends the memory of a deactivation once the person is back and the account active.
func (c *comparison) forgetOverruled(key Key) {
	key = c.after(key)
	if account, ok := c.accounts[key]; ok && c.PPMS.Accounts[account].Active {
		delete(c.deactivated, key)
	}
}

// after gives the key that an account has now, which differs only while a link moves.
func (c *comparison) after(key Key) Key {
	if login, ok := c.moved[key]; ok {
		return KeyOf(login)
	}
	return key
}

// before gives the key that the ledger knows an account by, which differs only while a link moves.
func (c *comparison) before(key Key) Key {
	for old, login := range c.moved {
		if KeyOf(login) == key {
			return old
		}
	}
	return key
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }
