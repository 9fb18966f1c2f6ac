package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"
)

// Prune forgets the history from before that time and says how many rows that were: journal, held plans, approvals,
// interventions, and runs of which nothing else is left, not even a hold that is released by their number. Links, leavers, grants,
// deactivations and holds stay, and so does a write of which nobody knows yet whether it happened.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (removed int, err error) {
	err = l.write(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`DELETE FROM journal WHERE at < ? AND outcome IS NOT NULL AND outcome <> 'in-doubt'`,
			`DELETE FROM held_plans WHERE at < ?`,
			`DELETE FROM approvals WHERE max(at, until) < ?`,
			`DELETE FROM interventions WHERE at < ?`,
			`DELETE FROM runs WHERE started < ? AND NOT EXISTS (SELECT 1 FROM journal WHERE run = runs.id)
				AND NOT EXISTS (SELECT 1 FROM held_plans WHERE run = runs.id)
				AND NOT EXISTS (SELECT 1 FROM holds WHERE run IN (runs.id, runs.undoes))`,
		} {
			n, err := execute(ctx, tx, statement, millis(before))
			if err != nil {
				return err
			}
			removed += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// Backup writes a copy of the ledger at path, as of now, into a file that must not exist yet (mode 0600). The ledger may be in use,
// and of another version, since the time for a backup is before an upgrade. The copy is a ledger itself: to restore it, stop the
// service, move the old ledger away together with its -wal and -shm files, and put the copy in its place.
//
// What happens after it was made, the copy does not know: who was back and left again, whose right was taken and given again by staff. So
// it has all that the ledger has but the proofs of removals, and what was approved, which may be used up by then.
func Backup(ctx context.Context, path, file string) error {
	if err := Copy(ctx, path, file); err != nil {
		return err
	}
	if err := unprove(ctx, file); err != nil {
		return errors.Join(fmt.Errorf("backup %s: %w", file, err), os.Remove(file))
	}
	return nil
}

// unprove makes whatever is to be taken away wait for an approval, until a read has shown the opposite.
func unprove(ctx context.Context, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	db, err := connect(file, "rw", patience, 1, "synchronous(FULL)")
	if err != nil {
		return err
	}
	l := &Ledger{path: file, reader: db, writer: db}
	return errors.Join(l.write(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`UPDATE links SET enabled_scope = ''`,
			`UPDATE leavers SET scope = ''`,
			`UPDATE grants SET wanted_scope = '', unwanted_scope = iif(unwanted_scope IS NULL, NULL, '')`,
			`UPDATE baseline SET run = NULL`, // of the read whose writes may still be settled
			`DELETE FROM approvals`,
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}), db.Close())
}

// Copy is a backup with all that the ledger has, for who needs it now.
func Copy(ctx context.Context, path, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	l, _, err := openAnyVersion(ctx, path, math.MaxInt)
	if err != nil {
		return err
	}
	return errors.Join(l.backup(ctx, file), l.Close())
}

func (l *Ledger) backup(ctx context.Context, file string) error {
	// Made first, for its mode and its owner, by whom it is opened again; SQLite accepts an empty file.
	var target *os.File
	err := asOwner(filepath.Dir(file), func() (err error) {
		target, err = os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // G304: the operator's choice
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: name a new file for the backup: %w", file, err)
	}
	if err != nil {
		return fmt.Errorf("backup %s cannot be made: %w", file, err)
	}
	if err = l.vacuumInto(ctx, file); err == nil {
		err = target.Sync()
	}
	if err = errors.Join(err, target.Close()); err != nil {
		return errors.Join(fmt.Errorf("backup %s: %w", file, err), os.Remove(file))
	}
	return nil
}

// vacuumInto cannot run in a transaction. A context that ends stops it.
func (l *Ledger) vacuumInto(ctx context.Context, file string) error {
	conn, err := l.reader.Conn(ctx)
	if err != nil {
		return explain(l.path, err)
	}
	_, err = conn.ExecContext(ctx, "VACUUM INTO ?", file)
	return explain(l.path, errors.Join(err, conn.Close()))
}
