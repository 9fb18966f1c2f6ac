package proof

import (
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

var t0 = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// good is a case in which nothing was broken: ann was made, bob's phone changed, ann got a right, bob was deactivated.
func good() Case {
	value := func(from, to string) map[string]reconcile.Value {
		return map[string]reconcile.Value{"phone": {From: &from, To: to}}
	}
	active, none := "true", ""
	entry := func(at int, outcome reconcile.Outcome, c reconcile.Change) ledger.Entry {
		return ledger.Entry{At: t0.Add(time.Duration(at) * time.Second), Outcome: outcome, Change: c}
	}
	effect := func(seq int, action string, change ppmssim.Change, params ...string) ppmssim.Effect {
		e := ppmssim.Effect{Seq: seq, Time: t0.Add(time.Duration(seq)*time.Second + time.Millisecond), Action: action, Params: map[string]string{}, Changed: true, Changes: []ppmssim.Change{change}}
		for _, p := range params {
			name, v, _ := strings.Cut(p, "=")
			e.Params[name] = v
		}
		return e
	}
	return Case{
		Before: ppmssim.Seed{Users: []ppmssim.User{{Login: "bob"}, {Login: "root", Admin: true}, {Login: "visitor"}}},
		Journal: []ledger.Entry{
			entry(1, reconcile.Applied, reconcile.Change{Kind: reconcile.NewUser, Login: "ann", Fields: map[string]reconcile.Value{"lname": {To: "A"}}}),
			entry(2, reconcile.Applied, reconcile.Change{Kind: reconcile.UpdateUser, Login: "bob", Fields: value("1", "2")}),
			entry(3, "", reconcile.Change{Kind: reconcile.SetRight, Login: "ann", System: 12, From: &none, To: "A"}),
			entry(4, reconcile.InDoubt, reconcile.Change{Kind: reconcile.UpdateUser, Login: "bob", Fields: map[string]reconcile.Value{"active": {From: &active, To: "false"}}}),
		},
		Effects: []ppmssim.Effect{
			effect(1, "newuser", ppmssim.Change{Object: "user ann", Field: "exists", Before: "false", After: "true"}, "login=ann", "lname=A"),
			effect(2, "upduser", ppmssim.Change{Object: "user bob", Field: "phone", Before: "1", After: "2"}, "login=bob", "phone=2"),
			effect(3, "setright", ppmssim.Change{Object: "right ann 12", Field: "level", After: "A"}, "login=ann", "id=12", "type=A"),
			effect(4, "upduser", ppmssim.Change{Object: "user bob", Field: "active", Before: "true", After: "false"}, "login=bob", "active=false"),
		},
		Managed: []string{"bob"},
		Enabled: func(reconcile.Key, time.Time) time.Time { return t0.Add(-48 * time.Hour) },
		Grace:   24 * time.Hour,
	}
}

func TestNothingBroken(t *testing.T) {
	if broken := Check(good()); len(broken) > 0 {
		t.Error(broken)
	}
}

// TestAnIntentOfWhichNothingArrived does not stand for a later write of the same: the power was cut, then PPMS refused it, then it was done.
func TestAnIntentOfWhichNothingArrived(t *testing.T) {
	c := good()
	lost, refused := c.Journal[1], c.Journal[1]
	lost.At, lost.Outcome = t0.Add(-2*time.Minute), reconcile.NotApplied
	refused.At, refused.Outcome = t0.Add(-time.Minute), reconcile.Refused
	c.Journal = append([]ledger.Entry{lost, refused}, c.Journal...)
	no := c.Effects[1]
	no.Seq, no.Time, no.Changed, no.Changes = 0, t0.Add(-time.Minute), false, nil
	c.Effects = append([]ppmssim.Effect{no}, c.Effects...)
	if broken := Check(c); len(broken) > 0 {
		t.Error(broken)
	}
	c.Effects = append(c.Effects, c.Effects[2])
	if broken := Check(c); len(broken) != 1 || !strings.Contains(broken[0], "sent twice") {
		t.Errorf("one intent was of no use, and its write came with the next: %q", broken)
	}
}

// Each promise, broken once: a checker that finds nothing proves nothing.
func TestBroken(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(c *Case)
		want  string
	}{
		"sent twice":      {func(c *Case) { c.Effects = append(c.Effects, c.Effects[1]) }, "sent twice"},
		"created twice":   {func(c *Case) { c.Journal, c.Effects = append(c.Journal, c.Journal[0]), append(c.Effects, c.Effects[0]) }, "exists already"},
		"no intent":       {func(c *Case) { c.Journal = c.Journal[1:] }, "no intent"},
		"another intent":  {func(c *Case) { c.Journal[2].Change.To = "N" }, "no intent"},
		"intent too late": {func(c *Case) { c.Journal[0].At = t0.Add(time.Minute) }, "after it"},
		"said not sent":   {func(c *Case) { c.Journal[0].Outcome = reconcile.NotSent }, "no intent"},
		"said refused":    {func(c *Case) { c.Journal[0].Outcome = reconcile.Refused }, "refused"},
		"said stale":      {func(c *Case) { c.Journal[0].Outcome = reconcile.Stale }, "no intent"},
		"administrator":   {func(c *Case) { c.Before.Users[0].Admin = true }, "administrator"},
		"protected":       {func(c *Case) { c.Protected = func(login string) bool { return login == "ann" } }, "protected"},
		"local":           {func(c *Case) { c.Managed = nil }, "is local"},
		"ghost":           {func(c *Case) { c.Before.Users = nil }, "no such account"},
		"unit":            {func(c *Case) { c.Effects[0].Changes[0].Object, c.Effects[2].Changes = "unit x", nil }, "made the unit x"},
		"over an S":       {func(c *Case) { c.Effects[2].Changes[0].Before = "S" }, "over an S"},
		"over another":    {func(c *Case) { c.Effects[2].Changes[0].Before = "N" }, `replaced "N"`},
		"within grace":    {func(c *Case) { c.Grace = 72 * time.Hour }, "the grace is 72h"},
	} {
		broken := good()
		c.spoil(&broken)
		if found := strings.Join(Check(broken), "\n"); !strings.Contains(found, c.want) {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
		}
	}
}
