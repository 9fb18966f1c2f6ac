package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite"
)

// patience is how long a statement waits for another process that holds the lock. Every transaction is short.
const patience = 10 * time.Second

// Open opens the ledger for reading and writing. What is missing is made: the directory (0700), the file (0600), the tables
// of this version. It refuses a file that others may touch, that is damaged, that is not a ledger or that a newer version made.
func Open(ctx context.Context, path string) (*Ledger, error) {
	steps, err := loadMigrations(migrations)
	if err != nil {
		return nil, err
	}
	return open(ctx, path, steps, patience)
}

func open(ctx context.Context, path string, steps []string, patience time.Duration) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := prepare(path); err != nil {
		return nil, err
	}
	// Nothing is written before it is clear that this is a ledger.
	if err := inspect(ctx, path, steps, patience); err != nil {
		return nil, err
	}
	l := &Ledger{path: path}
	if l.writer, err = connect(path, "rw", patience, 1, "journal_mode(WAL)", "synchronous(FULL)", "journal_size_limit(0)"); err != nil {
		return nil, err
	}
	if l.reader, err = connect(path, "ro", patience, 4); err != nil {
		return nil, errors.Join(err, l.writer.Close())
	}
	if err := l.migrate(ctx, steps); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// OpenReadOnly opens the ledger for those who only look: it writes nothing and its methods that would return an error. A
// ledger that does not exist yet is an error that is [fs.ErrNotExist].
func OpenReadOnly(ctx context.Context, path string) (*Ledger, error) {
	steps, err := loadMigrations(migrations)
	if err != nil {
		return nil, err
	}
	return openReadOnly(ctx, path, steps)
}

func openReadOnly(ctx context.Context, path string, steps []string) (*Ledger, error) {
	l, now, err := openAnyVersion(ctx, path, len(steps))
	if err == nil && now.version < len(steps) {
		err = errors.Join(fmt.Errorf("ledger %s was made by an older version of ppms-syncd (its schema is %d, this version needs %d): "+
			"the next `ppms-syncd apply` or `ppms-syncd serve` upgrades it", l.path, now.version, len(steps)), l.Close())
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// openAnyVersion opens a ledger of a version up to this one for reading.
func openAnyVersion(ctx context.Context, path string, upTo int) (*Ledger, schema, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, schema{}, err
	}
	if err := check(path, 4); err != nil {
		return nil, schema{}, err
	}
	reader, err := connect(path, "ro", patience, 4)
	if err != nil {
		return nil, schema{}, err
	}
	l := &Ledger{path: path, reader: reader}
	var now schema
	err = l.read(ctx, func(tx *sql.Tx) (err error) {
		now, err = readSchema(ctx, tx, path, upTo)
		return err
	})
	if err == nil && now.fresh {
		err = fmt.Errorf("ledger %s is empty: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, schema{}, errors.Join(err, l.Close())
	}
	return l, now, nil
}

// prepare makes the directory and an empty file where they are missing and refuses what is not ours to use.
func prepare(path string) error {
	err := createFile(path)
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	return check(path, 6)
}

// createFile makes an empty file for the owner of its directory alone.
func createFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%s needs a directory that cannot be made: make it, owned by the user of the service: %w", path, err)
	}
	err := asOwner(dir, func() error {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // G304: the configured path
		if err != nil {
			return err
		}
		return file.Close()
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s cannot be made: the user that runs ppms-syncd needs to write to %s: %w", path, dir, err)
	}
	return err
}

// check looks at the file without opening it: to close it again would release all locks that this process has on it.
// access is 4 to read, 6 to read and write.
func check(path string, access uint32) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("ledger %s is not a regular file; correct ledger.path", path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("ledger %s has mode %04o: others may touch it; run chmod o-rwx %s", path, mode, path)
	}
	if err := syscall.Access(path, access); err != nil {
		return fmt.Errorf("ledger %s cannot be used by this user: run as the user of the service or as root: %w", path, err)
	}
	return nil
}

// Writable says why a run could not use the ledger, as far as that shows without opening it: its rights, or a file system that is read-only.
func Writable(path string) error { return check(path, 6) }

// inspect reads a file that is there and checks the whole of it. Who died while the file was made, or while a restored backup was
// opened for the first time, left a rollback journal beside it; only a connection that may write can read past that.
func inspect(ctx context.Context, path string, steps []string, patience time.Duration) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return err
	}
	mode := "ro"
	if _, err := os.Stat(path + "-journal"); err == nil {
		mode = "rw"
	}
	db, err := connect(path, mode, patience, 1)
	if err != nil {
		return err
	}
	l := &Ledger{path: path, reader: db}
	return errors.Join(l.read(ctx, func(tx *sql.Tx) error {
		if _, err := readSchema(ctx, tx, path, len(steps)); err != nil {
			return err
		}
		var verdict string
		if err := tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return damaged(path, errors.New(strings.ReplaceAll(verdict, "\n", ": ")))
		}
		return nil
	}), l.Close())
}

// connect makes a pool of connections. They are opened when they are needed, or see none of the files' errors before.
func connect(path, mode string, patience time.Duration, connections int, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"mode": {mode}, "_pragma": append([]string{
		"busy_timeout(" + strconv.FormatInt(patience.Milliseconds(), 10) + ")",
		"foreign_keys(1)",
		"trusted_schema(0)",
	}, pragmas...)}
	if mode == "rw" {
		query.Set("_txlock", "immediate")
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	connector, err := sqlite.NewConnector(uri.String())
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	db := sql.OpenDB(lasting{connector, filepath.Dir(path), patience})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// lasting keeps the -wal and -shm files when the last connection is closed: see the package's doc on who may read.
type lasting struct {
	driver.Connector
	dir      string // of the ledger
	patience time.Duration
}

// Connect opens a connection. To turn a new ledger to WAL is the one thing for which SQLite does not wait while another process is at it.
func (c lasting) Connect(ctx context.Context) (conn driver.Conn, err error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(c.patience); ; {
		err = asOwner(c.dir, func() (err error) {
			conn, err = c.Connector.Connect(ctx)
			return err
		})
		if !busy(err) || ctx.Err() != nil || time.Now().After(end) {
			break
		}
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
	if err != nil {
		return nil, err
	}
	if files, ok := conn.(sqlite.FileControl); ok {
		if _, err := files.FileControlPersistWAL("main", 1); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}
