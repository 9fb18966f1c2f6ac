package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// table is a list that is stored whole: rows are compared with what is there, and only those that differ are written.
type table[R row] struct {
	list string // all rows
	add  string // one row
	drop string // one row, by its key
	keys int    // how many columns are the key; they come first
	scan func(scanner) (R, error)
}

// row is one row as SQLite has it.
type row interface {
	comparable
	key() string
	columns() []any
}

func (t table[R]) all(ctx context.Context, tx *sql.Tx) ([]R, error) {
	return list(ctx, tx, t.scan, t.list)
}

// replace makes the table hold exactly the rows wanted. What goes or changes is removed before anything is added, so that
// rows may swap what is unique among them.
func (t table[R]) replace(ctx context.Context, tx *sql.Tx, wanted map[string]R) error {
	stored, err := t.all(ctx, tx)
	if err != nil {
		return err
	}
	fresh := maps.Clone(wanted)
	var gone []R
	for _, r := range stored {
		if same, ok := wanted[r.key()]; ok && same == r {
			delete(fresh, r.key())
		} else {
			gone = append(gone, r)
		}
	}
	if err := t.remove(ctx, tx, gone...); err != nil {
		return err
	}
	return t.insert(ctx, tx, slices.Collect(maps.Values(fresh))...)
}

func (t table[R]) insert(ctx context.Context, tx *sql.Tx, rows ...R) error {
	return each(ctx, tx, t.add, rows, R.columns)
}

func (t table[R]) remove(ctx context.Context, tx *sql.Tx, rows ...R) error {
	return each(ctx, tx, t.drop, rows, func(r R) []any { return r.columns()[:t.keys] })
}

func each[R row](ctx context.Context, tx *sql.Tx, query string, rows []R, args func(R) []any) error {
	if len(rows) == 0 {
		return nil
	}
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }()
	for _, r := range rows {
		if _, err := stmt.ExecContext(ctx, args(r)...); err != nil {
			return fmt.Errorf("%v: %w", r.key(), err)
		}
	}
	return nil
}
