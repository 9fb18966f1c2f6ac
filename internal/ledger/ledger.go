// Package ledger remembers what a comparison of two snapshots cannot know: which accounts are managed, who is leaving and
// since when, which rights and deactivations are ours, and every write that was sent or is about to be.
//
// It is one SQLite file. A run opens it with [Open], holds [LockRun] for as long as it lasts, and then speaks to it in this
// order: BeginRun, Pending (and Settle for what it finds), Memory, Observe, then Intend and Settle for each write, FinishRun.
// Each method is one short transaction, so that people can approve, hold and link while a run is going on, and readers always
// see the last committed state. A context that ends in the middle of a method undoes it: who has to record the outcome of
// something that happened passes a context that does not end with the run.
//
// Losing the ledger loses history and ownership, never accounts: nothing that it forgets makes anybody lose a right.
//
// Times are stored as milliseconds since 1970 UTC and come back in UTC; what is finer is cut off.
//
// # Who may read it
//
// The file has mode 0600 and belongs to the user of the service. Root may do everything, and opens the files of another user's
// directory as that user. SQLite keeps two files beside a ledger in use, ledger.db-wal and ledger.db-shm. They
// are left in place when the ledger is closed, because a reader that may not write to the directory could not make them: thus
// a group that is let in (directory 0750, the three files 0640) can plan, explain and list with mere read permission. A ledger
// on a medium that is mounted read-only can be read as long as these files came along.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	path   string
	writer *sql.DB // one connection; nil if opened to read only
	reader *sql.DB
}

// Close gives the files free.
func (l *Ledger) Close() error {
	err := l.reader.Close()
	if l.writer != nil { // last, since the last connection puts the log back into the file
		err = errors.Join(err, l.writer.Close())
	}
	return explain(l.path, err)
}

// write runs f in a transaction that has the write lock from its first statement on.
func (l *Ledger) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	if l.writer == nil {
		return plain("ledger %s was opened to be read only", l.path)
	}
	return l.transact(ctx, l.writer, f)
}

// read runs f on one state of the ledger, whatever is committed meanwhile.
func (l *Ledger) read(ctx context.Context, f func(tx *sql.Tx) error) error {
	return l.transact(ctx, l.reader, f)
}

func (l *Ledger) transact(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		if err = f(tx); err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback() // the first error says more
		}
	}
	if err != nil && ctx.Err() != nil {
		return plain("ledger %s: %w", l.path, context.Cause(ctx))
	}
	return explain(l.path, err)
}

// scanner is a row that is being read.
type scanner interface{ Scan(dest ...any) error }

// list reads all rows of a query.
func list[T any](ctx context.Context, tx *sql.Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// execute runs a statement and says how many rows it touched.
func execute(ctx context.Context, tx *sql.Tx, query string, args ...any) (int, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// momentOr is the zero time where the ledger has none.
func momentOr(ms sql.Null[int64]) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return moment(ms.V)
}

// null stores a zero value as NULL.
func null[T comparable](v T) sql.Null[T] {
	var zero T
	return sql.Null[T]{V: v, Valid: v != zero}
}
