package daemon_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
)

// hiding is an institute of 400 in a real slapd, after a first run. Whoever has the description "hidden" is not shown to the
// reader, without any error: neither in the search nor at the second look.
func hiding(t *testing.T) (w *world, hide func(from, to int)) {
	t.Helper()
	var slapd *slapdtest.Slapd
	w = newWorld(t, func(s *settings) {
		manyPeople(s)
		slapd = slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: s.Entries, ACL: []string{
			`access to filter=(description=hidden) by dn.exact="cn=reader,ou=services,dc=example,dc=org" none by * read`,
		}})
		s.LDAP, s.BindDN = slapd.URL, slapd.ReaderDN
	})
	w.write("ldap-password", slapd.ReaderPassword)
	w.apply().exits(daemon.ExitOK)
	w.pass(25 * time.Hour)
	return w, func(from, to int) {
		var ldif strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&ldif, "dn: %s\nchangetype: modify\nadd: description\ndescription: hidden\n\n", uid(fmt.Sprintf("p%02d", i)))
		}
		slapd.Modify(ldif.String())
	}
}

func TestPeopleHiddenByARealServer(t *testing.T) {
	t.Parallel()
	w, hide := hiding(t)
	before := w.sim.Snapshot()
	hide(1, 30)
	if got := w.apply().exits(daemon.ExitOK).did(); got.Directory.People != 370 {
		t.Errorf("%d people", got.Directory.People)
	}
	w.unchanged(before)
	if n := len(w.memory().Leavers); n != 30 {
		t.Errorf("%d leavers", n)
	}
	hide(31, 90) // 60 of 370 more
	held := w.apply().exits(daemon.ExitHeld).did()
	if got := held.Directory.People; got != 310 {
		t.Errorf("%d people", got)
	}
	if n := len(w.memory().Leavers); n != 30 {
		t.Errorf("%d leavers after a read that shrank", n)
	}
	for range 3 { // while the guard holds, nobody's time is counted
		w.pass(100 * time.Hour)
		w.apply().exits(daemon.ExitHeld).did()
	}
	w.unchanged(before)
}
