package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// killed ends apply at random points, mostly with SIGKILL, lets it run again, and wants everything to be as if nothing had
// happened.
func killed(t *testing.T, program string) {
	t.Helper()
	w := &wreck{program: program, entries: ldaptest.Generate(ldaptest.GenOptions{People: 40, Groups: 5, Nested: 2, Seed: 5})}
	undisturbed := w.attempt(t, 0, "")
	t.Logf("undisturbed: %d requests, the first write is number %d; %d writes", undisturbed.requests, undisturbed.firstWrite, len(undisturbed.writes))
	const seed, points = 4, 16
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range points {
		moment := []string{"before", "after", "soon after", "asked at"}[i%4]
		at := undisturbed.firstWrite - 1 + random.IntN(undisturbed.requests-undisturbed.firstWrite+2)
		t.Run(fmt.Sprintf("%s %d", moment, at), func(t *testing.T) {
			t.Parallel()
			got := w.attempt(t, at, moment)
			if diff := cmp.Diff(undisturbed.state, got.state); diff != "" {
				t.Errorf("PPMS ends up different (-undisturbed +killed):\n%s", diff)
			}
			if diff := cmp.Diff(undisturbed.writes, got.writes); diff != "" {
				t.Errorf("the writes that changed something differ (-undisturbed +killed):\n%s", diff)
			}
			if diff := cmp.Diff(undisturbed.journal, got.journal); diff != "" {
				t.Errorf("the journal differs (-undisturbed +killed):\n%s", diff)
			}
			if diff := cmp.Diff(undisturbed.later, got.later); diff != "" {
				t.Errorf("the ledger knows something else: what it would take back differs (-undisturbed +killed):\n%s", diff)
			}
		})
	}
}

// wreck is where the program is killed.
type wreck struct {
	program string
	entries []ldaptest.Entry
}

// outcome is what is left in the end.
type outcome struct {
	requests, firstWrite int
	state                ppmssim.Seed
	writes               []string // that changed something, sorted
	journal              []string // what is applied according to all runs, sorted
	later                []change // of a plan after people have left groups
}

// attempt runs apply; if moment is set it is killed around a request and runs once more.
func (w *wreck) attempt(t *testing.T, at int, moment string) outcome {
	t.Helper()
	directory := ldaptest.New(ldaptest.Options{Entries: w.entries, BindDN: bindDN, Password: bindPassword})
	ldapURL, err := directory.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(pumapiKey), Seed: facility(peopleOf(w.entries)[:25], 3, 4)})
	if err != nil {
		t.Fatal(err)
	}
	guard := &killer{sim: sim, at: at, moment: moment, started: make(chan struct{}), dead: make(chan struct{})}
	server := httptest.NewUnstartedServer(guard)
	server.Config.ConnState = guard.state
	server.Start()
	defer server.Close()
	p := newPost(t, w.program, map[string]string{"LDAP_URL": ldapURL, "PPMS_URL": server.URL + "/pumapi/"}, bindPassword, map[string]any{
		"rights": rules(groupsOf(w.entries), 4),
		"guards": map[string]any{
			"creations": map[string]any{"floor": 99}, "updates": map[string]any{"floor": 99}, "grants": map[string]any{"floor": 99},
		},
	})
	if moment != "" {
		p.runKilled(t, guard)
		guard.settle(t, server.URL) // what it had sent may come in late, but not in the middle of the next run
	}
	p.run(t, 0, "apply")
	o := outcome{requests: int(guard.requests.Load()), firstWrite: int(guard.firstWrite.Load()), state: comparable(sim.Snapshot())}
	p.run(t, 0, "plan", "--exit-code")
	created := map[string]int{}
	for _, e := range sim.Effects() {
		if e.Changed {
			o.writes = append(o.writes, effectOf(e))
		}
		if e.Action == "newuser" {
			created[e.Params["login"]]++
		}
	}
	for login, n := range created {
		if n > 1 {
			t.Errorf("newuser reached PPMS %d times for %s", n, login)
		}
	}
	slices.Sort(o.writes)
	o.journal = p.journal(t)
	directory.SetEntries(leave(w.entries))
	o.later = decode[planned](t, p.run(t, 0, "plan", "--output", "json")).Changes
	if len(o.later) == 0 {
		t.Error("nobody loses anything: the test proves less than it should")
	}
	return o
}

// runKilled starts apply and waits until it is dead.
func (p *post) runKilled(t *testing.T, guard *killer) {
	t.Helper()
	var log bytes.Buffer
	cmd := p.command(t, &log, "apply")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard.victim = cmd.Process
	close(guard.started)
	_ = cmd.Wait() // how it ended is seen below
	close(guard.dead)
	guard.disarmed.Store(true)
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case guard.moment == "asked at" && cmd.ProcessState.ExitCode() == daemon.ExitPartial:
	case guard.moment != "asked at" && status.Signal() == syscall.SIGKILL:
	case cmd.ProcessState.ExitCode() == daemon.ExitOK:
		t.Log("it was done before it could be stopped")
	default:
		t.Fatalf("%s %d: it ended with %v\n%s", guard.moment, guard.at, cmd.ProcessState, last(log.Bytes()))
	}
}

// killer is a PPMS that ends its client around a request: with SIGKILL before the request does anything, after it did and before
// it is answered, or soon after the answer; or with SIGTERM when it arrives.
type killer struct {
	callers

	sim        *ppmssim.Sim
	at         int
	moment     string
	started    chan struct{} // closed when there is a victim
	dead       chan struct{} // closed when the victim is
	victim     *os.Process
	disarmed   atomic.Bool
	requests   atomic.Int64
	firstWrite atomic.Int64
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := k.requests.Add(1)
	strike := int(n) == k.at && !k.disarmed.Load()
	switch {
	case strike && k.moment == "asked at":
		<-k.started
		_ = k.victim.Signal(syscall.SIGTERM)
		k.sim.Handler().ServeHTTP(w, r)
	case strike && k.moment == "before":
		k.kill()
	case strike && k.moment == "after":
		k.sim.Handler().ServeHTTP(httptest.NewRecorder(), r)
		k.kill()
	default:
		k.sim.Handler().ServeHTTP(w, r)
		if strike {
			time.AfterFunc(time.Duration(n%7)*200*time.Microsecond, k.kill)
		}
	}
	if len(k.sim.Effects()) > 0 {
		k.firstWrite.CompareAndSwap(0, n)
	}
}

func (k *killer) kill() {
	<-k.started
	_ = k.victim.Kill() // it may have ended by itself
	<-k.dead
}

// journal is what all runs together have applied.
func (p *post) journal(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, run := range decode[[]planned](t, p.run(t, 0, "history", "--output", "json")) {
		for _, c := range decode[planned](t, p.run(t, 0, "history", fmt.Sprint(run.Run), "--output", "json")).Changes {
			if c.Outcome == "applied" {
				all = append(all, requestOf(c))
			}
		}
	}
	slices.Sort(all)
	return all
}

// leave empties all groups but for one member.
func leave(entries []ldaptest.Entry) []ldaptest.Entry {
	left := slices.Clone(entries)
	for i, e := range left {
		if members := e.Attrs["member"]; len(members) > 1 && strings.HasPrefix(e.DN, "cn=") {
			left[i].Attrs = map[string][]string{"objectClass": e.Attrs["objectClass"], "cn": e.Attrs["cn"], "member": members[:1]}
		}
	}
	return left
}

// comparable leaves out the numbers that PPMS counts up.
func comparable(s ppmssim.Seed) ppmssim.Seed {
	for i := range s.Users {
		s.Users[i].UserID = 0
	}
	return s
}
