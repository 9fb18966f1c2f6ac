package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// UndoInput is all that undoing a run rests on.
type UndoInput struct {
	Now      time.Time
	Run      int64     // that is to be undone
	Journal  []Change  // what it wrote, with the outcomes
	Ended    time.Time // when the last of that was known
	Settings Settings  // of which the policy decides nothing here
	PPMS     PPMS      // as it is now
	Memory   Memory
	Changed  map[Key]bool // as of [Input]
}

// Undo plans the inverse of what a run applied, from what each change started from:
//
//	the run                   the inverse
//	-----------------------   --------------------------------------
//	created an account        it is deactivated
//	changed fields            they get back what they had
//	deactivated, reactivated  reactivated, deactivated
//	set a right               to what it was; to D where there was none
//
// What is already as it was before the run needs nothing. What is neither as the run left it nor as it was before somebody else has
// changed since: that is left to them, as the issue not-undone, and the rest goes on. So is what must never be written: the
// protected, administrators, local accounts, an S, and who is held.
func Undo(in UndoInput) Plan {
	c := newComparison(&Input{Now: in.Now, Settings: in.Settings, PPMS: in.PPMS, Memory: in.Memory, Changed: in.Changed})
	c.issues = nil // of accounts that the run may have nothing to do with
	u := &undoing{comparison: c, run: in.Run, ended: in.Ended, grid: c.readGrid(), units: c.indexUnits(), emails: c.indexEmails()}
	for i := range in.Journal {
		if done := &in.Journal[i]; done.Outcome == InDoubt || done.Outcome == "" {
			u.notUndone(done, "it is in doubt; `ppms-syncd apply` settles it first")
		} else if done.Outcome == Applied {
			u.invert(done)
		}
	}
	order(c.changes)
	p := Plan{
		Version: 1, CreatedAt: in.Now, Policy: in.Settings.Policy, Undoes: in.Run, PPMS: c.countAccounts(),
		Changes: make([]Change, len(c.changes)), Withheld: []Change{}, Guards: []GuardResult{},
	}
	for i, change := range c.changes {
		p.Changes[i] = *change
	}
	p.setIssues(c.issues)
	p.Hash = PlanHash(p.Policy, p.Changes)
	return p
}

type undoing struct {
	*comparison
	run    int64
	ended  time.Time
	grid   *grid
	units  map[string]string
	emails emailIndex
}

func (u *undoing) notUndone(done *Change, format string, args ...any) {
	u.issue(NotUndone, done.Login, "%s by run %d: %s", done.words(), u.run, fmt.Sprintf(format, args...))
}

// words names a change for people.
func (c *Change) words() string {
	switch {
	case c.Kind == SetRight:
		return fmt.Sprintf("the right on %s (%d), set to %s", c.SystemName, c.System, c.To)
	case c.Kind == NewUser:
		return "the account, created"
	case c.Fields[ActiveField].To == "true":
		return "the account, reactivated"
	case c.Fields[ActiveField].To == "false":
		return "the account, deactivated"
	}
	return strings.Join(slices.Sorted(maps.Keys(c.Fields)), ", ") + ", changed"
}

func (u *undoing) invert(done *Change) {
	account, why := u.target(done)
	if why != "" {
		u.notUndone(done, "%s", why)
		return
	}
	a := &u.PPMS.Accounts[account]
	switch _, switches := done.Fields[ActiveField]; {
	case done.Kind == SetRight:
		u.invertRight(done, account)
	case done.Kind == NewUser || switches:
		u.invertState(done, a)
	default:
		u.invertFields(done, account)
	}
}

// target gives the account that a change was about, which PPMS may have renamed since, or says why it is not written.
func (u *undoing) target(done *Change) (account int32, why string) {
	key := KeyOf(done.Login)
	link := u.links[done.PersonID]
	if link != nil {
		// One of the old login is a newcomer's, unless somebody gave the person another account.
		if _, there := u.accounts[key]; !there || link.Origin != ByHand {
			key = KeyOf(link.Login)
		}
	}
	account, exists := u.accounts[key]
	switch {
	case !exists:
		why = "PPMS has no such account any more"
	case u.duplicates[key]:
		why = "PPMS has several accounts of that login"
	case u.untouchable(key) != "":
		why = "the account is " + u.untouchable(key)
	case u.linkedTo[key] == nil:
		why = "nobody in the directory is linked to the account any more, so that it is local"
	case link != nil && KeyOf(link.Login) != key:
		why = "the account is somebody else's by now"
	default:
		why = u.since(u.linkedTo[key])
	}
	for _, h := range u.Memory.Holds {
		if h.Key == key && h.Field == "" {
			why = "the account is left alone: " + h.Reason + h.remedy(done.Login)
		}
	}
	return account, why
}

