package ledger

import (
	"context"
	"database/sql"
	"slices"

	"ppms-syncd/internal/reconcile"
)

// Stick remembers what PPMS said it did and did not do, each in the place of what was known of it before.
func (l *Ledger) Stick(ctx context.Context, stuck []reconcile.Stuck) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, s := range stuck {
			if err := stick(ctx, tx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func stick(ctx context.Context, tx *sql.Tx, s reconcile.Stuck) error {
	_, err := execute(ctx, tx, `INSERT OR REPLACE INTO stuck (key, field, login, wanted, have, tries, run, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		string(reconcile.KeyOf(s.Login)), s.Field, s.Login, s.Wanted, s.Have, s.Tries, s.Run, millis(s.At))
	return err
}

// unstick forgets what a change that was applied shows to stick after all.
func unstick(ctx context.Context, tx *sql.Tx, c *reconcile.Change) error {
	for _, field := range c.Touches() {
		if _, err := execute(ctx, tx, `DELETE FROM stuck WHERE key = ? AND field = ?`, string(reconcile.KeyOf(c.Login)), field); err != nil {
			return err
		}
	}
	return nil
}

func scanStuck(s scanner) (r reconcile.Stuck, err error) {
	var at int64
	err = s.Scan(&r.Login, &r.Field, &r.Wanted, &r.Have, &r.Tries, &r.Run, &at)
	r.At = moment(at)
	return r, err
}

func readStuck(ctx context.Context, tx *sql.Tx, m *reconcile.Memory) (err error) {
	m.Stuck, err = list(ctx, tx, scanStuck, `SELECT login, field, wanted, have, tries, run, at FROM stuck ORDER BY login, field`)
	return err
}

// observeStuck replaces the list, but for what somebody released since the run began.
func observeStuck(ctx context.Context, tx *sql.Tx, run int64, stuck []reconcile.Stuck) error {
	released, err := list(ctx, tx, func(s scanner) (key reconcile.Key, err error) { return key, s.Scan(&key) },
		`SELECT key FROM interventions WHERE run >= ? AND verb = 'release'`, run)
	if err != nil {
		return err
	}
	if _, err := execute(ctx, tx, `DELETE FROM stuck`); err != nil {
		return err
	}
	for _, s := range stuck {
		if slices.Contains(released, reconcile.KeyOf(s.Login)) {
			continue
		}
		if err := stick(ctx, tx, s); err != nil {
			return err
		}
	}
	return nil
}
