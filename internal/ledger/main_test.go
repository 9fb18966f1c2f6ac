package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ppms-syncd/internal/reconcile"
)

// TestMain is also the program of the child processes that some tests start: CHILD names what it does.
func TestMain(m *testing.M) {
	if what := os.Getenv("CHILD"); what != "" {
		if err := child(what, "ledger.db"); err != nil {
			fmt.Fprintln(os.Stdout, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child does what was asked with a ledger in its directory, says so in a line, and waits to be killed.
func child(what, path string) error {
	ctx := context.Background()
	switch what {
	case "lock":
		lock, err := LockRun(path)
		if err != nil {
			return err
		}
		defer lock.Unlock()
	case "intend":
		l, err := Open(ctx, path)
		if err != nil {
			return err
		}
		run, err := l.BeginRun(ctx, someRun())
		if err != nil {
			return err
		}
		if _, err := l.Intend(ctx, run, grantChange("jdoe", 12, "", "A"), t0); err != nil {
			return err
		}
	case "read":
		l, err := OpenReadOnly(ctx, path)
		if err != nil {
			return err
		}
		m, err := l.Memory(ctx, t0)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "links:", len(m.Links))
		return l.Close()
	}
	fmt.Fprintln(os.Stdout, "ready")
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

// childCommand prepares this test binary to be run as a child.
func childCommand(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = filepath.Dir(path)
	cmd.Env = append(os.Environ(), "CHILD="+what)
	return cmd
}

// startChild starts one and waits until it is ready; it is killed by stop.
func startChild(t *testing.T, what, path string) (pid int, stop func()) {
	t.Helper()
	cmd := childCommand(t, what, path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 200)
	n, err := out.Read(said)
	if string(said[:n]) != "ready\n" {
		t.Fatalf("child said %q, %v", said[:n], err)
	}
	return cmd.Process.Pid, func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()
	}
}

var t0 = time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)

var someone = Actor{User: "alice", Host: "host", Version: "1.2"}

func someRun() Run {
	return Run{Started: t0, Mode: Apply, Policy: reconcile.Sync, ConfigHash: "sha256:cafe", Actor: someone}
}

func newLedger(tb testing.TB) *Ledger {
	tb.Helper()
	l, err := Open(tb.Context(), filepath.Join(tb.TempDir(), "ledger.db"))
	ok(tb, err)
	tb.Cleanup(func() { ok(tb, l.Close()) })
	return l
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// must unwraps what must not fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func begin(tb testing.TB, l *Ledger, mode Mode) int64 {
	tb.Helper()
	r := someRun()
	r.Mode = mode
	id, err := l.BeginRun(tb.Context(), r)
	ok(tb, err)
	return id
}

func memory(tb testing.TB, l *Ledger) reconcile.Memory {
	tb.Helper()
	m, err := l.Memory(tb.Context(), t0)
	ok(tb, err)
	return m
}

func grantChange(login string, system int, from, to string) reconcile.Change {
	return reconcile.Change{
		Kind: reconcile.SetRight, Login: login, System: system, SystemName: "SP8", From: new(from), To: to, Rule: "confocal",
		Path: []string{"confocal-users"}, Reason: "rule confocal", PersonID: "id-" + login, DN: "uid=" + login,
	}
}

func activeChange(login, from, to string) reconcile.Change {
	return reconcile.Change{
		Kind: reconcile.UpdateUser, Login: login, Reason: "gone", PersonID: "id-" + login,
		Fields: map[string]reconcile.Value{reconcile.ActiveField: {From: new(from), To: to}},
	}
}

func newUser(login, id string) reconcile.Change {
	return reconcile.Change{
		Kind: reconcile.NewUser, Login: login, PersonID: id, DN: "uid=" + login, Reason: "new",
		Fields: map[string]reconcile.Value{"lname": {To: "Doe"}},
	}
}

func linkTo(id, login string) reconcile.Link {
	return reconcile.Link{ID: id, Login: login, Key: reconcile.KeyOf(login), DN: "uid=" + login, Origin: reconcile.Matched, Since: t0, EnabledScope: "s1"}
}

func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
