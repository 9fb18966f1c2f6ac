package reconcile

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Key is a login as both sides are compared: trimmed, NFC, case folded. Whether PPMS folds the case of logins is not known;
// two that differ only in case are one person.
type Key string

// KeyOf normalises a login. It is the only place that does.
func KeyOf(login string) Key { return Key(fold(login)) }

// fold trims, composes and case-folds. Plain lower-case ASCII, nearly every login and e-mail there is, costs nothing.
func fold(s string) string {
	s = strings.TrimSpace(s)
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || 'A' <= c && c <= 'Z' {
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
		}
	}
	return s
}

// Field is a field of an account that the directory may decide, beside the login and whether the account is active.
type Field uint8

// The fields, as getuser returns them.
const (
	Lname Field = iota
	Fname
	Email
	Phone
	Bcode
	Affiliation
	Unit
	NumFields = iota
)

// String is the name of the field in PUMAPI, the configuration and the plan.
func (f Field) String() string {
	switch f {
	case Lname:
		return "lname"
	case Fname:
		return "fname"
	case Email:
		return "email"
	case Phone:
		return "phone"
	case Bcode:
		return "bcode"
	case Affiliation:
		return "affiliation"
	case Unit:
		return "unitlogin"
	}
	return fmt.Sprintf("field(%d)", uint8(f))
}

// FieldNamed finds a field by its name.
func FieldNamed(name string) (Field, bool) {
	for f := range Field(NumFields) {
		if f.String() == name {
			return f, true
		}
	}
	return 0, false
}

// Level is a right's level. Higher values include lower ones: D < N < A < S.
type Level uint8

// The levels of PPMS, and None for an account that a system does not list.
const (
	None        Level = iota
	Deactivated       // D
	Novice            // N
	Autonomous        // A
	Superuser         // S, never touched
)

// String is the letter that PUMAPI uses; "" for none.
func (l Level) String() string {
	if l > Superuser {
		return fmt.Sprintf("level(%d)", uint8(l))
	}
	return []string{"", "D", "N", "A", "S"}[l]
}

// ParseLevel reads a letter of PUMAPI.
func ParseLevel(s string) (Level, bool) {
	switch s {
	case "D":
		return Deactivated, true
	case "N":
		return Novice, true
	case "A":
		return Autonomous, true
	case "S":
		return Superuser, true
	}
	return None, false
}

// State is whether a person may work.
type State uint8

// The states of a person. Missing is that of a linked person whom a complete read did not return; Doubtful that of one of whom
// the read could not tell: nothing is decided about them.
const (
	Enabled State = iota
	Disabled
	Expired
	Missing
	Doubtful
)

// String is the word used in plans, the ledger and logs.
func (s State) String() string {
	return [...]string{"enabled", "disabled", "expired", "missing", "doubtful"}[s]
}

// Person is one directory entry, mapped to what PPMS knows of people.
type Person struct {
	ID     string              // stable id: entryUUID, objectGUID, nsUniqueId or ipaUniqueID, as text
	DN     string              // where the entry is now, for people to read
	Login  string              // as the directory spells it; "" if it has none
	Fields [NumFields][]string // trimmed; the first is the one to send; nil if the directory has none or it is not mapped
	State  State
	Former bool     // groups list the entry under a DN that it had before
	Create bool     // accounts.create holds
	Rules  []Member // the rules that give this person something
	// CreateProblem says why accounts.create could not be evaluated; "" if it could. It is of no matter to who has an account.
	CreateProblem string
	// Problems lists what of this entry could not be evaluated ("unitlogin: no such key: lab"). Such a person is held whole.
	Problems []string
}

// Member says that a rule applies to a person, and through which groups.
type Member struct {
	Rule int      // index in Settings.Rules
	Path []string // group names from the rule's group down to the one that lists the person; nil for a CEL rule
}

// Directory is one complete read.
type Directory struct {
	People  []Person
	Groups  int               // how many entries the group search returned
	Rules   []RuleRead        // one for each of Settings.Rules
	Lookups map[string]Lookup // the second look at the missing, by stable id
	// Fields is what the read found of the groups from which an expression makes a field.
	Fields [NumFields]RuleRead
	// Disabling is what the read found of the groups and attributes by which an expression decides who is disabled.
	Disabling RuleRead
	// Doubts are expressions that name groups which are not as they should be. What they decide is left alone in this read.
	Doubts []string
}

