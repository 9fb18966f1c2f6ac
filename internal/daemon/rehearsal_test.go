package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ppmssim"
)

// snapshot is ppms-syncd ppms snapshot, read as the simulator reads it.
func (w *world) snapshot(o daemon.SnapshotOptions) ppmssim.Seed {
	w.t.Helper()
	o.File = w.path("snapshot.json")
	must(w.t, w.app.Toolbox(w.t.Context(), daemon.TableForm, func(ctx context.Context, b *daemon.Toolbox) error {
		return b.Snapshot(ctx, o)
	}))
	w.text()
	seed, err := ppmssim.ReadSeed(o.File)
	must(w.t, err)
	return seed
}

// A snapshot of a PPMS, seeded into another, answers as the first.
func TestSnapshot(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.Seed.Users[0].Email = `"O'Hara, \ü" <x@example.org>`
	})
	got, want := w.snapshot(daemon.SnapshotOptions{}), w.sim.Snapshot()
	info, err := os.Stat(w.path("snapshot.json"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the snapshot has mode %v", info.Mode())
	}
	for i := range want.Users { // PUMAPI gives neither in getuser's CSV
		want.Users[i].UserID, want.Users[i].Pwd = 0, ""
	}
	for i := range want.Units {
		want.Units[i].Creationdate = got.Units[i].Creationdate
	}
	bySystem := func(a, b ppmssim.Right) int {
		return strings.Compare(fmt.Sprint(a.System, a.Login), fmt.Sprint(b.System, b.Login))
	}
	slices.SortFunc(got.Rights, bySystem)
	slices.SortFunc(want.Rights, bySystem)
	byLogin := func(a, b ppmssim.User) int { return strings.Compare(a.Login, b.Login) }
	slices.SortFunc(got.Users, byLogin)
	slices.SortFunc(want.Users, byLogin)
	want.Bookings, want.Experience, want.Services, want.Orders, want.Invoices, want.Projects, want.Bcodes = nil, nil, nil, nil, nil, nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-PPMS +snapshot):\n%s", diff)
	}
	again := newWorld(t, func(s *settings) { s.Seed = got })
	same(t, "plan", lines(again.plan().Changes), lines(w.plan().Changes))
}

// Names of users and units count in any spelling, as in a run.
func TestSnapshotOfOtherSpellings(t *testing.T) {
	w := newWorld(t)
	w.says(func(action, answer string) string {
		switch action {
		case "getadmins":
			return strings.ToUpper(answer)
		case "getuser":
			return strings.Replace(answer, `"darwinlab"`, `"DarwinLab"`, 1)
		}
		return answer
	})
	for _, u := range w.snapshot(daemon.SnapshotOptions{}).Users {
		if u.Admin != (u.Login == "boss") || u.Unitlogin == "" {
			t.Errorf("%+v", u)
		}
	}
	against := w.outcome(w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.JSON, Against: w.path("snapshot.json")}))
	same(t, "changes", lines(w.plan().Changes), lines(against.Changes))
}

// Whatever PPMS says in a text about people and units, no word of it is in a pseudonymised snapshot.
func TestPseudonymisedSnapshotHasNoTextOfPPMS(t *testing.T) {
	w := newWorld(t)
	var count atomic.Int64 // answers are made at the same time
	w.says(func(action, answer string) string {
		if action != "getuser" && action != "getgroup" {
			return answer
		}
		header, row, _ := strings.Cut(answer, "\n")
		fields := strings.Split(strings.TrimSpace(row), ",")
		for i := 1; i < len(fields); i++ {
			if isText := strings.HasPrefix(fields[i], `"`) && (action == "getgroup" || i != 7); isText { // 7 is a user's unit
				fields[i] = fmt.Sprintf(`"Marker%d, 2022/04/05 <marker@example.org>"`, count.Add(1))
			}
		}
		if action == "getgroup" {
			fields = fields[:14]
		}
		return header + "\n" + strings.Join(fields, ",") + "\n"
	})
	seed := w.snapshot(daemon.SnapshotOptions{Pseudonymise: true})
	data, err := os.ReadFile(w.path("snapshot.json"))
	must(t, err)
	if text := strings.ToLower(string(data)); count.Load() < 60 || strings.Contains(text, "marker") {
		t.Errorf("%d texts, and the snapshot has\n%s", count.Load(), text)
	}
	for i := range seed.Systems { // whose texts stay
		seed.Systems[i] = ppmssim.System{}
	}
	rest := fmt.Sprint(seed)
	for _, u := range w.Seed.Users {
		if strings.Contains(rest, u.Login) || strings.Contains(rest, u.Unitlogin) {
			t.Errorf("%s or %s is in %s", u.Login, u.Unitlogin, rest)
		}
	}
}

