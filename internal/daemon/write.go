package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

const (
	// tooMany failures in a row end the writing: PPMS or the way to it is broken.
	tooMany = 5
	// finishing is how long a write that was begun, and its read-back, may take after the run was told to stop.
	finishing = 25 * time.Second
)

// pen writes changes one after the other. Each is read again before it is written, journalled before it is sent, and known
// only once it was read back.
type pen struct {
	*run
	report   *Report
	failures int               // in a row
	broken   error             // the ledger failed: nothing more may be sent
	missing  map[string]bool   // logins whose newuser was not applied
	byHand   bool              // of the toolbox
	also     map[string]string // sent with a newuser, and neither journalled nor read back: a password
	step     func()
}

// write does what the guards let through, in the order of the plan: newuser, updateuser, grants, revocations, deactivations.
func (r *run) write(ctx context.Context, report *Report) error {
	defer r.Metrics.phase(phaseWrite)()
	p := &pen{run: r, report: report, missing: map[string]bool{}}
	var todo []*reconcile.Change
	for i := range report.Changes {
		c := &report.Changes[i]
		switch {
		case c.Outcome != "": // stale already, in a saved plan
			p.skip(ctx, c, c.Outcome, c.Detail)
		case c.Held != "":
			c.Outcome, c.Detail = reconcile.HeldBack, heldBy(c)
		default:
			todo = append(todo, c)
		}
	}
	show, done := r.progress("changes", len(todo)), 0
	p.step = func() { done++; show(done) }
	first, rights, last := phases(todo)
	p.users(ctx, first)
	p.rights(ctx, rights)
	p.users(ctx, last)
	if p.broken != nil {
		return p.broken
	}
	if ctx.Err() != nil && !report.allApplied() {
		return errInterrupted
	}
	return nil
}

func heldBy(c *reconcile.Change) string { return "held by guard " + c.Held }

// phases splits the changes: accounts are made and kept right before anybody gets rights, and deactivated when all else is done.
func phases(todo []*reconcile.Change) (first, rights, last []*reconcile.Change) {
	for _, c := range todo {
		switch {
		case c.Kind == reconcile.SetRight:
			rights = append(rights, c)
		case c.Guard() == reconcile.Deactivations:
			last = append(last, c)
		default:
			first = append(first, c)
		}
	}
	return first, rights, last
}

// stopped says why nothing more may be begun; "" if it may.
func (p *pen) stopped(ctx context.Context) string {
	switch {
	case p.broken != nil:
		return "the ledger failed"
	case ctx.Err() != nil:
		return "the run was stopped"
	case p.failures >= tooMany:
		return fmt.Sprintf("writing ended after %d failures in a row", tooMany)
	}
	return ""
}

func (p *pen) users(ctx context.Context, changes []*reconcile.Change) {
	for _, c := range changes {
		if why := p.stopped(ctx); why != "" {
			c.Outcome, c.Detail = reconcile.NotSent, why
			continue
		}
		p.user(ctx, c)
		if c.Kind == reconcile.NewUser && c.Outcome != reconcile.Applied {
			p.missing[c.Login] = true
		}
		p.step()
	}
}

// finish is the context for what must not be torn apart, a write with its read-back: told to stop in the middle, it still gets
// its time.
func finish(run context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(run))
	stop := context.AfterFunc(run, func() { time.AfterFunc(finishing, cancel) })
	return ctx, func() { stop(); cancel() }
}

// user writes one account.
func (p *pen) user(ctx context.Context, c *reconcile.Change) {
	ctx, cancel := finish(ctx)
	defer cancel()
	now, exists, err := p.writer.User(ctx, c.Login)
	if err != nil {
		p.skip(ctx, c, reconcile.NotSent, "it could not be read before the write: "+err.Error())
		return
	}
	if why := staleUser(c, &now, exists); why != "" {
		p.skip(ctx, c, reconcile.Stale, why)
		return
	}
	entry, ok := p.intend(ctx, c)
	if !ok {
		return
	}
	fields := sent(c)
	maps.Copy(fields, p.also)
	if c.Kind == reconcile.NewUser {
		err = p.writer.NewUser(ctx, c.Login, fields)
	} else {
		err = p.writer.UpdateUser(ctx, now.Login, fields)
	}
	p.settle(ctx, c, entry, p.userOutcome(ctx, c, err))
}

// sent are the fields of the request.
func sent(c *reconcile.Change) map[string]string {
	fields := make(map[string]string, len(c.Fields))
	for name, v := range c.Fields {
		fields[name] = v.To
	}
	return fields
}

// staleUser says what is no longer as the plan had it.
func staleUser(c *reconcile.Change, now *ppms.User, exists bool) string {
	if c.Kind == reconcile.NewUser {
		if exists {
			return "the account exists by now"
		}
		return ""
	}
	if !exists {
		return "the account is gone"
	}
	_, switches := c.Fields[reconcile.ActiveField]
	if !switches && !now.Active {
		return "the account is inactive by now"
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		v := c.Fields[name]
		if have := fieldOf(&now.Account, name); v.From != nil && have != *v.From {
			return fmt.Sprintf("%s is %q by now, not %q", name, have, *v.From)
		}
	}
	return ""
}

func fieldOf(a *reconcile.Account, name string) string {
	if name == reconcile.ActiveField {
		return fmt.Sprint(a.Active)
	}
	if f, ok := reconcile.FieldNamed(name); ok {
		return a.Fields[f]
	}
	return ""
}

