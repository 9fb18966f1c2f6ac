package daemon_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

const halfHour = 30 * time.Minute

// often is a world in which runs are every half an hour and each record has its turn once a day.
func often(s *settings) { s.VerifyEvery = "24h" }

// next is the run half an hour after the last one; it returns what it asked PPMS for.
func (w *world) next() (*outcome, map[string]int) {
	w.t.Helper()
	before := w.sim.Requests()
	w.pass(halfHour - time.Minute) // apply lets a minute pass
	o := w.apply()
	asked := w.sim.Requests()
	maps.DeleteFunc(asked, func(action string, n int) bool { asked[action] = n - before[action]; return asked[action] == 0 })
	return o, asked
}

func total(asked map[string]int) (n int) {
	for _, m := range asked {
		n += m
	}
	return n
}

// verified says when each record in the ledger was read.
func (w *world) verified() map[string]time.Time {
	w.t.Helper()
	accounts := look(w, func(l *ledger.Ledger) ([]ledger.AccountSeen, error) { return l.Accounts(w.t.Context()) })
	at := map[string]time.Time{}
	for i := range accounts {
		at[accounts[i].Login] = accounts[i].VerifiedAt
	}
	return at
}

// With nothing to do, a run of every half an hour asks for the six lists, the rights of each ruled system, and a 48th of the records.
func TestSteadyStateAsksLittle(t *testing.T) {
	const accounts, systems, part = 48 * 5, 2 + 1, 48
	w := newWorld(t, often, func(s *settings) {
		for i := len(s.Seed.Users); i < accounts-1; i++ { // and ada, who gets an account
			s.Seed.Users = append(s.Seed.Users, account(fmt.Sprintf("guest%03d", i), "A", "Guest", "darwinlab"))
		}
	})
	w.apply().exits(daemon.ExitOK)
	w.next() // reads what the first run has written
	w.pass(24 * time.Hour)
	o, asked := w.next()
	if o.has(); asked["getuser"] != accounts {
		t.Errorf("after a day without runs %d records are read, not all %d", asked["getuser"], accounts)
	}
	for range 3 {
		o, asked := w.next()
		if o.exits(daemon.ExitOK).has(); total(asked) > 6+systems+accounts/part {
			t.Fatalf("a run with nothing to do asks %d times: %v", total(asked), asked)
		}
	}
}

// Within ppms.verify_every each record has its turn.
func TestEachRecordHasItsTurn(t *testing.T) {
	w := settled(t, func(s *settings) { s.VerifyEvery = "3h" })
	w.next()
	w.next()
	began := w.now
	for range 6 {
		o, _ := w.next()
		o.has()
	}
	for login, at := range w.verified() {
		if !at.After(began) {
			t.Errorf("%s was not read within three hours", login)
		}
	}
}

