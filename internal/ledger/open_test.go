package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"ppms-syncd/internal/reconcile"
)

func TestOpenMakesWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b c?#%41", "ledger.db")
	l, err := Open(t.Context(), path)
	ok(t, err)
	run := begin(t, l, Apply)
	for file, mode := range map[string]fs.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700 | fs.ModeDir,
	} {
		if got := must(os.Stat(file)).Mode(); got != mode {
			t.Errorf("%s has mode %v, want %v", file, got, mode)
		}
	}
	var journal, synchronous, keys string
	for pragma, v := range map[string]*string{"journal_mode": &journal, "synchronous": &synchronous, "foreign_keys": &keys} {
		ok(t, l.writer.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(v))
	}
	if journal != "wal" || synchronous != "2" || keys != "1" {
		t.Errorf("journal_mode %s, synchronous %s, foreign_keys %s", journal, synchronous, keys)
	}
	ok(t, l.Close())
	ok(t, l.Close())

	l, err = Open(t.Context(), path)
	ok(t, err)
	defer l.Close()
	if _, found, err := l.Run(t.Context(), run); !found || err != nil {
		t.Errorf("the run is gone: %v", err)
	}
}

// sqliteFile makes a database with plain SQLite, or changes one.
func sqliteFile(t *testing.T, path string, statements ...string) {
	t.Helper()
	db := must(sql.Open("sqlite", path))
	defer db.Close()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		ok(t, err)
	}
	ok(t, os.Chmod(path, 0o600))
}

// fullLedger makes a closed ledger of some hundred pages.
func fullLedger(t *testing.T, path string) {
	t.Helper()
	l := must(Open(t.Context(), path))
	ok(t, l.Observe(t.Context(), begin(t, l, Apply), big(800, 0), t0))
	ok(t, l.Close())
}

func overwrite(t *testing.T, path string, at int64, length int) {
	t.Helper()
	file := must(os.OpenFile(path, os.O_RDWR, 0))
	_, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, length), at)
	ok(t, errors.Join(err, file.Close()))
}