// Marks tell what is no DN of a group: an attribute, and the list of a group's members where a group can have people without listing
// them.
const (
	AttributeMark = "@"
	ListMark      = "#"
)

// RuleRead is what the read found of a rule's group.
type RuleRead struct {
	// Suspect is why the membership of the rule cannot be trusted: group not found, name fits several, a member that could
	// not be understood, a condition that failed. "" if it can.
	Suspect string
	// Root is the DN of the rule's group, normalised; "" for a condition.
	Root string
	// Groups are the DNs of the rule's group, or of those that its condition names, and of all nested ones that list somebody,
	// normalised and sorted. The attributes of a condition are among them, with the AttributeMark before their name, and in a directory
	// with primary groups the DNs of those with a list, with the ListMark.
	Groups []string
	// Any says that a condition or expression may look at any group, and names none. Then Groups are all that have somebody.
	Any bool
	// Empty are those of them that list nobody, and attributes that nobody has.
	Empty []string
	// Unread are DNs of groups of an earlier read that these groups still list, but that were not read this time: the reader may
	// have lost the right to see them.
	Unread []string
}

// Lookup is the answer to a search for one stable id from the naming context down. That an entry was found inside base and
// filter is no answer: the read was wrong, and it ends as an error before it gets here.
type Lookup struct {
	DN  string // where the entry is now; "" if it is gone
	Err string // the search failed, so nothing is known
}

// Account is one PPMS user.
type Account struct {
	Login  string // in PPMS's own spelling
	Fields [NumFields]string
	Active bool
}

// System is one bookable instrument.
type System struct {
	ID       int
	Facility int // core facility ref
	Type     string
	Name     string
	Active   bool
}

// Right is one line of getsysrights.
type Right struct {
	Login string
	Level Level
}

// PPMS is what was read of the other side.
type PPMS struct {
	Accounts []Account
	Systems  []System
	Units    []string // unitlogins
	Admins   []string
	Rights   map[int][]Right // by system; a system that is not here was not asked for
}

// Settings is the part of the configuration that decides.
type Settings struct {
	Policy        Policy
	Mapped        [NumFields]bool // accounts.attributes has the field
	Authoritative [NumFields]bool
	LoginOK       func(string) bool // accounts.login_pattern
	Protected     func(Key) bool    // accounts.protect
	Leavers       LeaverSettings
	Rules         []Rule
	Guards        GuardSettings
	// Scope is the hash of all that decides who is a leaver and what is wanted: searches, attributes, protect, leavers, rules,
	// policy. A removal whose cause did not appear between two complete reads under the present scope waits for approval.
	Scope string
}

// LeaverSettings says when somebody who left is deactivated.
type LeaverSettings struct {
	Grace         time.Duration // missing
	DisabledGrace time.Duration // disabled or expired
	Confirmations int           // complete reads
}

// Rule gives its members a level on systems.
type Rule struct {
	Name    string
	Level   Level // Novice or Autonomous
	Systems []Selector
}

// Selector names systems. All that is set must fit; globs know * and ?. Systems that are not active are never selected.
type Selector struct {
	ID       int // 0: any
	Name     string
	Type     string
	Facility int // 0: any
}

// String spells the selector as the configuration does.
func (s Selector) String() string {
	if s.ID != 0 {
		return fmt.Sprint(s.ID)
	}
	var parts []string
	if s.Name != "" {
		parts = append(parts, fmt.Sprintf("name: %q", s.Name))
	}
	if s.Type != "" {
		parts = append(parts, fmt.Sprintf("type: %q", s.Type))
	}
	if s.Facility != 0 {
		parts = append(parts, fmt.Sprintf("facility: %d", s.Facility))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// GuardSettings limits what one run may do without somebody's approval.
type GuardSettings struct {
	Limits    [numCounted]Limit // by Guard: Creations … Deactivations
	MinPeople int
	MaxShrink int // percent
}

// Limit is max(Floor, min(Count, Percent of the managed active accounts)) people within 24 h.
type Limit struct{ Count, Percent, Floor int }
