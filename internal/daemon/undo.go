package daemon

import (
	"context"
	"fmt"
	"slices"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// UndoOptions say which run is undone, and where the plan goes.
type UndoOptions struct {
	Run    int64
	File   string // also save the plan here
	Output Output
}

// Undo plans the inverse of what a run applied, and prints it. It writes nothing: the plan is looked at and applied like any other.
func (a *App) Undo(ctx context.Context, o UndoOptions) error {
	report, err := a.plan(ctx, nil, o.Run)
	if err != nil {
		return err
	}
	return a.present(report, o.Output, o.File)
}

// takeBack is a run that undoes another. It reads no directory, which may be the very thing that went wrong, and learns nothing of
// what it sees; PPMS, the guards and the writes are those of any run.
func (r *run) takeBack(ctx context.Context) (*Report, error) {
	var err error
	if r.journal, err = r.applied(ctx, r.undoes); err != nil {
		return nil, err
	}
	side, err := r.readPPMS(ctx, nil)
	if err != nil {
		return nil, err
	}
	report, _, err := r.decide(ctx, nil, side)
	if err != nil || r.id == 0 {
		return report, err
	}
	if report.Holds() {
		if err := r.ledger.HoldPlan(ctx, r.id, report.Plan, r.Now()); err != nil {
			return nil, err
		}
	}
	seen := slices.DeleteFunc(r.seen(side, &report.Plan, r.Now()), func(a ledger.AccountSeen) bool {
		return r.changed[reconcile.KeyOf(a.Login)] // the next run of the other kind has to see that
	})
	if err := r.ledger.SaveAccounts(ctx, seen); err != nil {
		return nil, err
	}
	err = r.write(ctx, report)
	memory, failure := r.ledger.Memory(context.WithoutCancel(ctx), r.Now())
	for _, h := range memory.Holds {
		if h.Run == r.undoes {
			report.HeldSince++
		}
	}
	if err == nil {
		err = failure
	}
	return report, err
}

// applied is what a run wrote, as the journal has it. It notes when that ended.
func (r *run) applied(ctx context.Context, id int64) ([]reconcile.Change, error) {
	if r.ledger == nil {
		return nil, r.noLedger()
	}
	run, found, err := r.ledger.Run(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("the ledger has no run %d; `ppms-syncd history` lists them", id)
	case run.Mode == ledger.Manual:
		return nil, fmt.Errorf("run %d is what somebody wrote by hand: it counts as staff's, and is taken back by hand", id)
	}
	entries, err := r.ledger.Entries(ctx, id)
	changes := make([]reconcile.Change, len(entries))
	for i := range entries {
		changes[i] = entries[i].Change
		changes[i].Outcome = entries[i].Outcome
		if at := entries[i].SettledAt; at.After(r.ended) {
			r.ended = at
		}
	}
	return changes, err
}

// systems lists those whose rights this run has to read.
func (r *run) systems(side *reconcile.PPMS) []int {
	if r.undoes == 0 {
		return reconcile.RuledSystems(r.Config.Settings(), side.Systems, r.memory)
	}
	touched := map[int]bool{}
	for i := range r.journal {
		touched[r.journal[i].System] = true
	}
	var ids []int
	for i := range side.Systems {
		if id := side.Systems[i].ID; touched[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