func TestRefusedFiles(t *testing.T) {
	cases := map[string]struct {
		spoil    func(t *testing.T, path string) // what happens to a good ledger
		below    string                          // added to the path
		want     string
		readOnly string // "" if as above; "fine" if it can be read
	}{
		"text": {
			spoil: func(t *testing.T, path string) {
				t.Helper()
				ok(t, os.WriteFile(path, []byte(strings.Repeat("links:\n", 1000)), 0o600))
			},
			want: "is not a ledger: it is no SQLite database",
		},
		"another program's": {
			spoil: func(t *testing.T, path string) {
				t.Helper()
				ok(t, os.Remove(path))
				sqliteFile(t, path, "CREATE TABLE bookmarks (a)")
			},
			want: "is not a ledger: it is a SQLite database of another program",
		},
		"another program's with an id": {
			spoil: func(t *testing.T, path string) { t.Helper(); sqliteFile(t, path, "PRAGMA application_id = 7") },
			want:  "another program",
		},
		"newer": {
			spoil: func(t *testing.T, path string) { t.Helper(); sqliteFile(t, path, "PRAGMA user_version = 99") },
			want:  "made by a newer version of ppms-syncd (its schema is 99, this version knows 3)",
		},
		"truncated": {
			spoil: func(t *testing.T, path string) { t.Helper(); ok(t, os.Truncate(path, 20*4096)) },
			want:  "is damaged: move it away",
		},
		"overwritten inside": {
			spoil:    func(t *testing.T, path string) { t.Helper(); overwrite(t, path, 40*4096, 3*4096) },
			want:     "is damaged: move it away",
			readOnly: "fine", // until it gets there: see TestDamageFoundLater
		},
		"overwritten head": {
			spoil: func(t *testing.T, path string) { t.Helper(); overwrite(t, path, 0, 90) },
			want:  "no SQLite database",
		},
		"others may read": {
			spoil: func(t *testing.T, path string) { t.Helper(); ok(t, os.Chmod(path, 0o604)) },
			want:  "has mode 0604: others may touch it; run chmod o-rwx",
		},
		"a directory": {
			spoil: func(t *testing.T, path string) {
				t.Helper()
				ok(t, errors.Join(os.Remove(path), os.Mkdir(path, 0o700)))
			},
			want: "is not a regular file",
		},
		"below a file": {below: "/ledger.db", want: "needs a directory that cannot be made", readOnly: "not a directory"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			fullLedger(t, path)
			if c.spoil != nil {
				c.spoil(t, path)
			}
			path += c.below
			refused := func(l *Ledger, err error, want string) {
				t.Helper()
				switch {
				case want == "fine":
					ok(t, err)
					ok(t, l.Close())
				case err == nil:
					t.Error("it was opened")
					_ = l.Close()
				case !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n"):
					t.Errorf("error %q should contain %q and the path, in one line", err, want)
				}
			}
			before, _ := os.ReadFile(path)
			l, err := OpenReadOnly(t.Context(), path)
			want := c.readOnly
			if want == "" {
				want = c.want
			}
			refused(l, err, want)
			l, err = Open(t.Context(), path)
			refused(l, err, c.want)
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestDamageFoundLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	fullLedger(t, path)
	size := must(os.Stat(path)).Size()
	overwrite(t, path, size*3/4, int(size/4))
	r := must(OpenReadOnly(t.Context(), path))
	defer r.Close()
	if _, err := r.Memory(t.Context(), t0); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("error %v", err)
	}
}

// TestUnfinished opens a ledger whose file was about to change when the program died: SQLite's rollback journal is beside it.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	whole, path := filepath.Join(dir, "whole.db"), filepath.Join(dir, "ledger.db")
	l := newLedger(t)
	run := begin(t, l, Apply)
	ok(t, l.backup(t.Context(), whole)) // not in WAL mode, like a file that is just made
	db := must(connect(whole, "rw", patience, 1, "synchronous(OFF)"))
	defer db.Close()
	tx := must(db.BeginTx(t.Context(), nil))
	defer tx.Rollback() // only what lies on the disk before counts
	must(tx.ExecContext(t.Context(), "DELETE FROM runs"))
	for _, end := range []string{"", "-journal"} {
		ok(t, os.WriteFile(path+end, must(os.ReadFile(whole+end)), 0o600))
	}

	if _, err := OpenReadOnly(t.Context(), path); err == nil || !strings.Contains(err.Error(), "the next `ppms-syncd apply`") {
		t.Errorf("who only looks: %v", err)
	}
	again := must(Open(t.Context(), path))
	defer again.Close()
	if runs := must(again.Runs(t.Context(), 0)); len(runs) != 1 || runs[0].ID != run {
		t.Errorf("the ledger has the runs %v, want %d", runs, run)
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	_, err := OpenReadOnly(t.Context(), path)
	if !notExist(err) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := os.Stat(path); !notExist(err) {
		t.Error("reading made the file")
	}
	ok(t, os.WriteFile(path, nil, 0o600))
	if _, err := OpenReadOnly(t.Context(), path); !notExist(err) {
		t.Errorf("empty file: %v", err)
	}

	w := must(Open(t.Context(), path))
	defer w.Close()
	r := must(OpenReadOnly(t.Context(), path))
	defer r.Close()
	run := begin(t, w, Apply)
	if runs := must(r.Runs(t.Context(), 0)); len(runs) != 1 || runs[0].ID != run {
		t.Errorf("the reader sees %v", runs)
	}
	for name, err := range map[string]error{
		"begin":   func() error { _, err := r.BeginRun(t.Context(), someRun()); return err }(),
		"observe": r.Observe(t.Context(), run, reconcile.Observations{}, t0),
		"link":    r.Link(t.Context(), linkTo("1", "a"), someone, t0),
		"prune":   func() error { _, err := r.Prune(t.Context(), t0); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "read only") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.reader.ExecContext(t.Context(), "DELETE FROM runs"); err == nil {
		t.Error("the reader's connection can write")
	}
}

// TestReaderSeesCommittedState looks at a ledger whose writer is in the middle of something, and after it was killed there.
func TestReaderSeesCommittedState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	_, kill := startChild(t, "intend", path)
	for range 2 {
		r := must(OpenReadOnly(t.Context(), path))
		if pending := must(r.Pending(t.Context())); len(pending) != 1 || pending[0].Change.Login != "jdoe" {
			t.Errorf("the reader sees %v", pending)
		}
		ok(t, r.Close())
		kill()
	}
}

// TestReadersOfAGroup runs as root only: it becomes a user who may read and not write.
func TestReadersOfAGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	dir := must(os.MkdirTemp("", "ledger")) //nolint:usetesting // t.TempDir is closed to others
	defer os.RemoveAll(dir)
	ok(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "var", "ledger.db")
	self := filepath.Join(dir, "child")
	ok(t, os.WriteFile(self, must(os.ReadFile(must(os.Executable()))), 0o755))

	w := must(Open(t.Context(), path))
	defer w.Close()
	ok(t, w.Link(t.Context(), linkTo("1", "a"), someone, t0))
	const group = 65533
	share := func() {
		ok(t, os.Chmod(filepath.Dir(path), 0o750))
		ok(t, os.Chown(filepath.Dir(path), 0, group))
		for _, suffix := range []string{"", "-wal", "-shm"} {
			ok(t, os.Chown(path+suffix, 0, group))
			ok(t, os.Chmod(path+suffix, 0o640))
		}
	}
	read := func(group uint32) string {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Dir, cmd.Env = filepath.Dir(path), []string{"CHILD=read"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: group}}
		out, _ := cmd.Output()
		return string(out)
	}
	share()
	if out := read(group); out != "links: 1\n" {
		t.Errorf("beside a writer: %s", out)
	}
	ok(t, w.Close())
	if out := read(group); out != "links: 1\n" {
		t.Errorf("after the writer closed: %s", out)
	}
	ok(t, os.Chmod(filepath.Dir(path), 0o755))
	if out := read(65532); !strings.Contains(out, "permission denied") {
		t.Errorf("somebody of no right: %s", out)
	}
	ok(t, os.Chmod(filepath.Dir(path), 0o750))
	ok(t, os.Remove(path+"-shm"))
	ok(t, os.Remove(path+"-wal"))
	if out := read(group); !strings.Contains(out, "cannot be used by this user") {
		t.Errorf("without -shm: %s", out)
	}
}