// What staff change in a record whose turn it is not is found in time, and never overwritten unseen.
func TestStaffChangeOfARememberedRecord(t *testing.T) {
	t.Run("found when its turn comes", func(t *testing.T) {
		w := settled(t, often)
		w.next()
		w.staff("emmy", func(u *ppmssim.User) { u.Phone = "1" })
		w.set(uid("emmy"), "telephoneNumber", "2")
		o, _ := w.next() // the directory changed: the record is read for that
		o.did("updateuser emmy phone=2")
		if from := *o.change("updateuser emmy phone=2").Fields["phone"].From; from != "1" {
			t.Errorf("the plan starts from %q, which is not what staff had written", from)
		}
		w.staff("emmy", func(u *ppmssim.User) { u.Phone = "3" })
		found := time.Duration(0)
		for began := w.now; found == 0 && w.now.Sub(began) <= 25*time.Hour; {
			if o, _ := w.next(); len(o.wrote) > 0 {
				o.did("updateuser emmy phone=2")
				found = w.now.Sub(began)
			}
		}
		if found == 0 || found > 24*time.Hour {
			t.Errorf("found after %v", found)
		}
	})
	t.Run("already as the directory will have it", func(t *testing.T) {
		w := settled(t, often)
		w.next()
		w.staff("emmy", func(u *ppmssim.User) { u.Phone = "2" })
		w.set(uid("emmy"), "telephoneNumber", "2")
		o, _ := w.next()
		o.has().did()
	})
	t.Run("deactivated", func(t *testing.T) {
		w := settled(t, often)
		w.next()
		w.staff("emmy", func(u *ppmssim.User) { u.Active = false })
		o, _ := w.next()
		o.issues("inactive-by-staff emmy")
	})
	t.Run("identity", func(t *testing.T) { // who is who is decided on what PPMS says now
		w := newWorld(t, often, func(s *settings) {
			s.Seed.Users = append(s.Seed.Users, account("ada", "Other", "Person", "curielab"))
			s.Seed.Users[len(s.Seed.Users)-1].Email = "other@example.org"
		})
		w.apply().issues("identity-mismatch ada")
		w.next()
		w.staff("ada", func(u *ppmssim.User) { u.Lname = "Lovelace" })
		o, _ := w.next()
		if o.issues(); len(w.memory().Links) != 4 {
			t.Errorf("links: %v", w.memory().Links)
		}
	})
	t.Run("address freed", func(t *testing.T) {
		w := settled(t, often, func(s *settings) { s.Seed.Users[5].Email = "ada@example.org" }) // visitor's
		w.next()
		o, _ := w.next()
		o.issues("email-taken ada")
		w.staff("visitor", func(u *ppmssim.User) { u.Email = "visitor@example.org" })
		o, _ = w.next()
		o.issues().did("newuser ada", "setright ada 12 A", "setright ada 13 A")
	})
	t.Run("address freed for an account of another login", func(t *testing.T) {
		w := renamed(t, often)
		must(t, w.app.Link(t.Context(), "emmy", uid("ehilbert")))
		w.text()
		w.next()
		w.set(uid("ehilbert"), "mail", "visitor@example.org")
		o, _ := w.next()
		o.issues("email-taken emmy")
		w.staff("visitor", func(u *ppmssim.User) { u.Email = "guest@example.org" })
		o, _ = w.next()
		o.issues().did("updateuser emmy email=visitor@example.org")
	})
	// PUMAPI cannot be asked who has an address: that is seen where a namesake has it now, whose turn it is not.
	t.Run("address given to a namesake", func(t *testing.T) {
		w := settled(t, often, func(s *settings) {
			s.Seed.Users = append(s.Seed.Users, account("byron", "Augusta", "LOVELACE", "darwinlab"))
		})
		w.next()
		w.next()
		w.staff("byron", func(u *ppmssim.User) { u.Email = "Annabella@example.org" })
		w.put(person("annabella", "Annabella", "Lovelace", "darwinlab"))
		w.set(uid("emmy"), "mail", "emmy.noether@example.org") // reads nobody but her
		o, asked := w.next()
		o.issues("email-taken annabella").did("updateuser emmy email=emmy.noether@example.org")
		if n := len(w.sim.Snapshot().Users); asked["getuser"] >= n {
			t.Errorf("all %d records are read", n)
		}
		w.staff("byron", func(u *ppmssim.User) { u.Email = "ada.lovelace@example.org" })
		w.set(uid("ada"), "mail", "ada.lovelace@example.org")
		w.set(uid("annabella"), "mail", "a.l@example.org")
		o, _ = w.next()
		o.issues("email-taken ada").did("newuser annabella")
	})
}

// What we have written ourselves is read again by the next run, also when that run was not the one that ended well.
func TestWrittenRecordsAreReadAgain(t *testing.T) {
	w := settled(t, often)
	w.next()
	w.set(uid("emmy"), "telephoneNumber", "2")
	o, _ := w.next()
	o.did("updateuser emmy phone=2")
	w.set(uid("emmy"), "telephoneNumber") // absent in the directory leaves PPMS alone
	w.set(uid("emmy"), "sn", "Noether-Hopf")
	w.faults("getadmins:html")
	w.pass(halfHour)
	w.apply().exits(daemon.ExitFailed)
	w.faults()
	o, _ = w.next()
	o.did("updateuser emmy lname=Noether-Hopf")
	o, asked := w.next()
	if o.has(); asked["getuser"] > 2 {
		t.Errorf("%d records are read for nothing", asked["getuser"])
	}
}

