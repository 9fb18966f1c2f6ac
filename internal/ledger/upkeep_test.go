package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ppms-syncd/internal/reconcile"
)

func TestPrune(t *testing.T) {
	l := world(t) // links, grants and all that
	old, limit := t0.AddDate(-2, 0, 0), t0.AddDate(-1, 0, 0)
	start := func(at time.Time) int64 {
		r := someRun()
		r.Started = at
		return must(l.BeginRun(t.Context(), r))
	}
	done, doubt, held, undone := start(old), start(old), start(old), start(old)
	settled := must(l.Intend(t.Context(), done, grantChange("x", 1, "", "N"), old))
	ok(t, l.Settle(t.Context(), settled, reconcile.Refused, "", old))
	unsure := must(l.Intend(t.Context(), doubt, grantChange("x", 1, "", "N"), old))
	ok(t, l.Settle(t.Context(), unsure, reconcile.InDoubt, "", old))
	pending := must(l.Intend(t.Context(), doubt, grantChange("x", 2, "", "N"), old))
	ok(t, l.HoldPlan(t.Context(), held, plan("aa"), old))
	ok(t, l.HoldPlan(t.Context(), held, plan("bb"), t0)) // by an old run that is not over
	ok(t, l.Approve(t.Context(), plan("aa"), someone, old, old.Add(time.Hour)))
	ok(t, l.SaveView(t.Context(), done, View{At: old}))
	ok(t, l.Hold(t.Context(), []reconcile.Hold{{Key: "z", Reason: "r", Run: undone}}, someone, old))
	fresh := begin(t, l, Apply)
	kept := must(l.Intend(t.Context(), fresh, grantChange("x", 1, "", "N"), t0))
	ok(t, l.Settle(t.Context(), kept, reconcile.Refused, "", t0))

	before := memory(t, l)
	n, err := l.Prune(t.Context(), limit)
	ok(t, err)
	if want := 1 + 1 + 2 + 2 + 1; n != want-1 { // entry, plan, an approval (the other change was approved anew), two words, a run
		t.Errorf("removed %d rows, want %d", n, want-1)
	}
	if diff := cmp.Diff(before, memory(t, l)); diff != "" {
		t.Error(diff)
	}
	left := map[int64]bool{}
	for _, r := range must(l.Runs(t.Context(), 0)) {
		left[r.ID] = true
	}
	if left[done] || !left[doubt] || !left[held] || !left[undone] || !left[fresh] {
		t.Errorf("runs left: %v", left)
	}
	if open := must(l.Pending(t.Context())); len(open) != 2 || open[0].ID != unsure || open[1].ID != pending {
		t.Errorf("pending: %v", open)
	}
	if plans := must(l.HeldPlans(t.Context())); len(plans) != 1 || plans[0].Plan.Hash != plan("bb").Hash {
		t.Errorf("%d plans", len(plans))
	}
	if _, found, err := l.View(t.Context()); !found || err != nil {
		t.Errorf("the view went with its run: %v", err)
	}
	if again := begin(t, l, Apply); again <= fresh {
		t.Errorf("run %d after run %d", again, fresh)
	}
}

func TestBackup(t *testing.T) {
	l := world(t)
	want := memory(t, l)
	file := filepath.Join(t.TempDir(), "it's a backup.db")
	ok(t, Backup(t.Context(), l.path, file)) // while it is in use
	if mode := must(os.Stat(file)).Mode(); mode != 0o600 {
		t.Errorf("mode %v", mode)
	}
	if err := Backup(t.Context(), l.path, file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("over an existing file: %v", err)
	}
	r := must(OpenReadOnly(t.Context(), file))
	got := memory(t, r)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(reconcile.Link{}, "EnabledScope"), cmpopts.IgnoreFields(reconcile.Grant{}, "WantedScope"),
		cmpopts.IgnoreFields(reconcile.Cause{}, "Scope"), cmpopts.IgnoreFields(reconcile.Memory{}, "Approved")); diff != "" {
		t.Error(diff)
	}
	for _, proof := range []string{got.Links[0].EnabledScope, got.Grants[0].WantedScope, got.Leavers["2"].Scope} {
		if proof != "" {
			t.Errorf("the scope %q came along", proof)
		}
	}
	ok(t, r.Close())
	whole := filepath.Join(t.TempDir(), "copy.db")
	ok(t, Copy(t.Context(), l.path, whole))
	r = must(OpenReadOnly(t.Context(), whole))
	if diff := cmp.Diff(want, memory(t, r)); diff != "" {
		t.Error(diff)
	}
	ok(t, r.Close())
	restored := must(Open(t.Context(), file))
	begin(t, restored, Apply)
	ok(t, restored.Close())

	missing := filepath.Join(t.TempDir(), "none.db")
	if err := Backup(t.Context(), l.path, filepath.Join(missing, "such")); err == nil {
		t.Error("a directory that there is not")
	}
	if err := Backup(t.Context(), missing, filepath.Join(t.TempDir(), "b.db")); !notExist(err) {
		t.Errorf("of no ledger: %v", err)
	}
}

// TestBackupOfAnOlderLedger: the time for a backup is before the upgrade.
// TestBackupByRoot: into the directory of somebody else, such as an administrator's own or that of the ledger, it is theirs.
func TestBackupByRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	l := world(t)
	dir := must(os.MkdirTemp("", "ledger")) //nolint:usetesting // t.TempDir is closed to others
	defer os.RemoveAll(dir)
	ok(t, os.Chown(dir, 65534, 65533))
	file := filepath.Join(dir, "backup.db")
	ok(t, Backup(t.Context(), l.path, file))
	info := must(os.Stat(file))
	if owner, _ := info.Sys().(*syscall.Stat_t); info.Mode() != 0o600 || owner.Uid != 65534 || owner.Gid != 65533 {
		t.Errorf("%v of %d:%d", info.Mode(), owner.Uid, owner.Gid)
	}
}

func TestBackupOfAnOlderLedger(t *testing.T) {
	steps := must(loadMigrations(migrations))
	path, file := filepath.Join(t.TempDir(), "ledger.db"), filepath.Join(t.TempDir(), "backup.db")
	ok(t, must(open(t.Context(), path, steps[:1], patience)).Close())
	ok(t, Backup(t.Context(), path, file))
	ok(t, must(openReadOnly(t.Context(), file, steps[:1])).Close())
	ok(t, must(openReadOnly(t.Context(), path, steps[:1])).Close()) // which it left as it was
}