// TestRootInAnothersDirectory runs as root only: what root makes beside a service belongs to the service, and what the service
// has put there leads root nowhere.
func TestRootInAnothersDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	base := must(os.MkdirTemp("", "ledger")) //nolint:usetesting // t.TempDir is closed to others
	defer os.RemoveAll(base)
	ok(t, os.Chmod(base, 0o755))
	dir := filepath.Join(base, "var")
	ok(t, os.Mkdir(dir, 0o700))
	ok(t, os.Chown(dir, 65534, 65533))
	path := filepath.Join(dir, "ledger.db")
	lock := must(LockRun(path))
	l := must(Open(t.Context(), path))
	begin(t, l, Apply)
	owned := func() {
		t.Helper()
		for _, suffix := range []string{"", "-wal", "-shm", ".run.lock"} {
			if owner := must(os.Stat(path + suffix)).Sys().(*syscall.Stat_t); owner.Uid != 65534 || owner.Gid != 65533 {
				t.Errorf("ledger.db%s belongs to %d:%d", suffix, owner.Uid, owner.Gid)
			}
		}
	}
	owned()
	ok(t, l.Close())
	ok(t, lock.Unlock())
	for _, suffix := range []string{"-wal", "-shm"} {
		ok(t, os.Remove(path+suffix))
	}
	r := must(OpenReadOnly(t.Context(), path))
	must(r.Runs(t.Context(), 0))
	ok(t, r.Close())
	owned()

	private := filepath.Join(base, "private")
	ok(t, os.WriteFile(private, nil, 0o600))
	ok(t, os.Remove(path))
	ok(t, os.Symlink(private, path))
	if _, err := Open(t.Context(), path); err == nil {
		t.Error("root follows a link of the service to a file of its own")
	}
	ok(t, os.WriteFile(filepath.Join(base, "mine"), nil, 0o600)) // and is itself again
	if info := must(os.Stat(private)); info.Size() != 0 {
		t.Errorf("it wrote %d bytes there", info.Size())
	}
	if owner := must(os.Stat(filepath.Join(base, "mine"))).Sys().(*syscall.Stat_t); owner.Uid != 0 {
		t.Errorf("root makes files of user %d afterwards", owner.Uid)
	}
}

func TestMigrations(t *testing.T) {
	steps := must(loadMigrations(migrations))
	for version := 1; version <= len(steps); version++ {
		path := filepath.Join(t.TempDir(), "ledger.db")
		old := must(open(t.Context(), path, steps[:version], patience))
		_, err := old.writer.ExecContext(t.Context(), `INSERT INTO runs (started, mode, policy, config_hash, os_user, host, version)
				VALUES (0, 'apply', 'sync', '', '', '', '');
			INSERT INTO holds (key, field, reason, run, at) VALUES ('ann', 'email', 'r', 1, 0);
			INSERT INTO links (id, login, key, entry_key, dn, origin, since, enabled_scope) VALUES ('1', 'Ann', 'ann', 'ann', '', 'matched', 0, '');
			INSERT INTO interventions (at, run, verb, key, os_user, host, version) VALUES (0, 1, 'unlink', 'x', '', '', '')`)
		ok(t, err)
		ok(t, old.Close())
		l := must(open(t.Context(), path, steps, patience))
		m := memory(t, l)
		if runs := must(l.Runs(t.Context(), 0)); len(runs) != 1 || len(m.Holds) != 1 || m.Holds[0].Run != 1 || len(m.Links) != 1 {
			t.Errorf("from schema %d: runs %v, memory %+v", version, runs, m)
		}
		ok(t, l.Link(t.Context(), linkTo("2", "bob"), someone, t0))
		var said int
		ok(t, l.reader.QueryRowContext(t.Context(), `SELECT count(*) FROM interventions`).Scan(&said))
		if said != 2 {
			t.Errorf("from schema %d: %d interventions", version, said)
		}
		ok(t, l.Close())
	}
}