// userOutcome finds out what became of a write that was begun.
func (p *pen) userOutcome(ctx context.Context, c *reconcile.Change, answer error) finding {
	if f, undone := notDone(answer); undone {
		return f
	}
	now, exists, err := p.writer.User(ctx, c.Login)
	if err != nil {
		return finding{outcome: reconcile.InDoubt, detail: "and it could not be read back: " + err.Error()}.after(answer)
	}
	if c.Kind == reconcile.NewUser && exists && !p.byHand { // so that the next run sees if it is another by then
		if err := p.ledger.SaveAccounts(context.WithoutCancel(ctx), []ledger.AccountSeen{{Account: now.Account}}); err != nil {
			p.broken = err
		}
	}
	return userState(c, &now, exists).after(answer)
}

// notDone is what an answer to a write has shown if it needs no look at PPMS: it was never sent, or refused.
func notDone(answer error) (f finding, undone bool) {
	switch ppms.FateOf(answer) {
	case ppms.NeverSent:
		return finding{outcome: reconcile.NotSent, detail: answer.Error()}, true
	case ppms.Rejected:
		return finding{outcome: reconcile.Refused, detail: answer.Error()}, true
	case ppms.Confirmed, ppms.Unknown:
	}
	return finding{}, false
}

// finding is what a look at PPMS after a write has shown.
type finding struct {
	outcome reconcile.Outcome
	detail  string
	missed  map[string]string // of a change that is not applied: what it touches, and what PPMS has there
}

// after adds what PPMS had answered. Only what it said it did, and did not do, was missed: an answer that was lost says nothing.
func (f finding) after(answer error) finding {
	if answer != nil && f.outcome != reconcile.Applied {
		f.detail, f.missed = answer.Error()+"; "+f.detail, nil
	}
	return f
}

// userState compares a change with what PPMS has now. A new account counts as ours if its e-mail or last name is the one that
// was sent; what else PPMS made of the fields is for the next plan.
func userState(c *reconcile.Change, now *ppms.User, exists bool) finding {
	missed := map[string]string{}
	if !exists {
		if c.Kind == reconcile.NewUser {
			missed[""] = ""
		}
		return finding{reconcile.NotApplied, "PPMS does not have the account", missed}
	}
	var other []string
	same := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		want, have := c.Fields[name].To, fieldOf(&now.Account, name)
		f, isField := reconcile.FieldNamed(name)
		same[name] = want == have || isField && reconcile.Same(f, want, have)
		if !same[name] {
			other = append(other, fmt.Sprintf("%s is %q, not %q", name, have, want))
			missed[name] = have
		}
	}
	detail := strings.Join(other, "; ")
	if c.Kind == reconcile.NewUser && (same["email"] || same["lname"]) {
		if detail != "" {
			detail = "created, but PPMS has " + detail
		}
		return finding{outcome: reconcile.Applied, detail: detail}
	}
	if len(other) > 0 {
		return finding{reconcile.NotApplied, "PPMS has " + detail, missed}
	}
	return finding{outcome: reconcile.Applied}
}

// intend journals a change before it is sent.
func (p *pen) intend(ctx context.Context, c *reconcile.Change) (int64, bool) {
	entry, err := p.ledger.Intend(context.WithoutCancel(ctx), p.id, *c, p.Now())
	if errors.Is(err, ledger.ErrWord) {
		p.skip(ctx, c, reconcile.Stale, ledger.ErrWord.Error())
		return 0, false
	}
	if err != nil {
		p.broken = err
		c.Outcome, c.Detail = reconcile.NotSent, "it could not be journalled: "+err.Error()
		return 0, false
	}
	p.report.wrote = true
	return entry, true
}

// settle journals what became of it. Of what does not stick it is counted how often that was seen.
func (p *pen) settle(ctx context.Context, c *reconcile.Change, entry int64, f finding) {
	ctx = context.WithoutCancel(ctx)
	if p.undoes == 0 && !p.byHand && len(f.missed) > 0 { // nobody does an undo again
		stuck, last := reconcile.Missed(c, f.missed, p.stuck, p.id, p.Now())
		if err := p.ledger.Stick(ctx, stuck); err != nil {
			p.broken = err
		}
		if last {
			f.outcome = reconcile.DoesNotStick
			f.detail += fmt.Sprintf("; that is so in %d runs in a row, and is left alone from now on", reconcile.MaxTries)
		}
	}
	c.Outcome, c.Detail = f.outcome, f.detail
	if err := p.ledger.Settle(ctx, entry, f.outcome, f.detail, p.Now()); err != nil {
		p.broken = err
	}
	p.count(f.outcome)
	p.logChange(c)
}

// skip journals a change that was never sent.
func (p *pen) skip(ctx context.Context, c *reconcile.Change, outcome reconcile.Outcome, detail string) {
	c.Outcome, c.Detail = outcome, detail
	if err := p.ledger.Record(context.WithoutCancel(ctx), p.id, *c, outcome, detail, p.Now()); err != nil {
		p.broken = err
	}
	p.count(outcome)
	p.logChange(c)
}

func (p *pen) count(outcome reconcile.Outcome) {
	if outcome == reconcile.NotSent || outcome == reconcile.InDoubt {
		p.failures++
	} else {
		p.failures = 0
	}
}

func (p *pen) logChange(c *reconcile.Change) {
	fields := []zap.Field{
		zap.String("kind", string(c.Kind)), zap.String("login", c.Login), zap.String("outcome", string(c.Outcome)),
		zap.String("reason", c.Reason),
	}
	if c.Kind == reconcile.SetRight {
		fields = append(fields, zap.Int("system", c.System), zap.String("from", *c.From), zap.String("to", c.To))
	} else {
		fields = append(fields, zap.Strings("fields", slices.Sorted(maps.Keys(c.Fields))))
	}
	if c.Detail != "" {
		fields = append(fields, zap.String("detail", c.Detail))
	}
	if c.Outcome == reconcile.Applied {
		p.Log.Info("change", fields...)
	} else {
		p.Log.Warn("change", fields...)
	}
}
