package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// run is one comparison, and perhaps its writes.
type run struct {
	*App
	source  *ldapsrc.Source
	reader  *ppms.Reader
	writer  *ppms.Writer // nil: this run has nothing that could write to PPMS
	ledger  Ledger       // nil: there is none yet, and this run only plans
	id      int64        // in the ledger; 0 for a plan
	memory  reconcile.Memory
	known   []ledger.AccountSeen
	changed map[reconcile.Key]bool // accounts that may be somebody else's since the run before
	fresh   map[string]bool        // logins whose records were read in this run; the others are as the ledger had them
	doubts  []reconcile.Hold       // people with a write in doubt of which PPMS says nothing: left alone in this run

	file    *reconcile.Plan // apply exactly this plan, if set
	approve string          // hash that was approved on the command line

	stuck []reconcile.Stuck // what earlier runs wrote in vain, as far as neither side has changed since

	undoes  int64              // the run that this one undoes; 0 for a sync
	journal []reconcile.Change // what that one wrote
	ended   time.Time          // when the last of that was known
}

// Report is what a run found and did.
type Report struct {
	reconcile.Plan
	Run        int64       `json:"run,omitempty"`
	DryRun     bool        `json:"dry_run,omitempty"`
	Afterwards *Afterwards `json:"rehearsed,omitempty"` // after a rehearsal only
	Unmatched  []string    `json:"-"`                   // active accounts that nobody in the directory is linked to
	Leaving    []Leaver    `json:"-"`                   // who is on the way out, but not yet
	FirstRun   bool        `json:"-"`                   // the ledger had nothing
	HeldSince  int         `json:"-"`                   // fields and rights that are held since this undo
	wrote      bool
}

// do is one run: it reads the directory, reads PPMS, computes the plan and lets the guards judge it, remembers what it saw, and
// writes.
func (r *run) do(ctx context.Context) (report *Report, err error) {
	defer r.Metrics.phase(phaseTotal)()
	defer r.shield(&err)
	if err := r.settleDoubts(ctx); err != nil {
		return nil, err
	}
	if err := r.recall(ctx); err != nil {
		return nil, err
	}
	if r.undoes != 0 {
		return r.takeBack(ctx)
	}
	directory, err := r.readDirectory(ctx)
	if err != nil {
		return nil, err
	}
	side, err := r.readPPMS(ctx, directory)
	if err != nil {
		return nil, err
	}
	report, seen, err := r.decide(ctx, directory, side)
	if err != nil || r.id == 0 {
		return report, err // a plan ends here
	}
	if err := r.remember(ctx, seen, side, &report.Plan); err != nil {
		return nil, err
	}
	if r.writer == nil {
		report.DryRun = true
		return report, nil
	}
	return report, r.write(ctx, report)
}

// decide computes the plan and lets the guards judge it, with an approval that came on the command line.
func (r *run) decide(ctx context.Context, directory *ldapsrc.Result, side *reconcile.PPMS) (*Report, reconcile.Observations, error) {
	defer r.Metrics.phase(phasePlan)()
	plan, seen := r.compute(directory, side)
	if r.approve != "" {
		if err := r.acceptApproval(ctx, &plan); err != nil {
			return nil, seen, err
		}
		plan, seen = r.compute(directory, side)
	}
	settings := r.Config.Settings()
	reconcile.Judge(&plan, settings.Guards, r.memory, r.Now())
	r.logGuards(&plan)
	if r.undoes != 0 {
		return &Report{Plan: plan, Run: r.id}, seen, nil
	}
	links := slices.Concat(r.memory.Links, seen.Linked)
	report := &Report{
		Plan: plan, Run: r.id, FirstRun: r.memory.Baseline.At.IsZero(),
		Unmatched: reconcile.Unmatched(side.Accounts, links), Leaving: leaving(links, seen.Leavers, &plan, settings.Leavers),
	}
	held := reconcile.Memory{Holds: r.memory.Holds, Stuck: seen.Stuck}
	r.Metrics.compared(report, len(held.Held()), r.Now())
	return report, seen, nil
}

// Leaver is a linked person who is missing from the directory or disabled in it.
type Leaver struct {
	Login string
	reconcile.Cause
	From time.Time // the earliest deactivation, by policy sync
}

