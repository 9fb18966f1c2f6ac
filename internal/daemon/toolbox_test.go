package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// says puts a server before PPMS that changes its answers.
func (w *world) says(change func(action, answer string) string) {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		answer := httptest.NewRecorder()
		w.serve(answer, r)
		_, _ = fmt.Fprint(rw, change(form.Get("action"), answer.Body.String()))
	}))
	w.t.Cleanup(server.Close)
	w.configure(func(s *settings) { s.PPMS = server.URL + "/pumapi/" })
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

// An order that never reached PPMS is not taken for an older one of the same, even where PPMS lists those badly at first.
func TestOrderThatIsLost(t *testing.T) {
	for fault, want := range map[string]string{
		"getgroups:empty":        "PPMS lists no such order", // nothing that is asked for here
		"getorders:garbage@1":    "neither rows nor a header",
		"getorders:cut-line=1@1": "PPMS lists no such order",
		"getorders:cut-line=9@2": "PPMS lists no such order",
	} {
		w := newWorld(t, func(s *settings) {
			s.Seed.Services = []ppmssim.Service{{ID: 302, Facility: 2, Name: "Oil", Active: true}}
			for i := range 3 {
				lines := []ppmssim.OrderLine{{ID: i + 1, Service: 302, Quantity: "2"}}
				s.Seed.Orders = append(s.Seed.Orders, ppmssim.Order{Ref: 1001 + i, Facility: 2, Login: "carl", Lines: lines})
			}
		})
		w.faults(fault, "createorder:reset-before@1")
		err := w.app.CreateOrder(t.Context(), daemon.OrderOptions{
			Service: "302", Login: "carl", Quantity: "2", WriteOptions: daemon.WriteOptions{Yes: true, Form: daemon.TableForm},
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", fault, err)
		}
		w.faults("getorders:cut-line=1@3") // nor is the next one, which arrives, taken for lost
		must(t, w.app.CreateOrder(t.Context(), daemon.OrderOptions{
			Service: "302", Login: "carl", Quantity: "3", WriteOptions: daemon.WriteOptions{Yes: true, Form: daemon.TableForm},
		}))
	}
}

// An order is found however its service was spelled; where PPMS made something else of it, nobody is led to place it twice.
func TestOrderIsFound(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.Seed.Services = []ppmssim.Service{{ID: 302, Facility: 2, Name: "Oil", Active: true}}
	})
	order := func(service string) error {
		return w.app.CreateOrder(t.Context(), daemon.OrderOptions{
			Service: service, Login: "carl", Quantity: "2.5", WriteOptions: daemon.WriteOptions{Yes: true, Form: daemon.TableForm},
		})
	}
	for _, service := range []string{"302", " 302", "0302"} {
		must(t, order(service))
	}
	w.says(func(action, answer string) string {
		if action == "getorderlines" {
			return strings.ReplaceAll(answer, "2.5", "3")
		}
		return answer
	})
	if err := order("302"); daemon.ExitCode(err) != daemon.ExitPartial || !strings.Contains(err.Error(), "before you place it again: [4]") {
		t.Error(err)
	}
}

// A group is made neither beside one that is spelled otherwise, nor over one that staff have made while the question was open.
func TestNewGroupIsNew(t *testing.T) {
	w := newWorld(t)
	create := func(unitlogin string, yes bool) error {
		return w.app.CreateGroup(t.Context(), daemon.GroupOptions{
			Unitlogin: unitlogin, Fields: map[string]string{"headname": "Ours"}, WriteOptions: daemon.WriteOptions{Yes: yes, Form: daemon.TableForm},
		})
	}
	fails(t, create("DarwinLab", true), `"darwinlab" already`)
	w.app.Ask = func(string) daemon.Answer {
		w.sim.PutUnit(ppmssim.Unit{Unitlogin: "newlab", Headname: "Theirs", Active: true})
		return daemon.Yes
	}
	fails(t, create("newlab", false), "the group exists by now")
	for _, u := range w.sim.Snapshot().Units {
		if u.Headname == "Ours" {
			t.Errorf("written: %+v", u)
		}
	}
	w.app.Ask = nil
	must(t, create("otherlab", true))
}

// What is written is shown before, all of it.
func TestAllThatIsWrittenIsShown(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.DryRun = true })
	w.write("user-password", "hunter2")
	must(t, w.app.CreateOrder(t.Context(), daemon.OrderOptions{
		Service: "302", Login: "carl", Quantity: "2", Project: "6", Accepted: true, Completed: true, CompletedAt: "2026-03-01 17:00:00",
		Comments: "soon", StaffComments: "late", Bcode: "CC-7", WriteOptions: daemon.WriteOptions{Form: daemon.TableForm},
	}))
	expect(t, w.text(), "New order for carl: 2 of service 302; accepted: true; bcode: CC-7; comments: soon; completed: true; "+
		"completed at: 2026-03-01 17:00:00; project: 6; staff comments: late")
	must(t, w.app.CreateUser(t.Context(), daemon.NewUserOptions{
		Login: "third", PasswordFile: w.path("user-password"), WriteOptions: daemon.WriteOptions{Form: daemon.TableForm},
		Fields: map[string]string{"lname": "Third", "fname": "A", "email": "third@example.org", "unitlogin": "curielab", "mustchpwd": "true"},
	}))
	text := w.text()
	expect(t, text, "mustchpwd: true", "pwd: the one in "+w.path("user-password"))
	if strings.Contains(text, "hunter2") {
		t.Error("the password is shown")
	}
}

// In CSV nothing can become a formula, the columns that PPMS names neither.
func TestFormulas(t *testing.T) {
	w := newWorld(t)
	w.says(func(action, answer string) string {
		if action == "getservices" {
			return "=1+1,Name,Price\n@SUM(A1),\"&#10;=1+1\",-1\n"
		}
		return answer
	})
	must(t, w.app.Toolbox(t.Context(), daemon.CSVForm, func(ctx context.Context, b *daemon.Toolbox) error { return b.Services(ctx, 2) }))
	if got, want := w.text(), "'=1+1,Name,Price\n'@SUM(A1),'=1+1,'-1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a list has is not left out in silence where PPMS says nothing about it.
func TestListedButUnknown(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.Seed.Orders = []ppmssim.Order{{Ref: 1001, Facility: 2, Login: "carl", Lines: []ppmssim.OrderLine{{ID: 1, Service: 302, Quantity: "2"}}}}
		s.Seed.Invoices = []ppmssim.Invoice{{ID: "2026-1", Charges: []ppmssim.Charge{{Account: "CC", Amount: "2"}}}}
	})
	w.faults("getuser{login=carl}:empty", "getorderlines:empty", "getinvoice:empty")
	fails(t, w.app.Toolbox(t.Context(), daemon.TableForm, func(ctx context.Context, b *daemon.Toolbox) error {
		return b.Users(ctx, daemon.AnyActivity, true)
	}), "getusers lists carl")
	for want, ask := range map[string]func(ctx context.Context, b *daemon.Toolbox) error{
		"Without lines: 1001":     func(ctx context.Context, b *daemon.Toolbox) error { return b.Orders(ctx, 0, true) },
		"Without charges: 2026-1": func(ctx context.Context, b *daemon.Toolbox) error { return b.Invoices(ctx, true) },
	} {
		must(t, w.app.Toolbox(t.Context(), daemon.TableForm, ask))
		expect(t, w.text(), want)
	}
}
