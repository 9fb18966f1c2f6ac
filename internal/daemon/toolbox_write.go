package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// The toolbox's writes are a person's, made through this program instead of PPMS's pages: they are journalled as manual, make no
// link, and count as staff's. Like those of a run they are read before, journalled before they are sent, and read back.

// manual is one write by hand.
type manual struct{ *pen }

// withPen runs f with what it takes to write: nobody else may be writing, and the ledger has a run of its own for it.
func (a *App) withPen(ctx context.Context, f func(ctx context.Context, m *manual) error) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	unlock, err := a.lockRun()
	if err != nil {
		return err
	}
	defer unlock()
	options, err := a.pumapi()
	if err != nil {
		return err
	}
	r := &run{App: a}
	if r.writer, err = ppms.NewWriter(options); err != nil {
		return err
	}
	r.reader = r.writer.Reader
	if r.ledger, err = a.openLedger(ctx); err != nil {
		return err
	}
	defer r.close()
	if !a.Config.DryRun { // or what a run has left in doubt would be taken for done by it, if it is done by hand now
		if err := r.settleDoubts(ctx); err != nil {
			return timedOut(ctx, err)
		}
	}
	return timedOut(ctx, f(ctx, &manual{&pen{run: r, report: &Report{}, missing: map[string]bool{}, byHand: true, step: func() {}}}))
}

// WriteOptions go with every write.
type WriteOptions struct {
	Yes  bool // does not ask
	Form Form // of the result
}

// confirm says what would be written and asks.
func (a *App) confirm(what string, o WriteOptions) error {
	what = Harmless(what)
	if o.Form == TableForm {
		if _, err := fmt.Fprintln(a.Out, what); err != nil {
			return err
		}
		what = "Write this to PPMS?"
	}
	if a.Config.DryRun || o.Yes {
		return nil
	}
	switch a.ask(what) {
	case Yes:
		return nil
	case Nobody:
		return usage("nothing was written: nobody is there to ask; give --yes")
	case No:
	}
	return errors.New("nothing was written")
}

// tell says what became of a change: to people in a sentence, to programs in an object or a row. Run is 0 where nothing was begun.
func (a *App) tell(form Form, c *reconcile.Change, run int64, sentence string) error {
	if form == TableForm {
		_, err := fmt.Fprintln(a.Out, Harmless(sentence))
		return err
	}
	s := &sheet{columns: []string{"run", "kind", "login", "outcome", "detail"}, single: true}
	s.add(int(run), string(c.Kind), c.Login, string(c.Outcome), c.Detail)
	return a.printSheet(s, form)
}

// do asks, journals and writes one change, and says what became of it.
func (m *manual) do(
	ctx context.Context, o WriteOptions, what string, c *reconcile.Change, write func(ctx context.Context, c *reconcile.Change),
) error {
	if err := m.confirm(what, o); err != nil {
		return err
	}
	if m.Config.DryRun {
		c.Outcome, c.Detail = reconcile.NotSent, "dry_run is set in the configuration: nothing was written."
		return m.tell(o.Form, c, 0, c.Detail)
	}
	c.Reason = "by hand"
	id, err := m.ledger.BeginRun(ctx, ledger.Run{
		Started: m.Now(), Mode: ledger.Manual, Policy: m.Config.Policy, ConfigHash: m.configHash(), Actor: m.actor(),
	})
	if err != nil {
		return err
	}
	m.id, m.report.Run = id, id
	write(ctx, c)
	m.report.Changes = []reconcile.Change{*c}
	result := ledger.RunResult{Finished: m.Now(), Result: ledger.Success, Totals: m.report.totals()}
	if c.Outcome != reconcile.Applied {
		result.Result, result.Error = ledger.Partial, c.Detail
	}
	if err := errors.Join(m.broken, m.ledger.FinishRun(context.WithoutCancel(ctx), id, result)); err != nil {
		return &ExitError{Code: ExitPartial, Err: err}
	}
	if c.Outcome == reconcile.Applied {
		return m.tell(o.Form, c, id, fmt.Sprintf("Done, and read back%s. Journalled as run %d.", detailWord(c.Detail), id))
	}
	if o.Form != TableForm {
		if err := m.tell(o.Form, c, id, ""); err != nil {
			return err
		}
	}
	code := ExitFailed
	if m.report.wrote {
		code = ExitPartial
	}
	return &ExitError{Code: code, Err: fmt.Errorf("%s: %s", c.Outcome, c.Detail)}
}

