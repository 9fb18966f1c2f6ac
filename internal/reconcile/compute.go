package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Input is all that a decision rests on.
type Input struct {
	Now       time.Time
	Settings  Settings
	Directory Directory // a complete read
	PPMS      PPMS
	Memory    Memory
	// Changed are accounts whose e-mail and last name both are others than at the read before: they may be somebody else's by now.
	Changed map[Key]bool
}

// adminMemory is how long somebody counts as an administrator after getadmins last named them, so that one answer cut short
// exposes nobody.
const adminMemory = 7 * 24 * time.Hour

// Compute compares both sides. It always works out everything that policy sync would do and then sets aside what the policy
// leaves out, so that a stricter policy never does something that a wider one would not.
func Compute(in Input) (Plan, Observations) {
	c := newComparison(&in)
	for _, doubt := range in.Directory.Doubts {
		c.issue(RuleSuspended, "", "%s", doubt)
	}
	c.identify()
	c.decideAccounts()
	c.decideLeavers()
	c.decideRights()
	c.leaveStuck()
	c.respectHolds()
	return c.plan(), c.observations()
}

// comparison is one Compute under way. Everything in it is derived from the input, which is never changed.
type comparison struct {
	*Input
	frozen bool // the read shrank or is too small: nothing is learnt from it, and nobody is confirmed a leaver

	accounts   map[Key]int32 // index in PPMS.Accounts
	duplicates map[Key]bool  // keys of several accounts
	admins     map[Key]time.Time
	people     map[Key]int // how many entries have the key
	links      map[string]*Link
	linkedTo   map[Key]*Link // by the account's key
	subjects   []subject     // by key, then id
	moved      map[Key]string

	newLinks    []Link
	leavers     map[string]Cause
	unseen      [NumFields]bool // fields that are made of groups not all of which were seen
	hidden      string          // why what decides who is disabled may not all have been seen
	grants      []Grant
	deactivated map[Key]Deactivation
	rules       []ruleState
	unsure      map[int]bool // systems on which this read cannot tell what is wanted
	stuck       []Stuck

	changes []*Change
	issues  []Issue
}

// subject is a person with the account that is theirs.
type subject struct {
	*Person
	key      Key
	account  int32 // index in PPMS.Accounts; none if there is none
	creating bool  // this plan has the newuser
	held     bool
}

const none int32 = -1

func newComparison(in *Input) *comparison {
	c := &comparison{
		Input:       in,
		accounts:    make(map[Key]int32, len(in.PPMS.Accounts)),
		duplicates:  map[Key]bool{},
		admins:      map[Key]time.Time{},
		people:      make(map[Key]int, len(in.Directory.People)),
		links:       make(map[string]*Link, len(in.Memory.Links)),
		linkedTo:    make(map[Key]*Link, len(in.Memory.Links)),
		moved:       map[Key]string{},
		leavers:     map[string]Cause{},
		deactivated: map[Key]Deactivation{},
	}
	for _, g := range readGuards(in.Settings.Guards, in.Memory.Baseline, len(in.Directory.People), in.Directory.Groups) {
		c.frozen = c.frozen || g.Tripped
	}
	for i := range in.Memory.Links {
		link := &in.Memory.Links[i]
		c.links[link.ID] = link
		c.linkedTo[KeyOf(link.Login)] = link
	}
	for key, at := range in.Memory.Admins {
		if in.Now.Sub(at) <= adminMemory {
			c.admins[key] = at
		}
	}
	for _, login := range in.PPMS.Admins {
		c.admins[KeyOf(login)] = in.Now
	}
	for f := range Field(NumFields) {
		if lost := c.Directory.Fields[f].lost(c.Memory.Seen.Fields[f]); lost != "" {
			c.unseen[f] = true
			c.issue(RuleSuspended, "", "%s is left alone: %s", f, lost)
		}
	}
	c.indexAccounts()
	c.indexPeople()
	return c
}

