package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
	"ppms-syncd/internal/ppmssim"
)

// TestScenario runs the program itself.
func TestScenario(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	program := build(t)
	t.Run("institute", func(t *testing.T) {
		t.Parallel()
		institute(t, program)
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		killed(t, program)
	})
}

// institute is the first sync of a whole institute with a real directory: held by the guards, looked at, approved, done.
func institute(t *testing.T, program string) {
	t.Helper()
	const people, known, locals, systems = 2000, 1440, 60, 12
	phase := stopwatch(t)
	entries := ldaptest.Generate(ldaptest.GenOptions{People: people, Groups: 40, Nested: 8, Seed: 7})
	slapd := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
	seed := facility(peopleOf(entries)[:known], locals, systems)
	sim, url := startPPMS(t, seed)
	groups := groupsOf(entries)
	p := newPost(t, program, map[string]string{"LDAP_URL": slapd.URL, "PPMS_URL": url}, slapd.ReaderPassword, map[string]any{
		"ldap":   map[string]any{"bind": map[string]any{"dn": slapd.ReaderDN}},
		"ppms":   map[string]any{"requests_per_second": 10000, "concurrency": 8},
		"rights": rules(slices.Concat(groups[:10], groups[len(groups)-8:]), systems),
	})
	phase("set up", sim)

	plan := decode[planned](t, p.run(t, 3, "plan", "-o", "plan.json", "--exit-code", "--output", "json"))
	phase("plan", sim)
	t.Logf("plan: %d changes (%v); directory %+v, PPMS %+v", len(plan.Changes), plan.Summary, plan.Directory, plan.PPMS)
	for _, g := range plan.Guards {
		if g.Tripped {
			t.Logf("guard %s: %d people, limit %d", g.Name, g.Value, g.Limit)
		}
	}
	if plan.Directory.People != people || plan.Directory.Groups != 40 || plan.PPMS.Accounts != known+locals || plan.Summary["newuser"] != people-known {
		t.Errorf("the plan is about something else: %+v", plan.Summary)
	}
	if len(sim.Effects()) > 0 {
		t.Fatal("plan has written")
	}

	applied := decode[planned](t, p.run(t, 0, "apply", "plan.json", "--approve", plan.Hash[:len("sha256:")+12], "--output", "json"))
	phase("apply", sim)
	announced := sorted(plan.Changes, requestOf)
	if diff := cmp.Diff(announced, sorted(sim.Effects(), effectOf)); diff != "" {
		t.Errorf("what was announced and what was written (-plan +PPMS):\n%s", diff)
	}
	past := decode[planned](t, p.run(t, 0, "history", fmt.Sprint(applied.Run), "--output", "json"))
	for _, c := range past.Changes {
		if c.Outcome != "applied" {
			t.Errorf("history: %s of %s is %s", c.Kind, c.Login, c.Outcome)
		}
	}
	if diff := cmp.Diff(announced, sorted(past.Changes, requestOf)); diff != "" {
		t.Errorf("what was announced and what history says (-plan +history):\n%s", diff)
	}
	untouched(t, seed, sim)

	after := decode[planned](t, p.run(t, 0, "plan", "--exit-code", "--output", "json"))
	phase("plan again", sim)
	kinds := map[string]int{}
	for _, i := range after.Issues {
		kinds[i.Kind]++
	}
	t.Logf("then: %d changes, issues %v; PPMS %+v", len(after.Changes), kinds, after.PPMS)
	if len(after.Changes) > 0 {
		t.Errorf("not in step: %+v", after.Changes[0])
	}
	if err := findSecrets(filepath.Clean(p.dir)); err != nil {
		t.Error(err)
	}
}

// untouched checks that administrators, inactive and local accounts are as they were, rights included.
func untouched(t *testing.T, seed ppmssim.Seed, sim *ppmssim.Sim) {
	t.Helper()
	mine := map[string]bool{}
	for _, u := range seed.Users {
		if !u.Admin && u.Active && !strings.HasPrefix(u.Login, "visitor") {
			continue
		}
		mine[u.Login] = true
		now, _ := sim.User(u.Login)
		u.UserID = now.UserID
		if diff := cmp.Diff(u, now); diff != "" {
			t.Errorf("%s was written (-before +after):\n%s", u.Login, diff)
		}
	}
	of := func(rights []ppmssim.Right) []string {
		return sorted(slices.DeleteFunc(slices.Clone(rights), func(r ppmssim.Right) bool { return !mine[r.Login] }),
			func(r ppmssim.Right) string { return fmt.Sprint(r) })
	}
	if diff := cmp.Diff(of(seed.Rights), of(sim.Snapshot().Rights)); diff != "" {
		t.Errorf("rights (-before +after):\n%s", diff)
	}
}

// stopwatch logs how long each phase took and how many requests it made.
func stopwatch(t *testing.T) func(phase string, sim *ppmssim.Sim) {
	t.Helper()
	started, before := time.Now(), 0
	return func(phase string, sim *ppmssim.Sim) {
		t.Helper()
		total := 0
		for _, n := range sim.Requests() {
			total += n
		}
		t.Logf("%-10s %6.2f s, %d requests", phase, time.Since(started).Seconds(), total-before)
		started, before = time.Now(), total
	}
}
