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

// Entry is one write in the journal.
type Entry struct {
	ID, Run   int64
	Change    reconcile.Change // as intended: its own Outcome and Detail are empty
	At        time.Time        // of the intent
	Outcome   reconcile.Outcome
	SettledAt time.Time // zero while the outcome is ""
	Detail    string
	Actor     Actor
	Manual    bool // of the toolbox
}

// ErrWord says that somebody has linked or unlinked the account since the run began, so that what it has planned is of another.
var ErrWord = errors.New("somebody has said since the run began whose the account is, or that it is nobody's")

// Intend stores that a change is about to be sent. When it returns without an error, this is on disk: only then may the change
// be sent. An [ErrWord] forbids it.
func (l *Ledger) Intend(ctx context.Context, run int64, c reconcile.Change, at time.Time) (entry int64, err error) {
	return l.enter(ctx, run, c, "", "", at)
}

// Record stores what became of a change that was never sent, such as a stale one.
func (l *Ledger) Record(ctx context.Context, run int64, c reconcile.Change, outcome reconcile.Outcome, detail string, at time.Time) error {
	switch outcome {
	case "", reconcile.Applied, reconcile.InDoubt, reconcile.HeldBack:
		return plain("ledger %s: outcome %q of a change that was never intended", l.path, outcome)
	case reconcile.Refused, reconcile.NotSent, reconcile.Stale, reconcile.NotApplied, reconcile.DoesNotStick:
	}
	_, err := l.enter(ctx, run, c, outcome, detail, at)
	return err
}

func (l *Ledger) enter(ctx context.Context, run int64, c reconcile.Change, outcome reconcile.Outcome, detail string, at time.Time,
) (id int64, err error) {
	c.Outcome, c.Detail = "", ""
	change, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	var settled sql.Null[int64]
	if outcome != "" {
		settled = sql.Null[int64]{V: millis(at), Valid: true}
	}
	err = l.write(ctx, func(tx *sql.Tx) error {
		if outcome == "" { // it is about to be sent
			said, err := readWord(ctx, tx, run)
			if err != nil {
				return err
			}
			if said.keys[reconcile.KeyOf(c.Login)] {
				return ErrWord
			}
		}
		return tx.QueryRowContext(ctx, `INSERT INTO journal (run, at, key, guard, approved, change, outcome, settled_at, detail)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			run, millis(at), string(reconcile.KeyOf(c.Login)), string(c.Guard()), c.Approved, string(change),
			null(string(outcome)), settled, detail).Scan(&id)
	})
	return id, err
}

// Settle stores the outcome of an intent and, with it in one transaction, what an applied change means for ownership: see
// the functions own and overrule, and holdUndone for an undo. An entry can be settled once; one in doubt a second time. The same
// outcome again does nothing.
func (l *Ledger) Settle(ctx context.Context, entry int64, outcome reconcile.Outcome, detail string, at time.Time) error {
	if outcome == "" || outcome == reconcile.HeldBack {
		return plain("ledger %s: outcome %q of a change that was sent", l.path, outcome)
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		before, err := scanEntry(tx.QueryRowContext(ctx, selectEntries+` WHERE journal.id = ?`, entry))
		if err != nil {
			return fmt.Errorf("journal entry %d: %w", entry, err)
		}
		if before.Outcome == outcome {
			return nil
		}
		if before.Outcome != "" && before.Outcome != reconcile.InDoubt {
			return fmt.Errorf("journal entry %d is settled already: it is %s, not %s", entry, before.Outcome, outcome)
		}
		if _, err := execute(ctx, tx, `UPDATE journal SET outcome = ?, settled_at = ?, detail = ? WHERE id = ?`,
			outcome, millis(at), detail, entry); err != nil {
			return err
		}
		if outcome != reconcile.Applied {
			return nil
		}
		if before.Manual {
			return overrule(ctx, tx, &before.Change)
		}
		if before.Change.Removal() { // whoever comes back and leaves again was not meant by the approval
			undoes, err := undoneBy(ctx, tx, before.Run)
			if err != nil {
				return err
			}
			if _, err := execute(ctx, tx, `DELETE FROM approvals WHERE change = ?`, reconcile.ApprovalOf(undoes, &before.Change)); err != nil {
				return err
			}
		}
		if err := own(ctx, tx, before.Run, &before.Change, at); err != nil {
			return err
		}
		if err := unstick(ctx, tx, &before.Change); err != nil {
			return err
		}
		return holdUndone(ctx, tx, before.Run, &before.Change, at)
	})
}

const selectEntries = `SELECT journal.id, run, change, at, outcome, settled_at, detail, os_user, host, runs.version, mode
	FROM journal JOIN runs ON runs.id = run`

func scanEntry(s scanner) (e Entry, err error) {
	var at int64
	var change []byte
	var outcome sql.Null[string]
	var settled sql.Null[int64]
	var mode Mode
	if err := s.Scan(&e.ID, &e.Run, &change, &at, &outcome, &settled, &e.Detail,
		&e.Actor.User, &e.Actor.Host, &e.Actor.Version, &mode); err != nil {
		return Entry{}, err
	}
	e.At, e.Outcome, e.SettledAt, e.Manual = moment(at), reconcile.Outcome(outcome.V), momentOr(settled), mode == Manual
	return e, json.Unmarshal(change, &e.Change)
}

// Pending returns the writes of which nobody knows yet whether they happened, the oldest first: without an outcome, or in doubt.
func (l *Ledger) Pending(ctx context.Context) ([]Entry, error) {
	return l.entries(ctx, selectEntries+` WHERE outcome IS NULL OR outcome = 'in-doubt' ORDER BY journal.id`)
}

// Entries returns the journal of one run, in the order of the writes.
func (l *Ledger) Entries(ctx context.Context, run int64) ([]Entry, error) {
	return l.entries(ctx, selectEntries+` WHERE run = ? ORDER BY journal.id`, run)
}

// EntriesOf returns the last writes to one account, the newest first; a limit of 0 means all.
func (l *Ledger) EntriesOf(ctx context.Context, key reconcile.Key, limit int) ([]Entry, error) {
	return l.entries(ctx, selectEntries+` WHERE journal.key = ? ORDER BY journal.id DESC LIMIT ?`, string(key), limitOf(limit))
}

func (l *Ledger) entries(ctx context.Context, query string, args ...any) (all []Entry, err error) {
	err = l.read(ctx, func(tx *sql.Tx) (err error) {
		all, err = list(ctx, tx, scanEntry, query, args...)
		return err
	})
	return all, err
}
