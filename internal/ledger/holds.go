package ledger

import (
	"context"
	"database/sql"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Hold leaves people, fields or rights alone until they are released. run is the run that was undone, if that is why, else 0. A
// hold of the same thing is replaced.
func (l *Ledger) Hold(ctx context.Context, holds []reconcile.Hold, run int64, actor Actor, at time.Time) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, h := range holds {
			if _, err := execute(ctx, tx, `INSERT INTO holds (key, field, reason, run, at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (key, field) DO UPDATE SET reason = excluded.reason, run = excluded.run, at = excluded.at`,
				string(h.Key), h.Field, h.Reason, sql.Null[int64]{V: run, Valid: run != 0}, millis(at)); err != nil {
				return err
			}
			if err := intervene(ctx, tx, intervention{verb: "hold", key: h.Key, detail: h.Field}, actor, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// Release ends all holds on one account and says how many there were.
func (l *Ledger) Release(ctx context.Context, key reconcile.Key, actor Actor, at time.Time) (int, error) {
	return l.release(ctx, actor, at, `DELETE FROM holds WHERE key = ? RETURNING key, field, reason`, string(key))
}

// ReleaseRun ends all holds that the undoing of a run made and says how many there were.
func (l *Ledger) ReleaseRun(ctx context.Context, run int64, actor Actor, at time.Time) (int, error) {
	return l.release(ctx, actor, at, `DELETE FROM holds WHERE run = ? RETURNING key, field, reason`, run)
}

func (l *Ledger) release(ctx context.Context, actor Actor, at time.Time, query string, arg any) (n int, err error) {
	err = l.write(ctx, func(tx *sql.Tx) error {
		gone, err := list(ctx, tx, func(s scanner) (h reconcile.Hold, err error) {
			return h, s.Scan(&h.Key, &h.Field, &h.Reason)
		}, query, arg)
		if err != nil {
			return err
		}
		for _, h := range gone {
			if err := intervene(ctx, tx, intervention{verb: "release", key: h.Key, detail: h.Field}, actor, at); err != nil {
				return err
			}
		}
		n = len(gone)
		return nil
	})
	return n, err
}