// A plan reads as little as a run and leaves the ledger as it was.
func TestPlanUsesWhatTheLedgerRemembers(t *testing.T) {
	w := settled(t, often)
	w.next()
	w.next()
	before, asked := w.verified(), w.sim.Requests()["getuser"]
	w.pass(halfHour)
	w.plan().exits(daemon.ExitOK).has()
	if n := w.sim.Requests()["getuser"] - asked; n != 1 {
		t.Errorf("the plan reads %d records instead of the one that is due", n)
	}
	if after := w.verified(); !maps.Equal(before, after) {
		t.Errorf("the plan changed what the ledger remembers: %v, then %v", before, after)
	}
}

// A run that fails takes nobody's turn.
func TestFailedRunTakesNoTurn(t *testing.T) {
	w := settled(t, often)
	w.next()
	for range 3 {
		w.faults("getsysrights:html")
		w.pass(8 * time.Hour)
		w.apply().exits(daemon.ExitFailed)
		w.faults()
	}
	_, asked := w.next()
	if n := len(w.sim.Snapshot().Users); asked["getuser"] != n {
		t.Errorf("after a day of failures %d of %d records are read", asked["getuser"], n)
	}
}

// What we gave or deactivated in one PPMS is not ours in another, and who is who is settled there anew.
func TestAnotherPPMSOwesUsNothing(t *testing.T) {
	t.Parallel()
	w := settled(t)
	seed := facility()
	seed.Rights = append(seed.Rights, ppmssim.Right{Login: "emmy", System: 12, Level: "A"})
	for i := range seed.Users {
		if u := &seed.Users[i]; u.Login == "lise" {
			u.Lname, u.Email = "Visitor", "guest@example.com"
		}
	}
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(apiKey), Seed: seed, Now: w.clock})
	must(t, err)
	w.mu.Lock()
	w.sim = sim
	w.mu.Unlock()
	w.configure(func(s *settings) { s.PPMS = strings.Replace(s.PPMS, "/pumapi/", "/other/pumapi/", 1) })
	plan := w.plan()
	w.apply(daemon.ApplyOptions{Approve: plan.Hash}).exits(daemon.ExitOK).issues("account-gone ada", "identity-mismatch lise").
		did("updateuser carl email=carl@example.org", "setright carl 12 A", "setright carl 13 A", "setright emmy 13 A")
	w.put(group("imaging", uid("ada")))
	w.apply().exits(daemon.ExitOK).did("setright emmy 13 D") // and nothing of what staff gave
	w.remove(uid("lise"))
	w.days(9)
}

// What the ledger remembers of one PPMS says nothing of another.
func TestAnotherPPMSIsReadAnew(t *testing.T) {
	w := settled(t, often)
	w.next()
	_, asked := w.next()
	n := len(w.sim.Snapshot().Users)
	if asked["getuser"] >= n {
		t.Fatalf("a run with nothing to do reads all %d records", n)
	}
	w.staff("emmy", func(u *ppmssim.User) { u.Phone = "1" }) // the namesake there has another number
	w.configure(func(s *settings) {
		s.Authoritative = "[lname, fname, email]"
		s.PPMS = strings.Replace(s.PPMS, "/pumapi/", "/test/pumapi/", 1)
	})
	if _, asked = w.next(); asked["getuser"] != n {
		t.Errorf("of another PPMS's %d records %d are read", n, asked["getuser"])
	}
	if _, asked = w.next(); asked["getuser"] >= n {
		t.Error("its records are not remembered")
	}
}