func TestUpgrade(t *testing.T) {
	steps := must(loadMigrations(migrations))
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := must(open(t.Context(), path, steps, patience))
	begin(t, l, Apply)
	ok(t, l.Close())

	next := append(steps, `CREATE TABLE more (a); INSERT INTO more VALUES (7);`)
	_, err := openReadOnly(t.Context(), path, next)
	if err == nil || !strings.Contains(err.Error(), "the next `ppms-syncd apply` or `ppms-syncd serve` upgrades it") {
		t.Errorf("reading an older one: %v", err)
	}
	broken := append(slices.Clip(next), `CREATE TABLE half (a); SELECT no_such_function();`)
	if _, err := open(t.Context(), path, broken, patience); err == nil || !strings.Contains(err.Error(), "upgrade to schema 5") {
		t.Errorf("a broken upgrade: %v", err)
	}
	l = must(open(t.Context(), path, next, patience)) // the good step was kept, nothing of the broken one
	var a, half int
	ok(t, l.reader.QueryRowContext(t.Context(), `SELECT a, (SELECT count(*) FROM sqlite_schema WHERE name = 'half') FROM more`).Scan(&a, &half))
	if a != 7 || half != 0 {
		t.Errorf("a = %d, half a table: %d", a, half)
	}
	ok(t, l.Close())
	if _, err := open(t.Context(), path, steps, patience); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("the older program: %v", err)
	}
}

func TestMigrationNames(t *testing.T) {
	_, err := loadMigrations(fstest.MapFS{"migrations/0001_a.sql": {}, "migrations/0003_b.sql": {}})
	if err == nil || !strings.Contains(err.Error(), "0003_b.sql should be number 2") {
		t.Error(err)
	}
}

func TestOpenedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	results := make(chan error)
	for range 8 {
		go func() {
			l, err := Open(context.Background(), path)
			if err == nil {
				_, err = l.BeginRun(context.Background(), someRun())
				_ = l.Close()
			}
			results <- err
		}()
	}
	for range 8 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	l := must(Open(t.Context(), path))
	defer l.Close()
	if runs := must(l.Runs(t.Context(), 0)); len(runs) != 8 {
		t.Errorf("%d runs", len(runs))
	}
}

func TestLockedForLong(t *testing.T) {
	steps := must(loadMigrations(migrations))
	a := newLedger(t)
	b := must(open(t.Context(), a.path, steps, 20*time.Millisecond))
	defer b.Close()
	tx := must(a.writer.BeginTx(t.Context(), nil))
	_, err := b.BeginRun(t.Context(), someRun())
	if err == nil || !strings.Contains(err.Error(), "is locked by another process") {
		t.Errorf("error %v", err)
	}
	if runs, err := b.Runs(t.Context(), 0); err != nil || len(runs) != 0 {
		t.Errorf("a reader waits for a writer: %v, %v", runs, err)
	}
	ok(t, tx.Rollback())
	begin(t, b, Apply)
}

func TestDiskFull(t *testing.T) {
	l := newLedger(t)
	_, err := l.writer.ExecContext(t.Context(), "PRAGMA max_page_count = 1") // as far as it has grown
	ok(t, err)
	run := begin(t, l, Apply)
	c := grantChange("jdoe", 1, "", "N")
	c.Reason = strings.Repeat("x", 1<<20)
	_, err = l.Intend(t.Context(), run, c, t0)
	if err == nil || !strings.Contains(err.Error(), "no space is left") {
		t.Fatalf("error %v", err)
	}
	if pending := must(l.Pending(t.Context())); len(pending) != 0 {
		t.Errorf("%d entries", len(pending))
	}
	begin(t, l, Apply)
}

func TestCancelled(t *testing.T) {
	l := newLedger(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.BeginRun(ctx, someRun()); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error %v", err)
	}
	begin(t, l, Apply)
}
