package ledger

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a SQLite file as a ledger: "ppms" in its header.
const applicationID = 0x70706d73

// loadMigrations returns the steps of the schema; step i makes version i+1. A step that was ever released never changes.
func loadMigrations(from fs.FS) ([]string, error) {
	names, err := fs.Glob(from, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	steps := make([]string, len(names))
	for i, name := range names {
		if want := fmt.Sprintf("migrations/%04d_", i+1); len(name) < len(want) || name[:len(want)] != want {
			return nil, fmt.Errorf("migration %s should be number %d", name, i+1)
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		steps[i] = string(text)
	}
	return steps, nil
}

// schema is what a file says of itself.
type schema struct {
	version int
	fresh   bool // nothing was ever stored in it
}

// readSchema refuses what is not a ledger and what a newer version made of it.
func readSchema(ctx context.Context, tx *sql.Tx, path string, known int) (schema, error) {
	var app, version, tables int
	err := tx.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&app, &version, &tables)
	switch {
	case err != nil:
		return schema{}, err
	case app == 0 && version == 0 && tables == 0:
		return schema{fresh: true}, nil
	case app != applicationID:
		return schema{}, plain("%s is not a ledger: it is a SQLite database of another program; correct ledger.path", path)
	case version > known:
		return schema{}, plain("ledger %s was made by a newer version of ppms-syncd (its schema is %d, this version knows %d): "+
			"run that version, or restore a backup from before the upgrade", path, version, known)
	case version < 1:
		return schema{}, damaged(path, fmt.Errorf("its schema is %d", version))
	}
	return schema{version: version}, nil
}

// migrate brings the schema up to date, each step in a transaction of its own. The version is read inside of it, since
// another process may be doing the same.
func (l *Ledger) migrate(ctx context.Context, steps []string) error {
	for done := false; !done; {
		if err := l.write(ctx, func(tx *sql.Tx) error {
			now, err := readSchema(ctx, tx, l.path, len(steps))
			if done = now.version == len(steps); done || err != nil {
				return err
			}
			return upgrade(ctx, tx, steps[now.version], now.version+1)
		}); err != nil {
			return err
		}
	}
	return nil
}

func upgrade(ctx context.Context, tx *sql.Tx, step string, version int) error {
	for _, statement := range []string{
		step,
		"PRAGMA application_id = " + strconv.Itoa(applicationID),
		"PRAGMA user_version = " + strconv.Itoa(version),
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("upgrade to schema %d: %w", version, err)
		}
	}
	return nil
}