func (c *comparison) indexAccounts() {
	several := map[Key][]string{}
	for i := range c.PPMS.Accounts {
		login := c.PPMS.Accounts[i].Login
		key := KeyOf(login)
		if first, ok := c.accounts[key]; ok {
			if several[key] == nil {
				several[key] = []string{c.PPMS.Accounts[first].Login}
			}
			several[key] = append(several[key], login)
			continue
		}
		c.accounts[key] = int32(i)
	}
	for key, logins := range several {
		c.duplicates[key] = true
		slices.Sort(logins)
		c.issue(DuplicateAccount, logins[0], "PPMS has several accounts that differ only in spelling: %s; nothing is written to any of them",
			some(logins))
	}
}

func (c *comparison) indexPeople() {
	c.subjects = make([]subject, len(c.Directory.People))
	for i := range c.Directory.People {
		p := &c.Directory.People[i]
		key := KeyOf(p.Login)
		if key != "" {
			c.people[key]++
		}
		c.subjects[i] = subject{Person: p, key: key, account: none}
	}
	slices.SortFunc(c.subjects, func(a, b subject) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.ID, b.ID))
	})
}

// untouchable says why an account is never written, or "".
func (c *comparison) untouchable(key Key) string {
	if _, ok := c.admins[key]; ok {
		return "a PPMS administrator"
	}
	if c.Settings.Protected != nil && c.Settings.Protected(key) {
		return "protected by accounts.protect"
	}
	return ""
}

func (c *comparison) accountOf(s *subject) *Account { return &c.PPMS.Accounts[s.account] }

func (c *comparison) issue(kind IssueKind, login, format string, args ...any) {
	c.issues = append(c.issues, Issue{Kind: kind, Login: login, Detail: fmt.Sprintf(format, args...)})
}

// cause continues the memory of something that may end in a removal. An earlier cause of the same nature goes on; one of
// another nature is counted anew but keeps its proof or lack of it, if anything shows the opposite. A new one is proven only if the last accepted read that
// showed the opposite had the present scope.
func (c *comparison) cause(before *Cause, state State, oppositeScope string) Cause {
	next := Cause{State: state, Since: c.Now, Reads: 1}
	switch {
	case before == nil:
		if oppositeScope == c.Settings.Scope {
			next.Scope = oppositeScope
		}
	case before.state() == next.state():
		next = *before
		next.State = state
		next.Reads++
		if next.Since.After(c.Now) { // the clock went back
			next.Since = c.Now
		}
	case oppositeScope != "":
		next.Scope = before.Scope
	}
	return next
}

// state folds disabled and expired into one: both mean that the directory still has the entry and says no.
func (c Cause) state() State {
	if c.State == Expired {
		return Disabled
	}
	return c.State
}

func (c *comparison) plan() Plan {
	p := Plan{
		Version: 1, CreatedAt: c.Now, Policy: c.Settings.Policy,
		Directory: DirectoryInfo{People: len(c.Directory.People), Groups: c.Directory.Groups, Complete: true},
		PPMS:      c.countAccounts(),
		Guards:    []GuardResult{},
	}
	order(c.changes)
	allowed := 0
	for _, change := range c.changes {
		if p.Policy.Allows(change) {
			allowed++
		}
	}
	p.Changes, p.Withheld = make([]Change, 0, allowed), make([]Change, 0, len(c.changes)-allowed)
	for _, change := range c.changes {
		if p.Policy.Allows(change) {
			p.Changes = append(p.Changes, *change)
		} else {
			p.Withheld = append(p.Withheld, *change)
		}
	}
	p.setIssues(c.issues)
	p.Hash = PlanHash(p.Policy, p.Changes)
	return p
}

// setIssues sorts the issues, drops doubles and brings the summary up to date.
func (p *Plan) setIssues(issues []Issue) {
	slices.SortFunc(issues, func(a, b Issue) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Login, b.Login), cmp.Compare(a.Detail, b.Detail))
	})
	p.Issues = slices.Compact(issues)
	if p.Issues == nil {
		p.Issues = []Issue{}
	}
	p.Summary = summarise(p.Changes, p.Issues)
}
