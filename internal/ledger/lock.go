package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// BusyError says that another process holds a lock.
type BusyError struct {
	PID  int // 0 if it did not say
	What string
	Path string // of the lock file
}

// Error names the process.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s holds the %s lock of this ledger (%s)", e.Holder(), e.What, e.Path)
}

// Holder is the other process, by its number if it said that.
func (e *BusyError) Holder() string {
	if e.PID == 0 {
		return "another process"
	}
	return "process " + strconv.Itoa(e.PID)
}

// Lock is a held lock. The kernel releases it when the process ends, however it ends.
type Lock struct{ file *os.File }

// LockRun takes the lock of a run, which reads and writes PPMS; path is the ledger's. A [*BusyError] says who has it.
func LockRun(path string) (*Lock, error) { return lock(path, "run") }

// LockDaemon takes the lock that the daemon holds for its life; path is the ledger's. A [*BusyError] says who has it.
func LockDaemon(path string) (*Lock, error) { return lock(path, "daemon") }

// Unlock gives the lock back. The file stays: to remove it would let two processes hold two files of one name.
func (l *Lock) Unlock() error {
	// Unlocked by name, for a child that is being forked at this moment shares the file until it executes its program.
	return errors.Join(l.file.Truncate(0), syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

func lock(path, what string) (*Lock, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 { // the lock lies beside the name
		return nil, fmt.Errorf("ledger %s is a link, by which it could be used under two names at once; correct ledger.path to where it leads", path)
	}
	path += "." + what + ".lock"
	if err := createFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var file *os.File
	err = asOwner(filepath.Dir(path), func() (err error) {
		file, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0) //nolint:gosec // G304: beside the configured path
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lock file %s cannot be used: run as the user of the service or as root: %w", path, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		busy := &BusyError{PID: holder(file), What: what, Path: path}
		_ = file.Close() // nothing was written to it
		return nil, busy
	}
	if err == nil {
		err = writePID(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock file %s: %w", path, err), file.Close())
	}
	return &Lock{file}, nil
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
