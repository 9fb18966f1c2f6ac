package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "ledger.db")
	run := must(LockRun(path))
	daemon := must(LockDaemon(path)) // another lock
	var busy *BusyError
	if _, err := LockRun(path); !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Errorf("a second lock in this process: %v", err)
	}
	ok(t, run.Unlock())
	run = must(LockRun(path))
	ok(t, run.Unlock())
	ok(t, daemon.Unlock())
	if mode := must(os.Stat(path + ".run.lock")).Mode(); mode != 0o600 {
		t.Errorf("mode %v", mode)
	}
}

// TestLockOfTheDead: the kernel releases what a killed process held.
func TestLockOfTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	pid, kill := startChild(t, "lock", path)
	_, err := LockRun(path)
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != pid {
		t.Fatalf("want pid %d: %v", pid, err)
	}
	if text := err.Error(); !strings.Contains(text, "process ") || !strings.Contains(text, "run lock") || !strings.Contains(text, path) {
		t.Error(text)
	}
	kill()
	lock, err := LockRun(path)
	ok(t, err)
	ok(t, lock.Unlock())
}

// TestLockOfALink: two names of one ledger would have two locks.
func TestLockOfALink(t *testing.T) {
	l := newLedger(t)
	other := filepath.Join(t.TempDir(), "link.db")
	ok(t, os.Symlink(l.path, other))
	if lock, err := LockRun(other); err == nil || !strings.Contains(err.Error(), "correct ledger.path") {
		t.Errorf("the lock of a link: %v, %v", lock, err)
	}
}

func TestLockFileIsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	ok(t, os.WriteFile(victim, []byte("precious"), 0o600))
	ok(t, os.Symlink(victim, filepath.Join(dir, "ledger.db.run.lock")))
	if lock, err := LockRun(filepath.Join(dir, "ledger.db")); err == nil {
		_ = lock.Unlock()
		t.Error("it followed the link")
	}
	if text := must(os.ReadFile(victim)); string(text) != "precious" {
		t.Errorf("the victim has %q", text)
	}
}
