package reconcile

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Kind is what a change does.
type Kind string

// The kinds of change. On the wire updateuser is PUMAPI's upduser.
const (
	NewUser    Kind = "newuser"
	UpdateUser Kind = "updateuser"
	SetRight   Kind = "setright"

	// These are written by people only, and stand in no plan.
	NewGroup    Kind = "newgroup"
	CreateOrder Kind = "createorder"
)

// Value is a field before and after. From is nil for a new user, who has no before.
type Value struct {
	From *string `json:"from,omitempty"`
	To   string  `json:"to"`
}

// ActiveField is the name of the field that a deactivation changes from "true" to "false".
const ActiveField = "active"

// Change is one write to PPMS. Its JSON is that of plan files.
type Change struct {
	Kind       Kind             `json:"kind"`
	Login      string           `json:"login"` // in PPMS's spelling; of a new user in the directory's
	Fields     map[string]Value `json:"fields,omitempty"`
	System     int              `json:"system,omitempty"`
	SystemName string           `json:"system_name,omitempty"`
	From       *string          `json:"from,omitempty"` // of a right; "" for none
	To         string           `json:"to,omitempty"`
	Rule       string           `json:"rule,omitempty"`
	Path       []string         `json:"path,omitempty"`
	Reason     string           `json:"reason"`

	// PersonID is the stable id behind the change, for the link that a new user gets. It is not part of the plan's hash.
	PersonID string `json:"id,omitempty"`
	// DN is that person's entry.
	DN string `json:"dn,omitempty"`
	// Unproven marks a removal whose cause did not appear under the present scope: it waits for an approval.
	Unproven bool `json:"needs_approval,omitempty"`
	// Held names the guard that holds the change; "" if it may be written.
	Held string `json:"held,omitempty"`
	// Approved says that somebody approved this very change: it counts against no guard.
	Approved bool `json:"approved,omitempty"`
	// Outcome and Detail are set by apply.
	Outcome Outcome `json:"outcome,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// Outcome is what became of a change.
type Outcome string

// The outcomes, as the journal keeps them.
const (
	Applied      Outcome = "applied"        // read back and so
	Refused      Outcome = "refused"        // PPMS said no
	NotSent      Outcome = "not-sent"       // nothing reached PPMS
	Stale        Outcome = "stale"          // what the change starts from is no longer so
	NotApplied   Outcome = "not-applied"    // read back and not so
	DoesNotStick Outcome = "does-not-stick" // not applied, three runs in a row
	InDoubt      Outcome = "in-doubt"       // neither the answer nor the read-back arrived
	HeldBack     Outcome = "held"           // a guard or a hold kept it from being written; never in the journal
)

// Outcomes lists them all.
func Outcomes() []Outcome {
	return []Outcome{Applied, Refused, NotSent, Stale, NotApplied, DoesNotStick, InDoubt, HeldBack}
}

// Guard is a limit on what a run may do without approval.
type Guard string

// The guards.
const (
	Creations     Guard = "creations"
	Updates       Guard = "updates"
	Grants        Guard = "grants"
	Revocations   Guard = "revocations"
	Deactivations Guard = "deactivations"
	Shrink        Guard = "shrink"
	MinPeople     Guard = "min_people"
	// ScopeGuard holds removals whose cause nobody has seen appear under the present configuration.
	ScopeGuard Guard = "scope"

	numCounted = 5
)

// Counted lists the guards that count people, in the order of the writes.
func Counted() [numCounted]Guard {
	return [...]Guard{Creations, Updates, Grants, Revocations, Deactivations}
}

// Guards lists all guards that look at a plan.
func Guards() []Guard {
	counted := Counted()
	return append(counted[:], Shrink, MinPeople)
}

// Guard says which guard counts the change.
func (c *Change) Guard() Guard {
	switch c.Kind {
	case NewUser:
		return Creations
	case SetRight:
		if c.lowers() {
			return Revocations
		}
		return Grants
	case UpdateUser:
		if c.Fields[ActiveField].To == "false" {
			return Deactivations
		}
	case NewGroup, CreateOrder: // in no plan
	}
	return Updates
}

// lowers says whether a right becomes less than it was.
func (c *Change) lowers() bool {
	to, _ := ParseLevel(c.To)
	if c.From == nil {
		return to == Deactivated
	}
	from, _ := ParseLevel(*c.From)
	return to < from || to == Deactivated
}

// Removal says whether the change takes something away.
func (c *Change) Removal() bool {
	g := c.Guard()
	return g == Revocations || g == Deactivations
}

// identity is what a plan's hash and an approval cover of a change.
type identity struct {
	Kind   Kind             `json:"kind"`
	Login  string           `json:"login"`
	System int              `json:"system"`
	Fields map[string]Value `json:"fields"`
	From   *string          `json:"from"`
	To     string           `json:"to"`
}

func (c *Change) identity() identity {
	return identity{c.Kind, c.Login, c.System, c.Fields, c.From, c.To}
}

// ID names the change by what it does: kind, login, system, fields, from and to.
func (c *Change) ID() string { return digest(c.identity()) }

// ApprovalOf names what somebody approves of a plan: a change, and of one that undoes a run only its undoing.
func ApprovalOf(undoes int64, c *Change) string {
	if undoes == 0 {
		return c.ID()
	}
	return fmt.Sprintf("undo %d %s", undoes, c.ID())
}

func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil { // strings, ints and maps of them
		panic("reconcile: cannot encode " + err.Error())
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Issue is somebody or something held back.
type Issue struct {
	Kind   IssueKind `json:"kind"`
	Login  string    `json:"login"` // empty: it is about something, such as a rule
	Detail string    `json:"detail"`
}

// IssueKind says why somebody or something is held back.
type IssueKind string

// The kinds of issue.
const (
	// These hold the whole person.
	IdentityMismatch IssueKind = "identity-mismatch"
	LoginReused      IssueKind = "login-reused"
	Renamed          IssueKind = "renamed"
	DuplicateLogin   IssueKind = "duplicate-login"
	DuplicateAccount IssueKind = "duplicate-account"
	BadLogin         IssueKind = "bad-login"
	AccountGone      IssueKind = "account-gone"
	// These hold a new account, or one field of an existing one.
	Incomplete  IssueKind = "incomplete"
	UnknownUnit IssueKind = "unknown-unit"
	EmailTaken  IssueKind = "email-taken"
	// Staff are right.
	InactiveByStaff     IssueKind = "inactive-by-staff"
	ReactivatedByStaff  IssueKind = "reactivated-by-staff"
	RightLoweredByStaff IssueKind = "right-lowered-by-staff"
	RightBlockedByStaff IssueKind = "right-blocked-by-staff"
	// These hold rights.
	RuleSuspended   IssueKind = "rule-suspended"
	SystemUnmatched IssueKind = "system-unmatched"
	// These wait for a person.
	NeedsApproval IssueKind = "needs-approval"
	OnHold        IssueKind = "held"
	NotSticking   IssueKind = "does-not-stick"
	// Of undo: somebody changed it since, or it must not be written.
	NotUndone IssueKind = "not-undone"
)

// IssueKinds lists them all.
func IssueKinds() []IssueKind {
	return []IssueKind{
		IdentityMismatch, LoginReused, Renamed, DuplicateLogin, DuplicateAccount, BadLogin, AccountGone,
		Incomplete, UnknownUnit, EmailTaken,
		InactiveByStaff, ReactivatedByStaff, RightLoweredByStaff, RightBlockedByStaff,
		RuleSuspended, SystemUnmatched,
		NeedsApproval, OnHold, NotSticking, NotUndone,
	}
}

// GuardResult is what a guard saw.
type GuardResult struct {
	Name    Guard `json:"name"`
	Value   int   `json:"value"`
	Limit   int   `json:"limit"`
	Tripped bool  `json:"tripped"`
}

// Plan is what a run would do, and why. Its JSON is a contract: see docs/plan-format.md.
type Plan struct {
	Version    int           `json:"version"`
	Hash       string        `json:"hash"`
	CreatedAt  time.Time     `json:"created_at"`
	ConfigHash string        `json:"config_hash"`
	Policy     Policy        `json:"policy"`
	Undoes     int64         `json:"undoes,omitempty"` // the run that this plan undoes; it read no directory
	Directory  DirectoryInfo `json:"directory"`
	PPMS       PPMSInfo      `json:"ppms"`
	Changes    []Change      `json:"changes"`
	Withheld   []Change      `json:"withheld"` // what the policy leaves out
	Issues     []Issue       `json:"issues"`
	Guards     []GuardResult `json:"guards"`
	Summary    Summary       `json:"summary"`
}

// DirectoryInfo counts one side.
type DirectoryInfo struct {
	People   int  `json:"people"`
	Groups   int  `json:"groups"`
	Complete bool `json:"complete"`
}

// PPMSInfo counts the other side. Managed counts the linked accounts that are active.
type PPMSInfo struct {
	Accounts  int `json:"accounts"`
	Active    int `json:"active"`
	Managed   int `json:"managed"`
	Unmatched int `json:"unmatched"`
}

// Summary counts the changes.
type Summary struct {
	NewUser       int `json:"newuser"`
	UpdateUser    int `json:"updateuser"`
	SetRight      int `json:"setright"`
	Deactivations int `json:"deactivations"`
	Revocations   int `json:"revocations"`
	Issues        int `json:"issues"`
}

// PlanHash covers the policy and what the changes do: neither reasons nor times nor issues.
func PlanHash(policy Policy, changes []Change) string {
	ids := make([]identity, len(changes))
	for i := range changes {
		ids[i] = changes[i].identity()
	}
	return digest(struct {
		Policy  Policy     `json:"policy"`
		Changes []identity `json:"changes"`
	}{policy, ids})
}

// order puts changes into the order of the writes: newuser, updateuser, grants, revocations, deactivations.
func order(changes []*Change) {
	rank := func(c *Change) int {
		g := Counted()
		return slices.Index(g[:], c.Guard())
	}
	slices.SortFunc(changes, func(a, b *Change) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Login, b.Login), cmp.Compare(a.System, b.System))
	})
}

func summarise(changes []Change, issues []Issue) Summary {
	s := Summary{Issues: len(issues)}
	for i := range changes {
		switch changes[i].Kind {
		case NewUser:
			s.NewUser++
		case UpdateUser:
			s.UpdateUser++
		case SetRight:
			s.SetRight++
		case NewGroup, CreateOrder: // in no plan
		}
		if guard := changes[i].Guard(); guard == Deactivations {
			s.Deactivations++
		} else if guard == Revocations {
			s.Revocations++
		}
	}
	return s
}
