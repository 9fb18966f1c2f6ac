package daemon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// firstRun is what the first run of a new world has to do.
func firstRun() []string {
	return []string{
		"newuser ada", "updateuser carl email=carl@example.org",
		"setright ada 12 A", "setright ada 13 A", "setright carl 12 A", "setright carl 13 A", "setright emmy 12 A", "setright emmy 13 A",
		"setright lise 21 N",
	}
}

func TestPlanWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan().exits(daemon.ExitPending).has(firstRun()...).issues()
	if n := len(w.sim.Effects()); n > 0 {
		t.Errorf("PPMS was sent %d writes", n)
	}
	files, err := os.ReadDir(w.Folder)
	must(t, err)
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "ledger") {
			t.Errorf("a plan made %s", f.Name())
		}
	}
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text})) // without --exit-code: 0
}

func TestPlanLeavesTheLedgerAlone(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("carl"))
	w.put(person("new", "N", "New", "curielab"))
	before := w.memory()
	w.plan().exits(daemon.ExitPending)
	w.plan().exits(daemon.ExitPending)
	must(t, w.app.Explain(t.Context(), "carl"))
	must(t, w.app.Check(t.Context(), false))
	if diff := cmp.Diff(before, w.memory()); diff != "" {
		t.Errorf("the ledger changed (-before +after):\n%s", diff)
	}
}

func TestAfterApplyThePlanIsEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply().exits(daemon.ExitOK).has(firstRun()...).did(firstRun()...)
	w.plan().exits(daemon.ExitOK).has().issues()
	w.apply().exits(daemon.ExitOK).did()
}

func TestTextOfAPlanAndOfARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.Text}))
	expect(t, w.text(), "New accounts (1)", "ada", "charles@example.com → carl@example.org", "N → A", "rule confocal: member of imaging, which is in confocal-users",
		"Nothing was written", "first run with this ledger", "visitor")
	must(t, w.app.Apply(t.Context(), daemon.ApplyOptions{Output: daemon.Text}))
	expect(t, w.text(), "Run 1: 9 applied")
	must(t, w.app.Apply(t.Context(), daemon.ApplyOptions{Output: daemon.Text}))
	expect(t, w.text(), "In sync: nothing to do")
}

func TestJSONOfAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(uid("lise"), "mail", "boss@example.org")
	var plan map[string]any
	must(t, json.Unmarshal([]byte(w.plan().text), &plan))
	for _, key := range []string{"hash", "created_at", "config_hash"} {
		if s, ok := plan[key].(string); !ok || s == "" {
			t.Errorf("%s is %v", key, plan[key])
		}
		delete(plan, key)
	}
	changes := plan["changes"].([]any)
	for _, c := range changes {
		delete(c.(map[string]any), "id")
		delete(c.(map[string]any), "dn")
	}
	plan["changes"] = []any{changes[0], changes[1], changes[2], changes[4]}
	guards := plan["guards"].([]any)
	plan["guards"] = guards[:1]
	got, err := json.MarshalIndent(plan, "", " ")
	must(t, err)
	const want = `{"changes": [
	{"kind": "newuser", "login": "ada", "fields": {"email": {"to": "ada@example.org"}, "fname": {"to": "Ada"}, "lname": {"to": "Lovelace"},
		"unitlogin": {"to": "darwinlab"}}, "reason": "in the directory, not in PPMS"},
	{"kind": "updateuser", "login": "carl", "fields": {"email": {"from": "charles@example.com", "to": "carl@example.org"}},
		"reason": "the directory has other values"},
	{"kind": "setright", "login": "ada", "system": 12, "system_name": "SP8, left", "from": "", "to": "A", "rule": "confocal",
		"path": ["confocal-users", "imaging"], "reason": "rule confocal: member of imaging, which is in confocal-users"},
	{"kind": "setright", "login": "carl", "system": 12, "system_name": "SP8, left", "from": "N", "to": "A", "rule": "confocal",
		"path": ["confocal-users"], "reason": "rule confocal: member of confocal-users"}],
	"directory": {"complete": true, "groups": 3, "people": 4},
	"guards": [{"limit": 5, "name": "creations", "tripped": false, "value": 1}],
	"issues": [{"kind": "email-taken", "login": "lise", "detail": "e-mail boss@example.org belongs to boss"}],
	"policy": "sync",
	"ppms": {"accounts": 6, "active": 5, "managed": 3, "unmatched": 2},
	"summary": {"newuser": 1, "updateuser": 1, "setright": 7, "deactivations": 0, "revocations": 0, "issues": 1},
	"version": 1, "withheld": []}`
	var a, b any
	must(t, json.Unmarshal([]byte(want), &a))
	must(t, json.Unmarshal(got, &b))
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	removals := []string{"setright emmy 12 D", "setright emmy 13 D", "updateuser lise active=false"}
	upserts := []string{"newuser new", "updateuser carl phone=+41 1", "setright carl 21 N"}
	for _, c := range []struct {
		policy         string
		done, withheld []string
	}{
		{"create-only", upserts[:1], slices.Concat(upserts[1:], removals)},
		{"upsert-only", upserts, removals},
		{"sync", slices.Concat(upserts, removals), nil},
	} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) { s.Leavers = "disabled_grace: 1h, confirmations: 2" })
			w.configure(func(s *settings) { s.Policy = c.policy })
			w.apply().exits(daemon.ExitOK).did() // the new policy is a new scope
			w.set(uid("lise"), "employeeType", "left")
			w.apply().exits(daemon.ExitOK).did()
			w.pass(time.Hour)
			w.put(person("new", "N", "New", "curielab"), group("imaging", uid("ada")), group("em-users", uid("carl"), uid("lise")))
			w.set(uid("carl"), "telephoneNumber", "+41 1")
			got := w.apply().exits(daemon.ExitOK).did(c.done...)
			same(t, "withheld", lines(got.Withheld), c.withheld)
		})
	}
}

func TestDryRunMakesApplyAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.DryRun = true })
	got := w.apply().exits(daemon.ExitOK).has(firstRun()...).did()
	if !got.DryRun || got.Run != 0 {
		t.Errorf("dry_run is %v, run %d", got.DryRun, got.Run)
	}
	if n := len(w.sim.Effects()); n > 0 {
		t.Errorf("PPMS was sent %d writes", n)
	}
	if _, err := os.Stat(w.path("ledger.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ledger: %v", err)
	}
	must(t, w.app.Apply(t.Context(), daemon.ApplyOptions{Output: daemon.Text}))
	expect(t, w.text(), "dry_run is set in the configuration", "nothing was written")
}

func TestBusyRunLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lock, err := ledger.LockRun(w.path("ledger.db"))
	must(t, err)
	w.apply().exits(daemon.ExitFailed, fmt.Sprint(os.Getpid()), "another run").did()
	w.plan().exits(daemon.ExitPending) // takes no lock
	must(t, lock.Unlock())
	w.apply().exits(daemon.ExitOK)
}

func TestApplyOfASavedPlan(t *testing.T) {
	t.Parallel()
	saved := func(w *world) daemon.ApplyOptions {
		w.planTo(w.path("plan.json")).exits(daemon.ExitPending)
		return daemon.ApplyOptions{File: w.path("plan.json")}
	}
	t.Run("fresh", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		if info, err := os.Stat(file.File); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the plan file: %v, %v", info.Mode(), err)
		}
		w.apply(file).exits(daemon.ExitOK).did(firstRun()...)
		w.plan().exits(daemon.ExitOK).has()
	})
	t.Run("only what it has", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		w.put(person("later", "L", "Later", "curielab"))
		w.apply(file).exits(daemon.ExitOK).did(firstRun()...)
		w.plan().exits(daemon.ExitPending).has("newuser later")
	})
	t.Run("nothing to do", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.apply().exits(daemon.ExitOK)
		w.planTo(w.path("plan.json")).exits(daemon.ExitOK)
		o := w.apply(daemon.ApplyOptions{File: w.path("plan.json")}).exits(daemon.ExitOK).did()
		if !strings.Contains(o.text, `"changes": []`) {
			t.Errorf("no list of changes:\n%s", o.text)
		}
	})
	t.Run("tampered", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		data, err := os.ReadFile(file.File)
		must(t, err)
		w.write("plan.json", strings.Replace(string(data), `"to": "carl@example.org"`, `"to": "mallory@example.org"`, 1))
		w.apply(file).exits(daemon.ExitFailed, "was changed since it was made").did()
	})
	t.Run("other configuration", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		w.configure(func(s *settings) { s.Authoritative = "[lname]" })
		w.apply(file).exits(daemon.ExitFailed, "another configuration").did()
	})
	t.Run("too old", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		w.pass(24 * time.Hour)
		w.apply(file).exits(daemon.ExitFailed, "old", "make a new one").did()
		if _, err := os.Stat(w.path("ledger.db")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the ledger: %v", err)
		}
	})
	t.Run("no plan", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.write("plan.json", "{}{}")
		w.apply(daemon.ApplyOptions{File: w.path("plan.json")}).exits(daemon.ExitFailed, "is no plan")
		w.apply(daemon.ApplyOptions{File: w.path("none.json")}).exits(daemon.ExitFailed, "read the plan")
	})
	t.Run("wrong hash", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		file.Approve = "sha256:0123456789"
		w.apply(file).exits(daemon.ExitFailed, "has the hash").did()
		w.apply(daemon.ApplyOptions{Approve: "sha256:0123456789"}).exits(daemon.ExitFailed, "look at it again").did()
	})
	t.Run("stale in part", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		file := saved(w)
		w.staff("carl", func(u *ppmssim.User) { u.Email = "carl@example.org" })
		w.sim.SetRight("emmy", 12, "N")
		got := w.apply(file).exits(daemon.ExitPartial)
		want := slices.DeleteFunc(firstRun(), func(l string) bool { return strings.HasPrefix(l, "updateuser") || l == "setright emmy 12 A" })
		got.did(want...)
		for _, l := range []string{"updateuser carl email=carl@example.org", "setright emmy 12 A"} {
			if c := got.change(l); c.Outcome != reconcile.Stale || c.Detail == "" {
				t.Errorf("%s: %s %q", l, c.Outcome, c.Detail)
			}
		}
		w.plan().has("setright emmy 12 A")
	})
	t.Run("stale whole", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(s *settings) { s.Policy, s.Create, s.Rights = "sync", "false", "[]" })
		file := saved(w)
		w.staff("carl", func(u *ppmssim.User) { u.Email = "other@example.org" })
		w.apply(file).exits(daemon.ExitPartial).did().outcomes(map[string]reconcile.Outcome{"updateuser carl email=carl@example.org": reconcile.Stale})
	})
}

func TestSavedPlanWithApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Guards = "creations: {count: 0, percent: 0, floor: 0}" })
	plan := w.planTo(w.path("plan.json")).exits(daemon.ExitHeld)
	file := daemon.ApplyOptions{File: w.path("plan.json")}
	w.apply(file).exits(daemon.ExitHeld).did()
	file.Approve = strings.TrimPrefix(plan.Hash, "sha256:")[:10]
	w.apply(file).exits(daemon.ExitOK).did(firstRun()...)
}

func TestApprovalOfTheWholePlanOnTheSpot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Guards = "creations: {count: 0, percent: 0, floor: 0}" })
	plan := w.plan().exits(daemon.ExitHeld)
	w.apply(daemon.ApplyOptions{Approve: plan.Hash}).exits(daemon.ExitOK).did(firstRun()...)
}

// Of a saved plan of which a part is stale, a guard that holds the rest holds only that: what is stale stays so.
func TestStaleStaysStaleUnderAGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Guards = "creations: {count: 0, percent: 0, floor: 0}" })
	w.planTo(w.path("plan.json")).exits(daemon.ExitHeld)
	w.staff("carl", func(u *ppmssim.User) { u.Email = "carl@example.org" })
	got := w.apply(daemon.ApplyOptions{File: w.path("plan.json")}).exits(daemon.ExitHeld).did()
	if c := got.change("updateuser carl email=carl@example.org"); c.Outcome != reconcile.Stale {
		t.Errorf("the stale change is %s %q", c.Outcome, c.Detail)
	}
}

func TestPlanThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.app.Plan(t.Context(), daemon.PlanOptions{File: w.path("no/such/folder/plan.json"), Output: daemon.JSON})
	if daemon.ExitCode(err) != daemon.ExitFailed || !strings.Contains(err.Error(), "save the plan") {
		t.Errorf("%v", err)
	}
}

// expect looks for words in a text.
func expect(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}
