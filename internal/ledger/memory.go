package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ppms-syncd/internal/reconcile"
)

// window is how long a write counts against its guard.
const window = 24 * time.Hour

// Memory returns all that a comparison needs to know, as of one moment. Its maps are never nil. Spent has the writes of the
// last 24 hours that reached PPMS or may have, were made by a run and not approved, one for each guard and account; Approved
// has what is not yet expired.
func (l *Ledger) Memory(ctx context.Context, now time.Time) (reconcile.Memory, error) {
	m := reconcile.Memory{
		Leavers: map[string]reconcile.Cause{}, Deactivated: map[reconcile.Key]reconcile.Deactivation{},
		Admins: map[reconcile.Key]time.Time{}, Rules: map[string]reconcile.RuleMemory{}, Approved: map[string]time.Time{},
	}
	err := l.read(ctx, func(tx *sql.Tx) error {
		for _, part := range []func(context.Context, *sql.Tx, *reconcile.Memory) error{
			readLinks, readLeavers, readGrants, readDeactivations, readAdmins, readRules, readBaseline, readHolds, readStuck,
		} {
			if err := part(ctx, tx, &m); err != nil {
				return err
			}
		}
		return readBudget(ctx, tx, &m, now)
	})
	if err != nil {
		return reconcile.Memory{}, err
	}
	return m, nil
}

func readLinks(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	rows, err := links().all(ctx, tx)
	m.Links = make([]reconcile.Link, len(rows))
	for i, r := range rows {
		m.Links[i] = r.link()
	}
	return err
}

func readLeavers(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	rows, err := leavers().all(ctx, tx)
	for _, r := range rows {
		cause, err := causeOf(r.state, r.since, r.reads, r.scope)
		if err != nil {
			return err
		}
		m.Leavers[r.id] = cause
	}
	return err
}

func readGrants(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	rows, err := grants().all(ctx, tx)
	m.Grants = make([]reconcile.Grant, len(rows))
	for i, r := range rows {
		if m.Grants[i], err = r.grant(); err != nil {
			return err
		}
	}
	return err
}

func readDeactivations(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	rows, err := deactivations().all(ctx, tx)
	for _, r := range rows {
		m.Deactivated[reconcile.Key(r.account)] = reconcile.Deactivation{Login: r.login, At: moment(r.at), Overruled: r.overruled}
	}
	return err
}

func readAdmins(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	rows, err := admins().all(ctx, tx)
	for _, r := range rows {
		m.Admins[reconcile.Key(r.account)] = moment(r.seen)
	}
	return err
}

func readRules(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	rows, err := rules().all(ctx, tx)
	seen := byRow(&m.Seen)
	for _, r := range rows {
		memory, err := r.memory()
		if err != nil {
			return err
		}
		if groups := seen[r.name]; groups != nil {
			*groups = memory.Groups
		} else {
			m.Rules[r.name] = memory
		}
	}
	return err
}

func readBaseline(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) error {
	var at int64
	b := &m.Baseline
	err := tx.QueryRowContext(ctx, `SELECT at, people, group_count, scope FROM baseline`).Scan(&at, &b.People, &b.Groups, &b.Scope)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	b.At = moment(at)
	return err
}

// writeBaseline stores the counts of a run's read, or those that somebody approved: then run is 0.
func writeBaseline(ctx context.Context, tx *sql.Tx, run int64, b reconcile.Baseline) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO baseline (one, at, people, group_count, scope, run) VALUES (1, ?, ?, ?, ?, ?)
		ON CONFLICT (one) DO UPDATE SET at = excluded.at, people = excluded.people, group_count = excluded.group_count,
			scope = excluded.scope, run = excluded.run`, millis(b.At), b.People, b.Groups, b.Scope, null(run))
	return err
}

// scopeOf is the scope of a run's own read, if that was accepted and none has been since; else "".
func scopeOf(ctx context.Context, tx *sql.Tx, run int64) (scope string, err error) {
	err = tx.QueryRowContext(ctx, `SELECT scope FROM baseline WHERE run = ?`, run).Scan(&scope)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return scope, err
}

func readHolds(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) (err error) {
	m.Holds, err = list(ctx, tx, scanHold, selectHolds+` ORDER BY key, field`)
	return err
}

// readBudget reads what is used up of the guards' limits and what is exempt from them.
func readBudget(ctx context.Context, tx *sql.Tx, m *reconcile.Memory, now time.Time) (err error) {
	m.Spent, err = list(ctx, tx, func(s scanner) (spent reconcile.Spent, err error) {
		return spent, s.Scan(&spent.Guard, &spent.Key)
	}, `SELECT DISTINCT guard, journal.key FROM journal JOIN runs ON runs.id = run
		WHERE at > ? AND NOT approved AND mode <> ?
			AND (outcome IS NULL OR outcome IN ('applied', 'not-applied', 'does-not-stick', 'in-doubt'))
		ORDER BY guard, journal.key`, millis(now.Add(-window)), Manual)
	if err != nil {
		return err
	}
	type approval struct {
		change string
		until  int64
	}
	approvals, err := list(ctx, tx, func(s scanner) (a approval, err error) { return a, s.Scan(&a.change, &a.until) },
		`SELECT change, until FROM approvals WHERE until > ?`, millis(now))
	for _, a := range approvals {
		m.Approved[a.change] = moment(a.until)
	}
	return err
}
