package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Memory is what the ledger knows before a run: the state that a comparison of two snapshots cannot have.
type Memory struct {
	Links       []Link
	Leavers     map[string]Cause      // by stable id
	Grants      []Grant               // rights that we gave and did not take back
	Deactivated map[Key]Deactivation  // accounts that we deactivated
	Admins      map[Key]time.Time     // when getadmins last named them
	Rules       map[string]RuleMemory // by rule name
	Seen        Seen
	Baseline    Baseline             // of the last accepted read; its At is zero before the first
	Spent       []Spent              // what was written within the last 24 h without approval
	Approved    map[string]time.Time // approved changes by ApprovalOf, with the end of the approval
	Holds       []Hold               // fields, rights and people that are to be left alone
	Stuck       []Stuck              // what PPMS says it did and did not do
}

// Groups lists all groups that gave people to a rule, or decided something by an expression, at the last accepted read.
func (m *Memory) Groups() []string {
	all := append(slices.Concat(m.Seen.Fields[:]...), m.Seen.Disabling...)
	for _, r := range m.Rules {
		all = append(all, r.Groups...)
	}
	all = slices.DeleteFunc(all, func(dn string) bool { return strings.HasPrefix(dn, AttributeMark) || strings.HasPrefix(dn, ListMark) })
	slices.Sort(all)
	return slices.Compact(all)
}

// Link ties an account to an entry of the directory: the account is managed.
type Link struct {
	ID     string // stable id
	Login  string // of the account, in PPMS's spelling
	Key    Key    // of the entry's login when the link was made; differs from the account's only if a person linked them so
	DN     string // last seen
	Origin Origin
	Since  time.Time // what we did to the account before is ours no more, unless a person linked them
	// EnabledScope is the scope of the last accepted read that showed the person enabled; "" if none did.
	EnabledScope string
	// Gone is set once PPMS was seen without the account, until it has one of that login which agrees with the person: staff may have
	// given the login to somebody else. What we gave or deactivated was of the one that is gone.
	Gone bool
}

// Origin is how a link came to be.
type Origin string

// The origins of a link.
const (
	Created Origin = "created" // we created the account
	Matched Origin = "matched" // login and e-mail or last name agreed
	ByHand  Origin = "manual"  // somebody said so, which settles an identity issue
)

// Cause is since when something that ends in a removal has been so: somebody is missing or disabled, a right is no longer wanted.
type Cause struct {
	State State     // of a leaver
	Since time.Time // first complete read that showed it
	Reads int       // complete reads that showed it, the present one included
	// Scope is the scope under which it appeared: that of the last accepted read that showed the opposite and of the first one
	// that showed this, if they were the same; "" otherwise, and then only an approval lets the removal happen.
	Scope string
}

// Grant is a right that we gave.
type Grant struct {
	Login  string
	System int
	Level  Level // Deactivated: we took the right back, so the D in PPMS is ours
	Before Level // what staff had given before our first grant: that is what a revocation goes back to
	Rule   string
	At     time.Time
	// WantedScope is the scope of the last accepted read in which a rule gave it; "" if none did.
	WantedScope string
	Unwanted    *Cause // set from the first complete read in which no rule gives it any more
	// Overruled is set once staff gave it another level: from then on the right is theirs, and nothing is revoked.
	Overruled bool
}

// Deactivation is an account that we deactivated.
type Deactivation struct {
	Login string
	At    time.Time
	// Overruled is set once somebody activated the account again: from then on its state is staff's, until the person is back.
	Overruled bool
}

// RuleMemory is what a rule was at the last accepted read.
type RuleMemory struct {
	Members   int
	Selectors string   // the spelling of its selectors, to tell a changed rule from a changed PPMS
	Systems   []int    // all systems that these selectors have matched
	Groups    []string // DNs of the groups, nested ones included, that listed somebody
}

// Seen is what expressions looked at that somebody had, at the last accepted read; as RuleRead.Groups.
type Seen struct {
	Fields    [NumFields][]string // to make a field
	Disabling []string            // to decide who is disabled
}

// Baseline is the last accepted read.
type Baseline struct {
	At     time.Time
	People int
	Groups int
	Scope  string
}

// Spent is one person touched within the guards' window.
type Spent struct {
	Guard Guard
	Key   Key
}

// Hold leaves something alone until it is released.
type Hold struct {
	Key    Key
	Field  string // "" for the whole person, a field's name, "active", or as SystemField spells a right
	Reason string
	Run    int64     // the run that was undone, if that is why; else 0
	At     time.Time // since when; zero for a hold of the present run, which nobody can release
}

// SystemField names the right on a system, where fields are named.
func SystemField(system int) string { return fmt.Sprintf("system:%d", system) }

// Observations is what the ledger shall remember after a complete read, whether anything was written or not.
type Observations struct {
	Linked      []Link           // new ones, and those that moved to another login
	Leavers     map[string]Cause // the whole list, replacing the old
	Grants      []Grant          // the whole list, replacing the old
	Deactivated map[Key]Deactivation
	Admins      map[Key]time.Time
	Rules       map[string]RuleMemory
	Seen        Seen
	Stuck       []Stuck     // the whole list, replacing the old
	Moved       map[Key]Key // accounts that PPMS renamed: holds follow them
	// Baseline is set only if the read was accepted: neither shrink nor min_people tripped.
	Baseline *Baseline
}
