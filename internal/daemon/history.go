package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// HistoryOptions say what of the past is shown.
type HistoryOptions struct {
	Run       int64 // 0: the list of runs
	Unmatched bool  // the active accounts that nobody in the directory is linked to, as of the last run
	Holds     bool  // what is left alone until it is released
	Output    Output
	Limit     int
}

// History shows runs, or what one run did, or the accounts that are nobody's.
func (a *App) History(ctx context.Context, o HistoryOptions) error {
	l, err := a.readLedger(ctx)
	if err != nil {
		return err
	}
	if l == nil {
		return a.noLedger()
	}
	defer func() { _ = l.Close() }() // it was only read
	switch {
	case o.Unmatched:
		return a.unmatched(ctx, l, o)
	case o.Holds:
		return a.historyHolds(ctx, l, o)
	case o.Run != 0:
		return a.historyOf(ctx, l, o)
	}
	runs, err := lastRuns(ctx, l, o.Limit)
	if err != nil {
		return err
	}
	if o.Output == JSON {
		return a.printJSON(runsJSON(runs))
	}
	p := &printer{out: a.Out, colour: a.Colour}
	if len(runs) == 0 {
		p.printf("No runs yet.\n")
		return p.err
	}
	rows := make([][]string, len(runs))
	for i := range runs {
		r := &runs[i]
		rows[i] = []string{
			strconv.FormatInt(r.ID, 10), clock(r.Started), modeWord(r), string(r.Policy), resultWord(r), outcomesWord(r.Totals.Outcomes), shortHash(r.PlanHash),
			r.Actor.User + "@" + r.Actor.Host, r.Error,
		}
	}
	p.table([]string{"run", "started", "mode", "policy", "result", "changes", "plan", "by", "error"}, rows)
	memory, err := l.Memory(ctx, a.Now())
	if err != nil {
		return err
	}
	if err := p.lastHeld(ctx, l, memory.Approved, a.Now()); err != nil {
		return err
	}
	if n := len(memory.Held()); n > 0 {
		p.printf("\n%s; ppms-syncd history --holds tells what and how to end it.\n", count(n, "thing is held", "things are held"))
	}
	return p.err
}

// lastHeld says what to do if the last plan was held.
func (p *printer) lastHeld(ctx context.Context, l Ledger, approved map[string]time.Time, now time.Time) error {
	last, _, err := l.Latest(ctx)
	if err != nil || last.Result != ledger.Held {
		return err
	}
	plan, found, err := l.HeldPlan(ctx, last.PlanHash)
	if found {
		p.printf("\nRun %d was held (%s). %s\n", last.ID, tripped(&plan), howToGoOn(&plan, approved, now))
	}
	return err
}

// howToGoOn says what to do about the last plan, which was held.
func howToGoOn(plan *reconcile.Plan, approved map[string]time.Time, now time.Time) string {
	until := approvedUntil(plan, approved, now)
	switch {
	case plan.Tripped(reconcile.MinPeople):
		return "If the directory really has so few people, lower guards.min_people."
	case !until.IsZero() && plan.Undoes != 0:
		return fmt.Sprintf("It is approved until %s: ppms-syncd apply FILE, with the file of that plan, writes it.", clock(until))
	case plan.Undoes != 0:
		return fmt.Sprintf("When you have looked at it: ppms-syncd apply FILE --approve %s, with the file of that plan.", shortHash(plan.Hash))
	case !until.IsZero():
		return fmt.Sprintf("It is approved until %s: the next run writes what it plans again unchanged.", clock(until))
	}
	return "When you have looked at it: ppms-syncd approve " + shortHash(plan.Hash)
}

