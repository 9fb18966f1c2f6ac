package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Actor is who made ppms-syncd do something, and with which version of it.
type Actor struct{ User, Host, Version string }

// Mode is what kind of run it is.
type Mode string

// The modes. Writes of a Manual run, those of the toolbox, are kept in the journal only: they make no link and nothing of what
// they change is ours.
const (
	Apply  Mode = "apply"
	DryRun Mode = "dry-run" // keeps what it observes and writes nothing to PPMS
	Undo   Mode = "undo"
	Manual Mode = "manual"
)

// Result is how a run ended.
type Result string

// The results.
const (
	Success Result = "success"
	Partial Result = "partial" // writing began and not every change was applied
	Held    Result = "held"    // a guard held something
	Failed  Result = "failed"  // before the first write
)

// Run is one run as the history shows it.
type Run struct {
	ID         int64
	Started    time.Time
	Mode       Mode
	Policy     reconcile.Policy
	ConfigHash string
	Actor      Actor
	Undoes     int64 // the run that this one undoes; 0 if its mode is another
	RunResult
}

// RunResult is what is known once a run is over. Its Finished is zero while the run goes on, or if it was killed.
type RunResult struct {
	Finished time.Time
	Result   Result
	Error    string // one sentence; "" if there was none
	PlanHash string
	Totals   Totals
}

// Totals are the numbers of a run.
type Totals struct {
	Summary   reconcile.Summary         `json:"summary"`
	Directory reconcile.DirectoryInfo   `json:"directory"`
	PPMS      reconcile.PPMSInfo        `json:"ppms"`
	Outcomes  map[reconcile.Outcome]int `json:"outcomes,omitempty"`
}

// BeginRun stores that a run began and numbers it. Of the run, what [Ledger.FinishRun] stores is left out.
func (l *Ledger) BeginRun(ctx context.Context, r Run) (id int64, err error) {
	err = l.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO runs (started, mode, policy, config_hash, os_user, host, version, undoes)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			millis(r.Started), r.Mode, r.Policy, r.ConfigHash, r.Actor.User, r.Actor.Host, r.Actor.Version,
			null(r.Undoes)).Scan(&id)
	})
	return id, err
}

// FinishRun stores how a run ended.
func (l *Ledger) FinishRun(ctx context.Context, run int64, r RunResult) error {
	totals, err := json.Marshal(r.Totals)
	if err != nil {
		return err
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		n, err := execute(ctx, tx, `UPDATE runs SET finished = ?, result = ?, error = ?, plan_hash = ?, totals = ? WHERE id = ?`,
			millis(r.Finished), r.Result, r.Error, r.PlanHash, string(totals), run)
		if err == nil && n == 0 {
			return fmt.Errorf("there is no run %d", run)
		}
		return err
	})
}

const selectRuns = `SELECT id, started, mode, policy, config_hash, os_user, host, version, finished, result, error, plan_hash, totals,
	undoes FROM runs`

func scanRun(s scanner) (r Run, err error) {
	var started int64
	var finished, undoes sql.Null[int64]
	var result sql.Null[string]
	var totals []byte
	if err := s.Scan(&r.ID, &started, &r.Mode, &r.Policy, &r.ConfigHash, &r.Actor.User, &r.Actor.Host, &r.Actor.Version,
		&finished, &result, &r.Error, &r.PlanHash, &totals, &undoes); err != nil {
		return Run{}, err
	}
	r.Started, r.Finished, r.Result, r.Undoes = moment(started), momentOr(finished), Result(result.V), undoes.V
	return r, json.Unmarshal(totals, &r.Totals)
}

// Runs returns the last runs, the newest first; a limit of 0 means all.
func (l *Ledger) Runs(ctx context.Context, limit int) (runs []Run, err error) {
	err = l.read(ctx, func(tx *sql.Tx) (err error) {
		runs, err = list(ctx, tx, scanRun, selectRuns+` ORDER BY id DESC LIMIT ?`, limitOf(limit))
		return err
	})
	return runs, err
}

// Latest returns the last run that came to a plan; false: none did. Writes by hand are none.
func (l *Ledger) Latest(ctx context.Context) (r Run, found bool, err error) {
	err = l.read(ctx, func(tx *sql.Tx) error {
		runs, err := list(ctx, tx, scanRun, selectRuns+` WHERE mode <> 'manual' AND result <> 'failed' ORDER BY id DESC LIMIT 1`)
		if found = len(runs) > 0; found {
			r = runs[0]
		}
		return err
	})
	return r, found, err
}

// Ends returns when the last run ended, and the last that was a success; zero: none did. Runs by hand are none of them.
func (l *Ledger) Ends(ctx context.Context) (last, success time.Time, err error) {
	err = l.read(ctx, func(tx *sql.Tx) error {
		const latest = `(SELECT finished FROM runs WHERE mode <> 'manual' AND finished IS NOT NULL `
		var ended, succeeded sql.Null[int64]
		err := tx.QueryRowContext(ctx, `SELECT `+latest+`ORDER BY id DESC LIMIT 1), `+latest+`AND result = 'success' ORDER BY id DESC LIMIT 1)`).
			Scan(&ended, &succeeded)
		last, success = momentOr(ended), momentOr(succeeded)
		return err
	})
	return last, success, err
}

// Run returns one run, and whether there is one of this number.
func (l *Ledger) Run(ctx context.Context, id int64) (r Run, found bool, err error) {
	err = l.read(ctx, func(tx *sql.Tx) (err error) {
		r, err = scanRun(tx.QueryRowContext(ctx, selectRuns+` WHERE id = ?`, id))
		found = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return r, found, err
}

// limitOf gives SQLite's word for no limit.
func limitOf(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}
