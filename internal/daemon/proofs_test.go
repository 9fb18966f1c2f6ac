package daemon_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// another gives a login to somebody else, between two runs.
func (w *world) another(login, now string) {
	w.t.Helper()
	w.sim.DeleteUser(login)
	guest := account(now, "Guest", "Visitor", "darwinlab")
	guest.Email = "guest@example.com"
	w.sim.PutUser(guest)
}

// Whatever kind of run is the first to read an account that was given to somebody else, none takes it for the old one afterwards.
func TestSwappedAccountIsNotForgotten(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(w *world){
		"an undo has read it": func(w *world) {
			w.another("lise", "lise")
			w.undo(1)
			w.apply(undoFile(w)).exits(daemon.ExitOK)
		},
		"in another spelling": func(w *world) { w.another("lise", "LISE") },
		"in another spelling, beside the old one": func(w *world) {
			guest := account("LISE", "Guest", "Visitor", "darwinlab")
			guest.Email = "guest@example.com"
			w.sim.PutUser(guest)
			w.apply().exits(daemon.ExitOK)
			w.sim.DeleteUser("lise")
		},
		"it was just written": func(w *world) {
			w.set(uid("lise"), "telephoneNumber", "+41 1")
			w.apply().exits(daemon.ExitOK).did("updateuser lise phone=+41 1")
			w.another("lise", "lise")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			between(w)
			before := w.sim.Snapshot()
			w.apply().says(reconcile.IdentityMismatch, "guest@example.com")
			w.unchanged(before)
		})
	}
}

// Likewise of an account that we made, before any run has read it.
func TestSwappedAccountThatWasJustMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply().exits(daemon.ExitOK)
	w.another("ada", "ada")
	before := w.sim.Snapshot()
	w.apply().issues("identity-mismatch ada")
	w.unchanged(before)
}

// Somebody who gets the login of a leaver whose deactivation waits is not deactivated by the approval that was for the leaver.
func TestApprovalOfALeaverIsNotForWhoGetsTheLogin(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.configure(func(s *settings) { s.UserFilter = "(&(objectClass=inetOrgPerson)(!(uid=carl)))" })
	w.days(7)
	w.pass(24 * time.Hour)
	held := w.apply().exits(daemon.ExitHeld)
	held.change("updateuser carl active=false")
	must(t, w.app.Approve(t.Context(), held.Hash, 72*time.Hour))
	w.text()
	w.another("carl", "carl")
	before := w.sim.Snapshot()
	w.apply().exits(daemon.ExitOK).issues("identity-mismatch carl")
	w.unchanged(before)
}

// A record that PPMS spells otherwise by now takes nobody's turn.
func TestFormerSpellingTakesNoTurn(t *testing.T) {
	w := settled(t, func(s *settings) { s.VerifyEvery = "3h" })
	w.next()
	w.next()
	w.staff("emmy", func(u *ppmssim.User) { w.sim.DeleteUser("emmy"); u.Login = "Emmy" })
	w.next()
	began := w.now
	for range 6 {
		w.next()
	}
	for login, at := range w.verified() {
		if !at.After(began) {
			t.Errorf("%s was not read within three hours", login)
		}
	}
}

// What a run wrote before an account counted as another, or as staff's, is not undone.
func TestUndoOfWhatIsStaffsByNow(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(w *world){
		"account was gone and is back": func(w *world) {
			w.sim.DeleteUser("ada")
			w.apply().exits(daemon.ExitOK).issues("account-gone ada")
			w.sim.PutUser(account("ada", "Ada", "Lovelace", "darwinlab"))
			w.sim.SetRight("ada", 12, "A")
			w.apply().exits(daemon.ExitOK).did("setright ada 13 A")
		},
		"unlinked and linked again": func(w *world) {
			must(w.t, w.app.Unlink(w.t.Context(), "ada"))
			w.text()
			w.apply().exits(daemon.ExitOK).did()
		},
		"another PPMS": func(w *world) {
			seed := facility()
			seed.Users = append(seed.Users, account("ada", "Ada", "Lovelace", "darwinlab"))
			seed.Rights = append(seed.Rights, ppmssim.Right{Login: "ada", System: 12, Level: "A"})
			sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(apiKey), Seed: seed, Now: w.clock})
			must(w.t, err)
			w.mu.Lock()
			w.sim = sim
			w.mu.Unlock()
			w.configure(func(s *settings) { s.PPMS = strings.Replace(s.PPMS, "/pumapi/", "/other/pumapi/", 1) })
			w.apply()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t)
			between(w)
			got := w.undo(1).says(reconcile.NotUndone, "right on SP8, left (12)")
			for _, l := range lines(got.Changes) {
				if l == "setright ada 12 D" || l == "updateuser ada active=false" {
					t.Errorf("undoing run 1 would do %q", l)
				}
			}
		})
	}
}

