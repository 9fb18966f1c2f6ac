package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Stuck is something that PPMS said it did, and did not do, or not as it was sent: a right that stays as it was, a name that it
// shortens.
type Stuck struct {
	Login  string
	Field  string // as in [Hold]; "" for an account that was to be made
	Wanted string
	Have   string // what PPMS had after the last try
	Tries  int    // by so many runs in a row
	Run    int64  // the last of them
	At     time.Time
}

// MaxTries is how many runs in a row write something that does not stick. Then it is left alone until either side changes: what is
// wanted, or what PPMS has.
const MaxTries = 3

// Held says whether no further run tries.
func (s Stuck) Held() bool { return s.Tries >= MaxTries }

// Hold is the same for lists of holds.
func (s Stuck) Hold() Hold {
	reason := fmt.Sprintf("PPMS has %q though it said to %d runs in a row that it took %q, last on %s", s.Have, s.Tries, s.Wanted, day(s.At))
	if s.Field == "" {
		reason = fmt.Sprintf("PPMS said to %d runs in a row that it made the account, last on %s, and does not have it", s.Tries, day(s.At))
	}
	return Hold{Key: KeyOf(s.Login), Field: s.Field, Reason: reason, At: s.At}
}

// Held lists all that is left alone: holds, and what does not stick.
func (m *Memory) Held() []Hold {
	all := slices.Clone(m.Holds)
	for _, s := range m.Stuck {
		if s.Held() {
			all = append(all, s.Hold())
		}
	}
	slices.SortStableFunc(all, func(a, b Hold) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Field, b.Field)) })
	return all
}

// about is what a change makes of one of the things that it touches. Whether PPMS lists a D is not known, so that it counts as none.
func (c *Change) about(field string) (from, to string) {
	switch c.Kind {
	case SetRight:
		if from = *c.From; from == Deactivated.String() {
			from = ""
		}
		return from, c.To
	case UpdateUser:
		v := c.Fields[field]
		if v.From != nil {
			from = *v.From
		}
		return from, v.To
	case NewUser, NewGroup, CreateOrder:
	}
	return "", c.ID()
}

// Missed counts what a change did not achieve though PPMS said yes: by what it touches, what PPMS has instead. before is
// what is known from earlier runs. The second result says that none of it will be tried again.
func Missed(c *Change, missed map[string]string, before []Stuck, run int64, now time.Time) (stuck []Stuck, last bool) {
	last = len(missed) > 0
	for _, field := range slices.Sorted(maps.Keys(missed)) {
		from, to := c.about(field)
		s := Stuck{Login: c.Login, Field: field, Wanted: to, Have: missed[field], Tries: 1, Run: run, At: now}
		for _, b := range before {
			if KeyOf(b.Login) == KeyOf(c.Login) && b.Field == field && b.Wanted == to && b.Have == from {
				s.Tries = b.Tries + 1
			}
		}
		stuck = append(stuck, s)
		last = last && s.Held()
	}
	return stuck, last
}

// leaveStuck drops what PPMS has said often enough to have done, and remembers what may still be so.
func (c *comparison) leaveStuck() {
	if len(c.Memory.Stuck) == 0 {
		return
	}
	known := map[Key]map[string]Stuck{}
	for _, s := range c.Memory.Stuck {
		key := c.after(KeyOf(s.Login))
		if login, ok := c.moved[KeyOf(s.Login)]; ok {
			s.Login = login
		}
		if known[key] == nil {
			known[key] = map[string]Stuck{}
		}
		known[key][s.Field] = s
	}
	c.keepOnly(func(change *Change) bool {
		of := known[KeyOf(change.Login)]
		return of == nil || c.sticks(change, of)
	})
	decided := c.decided()
	for key, of := range known {
		for _, s := range of { // no change is planned: both sides agree, or nobody could tell
			var system int
			_, err := fmt.Sscanf(s.Field, "system:%d", &system)
			_, exists := c.accounts[key]
			if (exists || c.people[key] > 0) && (!decided[key] || err == nil && c.unsure[system]) {
				c.stuck = append(c.stuck, s)
			}
		}
	}
	slices.SortFunc(c.stuck, func(a, b Stuck) int {
		return cmp.Or(strings.Compare(a.Login, b.Login), strings.Compare(a.Field, b.Field))
	})
}

// sticks drops from a change what does not stick, and says whether anything is left. What either side has changed since is
// forgotten and tried again. What the change touches is taken out of known.
func (c *comparison) sticks(change *Change, known map[string]Stuck) bool {
	change.Fields = maps.Clone(change.Fields)
	for _, field := range change.Touches() {
		s, ok := known[field]
		if !ok {
			continue
		}
		delete(known, field)
		if from, to := change.about(field); from != s.Have || to != s.Wanted {
			continue
		}
		c.stuck = append(c.stuck, s)
		if !s.Held() {
			continue
		}
		what := map[Kind]string{SetRight: "the right on " + change.SystemName, NewUser: "the account", UpdateUser: field}[change.Kind]
		c.issue(NotSticking, change.Login, "%s is left alone: %s; it is tried again when either side changes, or after `ppms-syncd release %s`",
			what, s.Hold().Reason, change.Login)
		if change.Kind != UpdateUser {
			return false
		}
		delete(change.Fields, field)
	}
	return change.Kind != UpdateUser || len(change.Fields) > 0
}

// decided are the accounts of people of whom this read could tell what they are to have.
func (c *comparison) decided() map[Key]bool {
	decided := map[Key]bool{}
	for i := range c.subjects {
		s := &c.subjects[i]
		switch {
		case s.held || s.State != Enabled:
		case s.account == none:
			decided[s.key] = true
		default:
			decided[KeyOf(c.accountOf(s).Login)] = true
		}
	}
	return decided
}