func detailWord(detail string) string {
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

// NewUserOptions are what a user is made of. Fields are named as in PUMAPI.
type NewUserOptions struct {
	Login        string
	Fields       map[string]string
	PasswordFile string // "" gives none: nobody can log in with one then
	WriteOptions
}

// CreateUser makes a new user, after a look that there is none of that login, which PPMS would overwrite, that PPMS knows the unit,
// which it would create, and that nobody is known to have the address.
func (a *App) CreateUser(ctx context.Context, o NewUserOptions) error {
	return a.withPen(ctx, func(ctx context.Context, m *manual) error {
		logins, err := m.reader.Users(ctx, ppms.Any)
		if err != nil {
			return err
		}
		if other, _ := spelling(logins, o.Login); other != o.Login {
			return fmt.Errorf("PPMS has a user %q already: logins that differ only in spelling are one person's", other)
		}
		_, exists, err := m.reader.User(ctx, o.Login)
		if err != nil {
			return err
		}
		if exists {
			return fmt.Errorf("PPMS has a user %q already, and would overwrite it", o.Login)
		}
		if err := m.knownUnit(ctx, o.Fields["unitlogin"]); err != nil {
			return err
		}
		if err := m.freeAddress(ctx, logins, o.Fields["email"], o.Fields["lname"]); err != nil {
			return err
		}
		m.also = map[string]string{}
		c := &reconcile.Change{Kind: reconcile.NewUser, Login: o.Login, Fields: map[string]reconcile.Value{}}
		shown := map[string]reconcile.Value{}
		for name, value := range o.Fields {
			if _, field := reconcile.FieldNamed(name); !field {
				m.also[name] = value
			} else if value != "" {
				c.Fields[name] = reconcile.Value{To: value}
			}
			if value != "" {
				shown[name] = reconcile.Value{To: value}
			}
		}
		if o.PasswordFile != "" {
			password, err := (secret.File{Path: o.PasswordFile, Dirs: []string{"."}}).Read()
			if err != nil {
				return fmt.Errorf("the password (--password-file): %w", err)
			}
			m.also["pwd"] = password.Reveal()
			shown["pwd"] = reconcile.Value{To: "the one in " + o.PasswordFile}
		}
		return m.do(ctx, o.WriteOptions, "New user "+o.Login+": "+fieldsWord(shown), c, func(ctx context.Context, c *reconcile.Change) {
			m.users(ctx, []*reconcile.Change{c})
		})
	})
}

func (m *manual) knownUnit(ctx context.Context, unit string) error {
	units, err := m.reader.Groups(ctx, ppms.Any)
	if err != nil || slices.Contains(units, unit) {
		return err
	}
	return fmt.Errorf("PPMS has no group %q and would make one of that name; `ppms-syncd ppms groups` lists them, and `ppms-syncd ppms group create` "+
		"makes one", unit)
}

// freeAddress asks those who had the address when the ledger saw them last, those of that last name, and who is new or written since. PUMAPI has
// no way to ask for the address itself, so that before a run has filled the ledger nothing is known.
func (m *manual) freeAddress(ctx context.Context, logins []string, email, lname string) error {
	remembered, err := m.remembered(ctx, m.ledger)
	if err != nil {
		return err
	}
	if len(remembered) == 0 {
		m.Log.Warn("the address was compared with nobody's: no run has read PPMS with this ledger; ppms-syncd ppms emails lists them")
		return nil
	}
	seen := make(map[string]bool, len(remembered))
	for i := range remembered {
		seen[remembered[i].Login] = true
	}
	likely := slices.DeleteFunc(slices.Clone(logins), func(login string) bool { return seen[login] })
	for i := range remembered {
		f := &remembered[i].Fields
		if remembered[i].VerifiedAt.IsZero() || reconcile.Same(reconcile.Email, f[reconcile.Email], email) || reconcile.KeyOf(f[reconcile.Lname]) == reconcile.KeyOf(lname) {
			likely = append(likely, remembered[i].Login)
		}
	}
	users, _, err := m.reader.Records(ctx, likely, nil)
	for i := range users {
		if reconcile.Same(reconcile.Email, users[i].Fields[reconcile.Email], email) {
			return fmt.Errorf("PPMS has a user %q with the address %s already: is that the same person?", users[i].Login, email)
		}
	}
	return err
}

func fieldsWord(fields map[string]reconcile.Value) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, name+": "+fields[name].To)
	}
	return strings.Join(parts, "; ")
}

// GroupOptions are what a group is made of. Fields are named as in PUMAPI.
type GroupOptions struct {
	Unitlogin string
	Fields    map[string]string
	WriteOptions
}

// CreateGroup makes a new group, after a look that there is none of that name, which PPMS would overwrite.
func (a *App) CreateGroup(ctx context.Context, o GroupOptions) error {
	return a.withPen(ctx, func(ctx context.Context, m *manual) error {
		_, exists, err := m.reader.Group(ctx, o.Unitlogin)
		if err != nil {
			return err
		}
		if exists {
			return fmt.Errorf("PPMS has a group %q already, and would overwrite it", o.Unitlogin)
		}
		units, err := m.reader.Groups(ctx, ppms.Any)
		if err != nil {
			return err
		}
		if other, listed := spelling(units, o.Unitlogin); listed {
			return fmt.Errorf("PPMS has a group %q already: unitlogins that differ only in spelling are one group's", other)
		}
		c := &reconcile.Change{Kind: reconcile.NewGroup, Login: o.Unitlogin, Fields: map[string]reconcile.Value{}}
		for name, value := range o.Fields {
			if value != "" {
				c.Fields[name] = reconcile.Value{To: value}
			}
		}
		return m.do(ctx, o.WriteOptions, strings.TrimSuffix("New group "+o.Unitlogin+": "+fieldsWord(c.Fields), ": "), c, m.newGroup)
	})
}

