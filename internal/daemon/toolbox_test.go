package daemon_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// ask is a command of the toolbox; it returns the objects that it printed.
func (w *world) ask(f func(ctx context.Context, b *daemon.Toolbox) error) []map[string]any {
	w.t.Helper()
	must(w.t, w.app.Toolbox(w.t.Context(), daemon.JSONForm, f))
	text := strings.TrimSpace(w.text())
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	var rows []map[string]any
	must(w.t, json.Unmarshal([]byte(text), &rows))
	return rows
}

// booked is a facility in which two people and two systems have one name each, and all have bookings.
func booked(s *settings) {
	s.Seed.Users = append(s.Seed.Users, account("mj1", "Jo", "Müller", "curielab"), account("mj2", "Jo", "MÜLLER", "curielab"))
	s.Seed.Systems = append(s.Seed.Systems, system(41, "Sequencer", "MinION"), system(42, "Sequencer", "MinION"))
	for i, login := range []string{"carl", "mj2"} {
		s.Seed.Bookings = append(s.Seed.Bookings, ppmssim.Booking{System: []int{12, 42}[i], Login: login, Start: []string{"00:00", "00:10"}[i], End: "00:00"})
	}
}

// Who has a booking is a login in one answer and a name in another: each is said to be what it is, and from a name only those lead on
// who have it.
func TestWhoIsMeant(t *testing.T) {
	w := newWorld(t, booked)
	now := w.ask(func(ctx context.Context, b *daemon.Toolbox) error { return b.Booking(ctx, "12", false) })
	if now[0]["login"] != "carl" || now[0]["system"] != 12.0 {
		t.Errorf("the booking is %v", now)
	}
	type session struct {
		Logins, User, System, Systems any
	}
	var sheet []session
	for _, row := range w.ask(func(ctx context.Context, b *daemon.Toolbox) error { return b.RunningSheet(ctx, 2, w.now, "") }) {
		sheet = append(sheet, session{row["logins"], row["user"], row["system"], row["system_ids"]})
	}
	want := []session{
		{[]any{"carl"}, "Darwin Charles", "SP8, left", []any{12.0}},
		{[]any{"mj1", "mj2"}, "MÜLLER Jo", "MinION", []any{41.0, 42.0}},
	}
	if diff := cmp.Diff(want, sheet); diff != "" {
		t.Error(diff)
	}
	must(t, w.app.Toolbox(t.Context(), daemon.TableForm, func(ctx context.Context, b *daemon.Toolbox) error { return b.RunningSheet(ctx, 2, w.now, "") }))
	expect(t, w.text(), `"MÜLLER Jo" may be mj1 or mj2: PPMS gives the name only.`)
}

// A system is named by its id or its whole name, and of two that have one name neither is guessed.
func TestSystemByName(t *testing.T) {
	w := newWorld(t, booked)
	for name, want := range map[string]string{
		"12": "", " sp8, LEFT ": "", "42": "", "SP8": "has no system", "99": "has no system", "MinION": "give the id, one of [41 42]",
	} {
		err := w.app.Toolbox(t.Context(), daemon.JSONForm, func(ctx context.Context, b *daemon.Toolbox) error {
			return b.Rights(ctx, daemon.RightsFilter{System: name})
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What is done by hand counts as staff's, also if a run had begun the same and nobody knows whether it came to anything.
func TestRightByHandWhileOneIsInDoubt(t *testing.T) {
	t.Parallel()
	w := settled(t)
	give := func() error {
		return w.app.SetRight(t.Context(), daemon.RightOptions{Login: "lise", System: "12", Level: "A", WriteOptions: daemon.WriteOptions{Yes: true, Form: daemon.TableForm}})
	}
	w.put(group("confocal-users", uid("carl"), cn("imaging"), uid("lise")))
	w.faults("setright{login=lise}:reset-before", "getsysrights:html@4-", "getuserrights{login=lise}:html@2-")
	if o := w.apply().exits(daemon.ExitPartial).change("setright lise 12 A"); o.Outcome != reconcile.InDoubt {
		t.Fatalf("%s %s", o.Outcome, o.Detail)
	}
	w.faults("getuserrights{login=lise}:reset-before")
	fails(t, give(), "could not be settled")
	w.faults()
	must(t, give())
	w.text()
	w.put(group("confocal-users", uid("carl"), cn("imaging")))
	w.days(2)
	if level := w.sim.Right("lise", 12); level != "A" {
		t.Errorf("the right is %q", level)
	}
}

// Nobody gets an address by hand that somebody has, as far as the ledger and PPMS can tell.
func TestNewUserWithAnAddressThatIsTaken(t *testing.T) {
	w := settled(t)
	create := func(login, lname, email string) error {
		return w.app.CreateUser(t.Context(), daemon.NewUserOptions{Login: login, Fields: map[string]string{
			"lname": lname, "fname": "New", "email": email, "unitlogin": "curielab",
		}, WriteOptions: daemon.WriteOptions{Yes: true, Form: daemon.TableForm}})
	}
	w.staff("visitor", func(u *ppmssim.User) { u.Email = "guest@example.org" })
	for name, err := range map[string]error{
		"had by somebody":             create("other", "Somebody", "EMMY@example.org"),
		"just given to the same name": create("visitor2", "visitor", "guest@example.org"),
	} {
		if err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, create("third", "Visitor", "visitor@example.org")) // which is free by now
	for want, err := range map[string]error{
		"already: is that the same person?":                    create("fourth", "Other", "visitor@example.org"), // no run has seen the third
		`"third" already: logins that differ only in spelling`: create("THIRD", "Other", "other@example.org"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// What the toolbox wrote is staff's, also where no run has seen that anything had changed in between.
func TestRightSetByHandIsStaffs(t *testing.T) {
	w := settled(t)
	for _, level := range []string{"N", "A"} {
		must(t, w.app.SetRight(t.Context(), daemon.RightOptions{
			Login: "emmy", System: "12", Level: level,
			WriteOptions: daemon.WriteOptions{Yes: true, Form: daemon.TableForm},
		}))
	}
	w.text()
	w.put(group("imaging", uid("ada"))) // emmy is in no group any more
	w.apply().exits(daemon.ExitOK).did("setright emmy 13 D")
}
