package daemon_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// history is what history --output json shows of a run.
type history struct {
	Run      int64          `json:"run"`
	Mode     string         `json:"mode"`
	Result   string         `json:"result"`
	Error    string         `json:"error"`
	PlanHash string         `json:"plan_hash"`
	User     string         `json:"user"`
	Host     string         `json:"host"`
	Version  string         `json:"version"`
	Outcomes map[string]int `json:"outcomes"`
	Changes  []struct {
		reconcile.Change
		At string `json:"at"`
	} `json:"changes"`
}

func (w *world) history(run int64) (h history) {
	w.t.Helper()
	must(w.t, w.app.History(w.t.Context(), daemon.HistoryOptions{Run: run, Output: daemon.JSON}))
	must(w.t, json.Unmarshal([]byte(w.text()), &h))
	return h
}

func TestHistoryIsWhatPPMSSaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults("setright{login=lise}:error=not this one", "upduser:nothing")
	got := w.apply().exits(daemon.ExitPartial)
	effects := w.sim.Effects()
	h := w.history(got.Run)
	if h.Run != 1 || h.Mode != "apply" || h.Result != "partial" || h.PlanHash != got.Hash || h.User == "" || h.Host == "" || h.Version != "test" {
		t.Errorf("%+v", h)
	}
	if len(h.Changes) != len(effects) {
		t.Fatalf("%d changes, %d effects", len(h.Changes), len(effects))
	}
	for i := range h.Changes {
		c := &h.Changes[i].Change
		if l := effectLine(&effects[i]); line(c) != l {
			t.Errorf("change %d is %q, PPMS saw %q", i, line(c), l)
		}
		want := reconcile.Applied
		switch {
		case c.Kind == reconcile.UpdateUser:
			want = reconcile.NotApplied
		case c.Login == "lise":
			want = reconcile.Refused
		}
		if c.Outcome != want || c.Reason == "" || (c.Outcome == reconcile.Applied) != effects[i].Changed {
			t.Errorf("%s: %s, want %s; %q", line(c), c.Outcome, want, c.Reason)
		}
		// What it was before is on record, as PPMS had it.
		for _, e := range effects[i].Changes {
			if c.Kind == reconcile.SetRight && e.Before != *c.From {
				t.Errorf("%s: from %q, PPMS had %q", line(c), *c.From, e.Before)
			}
		}
	}
	if h.Outcomes["applied"] != 7 || h.Outcomes["refused"] != 1 || h.Outcomes["not-applied"] != 1 {
		t.Errorf("%v", h.Outcomes)
	}
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: 1}))
	expect(t, w.text(), "Run 1: apply, policy sync", "partial", "not this one", "refused", "email: charles@example.com → carl@example.org")
}

func TestHistoryOfRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.app.History(t.Context(), daemon.HistoryOptions{}); err == nil || !strings.Contains(err.Error(), "nothing was ever run here") {
		t.Errorf("without a ledger: %v", err)
	}
	w.apply().exits(daemon.ExitOK)
	w.faults("*:html")
	w.apply().exits(daemon.ExitFailed)
	w.faults()
	w.configure(none("creations"))
	w.put(person("new", "N", "New", "curielab"))
	held := w.apply().exits(daemon.ExitHeld)
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Output: daemon.JSON}))
	var all []history
	must(t, json.Unmarshal([]byte(w.text()), &all))
	for i, want := range []string{"held", "failed", "success"} {
		if all[i].Result != want || all[i].Run != int64(3-i) {
			t.Errorf("run %d: %s, want %s", all[i].Run, all[i].Result, want)
		}
	}
	expect(t, all[1].Error, "a web page answered")
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "Run 3 was held (creations: 2, limit 0)", "ppms-syncd approve "+held.Hash[:19], "9 applied")
	if err := w.app.History(t.Context(), daemon.HistoryOptions{Run: 99}); err == nil || !strings.Contains(err.Error(), "no run 99") {
		t.Errorf("run 99: %v", err)
	}
}

// What a run did not write stands in its history all the same: what a guard held, and what was stale in a saved plan.
func TestHistoryOfWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.set(uid("carl"), "telephoneNumber", "+41 3")
	w.planTo(w.path("plan.json")).exits(daemon.ExitPending)
	w.staff("carl", func(u *ppmssim.User) { u.Phone = "+41 4" })
	stale := w.apply(daemon.ApplyOptions{File: w.path("plan.json")}).exits(daemon.ExitPartial)
	w.configure(none("updates"))
	held := w.apply().exits(daemon.ExitHeld)
	for run, want := range map[int64]reconcile.Change{
		stale.Run: {Outcome: reconcile.Stale, Detail: stale.Changes[0].Detail},
		held.Run:  {Outcome: reconcile.HeldBack, Detail: "held by guard updates"},
	} {
		h := w.history(run)
		if len(h.Changes) != 1 || h.Changes[0].Login != "carl" || h.Changes[0].Outcome != want.Outcome || h.Changes[0].Detail != want.Detail {
			t.Errorf("run %d: %+v", run, h.Changes)
		}
	}
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Run: held.Run}))
	expect(t, w.text(), "Nothing was written.", "phone: +41 4 → +41 3")
	// Another guard holds another part of the same plan.
	w.put(group("em-users", uid("emmy")))
	all := w.apply().exits(daemon.ExitHeld)
	w.configure(none("revocations"))
	part := w.apply().exits(daemon.ExitHeld)
	if all.Hash != part.Hash {
		t.Fatalf("two plans: %q, %q", lines(all.Changes), lines(part.Changes))
	}
	for run, want := range map[int64]map[reconcile.Outcome]int{
		all.Run:  {reconcile.HeldBack: 3},
		part.Run: {reconcile.HeldBack: 1, reconcile.Applied: 2},
	} {
		got := map[reconcile.Outcome]int{}
		for _, c := range w.history(run).Changes {
			got[c.Outcome]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("run %d: %v, want %v", run, got, want)
		}
	}
}

func TestHistoryOfWhatNobodyIsLinkedTo(t *testing.T) {
	t.Parallel()
	w := settled(t)
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Unmatched: true, Output: daemon.JSON}))
	var logins []string
	must(t, json.Unmarshal([]byte(w.text()), &logins))
	same(t, "unmatched", logins, []string{"boss", "visitor"})
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Unmatched: true}))
	expect(t, w.text(), "2 active accounts", "visitor@example.org")
}

// Every write of many runs, with staff in between, is in the history, and in the order in which PPMS saw it.
func TestHistoryOfManyRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.Leavers = "grace: 1h, confirmations: 1" })
	steps := []func(){
		func() {},
		func() { w.put(group("imaging", uid("ada"))) },
		func() { w.remove(uid("carl")) },
		func() {},
		func() { w.put(person("carl", "Charles", "Darwin", "curielab"), person("new", "N", "New", "curielab")) },
		func() { w.staff("lise", func(u *ppmssim.User) { u.Email = "x@example.org" }) },
		func() { w.put(group("imaging", uid("ada"), uid("emmy"))) },
	}
	var recorded []string
	for i, step := range steps {
		step()
		w.apply().exits(daemon.ExitOK)
		w.pass(25 * time.Hour)
		for _, c := range w.history(int64(i + 1)).Changes {
			recorded = append(recorded, fmt.Sprintf("%s: %s", line(&c.Change), c.Outcome))
		}
	}
	var seen []string
	for _, e := range w.sim.Effects() {
		seen = append(seen, effectLine(&e)+": applied")
	}
	same(t, "history", recorded, seen)
	if len(seen) < 15 {
		t.Errorf("only %d writes: %q", len(seen), seen)
	}
}