// An account whose making was undone is not made again until somebody says so, not even when staff have removed it.
func TestUndoneAccountIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	w.sim.DeleteUser("ada")
	w.apply().exits(daemon.ExitOK)
	must(t, w.app.Unlink(t.Context(), "ada"))
	w.text()
	w.apply().exits(daemon.ExitOK).did().says(reconcile.OnHold, "release ada")
	must(t, w.app.Release(t.Context(), "ada"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("newuser ada", "setright ada 12 A", "setright ada 13 A")
}

// A write that was in doubt when the backup was made, and is settled after it was put back, proves as little as all else.
func TestBackupOfARunProvesNothing(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.put(group("em-users", uid("lise"), uid("emmy")))
	w.when(1, "setright", "login=emmy", func() { must(t, w.app.Backup(t.Context(), w.path("backup.db"))) })
	w.pass(time.Minute)
	must(t, w.app.Apply(t.Context(), daemon.ApplyOptions{}))
	w.when(0, "", "", nil)
	w.text()
	w.put(group("em-users", uid("lise")))
	w.apply().exits(daemon.ExitOK).did("setright emmy 21 D")
	w.sim.SetRight("emmy", 21, "N") // staff: she may
	w.apply().exits(daemon.ExitOK).did()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		must(t, os.Rename(w.path("ledger.db"+suffix), w.path("old.db"+suffix)))
	}
	must(t, os.Rename(w.path("backup.db"), w.path("ledger.db")))
	w.apply().exits(daemon.ExitHeld).did().issues("needs-approval emmy")
}

// away just then loses nothing when that ends.
func TestReadThatProvesNothingIsNotForgotten(t *testing.T) {
	t.Parallel()
	takeName := func(w *world) {
		other := group("confocal-users", uid("carl"))
		other.DN = "cn=confocal-users,ou=new," + groupBase
		w.remove(cn("confocal-users"))
		w.put(folder("ou=new,"+groupBase, "organizationalUnit", "ou"), other)
	}
	move := func(w *world) {
		emmy := w.entry(uid("emmy"))
		w.remove(emmy.DN)
		emmy.DN = "uid=emmy,ou=staff," + peopleBase
		w.put(folder("ou=staff,"+peopleBase, "organizationalUnit", "ou"), emmy)
	}
	emmyAt := func(w *world) string {
		for _, e := range w.Entries {
			if len(e.Attrs["uid"]) > 0 && e.Attrs["uid"][0] == "emmy" {
				return e.DN
			}
		}
		return ""
	}
	away := map[string][2]func(w *world){
		"disabled": {
			func(w *world) { w.set(emmyAt(w), "employeeType", "left") }, func(w *world) { w.set(emmyAt(w), "employeeType") },
		},
		"inactive": {
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Active = false }) },
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Active = true }) },
		},
		"administrator": {
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Admin = true }) },
			func(w *world) {
				w.staff("emmy", func(u *ppmssim.User) { u.Admin = false })
				for range 8 {
					w.pass(24 * time.Hour)
					w.apply()
				}
			},
		},
	}
	for what, happens := range map[string]func(w *world){"another group": takeName, "moved": move} {
		for name, c := range away {
			t.Run(what+", "+name, func(t *testing.T) {
				t.Parallel()
				w := settled(t, func(s *settings) { s.Disabled = "attr('employeeType') == 'left'" })
				happens(w)
				c[0](w)
				w.apply()
				c[1](w)
				w.apply()
				w.apply()
				if w.sim.Right("emmy", 12) != "A" {
					t.Error("emmy lost a right, and nobody saw her leave the group")
				}
				w.plan().change("setright emmy 12 D")
			})
		}
	}
}

// Likewise of who is disabled.
func TestHiddenGroupIsNotForgotten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]func(w *world){
		"inactive": {
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Active = false }) },
			func(w *world) { w.staff("emmy", func(u *ppmssim.User) { u.Active = true }) },
		},
		"held": {
			func(w *world) {
				twin := person("twin", "Another", "Emmy", "curielab")
				twin.Attrs["uid"] = []string{"emmy"}
				w.put(twin)
			},
			func(w *world) { w.remove(uid("twin")) },
		},
		"missing": {
			func(w *world) { w.remove(uid("emmy")) },
			func(w *world) { w.put(person("emmy", "Emmy", "Noether", "curielab")) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := settled(t, func(s *settings) {
				s.Rights, s.Disabled = "[]", "!('confocal-users' in groups || 'em-users' in groups)"
			})
			w.dir.SetFaults(ldaptest.Fault{Base: groupBase, Do: ldaptest.Hide(cn("imaging"))})
			c[0](w)
			w.apply()
			c[1](w)
			for range 4 {
				w.apply()
				w.pass(24 * time.Hour)
			}
			if u, _ := w.sim.User("emmy"); !u.Active {
				t.Error("emmy was deactivated because a group was hidden")
			}
		})
	}
}