// newGroup looks once more, since PPMS would overwrite a group that was made while somebody thought about the question.
func (m *manual) newGroup(ctx context.Context, c *reconcile.Change) {
	switch _, exists, err := m.reader.Group(ctx, c.Login); {
	case err != nil:
		m.skip(ctx, c, reconcile.NotSent, "it could not be read before the write: "+err.Error())
		return
	case exists:
		m.skip(ctx, c, reconcile.Stale, "the group exists by now")
		return
	}
	m.send(ctx, c, func(ctx context.Context) error { return m.writer.NewGroup(ctx, c.Login, sent(c)) })
}

// send journals a change, sends it, and reads it back; for the kinds that only the toolbox writes.
func (m *manual) send(ctx context.Context, c *reconcile.Change, write func(ctx context.Context) error) {
	ctx, cancel := finish(ctx)
	defer cancel()
	entry, ok := m.intend(ctx, c)
	if !ok {
		return
	}
	answer := write(ctx)
	if f, undone := notDone(answer); undone {
		m.settle(ctx, c, entry, f)
		return
	}
	found, err := m.stateOf(ctx, c)
	if err != nil {
		found = finding{outcome: reconcile.InDoubt, detail: "it could not be read back: " + err.Error()}
	}
	m.settle(ctx, c, entry, found.after(answer))
}

// RightOptions say which right is set.
type RightOptions struct {
	Login, System, Level string
	LowerSuperuser       bool // also where the login has S, which is never lowered unasked
	WriteOptions
}

// SetRight gives somebody a level on a system, or D to take it away.
func (a *App) SetRight(ctx context.Context, o RightOptions) error {
	level, ok := reconcile.ParseLevel(strings.ToUpper(o.Level))
	if !ok {
		return usage("%q is no level: it is D (deactivated), N (novice), A (autonomous) or S (superuser)", o.Level)
	}
	return a.withPen(ctx, func(ctx context.Context, m *manual) error {
		on, err := system(ctx, m.reader, o.System)
		if err != nil {
			return err
		}
		user, exists, err := m.reader.User(ctx, o.Login)
		if err != nil {
			return err
		}
		if !exists {
			return fmt.Errorf("PPMS has no user %q", o.Login)
		}
		rights, err := m.reader.UserRights(ctx, user.Login)
		if err != nil {
			return err
		}
		have := rights[on.ID]
		from := have.String()
		c := &reconcile.Change{Kind: reconcile.SetRight, Login: user.Login, System: on.ID, SystemName: on.Name, From: &from, To: level.String()}
		where := fmt.Sprintf("%s (%d)", on.Name, on.ID)
		switch {
		case have == level:
			c.Outcome, c.Detail = reconcile.Applied, fmt.Sprintf("%s has %s on %s already: nothing to do.", user.Login, level, where)
			return m.tell(o.Form, c, 0, c.Detail)
		case have == reconcile.Superuser && !o.LowerSuperuser:
			return fmt.Errorf("%s is a superuser (S) of %s; --lower-superuser takes that away", user.Login, where)
		}
		inactive := ""
		if !user.Active {
			inactive = " (an inactive user)"
		}
		what := fmt.Sprintf("%s%s on %s: %s → %s", user.Login, inactive, where, word(from), level)
		return m.do(ctx, o.WriteOptions, what, c, func(ctx context.Context, c *reconcile.Change) { m.rights(ctx, []*reconcile.Change{c}) })
	})
}

// groupState compares a new group with what PPMS has.
func groupState(ctx context.Context, reader *ppms.Reader, c *reconcile.Change) (finding, error) {
	g, exists, err := reader.Group(ctx, c.Login)
	if err != nil {
		return finding{}, err
	}
	if !exists {
		return finding{outcome: reconcile.NotApplied, detail: "PPMS does not have the group"}, nil
	}
	have := map[string]string{
		"unitname": g.Name, "headname": g.HeadName, "heademail": g.HeadEmail, "unitbcode": g.Bcode, "department": g.Department,
		"institution": g.Institution, "address": g.Address, "affiliation": g.Affiliation, "ext": strconv.FormatBool(g.External),
	}
	var other []string
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		if want := c.Fields[name].To; have[name] != want {
			other = append(other, fmt.Sprintf("%s is %q, not %q", name, have[name], want))
		}
	}
	if other != nil {
		return finding{outcome: reconcile.Applied, detail: "created, but PPMS has " + strings.Join(other, "; ")}, nil
	}
	return finding{outcome: reconcile.Applied}, nil
}
