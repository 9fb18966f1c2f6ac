package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Input is all that a decision rests on.
type Input struct {
	Now       time.Time
	Settings  Settings
	Directory Directory // a complete read
	PPMS      PPMS
	Memory    Memory
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
	grants      []Grant
	deactivated map[Key]Deactivation
	rules       []ruleState

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
	c.indexAccounts()
	c.indexPeople()
	return c
}

func (c *comparison) indexAccounts() {
	for i := range c.PPMS.Accounts {
		key := KeyOf(c.PPMS.Accounts[i].Login)
		if _, ok := c.accounts[key]; ok {
			c.duplicates[key] = true
			continue
		}
		c.accounts[key] = int32(i)
	}
	for _, key := range slices.Sorted(maps.Keys(c.duplicates)) {
		var logins []string
		for i := range c.PPMS.Accounts {
			if KeyOf(c.PPMS.Accounts[i].Login) == key {
				logins = append(logins, c.PPMS.Accounts[i].Login)
			}
		}
		slices.Sort(logins)
		c.issue(DuplicateAccount, logins[0], "PPMS has several accounts that differ only in spelling: %s; nothing is written to any of them",
			strings.Join(logins, ", "))
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
// another nature is counted anew but keeps its proof or lack of it. A new one is proven only if the last accepted read that
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
	default:
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

// respectHolds drops what somebody asked to be left alone.
func (c *comparison) respectHolds() {
	if len(c.Memory.Holds) == 0 {
		return
	}
	holds := map[Key]map[string]string{}
	for _, h := range c.Memory.Holds {
		if holds[h.Key] == nil {
			holds[h.Key] = map[string]string{}
		}
		holds[h.Key][h.Field] = h.Reason
	}
	kept := c.changes[:0]
	for i := range c.changes {
		change := c.changes[i]
		of := holds[KeyOf(change.Login)]
		if of == nil || c.allowed(change, of) {
			kept = append(kept, change)
		}
	}
	c.changes = kept
}

// allowed removes held fields from the change and says whether anything is left of it.
func (c *comparison) allowed(change *Change, holds map[string]string) bool {
	report := func(what, reason string) {
		c.issue(OnHold, change.Login, "%s is on hold (%s); `ppms-syncd release %s` ends that", what, reason, change.Login)
	}
	if reason, ok := holds[""]; ok {
		report("the account", reason)
		return false
	}
	if change.Kind == SetRight {
		reason, ok := holds[fmt.Sprintf("system:%d", change.System)]
		if ok {
			report("the right on "+change.SystemName, reason)
		}
		return !ok
	}
	change.Fields = maps.Clone(change.Fields)
	for _, name := range slices.Sorted(maps.Keys(change.Fields)) {
		if reason, ok := holds[name]; ok {
			report(name, reason)
			if change.Kind == NewUser {
				return false
			}
			delete(change.Fields, name)
		}
	}
	return len(change.Fields) > 0
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
		return Observations{Leavers: m.Leavers, Grants: m.Grants, Deactivated: m.Deactivated, Admins: c.admins, Rules: m.Rules}
	}
	return Observations{
		Linked: c.linksToKeep(), Leavers: c.leavers, Grants: c.grants, Deactivated: c.deactivated, Admins: c.admins,
		Rules:    c.ruleMemory(),
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
		next.DN = s.DN
		if s.State == Enabled {
			next.EnabledScope = c.Settings.Scope
		}
		if fresh[s.ID] != nil || next != *link {
			links = append(links, next)
		}
	}
	return links
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