// since says why a linked account may be another than the run wrote, or was made staff's since.
func (u *undoing) since(link *Link) string {
	switch {
	case u.doubtful(link):
		return "the account was gone or was changed altogether since, so that it may be another"
	case link.Origin != ByHand && link.Since.After(u.ended):
		return "what the account had before it was linked, on " + day(link.Since) + ", counts as staff's"
	}
	return ""
}

// change adds the inverse of a change to an account.
func (u *undoing) change(done *Change, a *Account, inverse Change) {
	link := u.linkedTo[KeyOf(a.Login)]
	inverse.Login, inverse.PersonID, inverse.DN = a.Login, link.ID, link.DN
	inverse.Reason = fmt.Sprintf("undoes run %d: %s", u.run, done.words())
	u.changes = append(u.changes, &inverse)
}

// invertState switches an account off or on again.
func (u *undoing) invertState(done *Change, a *Account) {
	off := done.Kind == NewUser || done.Fields[ActiveField].To == "true"
	if a.Active != off {
		return // as it was before
	}
	if !off {
		if ours, ok := u.Memory.Deactivated[KeyOf(a.Login)]; !ok || ours.Overruled {
			u.notUndone(done, "somebody else has activated and deactivated it since")
			return
		}
	}
	u.change(done, a, Change{Kind: UpdateUser, Fields: activeFromTo(fmt.Sprint(off), fmt.Sprint(!off))})
}

// invertFields gives fields back what they had, each on its own.
func (u *undoing) invertFields(done *Change, account int32) {
	a := &u.PPMS.Accounts[account]
	fields := map[string]Value{}
	for _, name := range slices.Sorted(maps.Keys(done.Fields)) {
		f, ok := FieldNamed(name)
		v := done.Fields[name]
		if !ok || v.From == nil || Same(f, a.Fields[f], *v.From) {
			continue
		}
		have, to := a.Fields[f], *v.From
		switch {
		case !Same(f, have, v.To):
			u.notUndone(done, "%s is %q by now, not %q", name, have, v.To)
		case !a.Active:
			u.notUndone(done, "the account is inactive by now")
		case to == "" && mandatory(f):
			u.notUndone(done, "%s was empty, which PPMS would refuse", name)
		default:
			if to != "" {
				to, ok = u.acceptable(&subject{Person: &Person{}, account: account}, a.Login, f, to, u.units, u.emails)
			}
			if ok {
				fields[name] = Value{From: &have, To: to}
			}
		}
	}
	if len(fields) > 0 {
		u.change(done, a, Change{Kind: UpdateUser, Fields: fields})
	}
}

// invertRight sets a right to what it was. PPMS cannot take one away: none becomes D. Whether it lists a D is not known, so
// that D and none are the same.
func (u *undoing) invertRight(done *Change, account int32) {
	system, exists := u.grid.index[done.System]
	if !exists || u.grid.levels[system] == nil {
		u.notUndone(done, "PPMS has no such system any more")
		return
	}
	left, _ := ParseLevel(done.To)
	before, _ := ParseLevel(*done.From)
	have := max(u.grid.levels[system][account], Deactivated)
	before = max(before, Deactivated)
	switch have {
	case before:
	case left:
		from := have.String()
		u.change(done, &u.PPMS.Accounts[account], Change{
			Kind: SetRight, System: done.System, SystemName: u.grid.systems[system].Name, From: &from, To: before.String(), Rule: done.Rule,
		})
	case None, Deactivated, Novice, Autonomous, Superuser:
		u.notUndone(done, "it is %s by now", orNone(u.grid.levels[system][account].String()))
	}
}

// Touches names what a change is about, as a hold does.
func (c *Change) Touches() []string {
	switch c.Kind {
	case SetRight:
		return []string{SystemField(c.System)}
	case UpdateUser:
		return slices.Sorted(maps.Keys(c.Fields))
	case NewUser, NewGroup, CreateOrder:
	}
	return []string{""}
}