// A clock that was ahead does not keep the size of a directory from being accepted once it is right again.
func TestSizeIsAcceptedAfterAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	w := settled(t, func(s *settings) { crowd(s, 60) })
	right := w.now
	w.pass(2 * 365 * 24 * time.Hour)
	w.apply()
	w.now = right
	for i := range 16 {
		w.remove(uid(fmt.Sprintf("p%02d", i+1)))
	}
	held := w.apply().exits(daemon.ExitHeld)
	must(t, w.app.Approve(t.Context(), held.Hash, time.Hour))
	expect(t, w.text(), "Accepted as the new size of the directory")
	w.apply().exits(daemon.ExitOK)
}

// An account that was gone and is there under the new login is theirs with the state that staff gave it.
func TestRenamedAccountThatWasGoneIsNotReactivated(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.remove(uid("lise"))
	for range 9 {
		w.apply()
		w.pass(24 * time.Hour)
	}
	if u, _ := w.sim.User("lise"); u.Active {
		t.Fatal("lise is not deactivated")
	}
	w.sim.DeleteUser("lise")
	w.apply()
	renamed := account("meitner", "Lise", "Meitner", "curielab")
	renamed.Active = false
	w.sim.PutUser(renamed)
	lise := person("lise", "Lise", "Meitner", "curielab")
	lise.Attrs["uid"] = []string{"meitner"}
	w.put(lise)
	w.apply().did().says(reconcile.InactiveByStaff, "not by us")
}

// Nor are the rights ours that it has.
func TestRenamedAccountThatWasGoneKeepsItsRights(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.sim.DeleteUser("lise")
	w.apply().issues("account-gone lise")
	w.sim.PutUser(account("meitner", "Lise", "Meitner", "curielab"))
	w.sim.SetRight("meitner", 21, "N")
	w.set(uid("lise"), "uid", "meitner")
	w.set(uid("lise"), "mail", "lise@example.org")
	w.apply().exits(daemon.ExitOK).has("updateuser meitner email=lise@example.org")
	w.put(group("em-users", uid("carl")))
	w.apply().exits(daemon.ExitOK).did("setright carl 21 N")
}

// Who is held stays so if somebody says that another account is theirs.
func TestHoldFollowsALink(t *testing.T) {
	t.Parallel()
	w := settled(t)
	must(t, w.app.Hold(t.Context(), "emmy", "on leave"))
	w.text()
	w.set(uid("emmy"), "uid", "noether")
	w.sim.PutUser(account("noether", "Emmy", "Noether", "curielab"))
	must(t, w.app.Link(t.Context(), "noether", ""))
	w.text()
	w.apply().exits(daemon.ExitOK).did().says(reconcile.OnHold, "on leave; `ppms-syncd release noether`")
	must(t, w.app.Release(t.Context(), "noether"))
	w.text()
	w.apply().exits(daemon.ExitOK).did("setright noether 12 A", "setright noether 13 A")
}

// What an undo holds is released by its run, however long ago that was.
func TestReleaseOfARunOfLongAgo(t *testing.T) {
	t.Parallel()
	w := settled(t)
	w.undo(1)
	w.apply(undoFile(w)).exits(daemon.ExitOK)
	for range 3 {
		w.pass(150 * 24 * time.Hour)
		w.apply().exits(daemon.ExitOK).did()
	}
	w.text()
	must(t, w.app.ReleaseRun(t.Context(), 1))
	w.text()
	w.apply().exits(daemon.ExitOK).did("updateuser ada active=true", "updateuser carl email=carl@example.org", "setright carl 12 A", "setright carl 13 A",
		"setright emmy 12 A", "setright emmy 13 A", "setright lise 21 N")
}

// What staff do to somebody of whom nothing can be decided just then is theirs all the same.
func TestStaffAreNoticedWhoeverItIsAbout(t *testing.T) {
	t.Parallel()
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		w := settled(t)
		w.set(uid("emmy"), "employeeType", "left")
		w.sim.SetRight("emmy", 12, "N")
		w.apply().exits(daemon.ExitOK).did()
		w.sim.SetRight("emmy", 12, "A")
		w.set(uid("emmy"), "employeeType")
		w.put(group("imaging", uid("ada")))
		w.apply().exits(daemon.ExitOK).did("setright emmy 13 D")
	})
	t.Run("state", func(t *testing.T) {
		t.Parallel()
		w := settled(t)
		w.remove(uid("carl"))
		for range 9 {
			w.apply()
			w.pass(24 * time.Hour)
		}
		w.staff("carl", func(u *ppmssim.User) { u.Active = true })
		other := person("other", "Carl", "Other", "curielab")
		other.Attrs["uid"] = []string{"carl"}
		w.put(other)
		w.apply().exits(daemon.ExitOK).did().issues("login-reused carl")
		w.staff("carl", func(u *ppmssim.User) { u.Active = false })
		w.remove(other.DN)
		w.put(person("carl", "Charles", "Darwin", "darwinlab"))
		w.apply().exits(daemon.ExitOK).did().issues("inactive-by-staff carl")
	})
}