// leaving lists the leavers whom the plan does not deactivate, sorted by when it may.
func leaving(links []reconcile.Link, leavers map[string]reconcile.Cause, plan *reconcile.Plan, settings reconcile.LeaverSettings) []Leaver {
	due := map[string]bool{}
	for i := range plan.Changes {
		due[plan.Changes[i].PersonID] = true
	}
	var out []Leaver
	for i := range links {
		id := links[i].ID
		if cause, ok := leavers[id]; ok && !due[id] {
			due[id] = true
			out = append(out, Leaver{links[i].Login, cause, settings.End(cause)})
		}
	}
	slices.SortFunc(out, func(a, b Leaver) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Login, b.Login)) })
	return out
}

// recall loads what the ledger knows.
func (r *run) recall(ctx context.Context) (err error) {
	if r.ledger == nil {
		return nil
	}
	if err := r.recallMemory(ctx); err != nil {
		return err
	}
	r.known, err = r.remembered(ctx, r.ledger)
	return err
}

// recallMemory loads what decides. Of another PPMS than that of the last run nothing is known but whom it may have.
func (r *run) recallMemory(ctx context.Context) (err error) {
	if r.memory, err = r.ledger.Memory(ctx, r.Now()); err != nil {
		return err
	}
	r.memory.Holds = append(r.memory.Holds, r.doubts...)
	view, _, err := r.ledger.View(ctx)
	if err != nil {
		return err
	}
	if view.PPMS != "" && view.PPMS != r.instance() && r.rehearsal == nil {
		r.Log.Warn("this is another PPMS than that of the last run: whose accounts these are is settled anew, and all rights count as staff's",
			zap.String("before", view.PPMS), zap.String("now", r.instance()))
		for i := range r.memory.Links { // the accounts that they speak of are not here
			r.memory.Links[i].Gone = true
		}
	}
	return nil
}

func (r *run) readDirectory(ctx context.Context) (*ldapsrc.Result, error) {
	defer r.Metrics.phase(phaseDirectory)()
	result, err := r.source.Read(ctx, request(r.memory, ""))
	if err != nil {
		return nil, fmt.Errorf("nothing was compared: %w", err)
	}
	r.Metrics.read(result.Pages)
	r.Metrics.connected(sideLDAP, result.CertExpires)
	return result, nil
}

// request asks for a read that knows what earlier ones have shown; about is a login that is to be explained.
func request(m reconcile.Memory, about string) ldapsrc.Request {
	known := make(map[string]string, len(m.Links))
	for i := range m.Links {
		known[m.Links[i].ID] = m.Links[i].DN
	}
	return ldapsrc.Request{
		Known:   known,
		Missing: func(people []reconcile.Person) []string { return reconcile.MissingIDs(people, m) },
		Groups:  m.Groups(),
		About:   about,
	}
}

// input is all that a comparison rests on; an undo has no directory.
func (r *run) input(directory *ldapsrc.Result, side *reconcile.PPMS) reconcile.Input {
	in := reconcile.Input{
		Now: r.Now().UTC().Truncate(time.Millisecond), Settings: r.Config.Settings(), PPMS: *side, Memory: r.memory, Changed: r.changed,
	}
	if directory != nil {
		in.Directory = directory.Directory
	}
	return in
}

// compare computes the whole plan, or that of an undo.
func (r *run) compare(in reconcile.Input) (reconcile.Plan, reconcile.Observations) {
	if r.undoes != 0 {
		return reconcile.Undo(reconcile.UndoInput{
			Now: in.Now, Run: r.undoes, Journal: r.journal, Ended: r.ended, Settings: in.Settings, PPMS: in.PPMS, Memory: in.Memory, Changed: in.Changed,
		}), reconcile.Observations{}
	}
	return reconcile.Compute(in)
}

func (r *run) compute(directory *ldapsrc.Result, side *reconcile.PPMS) (reconcile.Plan, reconcile.Observations) {
	plan, seen := r.compare(r.input(directory, side))
	plan.ConfigHash = r.configHash()
	if r.file != nil {
		plan = only(r.file, plan)
	}
	return plan, seen
}

// acceptApproval turns a hash on the command line into an approval, if it is that of the plan at hand, and narrows the run to that
// plan. What a shrunken directory is to be accepted as stands in the saved plan, which somebody has looked at; the hash of a fresh
// one does not say it.
func (r *run) acceptApproval(ctx context.Context, plan *reconcile.Plan) error {
	approved := r.file
	if approved == nil {
		if !hashFits(r.approve, plan.Hash) {
			return fmt.Errorf("the plan is now %s, not %s: look at it again with `ppms-syncd plan`, then approve that", plan.Hash, r.approve)
		}
		reconcile.Judge(plan, r.Config.Settings().Guards, r.memory, r.Now())
		if plan.Tripped(reconcile.Shrink) {
			return errors.New("the directory has shrunk, and a hash does not say to which size: save the plan with `ppms-syncd plan -o FILE`, " +
				"look at it, then `ppms-syncd apply FILE --approve HASH`")
		}
		shown := *plan
		approved = &shown
	}
	if err := r.ledger.Approve(ctx, *approved, r.actor(), r.Now(), r.Now().Add(DefaultApproval)); err != nil {
		return err
	}
	r.file = approved
	return r.recallMemory(ctx)
}

