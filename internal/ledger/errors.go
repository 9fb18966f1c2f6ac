package ledger

import (
	"errors"
	"fmt"
	"path/filepath"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// plainError already names the ledger and tells what to do.
type plainError struct{ error }

func (e plainError) Unwrap() error { return e.error }

func plain(format string, args ...any) error { return plainError{fmt.Errorf(format, args...)} }

// busy says whether another process is in the way.
func busy(err error) bool {
	raw, ok := errors.AsType[*sqlite.Error](err)
	return ok && raw.Code()&0xff == lib.SQLITE_BUSY
}

// explain turns what SQLite says into a sentence that tells what to do.
func explain(path string, err error) error {
	var done plainError
	if err == nil || errors.As(err, &done) {
		return err
	}
	var raw *sqlite.Error
	if !errors.As(err, &raw) {
		return plain("ledger %s: %w", path, err)
	}
	if raw.Code() == lib.SQLITE_READONLY_ROLLBACK {
		return plain("ledger %s is unfinished: ppms-syncd was stopped while it made it, and the next `ppms-syncd apply` or `ppms-syncd serve` "+
			"puts it in order: %w", path, err)
	}
	switch raw.Code() & 0xff { // the rest of an extended code is detail
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		return plain("ledger %s is locked by another process and did not come free: find who holds it (fuser %[1]s), "+
			"then try again: %w", path, err)
	case lib.SQLITE_FULL:
		return plain("no space is left for ledger %s: free some in %s, then try again; the ledger itself is intact: %w",
			path, filepath.Dir(path), err)
	case lib.SQLITE_CORRUPT:
		return damaged(path, err)
	case lib.SQLITE_NOTADB:
		return plain("%s is not a ledger: it is no SQLite database; correct ledger.path, or restore a backup: %w", path, err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return plain("ledger %s cannot be used by this user, who needs access to it, to %s and to the files -wal and -shm "+
			"beside it: run as the user of the service or as root: %w", path, filepath.Dir(path), err)
	case lib.SQLITE_IOERR:
		return plain("ledger %s could not be read or written: the disk may be full, failing, or a network file system, which "+
			"a ledger cannot live on: %w", path, err)
	}
	return plain("ledger %s: %w", path, err)
}

func damaged(path string, err error) error {
	return plain("ledger %s is damaged: move it away together with its -wal and -shm files, then put a backup in its place (made by "+
		"`ppms-syncd backup`) or start anew without: no account is lost then, but the history is, and what we granted or "+
		"deactivated counts as staff's: %w", path, err)
}
