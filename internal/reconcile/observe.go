package reconcile

import (
	"cmp"
	"slices"
)

func (c *comparison) countAccounts() PPMSInfo {
	info := PPMSInfo{Accounts: len(c.PPMS.Accounts)}
	linked := c.linkedAccounts()
	for i := range c.PPMS.Accounts {
		if !c.PPMS.Accounts[i].Active {
			continue
		}
		info.Active++
		if linked[KeyOf(c.PPMS.Accounts[i].Login)] {
			info.Managed++
		} else {
			info.Unmatched++
		}
	}
	return info
}

// linkedAccounts are the keys of the accounts that are managed once this read's links are made.
func (c *comparison) linkedAccounts() map[Key]bool {
	linked := make(map[Key]bool, len(c.linkedTo)+len(c.newLinks))
	for key := range c.linkedTo {
		linked[key] = true
	}
	for old := range c.moved {
		delete(linked, old)
	}
	for i := range c.newLinks {
		linked[KeyOf(c.newLinks[i].Login)] = true
	}
	return linked
}

// observations are what this read adds to the memory. A read that is not accepted adds nothing but what PPMS said.
func (c *comparison) observations() Observations {
	m := &c.Memory
	if c.frozen {
		return Observations{
			Linked: c.goneLinks(), Leavers: m.Leavers, Grants: m.Grants, Deactivated: m.Deactivated, Admins: c.admins, Rules: m.Rules, Seen: m.Seen,
			Stuck: m.Stuck,
		}
	}
	moved := map[Key]Key{}
	for key := range c.moved {
		moved[key] = c.after(key)
	}
	return Observations{
		Moved: moved, Stuck: c.stuck, Linked: c.linksToKeep(), Leavers: c.leavers, Grants: c.grants, Deactivated: c.deactivated, Admins: c.admins,
		Rules: c.ruleMemory(), Seen: c.seen(),
		Baseline: &Baseline{At: c.Now, People: len(c.Directory.People), Groups: c.Directory.Groups, Scope: c.Settings.Scope},
	}
}

// linksToKeep are the new links, those that moved, and those that this read showed enabled or elsewhere for the first time.
func (c *comparison) linksToKeep() []Link {
	fresh := make(map[string]*Link, len(c.newLinks))
	for i := range c.newLinks {
		fresh[c.newLinks[i].ID] = &c.newLinks[i]
	}
	var links []Link
	for i := range c.subjects {
		s := &c.subjects[i]
		link := fresh[s.ID]
		if link == nil {
			link = c.links[s.ID]
		}
		if link == nil || s.held && fresh[s.ID] == nil {
			continue
		}
		next := *link
		if link.Gone { // what it has is staff's
			next.Since = c.Now
			if c.people[s.key] == 1 {
				next.Origin = Matched
			}
		}
		next.DN, next.Key, next.Gone = s.DN, s.key, false
		if s.State == Enabled {
			next.EnabledScope = c.Settings.Scope
		}
		if fresh[s.ID] != nil || next != *link {
			links = append(links, next)
		}
	}
	return c.withoutProof(append(links, c.goneLinks()...))
}

// withoutProof ends the proof that somebody was enabled, of all whom this read does not show so, where it may have shown less than before
// or groups list the entry under a former DN. Later reads no longer know of that, and may be the first to look at them.
func (c *comparison) withoutProof(links []Link) []Link {
	doubt := map[string]bool{}
	for id := range c.links {
		doubt[id] = c.hidden != ""
	}
	for i := range c.subjects {
		s := &c.subjects[i]
		doubt[s.ID] = s.State != Enabled && (c.hidden != "" || s.Former)
	}
	for i := range links {
		if id := links[i].ID; doubt[id] {
			links[i].EnabledScope, doubt[id] = "", false
		}
	}
	kept := len(links)
	for id, link := range c.links {
		if next := *link; doubt[id] && link.EnabledScope != "" {
			next.EnabledScope = ""
			links = append(links, next)
		}
	}
	slices.SortFunc(links[kept:], func(a, b Link) int { return cmp.Compare(a.ID, b.ID) })
	return links
}

// goneLinks are those whose account PPMS does not have, and those whose account may be another and is not known to be theirs.
func (c *comparison) goneLinks() (gone []Link) {
	theirs := map[string]bool{}
	for i := range c.subjects {
		if s := &c.subjects[i]; !s.held && c.links[s.ID] != nil && (c.moved[KeyOf(c.links[s.ID].Login)] != "" || c.doubtful(c.links[s.ID])) {
			theirs[s.ID] = true
		}
	}
	for id, link := range c.links {
		if _, there := c.accounts[KeyOf(link.Login)]; there && !c.doubtful(link) || theirs[id] {
			continue
		}
		next := *link
		next.Gone = true
		gone = append(gone, next)
	}
	slices.SortFunc(gone, func(a, b Link) int { return cmp.Compare(a.ID, b.ID) })
	return gone
}

// Unmatched lists the active accounts that nobody in the directory is linked to, sorted.
func Unmatched(accounts []Account, links []Link) []string {
	linked := make(map[Key]bool, len(links))
	for i := range links {
		linked[KeyOf(links[i].Login)] = true
	}
	var logins []string
	for i := range accounts {
		if accounts[i].Active && !linked[KeyOf(accounts[i].Login)] {
			logins = append(logins, accounts[i].Login)
		}
	}
	slices.Sort(logins)
	return logins
}
