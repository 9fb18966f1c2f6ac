package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Hold leaves people, fields or rights alone until they are released. A hold of the same thing is replaced. The time of
// the holds is at.
func (l *Ledger) Hold(ctx context.Context, holds []reconcile.Hold, actor Actor, at time.Time) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, h := range holds {
			if err := hold(ctx, tx, h, at); err != nil {
				return err
			}
			if err := intervene(ctx, tx, intervention{verb: "hold", key: h.Key, detail: h.Field}, actor, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func hold(ctx context.Context, tx *sql.Tx, h reconcile.Hold, at time.Time) error {
	_, err := execute(ctx, tx, `INSERT INTO holds (key, field, reason, run, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (key, field) DO UPDATE SET reason = excluded.reason, run = excluded.run, at = excluded.at`,
		string(h.Key), h.Field, h.Reason, null(h.Run), millis(at))
	return err
}

const selectHolds = `SELECT key, field, reason, run, at FROM holds`

func scanHold(s scanner) (h reconcile.Hold, err error) {
	var run sql.Null[int64]
	var at int64
	err = s.Scan(&h.Key, &h.Field, &h.Reason, &run, &at)
	h.Run, h.At = run.V, moment(at)
	return h, err
}

// Release ends all holds on one account, forgets what does not stick of it, and returns what was left alone until now.
func (l *Ledger) Release(ctx context.Context, key reconcile.Key, actor Actor, at time.Time) (gone []reconcile.Hold, err error) {
	err = l.write(ctx, func(tx *sql.Tx) (err error) {
		if gone, err = release(ctx, tx, actor, at, `key = ?`, string(key)); err != nil {
			return err
		}
		stuck, err := list(ctx, tx, scanStuck, `DELETE FROM stuck WHERE key = ? RETURNING login, field, wanted, have, tries, run, at`, string(key))
		if err != nil || len(stuck) == 0 {
			return err
		}
		gone = append(gone, (&reconcile.Memory{Stuck: stuck}).Held()...)
		return intervene(ctx, tx, intervention{verb: "release", key: key}, actor, at)
	})
	return gone, err
}

// ReleaseRun ends all holds that the undoing of a run made and returns them. The run is the one that was undone, or the
// one that undid it.
func (l *Ledger) ReleaseRun(ctx context.Context, run int64, actor Actor, at time.Time) (gone []reconcile.Hold, err error) {
	err = l.write(ctx, func(tx *sql.Tx) (err error) {
		gone, err = release(ctx, tx, actor, at, `run IN (?1, (SELECT undoes FROM runs WHERE id = ?1))`, run)
		return err
	})
	return gone, err
}

func release(ctx context.Context, tx *sql.Tx, actor Actor, at time.Time, which string, arg any) ([]reconcile.Hold, error) {
	gone, err := list(ctx, tx, scanHold, selectHolds+` WHERE `+which+` ORDER BY key, field`, arg)
	if err != nil {
		return nil, err
	}
	if _, err := execute(ctx, tx, `DELETE FROM holds WHERE `+which, arg); err != nil {
		return nil, err
	}
	for _, h := range gone {
		if err := intervene(ctx, tx, intervention{verb: "release", key: h.Key, detail: h.Field}, actor, at); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// moveHolds lets holds follow the accounts that PPMS renamed.
func moveHolds(ctx context.Context, tx *sql.Tx, moved map[reconcile.Key]reconcile.Key) error {
	for from, to := range moved {
		if _, err := execute(ctx, tx, `UPDATE OR REPLACE holds SET key = ? WHERE key = ?`, string(to), string(from)); err != nil {
			return err
		}
	}
	return nil
}

// copyHolds holds the other account of a person as well.
func copyHolds(ctx context.Context, tx *sql.Tx, from, to reconcile.Key) error {
	_, err := execute(ctx, tx, `INSERT OR IGNORE INTO holds (key, field, reason, run, at) SELECT ?, field, reason, run, at FROM holds WHERE key = ?`,
		string(to), string(from))
	return err
}

// holdUndone keeps later runs from doing again what a run has undone: that field or right is held until somebody releases
// it. To undo an undo ends that hold instead, as it ends all else that the undo did.
func holdUndone(ctx context.Context, tx *sql.Tx, run int64, c *reconcile.Change, at time.Time) error {
	undone, err := undoneBy(ctx, tx, run)
	if err != nil || undone == 0 {
		return err
	}
	again, err := undoesAnUndo(ctx, tx, undone)
	if err != nil {
		return err
	}
	for _, field := range c.Touches() {
		h := reconcile.Hold{Key: reconcile.KeyOf(c.Login), Field: field, Run: undone, Reason: fmt.Sprintf("run %d was undone by run %d", undone, run)}
		if again {
			_, err = execute(ctx, tx, `DELETE FROM holds WHERE key = ? AND field = ? AND run = (SELECT undoes FROM runs WHERE id = ?)`,
				string(h.Key), field, undone)
		} else {
			err = hold(ctx, tx, h, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// undoneBy is the run that a run undoes; 0 if it undoes none.
func undoneBy(ctx context.Context, tx *sql.Tx, run int64) (undone int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce((SELECT undoes FROM runs WHERE id = ?), 0)`, run).Scan(&undone)
	return undone, err
}

// undoesAnUndo says whether a run, which is to be undone, made holds: an undo does, the undo of an undo does not, and so on.
func undoesAnUndo(ctx context.Context, tx *sql.Tx, run int64) (held bool, err error) {
	for {
		if run, err = undoneBy(ctx, tx, run); err != nil || run == 0 {
			return held, err
		}
		held = !held
	}
}