// logGuards makes a trip visible to whoever watches the log, with its numbers.
func (r *run) logGuards(plan *reconcile.Plan) {
	for _, g := range plan.Guards {
		if g.Tripped {
			r.Log.Warn("guard tripped", zap.String("guard", string(g.Name)), zap.Int("value", g.Value), zap.Int("limit", g.Limit),
				zap.String("plan", plan.Hash))
		}
	}
}

// remember stores what a complete read has shown, before anything is written.
func (r *run) remember(ctx context.Context, seen reconcile.Observations, side *reconcile.PPMS, plan *reconcile.Plan) error {
	now := r.Now()
	r.stuck = seen.Stuck
	if err := r.ledger.Observe(ctx, r.id, seen, now); err != nil {
		return err
	}
	if err := r.ledger.SaveAccounts(ctx, r.seen(side, plan, now)); err != nil {
		return err
	}
	present := make(map[string]bool, len(side.Accounts))
	for i := range side.Accounts {
		present[side.Accounts[i].Login] = true
	}
	var gone []string
	for i := range r.known {
		if login := r.known[i].Login; !present[login] {
			gone = append(gone, login)
		}
	}
	if err := r.ledger.DropAccounts(ctx, gone); err != nil {
		return err
	}
	view := ledger.View{At: now, PPMS: r.instance(), Systems: side.Systems, Units: side.Units, Admins: side.Admins}
	if err := r.ledger.SaveView(ctx, r.id, view); err != nil {
		return err
	}
	if plan.Holds() {
		return r.ledger.HoldPlan(ctx, r.id, *plan, now)
	}
	return nil
}

// seen are the records that were read in this run. One that is about to be written counts as never verified, since it is then no
// longer what was read, so that the next run reads it whatever becomes of this one.
func (r *run) seen(side *reconcile.PPMS, plan *reconcile.Plan, now time.Time) []ledger.AccountSeen {
	touched := map[string]*reconcile.Change{}
	for i := range plan.Changes {
		if c := &plan.Changes[i]; c.Kind == reconcile.UpdateUser {
			touched[c.Login] = c
		}
	}
	var seen []ledger.AccountSeen
	for i := range side.Accounts {
		a := &side.Accounts[i]
		switch c := touched[a.Login]; {
		case c != nil && c.Fields[reconcile.Email.String()].From != nil && c.Fields[reconcile.Lname.String()].From != nil:
			seen = append(seen, unknown(*a))
		case c != nil:
			seen = append(seen, ledger.AccountSeen{Account: *a})
		case r.fresh[a.Login]:
			seen = append(seen, ledger.AccountSeen{Account: *a, VerifiedAt: now})
		}
	}
	return seen
}

// exit says how the program ends after this report.
func (r *Report) exit() int {
	switch {
	case r.DryRun && !r.Holds():
		return ExitOK
	case r.wrote && !r.allApplied():
		return ExitPartial
	case r.Holds():
		return ExitHeld
	case !r.allApplied(): // a saved plan of which nothing is left to do as it stands
		return ExitPartial
	}
	return ExitOK
}

// allApplied says whether every change that no guard held was applied.
func (r *Report) allApplied() bool {
	for i := range r.Changes {
		if c := &r.Changes[i]; c.Held == "" && c.Outcome != reconcile.Applied {
			return false
		}
	}
	return true
}

// result is the word for the ledger and the metrics.
func (r *Report) result() ledger.Result {
	switch r.exit() {
	case ExitPartial:
		return ledger.Partial
	case ExitHeld:
		return ledger.Held
	}
	return ledger.Success
}

func (r *Report) totals() ledger.Totals {
	t := ledger.Totals{Summary: r.Summary, Directory: r.Directory, PPMS: r.PPMS, Outcomes: map[reconcile.Outcome]int{}}
	for i := range r.Changes {
		if o := r.Changes[i].Outcome; o != "" {
			t.Outcomes[o]++
		}
	}
	return t
}

// errInterrupted ends a run that somebody stopped.
var errInterrupted = errors.New("stopped before all was written; the next run goes on")