// A pseudonymised one names nobody, and has the same structure.
func TestPseudonymisedSnapshot(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.Seed.Users[0].Email, s.Seed.Users[1].Email = "Same@example.org", "same@example.org"
		s.Seed.Users[0].Phone, s.Seed.Units[0].Headname = "+49 351 4711", "Marie Curie"
	})
	before, after := w.sim.Snapshot(), w.snapshot(daemon.SnapshotOptions{Pseudonymise: true})
	data, err := os.ReadFile(w.path("snapshot.json"))
	must(t, err)
	for i := range before.Users {
		u := &before.Users[i]
		for _, value := range []string{u.Login, u.Lname, u.Email, u.Phone, u.Bcode, u.Unitlogin} {
			if value != "" && strings.Contains(string(data), `"`+value+`"`) {
				t.Errorf("%q is in the pseudonymised snapshot", value)
			}
		}
	}
	if strings.Contains(string(data), "Curie") {
		t.Error("a head of a unit is in the pseudonymised snapshot")
	}
	shape := func(s *ppmssim.Seed) map[string]int {
		counts := map[string]int{}
		emails := map[string]int{}
		for i := range s.Users {
			u := &s.Users[i]
			counts[fmt.Sprint("user ", u.Active, u.Admin, u.Email == "", u.Unitlogin == "")]++
			emails[strings.ToLower(u.Email)]++
		}
		for _, n := range emails {
			counts[fmt.Sprint("addresses of ", n)]++
		}
		for _, r := range s.Rights {
			counts[fmt.Sprint("right ", r.System, r.Level)]++
		}
		counts["units"] = len(s.Units)
		return counts
	}
	before.Rights = slices.Clone(before.Rights)
	if diff := cmp.Diff(shape(&before), shape(&after)); diff != "" {
		t.Errorf("(-PPMS +snapshot):\n%s", diff)
	}
	if diff := cmp.Diff(before.Systems, after.Systems); diff != "" {
		t.Errorf("systems (-PPMS +snapshot):\n%s", diff)
	}
	first := after.Users
	if second := w.snapshot(daemon.SnapshotOptions{Pseudonymise: true}).Users; second[0].Login == first[0].Login {
		t.Error("two snapshots have the same pseudonyms: they can be held against each other")
	}
}

// What a snapshot says, a simulator that begins with it says again, whatever there is in it and pseudonymised or not.
func TestSnapshotOfASnapshot(t *testing.T) {
	odd := func(s *settings) {
		s.Seed = ppmssim.DefaultSeed()
		for _, login := range []string{"Case", "cASE", "CASE", "case", "o'hara, j:r", "ünï"} {
			s.Seed.Users = append(s.Seed.Users, ppmssim.User{Login: login, Lname: `"x", y`, Email: " blanks@example.org ", Unitlogin: "smithlab", Active: true})
			s.Seed.Rights = append(s.Seed.Rights, ppmssim.Right{Login: login, System: 58, Level: "N"})
		}
		s.Seed.Users = append(s.Seed.Users, ppmssim.User{Login: "nobody's"})
		s.Seed.Systems = append(s.Seed.Systems, ppmssim.System{ID: 90, RawID: "none", Name: "unreadable"}, ppmssim.System{ID: 91, Name: `63" "Max", left`})
		s.Seed.Rights = append(s.Seed.Rights, ppmssim.Right{Login: "admin", System: 58, Level: "D"}, ppmssim.Right{Login: "jdoe", System: 90, Level: "A"})
	}
	for name, hide := range map[string]bool{"as it is": false, "pseudonymised": true} {
		t.Run(name, func(t *testing.T) {
			first := newWorld(t, odd).snapshot(daemon.SnapshotOptions{Pseudonymise: hide})
			second := newWorld(t, func(s *settings) { s.Seed = first }).snapshot(daemon.SnapshotOptions{})
			if diff := cmp.Diff(first, second); diff != "" {
				t.Errorf("(-first +second):\n%s", diff)
			}
			if len(first.Users) != len(ppmssim.DefaultSeed().Users)+7 {
				t.Errorf("%d users", len(first.Users))
			}
		})
	}
}

// A rehearsal comes to what the run itself comes to, and touches neither PPMS nor the ledger, also under dry_run.
func TestRehearsal(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.DryRun = true })
	w.snapshot(daemon.SnapshotOptions{})
	before, asked := w.sim.Snapshot(), total(w.sim.Requests())
	planned := w.outcome(w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.JSON, ExitCode: true, Against: w.path("snapshot.json")}))
	planned.exits(daemon.ExitPending)
	must(t, w.app.Apply(t.Context(), daemon.ApplyOptions{Output: daemon.JSON, Against: w.path("snapshot.json")}))
	var rehearsed struct {
		Rehearsed daemon.Afterwards `json:"rehearsed"`
	}
	must(t, json.Unmarshal([]byte(w.text()), &rehearsed))
	w.unchanged(before)
	if n := total(w.sim.Requests()) - asked; n != 0 {
		t.Errorf("a rehearsal asked PPMS %d times", n)
	}
	if _, err := os.Stat(w.path("ledger.db")); err == nil {
		t.Error("a rehearsal made a ledger")
	}
	must(t, w.app.Apply(t.Context(), daemon.ApplyOptions{Against: w.path("snapshot.json")}))
	text := w.text()
	for _, words := range []string{"Rehearsed", "user ada", "right ada 12", "A second plan has nothing left to do"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is not in:\n%s", words, text)
		}
	}

	w.configure(func(s *settings) { s.DryRun = false })
	o := w.apply().exits(daemon.ExitOK)
	same(t, "changes", lines(planned.Changes), lines(o.Changes))
	var did []ppmssim.Change
	for _, e := range w.sim.Effects() {
		did = append(did, e.Changes...)
	}
	if diff := cmp.Diff(did, rehearsed.Rehearsed.Changes); diff != "" || rehearsed.Rehearsed.Left != 0 {
		t.Errorf("%d left; (-run +rehearsal):\n%s", rehearsed.Rehearsed.Left, diff)
	}
	links := len(w.memory().Links)
	w.outcome(w.app.Plan(t.Context(), daemon.PlanOptions{Output: daemon.JSON, Against: w.path("snapshot.json")})) // of before the run
	if runs := len(w.runs()); links != len(w.memory().Links) || runs != 1 {
		t.Errorf("the ledger has %d runs and %d links instead of 1 and %d", runs, len(w.memory().Links), links)
	}
}
