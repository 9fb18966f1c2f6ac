package ppms_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// simulated starts a simulator, which was written from the same facts by others, and a client of it.
func simulated(t *testing.T, o ppmssim.Options, faults ...string) (*ppmssim.Sim, *ppms.Writer) {
	t.Helper()
	o.Key = secret.New("a key of the simulator")
	if o.Seed.Users == nil {
		o.Seed = ppmssim.DefaultSeed()
	}
	for _, spec := range faults {
		fault, err := ppmssim.ParseFault(spec)
		if err != nil {
			t.Fatal(err)
		}
		o.Faults = append(o.Faults, fault)
	}
	sim, err := ppmssim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := sim.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w, err := ppms.NewWriter(ppms.Options{URL: strings.TrimSuffix(address, "/"), Key: o.Key, Timeout: 3 * time.Second, Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return sim, w
}

// wires are the forms in which the simulator can send the same facts.
func wires() map[string]ppmssim.Wire {
	return map[string]ppmssim.Wire{
		"usual":    {},
		"LF":       {LF: true},
		"open end": {OpenEnd: true},
		"blanks":   {Blanks: true},
		"entities": {EscapeHTML: true},
		"all":      {LF: true, OpenEnd: true, Blanks: true, EscapeHTML: true},
	}
}

// harderSeed adds what the default seed spares other clients.
func harderSeed() ppmssim.Seed {
	seed := ppmssim.DefaultSeed()
	seed.Systems = append(seed.Systems,
		ppmssim.System{ID: 70, Facility: 2, Type: "Odd, but true", Name: `63" "Max", left`, Localisation: "A, B", Active: true},
		ppmssim.System{ID: 71, RawID: "none", Facility: 2, Type: "Broken", Name: "No number", Active: true})
	return seed
}

func TestSimulatorIsReadAsItIs(t *testing.T) {
	for name, wire := range wires() {
		t.Run(name, func(t *testing.T) {
			seed := harderSeed()
			sim, w := simulated(t, ppmssim.Options{Seed: seed, Wire: wire})
			state := sim.Snapshot()
			if err := w.Auth(t.Context()); err != nil {
				t.Error(err)
			}
			sameUsers(t, w, state)
			sameSystems(t, w, state)
			sameUnits(t, w, state)
			sameRights(t, w, state)
		})
	}
}

func sameUsers(t *testing.T, w *ppms.Writer, state ppmssim.Seed) {
	t.Helper()
	all, err := w.Users(t.Context(), ppms.Any)
	if err != nil {
		t.Fatal(err)
	}
	active, err1 := w.Users(t.Context(), ppms.OnlyActive)
	inactive, err2 := w.Users(t.Context(), ppms.OnlyInactive)
	if err1 != nil || err2 != nil || len(active)+len(inactive) != len(all) || len(inactive) == 0 {
		t.Error(err1, err2, active, inactive)
	}
	users, gone, err := w.Records(t.Context(), append(all, "nobody"), nil)
	if err != nil || !slices.Equal(gone, []string{"nobody"}) {
		t.Fatal(gone, err)
	}
	got := map[string]ppms.User{}
	for _, u := range users {
		got[u.Login] = u
	}
	want := map[string]ppms.User{}
	var admins []string
	for _, u := range state.Users {
		want[u.Login] = ppms.User{MustChangePassword: u.Mustchpwd, MustChangeBcode: u.Mustchbcode, Account: reconcile.Account{
			Login: u.Login, Active: u.Active,
			Fields: [...]string{u.Lname, u.Fname, u.Email, u.Phone, u.Bcode, u.Affiliation, u.Unitlogin},
		}}
		if u.Admin {
			admins = append(admins, u.Login)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	names, err := w.Admins(t.Context())
	slices.Sort(names)
	slices.Sort(admins)
	if diff := cmp.Diff(admins, names); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func sameSystems(t *testing.T, w *ppms.Writer, state ppmssim.Seed) {
	t.Helper()
	systems, err := w.Systems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[int]ppms.System{}, map[int]ppms.System{}
	for _, s := range systems {
		got[s.ID] = s
	}
	for _, s := range state.Systems {
		if s.RawID != "" {
			continue
		}
		want[s.ID] = ppms.System{
			System:   reconcile.System{ID: s.ID, Facility: s.Facility, Type: s.Type, Name: s.Name, Active: s.Active},
			Location: s.Localisation, Schedules: s.Schedules, Stats: s.Stats, Bookable: s.Bookable,
			AutonomyRequired: s.AutonomyRequired, AutonomyRequiredAfterHours: s.AutonomyRequiredAfterHours,
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func sameUnits(t *testing.T, w *ppms.Writer, state ppmssim.Seed) {
	t.Helper()
	logins, err := w.Groups(t.Context(), ppms.Any)
	if err != nil || len(logins) != len(state.Units) {
		t.Fatal(logins, err)
	}
	for _, u := range state.Units {
		got, found, err := w.Group(t.Context(), u.Unitlogin)
		if err != nil || !found {
			t.Error(u.Unitlogin, found, err)
		}
		want := ppms.Group{
			Login: u.Unitlogin, Name: u.Unitname, HeadName: u.Headname, HeadEmail: u.Heademail, Bcode: u.Unitbcode,
			Department: u.Department, Institution: u.Institution, Address: u.Address, Affiliation: u.Affiliation,
			External: u.Ext, Active: u.Active, AdminName: u.Admname, AdminEmail: u.Admemail, Created: u.Creationdate,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		members, err := w.GroupUsers(t.Context(), u.Unitlogin, ppms.Any)
		if err != nil {
			t.Error(err)
		}
		for _, login := range members {
			if !slices.ContainsFunc(state.Users, func(x ppmssim.User) bool { return x.Login == login && x.Unitlogin == u.Unitlogin }) {
				t.Errorf("%s is not in %s", login, u.Unitlogin)
			}
		}
	}
	if _, found, err := w.Group(t.Context(), "nolab"); found || err != nil {
		t.Error(found, err)
	}
}

func sameRights(t *testing.T, w *ppms.Writer, state ppmssim.Seed) {
	t.Helper()
	var ids []int
	for _, s := range state.Systems {
		if s.RawID == "" {
			ids = append(ids, s.ID)
		}
	}
	rights, err := w.AllSystemRights(t.Context(), ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	levels := map[string]reconcile.Level{}
	for id, list := range rights {
		for _, r := range list {
			levels[fmt.Sprintln(r.Login, id)] = r.Level
		}
	}
	for _, r := range state.Rights {
		want, _ := reconcile.ParseLevel(r.Level)
		admin := slices.ContainsFunc(state.Users, func(u ppmssim.User) bool { return u.Login == r.Login && u.Admin })
		if admin {
			want = reconcile.Superuser
		}
		if got := levels[fmt.Sprintln(r.Login, r.System)]; got != want {
			t.Errorf("%s on %d: %v, want %v", r.Login, r.System, got, want)
		}
		own, err := w.UserRights(t.Context(), r.Login)
		if err != nil || own[r.System] != want && !admin {
			t.Errorf("%s on %d by getuserrights: %v %v", r.Login, r.System, own[r.System], err)
		}
	}
}

func TestSimulatorIsWritten(t *testing.T) {
	sim, w := simulated(t, ppmssim.Options{})
	ctx := t.Context()
	person := map[string]string{"lname": "O'Neil & Co", "fname": "Zoë", "email": "zoe@example.org", "unitlogin": "smithlab"}
	if err := w.NewUser(ctx, "zoneil", person); err != nil {
		t.Fatal(err)
	}
	if err := w.UpdateUser(ctx, "zoneil", map[string]string{"phone": "+41 1", "active": "false"}); err != nil {
		t.Fatal(err)
	}
	if err := w.SetRight(ctx, "zoneil", 57, reconcile.Autonomous); err != nil {
		t.Fatal(err)
	}
	got, found := sim.User("zoneil")
	if !found || got.Lname != person["lname"] || got.Fname != "Zoë" || got.Phone != "+41 1" || got.Active || sim.Right("zoneil", 57) != "A" {
		t.Errorf("%+v", got)
	}
	for _, err := range []error{
		w.SetRight(ctx, "nobody", 57, reconcile.Autonomous),
		w.SetRight(ctx, "zoneil", 9999, reconcile.Autonomous),
	} {
		if ppms.KindOf(err) != ppms.Refused || ppms.FateOf(err) != ppms.Rejected {
			t.Error(err)
		}
	}
}

// What became of a write is told by its fate, or not at all; never wrongly, and never is it sent twice.
func TestSimulatorFails(t *testing.T) {
	t.Parallel()
	changed := func(sim *ppmssim.Sim) bool { return sim.Right("jdoe", 12) == "N" }
	for spec, want := range map[string]struct {
		kind ppms.Kind
		fate ppms.Fate
		done bool
	}{
		"writes:error=out of order": {ppms.Refused, ppms.Rejected, false},
		"writes:html":               {ppms.NotPUMAPI, ppms.Unknown, false},
		"writes:empty":              {ppms.Unconfirmed, ppms.Unknown, false},
		"writes:unauthorized":       {ppms.Unauthorised, ppms.Rejected, false},
		"writes:status=503/1":       {ppms.HTTPStatus, ppms.Unknown, false},
		"writes:redirect":           {ppms.NotPUMAPI, ppms.Unknown, false},
		"writes:reset-before":       {ppms.Lost, ppms.Unknown, false},
		"writes:hang":               {ppms.Lost, ppms.Unknown, false},
		"writes:nothing":            {0, ppms.Confirmed, false},
		"writes:reset-after":        {ppms.Lost, ppms.Unknown, true},
		"writes:hang-after":         {ppms.Lost, ppms.Unknown, true},
		"writes:cut-length":         {ppms.Lost, ppms.Unknown, true},
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			sim, w := simulated(t, ppmssim.Options{}, spec)
			err := w.SetRight(t.Context(), "jdoe", 12, reconcile.Novice)
			if ppms.KindOf(err) != want.kind || ppms.FateOf(err) != want.fate || changed(sim) != want.done {
				t.Errorf("%v, fate %v, done %v", err, ppms.FateOf(err), changed(sim))
			}
			if n := sim.Requests()["setright"]; n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
	for spec, want := range map[string]ppms.Kind{
		"getusers:cut-length@-2":       0, // tried again
		"getusers:reset-before@-2":     0,
		"getusers:status=500@1":        0,
		"getusers:cut-length":          ppms.Lost,
		"getusers:garbage":             ppms.Malformed,
		"getusers:html":                ppms.NotPUMAPI,
		"getusers:redirect":            ppms.NotPUMAPI,
		"getusers:error=no":            ppms.Refused,
		"getuser{login=jdoe}:empty":    0,
		"getuser:wrong-login=asmith":   ppms.Malformed,
		"getuser:html@1":               ppms.NotPUMAPI,
		"getsysrights:unauthorized@1-": ppms.Unauthorised,
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			_, w := simulated(t, ppmssim.Options{}, spec)
			_, err1 := w.Users(t.Context(), ppms.Any)
			_, _, err2 := w.User(t.Context(), "jdoe")
			_, err3 := w.SystemRights(t.Context(), 12)
			kinds := map[ppms.Kind]bool{ppms.KindOf(err1): true, ppms.KindOf(err2): true, ppms.KindOf(err3): true}
			delete(kinds, 0)
			if got := slices.Collect(maps.Keys(kinds)); want == 0 && len(got) > 0 || want != 0 && !slices.Equal(got, []ppms.Kind{want}) {
				t.Error(err1, err2, err3)
			}
		})
	}
}

// The toolbox's actions against the simulator, in every form of the wire.
func TestToolboxWithSimulator(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for name, wire := range wires() {
		t.Run(name, func(t *testing.T) {
			sim, w := simulated(t, ppmssim.Options{Wire: wire, Now: func() time.Time { return now }})
			ctx := t.Context()
			sheet, err := w.RunningSheet(ctx, 1, now)
			if err != nil || len(sheet) != 3 || sheet[1].User != "O'Brien Siobhán" || !sheet[2].End.Equal(time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("running sheet: %v %+v", err, sheet)
			}
			if b, found, err := w.CurrentBooking(ctx, 12); err != nil || !found || b.Login != "jdoe" || b.Session != "4711" {
				t.Errorf("booking: %v %+v", err, b)
			}
			if b, found, err := w.NextBooking(ctx, 31); err != nil || found {
				t.Errorf("next booking of nothing: %v %+v", err, b)
			}
			if e, err := w.Experiences(ctx, "jdoe", 0); err != nil || len(e) != 2 || !e[1].LastBooking.IsZero() {
				t.Errorf("experience: %v %+v", err, e)
			}
			if ok, err := w.CheckPassword(ctx, "jdoe", secret.New("jane")); err != nil || !ok {
				t.Errorf("password: %v", err)
			}
			if ok, err := w.CheckPassword(ctx, "jdoe", secret.New("john")); err != nil || ok {
				t.Errorf("wrong password: %v", err)
			}
			if id, found, err := w.UserID(ctx, "sobrien"); err != nil || !found || id == 0 {
				t.Errorf("user id: %v", err)
			}
			if p, err := w.Projects(ctx); err != nil || len(p) != 3 || p[1].Name != "Fish, all of them" {
				t.Errorf("projects: %v %+v", err, p)
			}
			if users, err := w.ProjectUsers(ctx, 6); err != nil || len(users) != 2 {
				t.Errorf("project users: %v %v", err, users)
			}
			if b, err := w.Bcodes(ctx); err != nil || ppms.Sum(b[0].Charges, b[1].Charges, b[2].Charges).String() != "6348.4131" {
				t.Errorf("bcodes: %v %+v", err, b)
			}
			if s, err := w.Services(ctx, 1); err != nil || len(s.Rows) != 2 {
				t.Errorf("services: %v %+v", err, s)
			}
			if d, err := w.Details(ctx, "2026-02-01", ppms.DetailOptions{}); err != nil || len(d) != 3 {
				t.Errorf("details: %v %+v", err, d)
			}
			if c, err := w.Charges(ctx, "2026-02-01"); err != nil || len(c) != 2 || c[1].Amount.String() != "-10.00" {
				t.Errorf("charges: %v %+v", err, c)
			}
			before, err := w.Orders(ctx)
			if err != nil || len(before) != 2 {
				t.Fatalf("orders: %v %+v", err, before)
			}
			quantity, _ := ppms.ParseDecimal("2.5")
			if err := w.CreateOrder(ctx, ppms.NewOrder{Service: "301", Login: "jdoe", Quantity: quantity, Accepted: true}); err != nil {
				t.Fatal(err)
			}
			after, err := w.Orders(ctx)
			if err != nil || len(after) != 3 || after[2].Status != "Accepted" {
				t.Fatalf("orders: %v %+v", err, after)
			}
			lines, err := w.AllOrderLines(ctx, []int{after[2].Ref, before[1].Ref, 9}, nil)
			if err != nil || len(lines[0]) != 1 || !lines[0][0].Quantity.Equal(quantity) || len(lines[1]) != 2 || len(lines[2]) != 0 {
				t.Errorf("order lines: %v %+v", err, lines)
			}
			if err := w.NewGroup(ctx, "newlab", map[string]string{"unitname": "New, Lab", "unitbcode": "CC-9"}); err != nil {
				t.Error(err)
			}
			if err := w.UpdateGroup(ctx, "newlab", map[string]string{"active": "false"}); err != nil {
				t.Error(err)
			}
			if g, found, err := w.Group(ctx, "newlab"); err != nil || !found || g.Name != "New, Lab" || g.Bcode != "CC-9" || g.Active {
				t.Errorf("group: %v %+v", err, g)
			}
			if err := w.MakeSuperuser(ctx, "jdoe", 13); err != nil || sim.Right("jdoe", 13) != "S" {
				t.Error(err)
			}
		})
	}
}