// approvedUntil is when the first of a plan's approvals ends; zero if not all of its changes are approved.
func approvedUntil(plan *reconcile.Plan, approved map[string]time.Time, now time.Time) (until time.Time) {
	for i := range plan.Changes {
		end := approved[reconcile.ApprovalOf(plan.Undoes, &plan.Changes[i])]
		if !now.Before(end) {
			return time.Time{}
		}
		if until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return until
}

func tripped(plan *reconcile.Plan) string {
	var parts []string
	for _, g := range plan.Guards {
		if g.Tripped {
			parts = append(parts, fmt.Sprintf("%s: %d, limit %d", g.Name, g.Value, g.Limit))
		}
	}
	if len(parts) == 0 {
		return "removals that need an approval"
	}
	return strings.Join(parts, "; ")
}

func modeWord(r *ledger.Run) string {
	if r.Undoes == 0 {
		return string(r.Mode)
	}
	return fmt.Sprintf("%s of run %d", r.Mode, r.Undoes)
}

func resultWord(r *ledger.Run) string {
	if r.Finished.IsZero() {
		return "not finished"
	}
	return string(r.Result)
}

// outcomesWord spells what became of changes, in an order of its own; "none" if there are none.
func outcomesWord(n map[reconcile.Outcome]int) string {
	var parts []string
	for _, o := range []reconcile.Outcome{
		reconcile.Applied, reconcile.HeldBack, reconcile.Refused, reconcile.NotSent, reconcile.Stale, reconcile.NotApplied,
		reconcile.DoesNotStick, reconcile.InDoubt,
	} {
		if n[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[o], o))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func (a *App) historyOf(ctx context.Context, l Ledger, o HistoryOptions) error {
	r, found, err := l.Run(ctx, o.Run)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the ledger has no run %d; `ppms-syncd history` lists them", o.Run)
	}
	entries, err := l.Entries(ctx, o.Run)
	if err != nil {
		return err
	}
	held, err := heldOf(ctx, l, &r, entries)
	if err != nil {
		return err
	}
	r.Totals.Outcomes = settledNow(r.Totals.Outcomes, entries)
	all := slices.Concat(entries, held)
	if o.Output == JSON {
		return a.printJSON(struct {
			runJSON
			Changes []entryJSON `json:"changes"`
		}{runsJSON([]ledger.Run{r})[0], entriesJSON(all)})
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("Run %d: %s", r.ID, modeWord(&r))
	if r.Policy != "" { // the toolbox needs none
		p.printf(", policy %s", r.Policy)
	}
	p.printf(", started %s by %s@%s with version %s: %s", clock(r.Started), r.Actor.User, r.Actor.Host, r.Actor.Version, resultWord(&r))
	if r.Error != "" {
		p.printf(" (%s)", harmless(r.Error))
	}
	p.printf(".\n%s: %s\n", strings.TrimSpace("Plan "+r.PlanHash), outcomesWord(r.Totals.Outcomes))
	if len(entries) == 0 {
		p.printf("Nothing was written.\n")
	}
	if len(all) == 0 {
		return p.err
	}
	rows := make([][]string, len(all))
	for i := range all {
		e := &all[i]
		rows[i] = []string{clock(e.At), string(e.Change.Kind), e.Change.Login, what(&e.Change), string(becameOf(e)), e.Detail, e.Change.Reason}
	}
	p.printf("\n")
	p.table([]string{"at", "kind", "login", "change", "outcome", "detail", "reason"}, rows)
	return p.err
}

// heldOf are the changes that a guard held in a run. They are not in the journal, but in the plan that was kept, until somebody in it is
// forgotten. If a later run came to the same plan and other guards held it, that is the one that was kept: what is not in the journal
// was held then, if the number fits.
func heldOf(ctx context.Context, l Ledger, r *ledger.Run, written []ledger.Entry) ([]ledger.Entry, error) {
	n := r.Totals.Outcomes[reconcile.HeldBack]
	if n == 0 && (r.Mode != ledger.DryRun || r.Result != ledger.Held) {
		return nil, nil
	}
	plan, found, err := l.HeldPlan(ctx, r.PlanHash)
	if err != nil || !found {
		return nil, err
	}
	begun := make(map[string]bool, len(written))
	for i := range written {
		begun[written[i].Change.ID()] = true
	}
	rest := slices.DeleteFunc(plan.Changes, func(c reconcile.Change) bool { return begun[c.ID()] })
	if len(rest) != n {
		rest = slices.DeleteFunc(rest, func(c reconcile.Change) bool { return c.Held == "" })
	}
	held := make([]ledger.Entry, len(rest))
	for i := range rest {
		c := &rest[i]
		held[i] = ledger.Entry{Run: r.ID, Change: *c, At: r.Started, Outcome: reconcile.HeldBack}
		if c.Held != "" {
			held[i].Detail = heldBy(c)
		}
	}
	return held, nil
}

// lastRuns lists runs. What one did that was killed, or is under way, only the journal knows.
func lastRuns(ctx context.Context, l Ledger, limit int) ([]ledger.Run, error) {
	runs, err := l.Runs(ctx, limit)
	for i := range runs {
		if r := &runs[i]; r.Finished.IsZero() {
			entries, err := l.Entries(ctx, r.ID)
			if err != nil {
				return nil, err
			}
			r.Totals.Outcomes = settledNow(nil, entries)
		}
	}
	return runs, err
}

// becameOf is what became of a change; one that was begun and has no outcome yet is in doubt.
func becameOf(e *ledger.Entry) reconcile.Outcome { return cmp.Or(e.Outcome, reconcile.InDoubt) }

// settledNow counts the outcomes anew: a later run may have settled what was in doubt.
func settledNow(then map[reconcile.Outcome]int, entries []ledger.Entry) map[reconcile.Outcome]int {
	now := map[reconcile.Outcome]int{}
	for i := range entries {
		now[becameOf(&entries[i])]++
	}
	for o, n := range then { // what was held or never begun is not in the journal
		if o != reconcile.InDoubt {
			now[o] = max(n, now[o])
		}
	}
	return now
}

func (a *App) unmatched(ctx context.Context, l Ledger, o HistoryOptions) error {
	accounts, err := l.Unmatched(ctx)
	if err != nil {
		return err
	}
	rows, logins := make([][]string, len(accounts)), make([]string, len(accounts))
	for i := range accounts {
		f := accounts[i].Fields
		logins[i] = accounts[i].Login
		rows[i] = []string{logins[i], f[reconcile.Lname] + ", " + f[reconcile.Fname], f[reconcile.Unit], f[reconcile.Email]}
	}
	if o.Output == JSON {
		return a.printJSON(logins)
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("%s in PPMS that nobody in the directory is linked to, as of the last run. ppms-syncd never writes them.\n",
		count(len(logins), "active account", "active accounts"))
	if len(rows) > 0 {
		p.table([]string{"login", "name", "unit", "e-mail"}, rows)
	}
	return p.err
}

func (a *App) printJSON(v any) error {
	data, err := encodeJSON(v)
	if err != nil {
		return err
	}
	_, err = a.Out.Write(data)
	return err
}

// runJSON is one run for programs. Times are RFC 3339.
type runJSON struct {
	Run        int64          `json:"run"`
	Started    string         `json:"started"`
	Finished   string         `json:"finished,omitempty"`
	Mode       string         `json:"mode"`
	Undoes     int64          `json:"undoes,omitempty"`
	Policy     string         `json:"policy"`
	Result     string         `json:"result,omitempty"`
	Error      string         `json:"error,omitempty"`
	PlanHash   string         `json:"plan_hash,omitempty"`
	ConfigHash string         `json:"config_hash"`
	User       string         `json:"user"`
	Host       string         `json:"host"`
	Version    string         `json:"version"`
	Outcomes   map[string]int `json:"outcomes"`
}

func runsJSON(runs []ledger.Run) []runJSON {
	out := make([]runJSON, len(runs))
	for i := range runs {
		r := &runs[i]
		out[i] = runJSON{
			Run: r.ID, Started: stamp(r.Started), Finished: stamp(r.Finished), Mode: string(r.Mode), Undoes: r.Undoes, Policy: string(r.Policy),
			Result: string(r.Result), Error: r.Error, PlanHash: r.PlanHash, ConfigHash: r.ConfigHash, User: r.Actor.User, Host: r.Actor.Host,
			Version: r.Actor.Version, Outcomes: map[string]int{},
		}
		for o, n := range r.Totals.Outcomes {
			out[i].Outcomes[string(o)] = n
		}
	}
	return out
}

// entryJSON is one write for programs.
type entryJSON struct {
	At string `json:"at"`
	reconcile.Change
	Outcome reconcile.Outcome `json:"outcome"`
	Detail  string            `json:"detail,omitempty"`
	Manual  bool              `json:"manual,omitempty"`
}

func entriesJSON(entries []ledger.Entry) []entryJSON {
	out := make([]entryJSON, len(entries))
	for i := range entries {
		e := &entries[i]
		out[i] = entryJSON{stamp(e.At), e.Change, becameOf(e), e.Detail, e.Manual}
	}
	return out
}
