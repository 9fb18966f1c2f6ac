package ldaptest_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ldapsrc/ldaptest"
)

// walk reads people page by page as go-ldap shows them, at most ten pages.
func walk(conn *ldap.Conn) (pages [][]string, controls int, err error) {
	control := ldap.NewControlPaging(10)
	for range 10 {
		request := search(people, 1, "(uid=*)", "uid", "mail", "entryUUID")
		request.Controls = []ldap.Control{control}
		res, err := conn.Search(request)
		if res != nil {
			var dns []string
			for _, e := range res.Entries {
				dns = append(dns, e.DN)
			}
			pages = append(pages, dns)
		}
		if err != nil {
			return pages, controls, err
		}
		paging, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok {
			return pages, controls, nil
		}
		controls++
		if len(paging.Cookie) == 0 {
			return pages, controls, nil
		}
		control.SetCookie(paging.Cookie)
	}
	return pages, controls, nil
}

func lengths(pages [][]string) []int {
	var n []int
	for _, p := range pages {
		n = append(n, len(p))
	}
	return n
}

func TestFaultsOnPages(t *testing.T) {
	t.Parallel()
	on2 := func(do ldaptest.Do) ldaptest.Fault { return ldaptest.Fault{Base: people, Page: 2, Do: do} }
	for _, tt := range []struct {
		name     string
		fault    ldaptest.Fault
		want     []int // entries on each page
		controls int
		code     int // -1: the connection failed
	}{
		{"none", ldaptest.Fault{Base: "ou=elsewhere", Do: ldaptest.Cut(0)}, []int{10, 10, 5}, 3, 0},
		{"another filter", ldaptest.Fault{Filter: "(cn=", Do: ldaptest.Cut(0)}, []int{10, 10, 5}, 3, 0},
		{"another search", ldaptest.Fault{Search: 4, Do: ldaptest.Cut(0)}, []int{10, 10, 5}, 3, 0},
		{"busy", on2(ldaptest.Result(51)), []int{10, 10}, 1, 51},
		{"busy after three", on2(ldaptest.Result(51).After(3)), []int{10, 3}, 1, 51},
		{"size limit at once", on2(ldaptest.Result(4).After(0)), []int{10, 0}, 1, 4},
		{"third search", ldaptest.Fault{Search: 3, Do: ldaptest.Result(52)}, []int{10, 10, 5}, 2, 52},
		{"control dropped", on2(ldaptest.DropPaging()), []int{10, 10}, 1, 0},
		{"cookie repeated", on2(ldaptest.RepeatCookie()), []int{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 10, 0},
		{"cookie repeated twice", ldaptest.Fault{Page: 2, Times: 2, Do: ldaptest.RepeatCookie()}, []int{10, 10, 10, 10, 5}, 5, 0},
		{"paging ignored", ldaptest.Fault{Do: ldaptest.IgnorePaging()}, []int{25}, 0, 0},
		{"empty", on2(ldaptest.Empty()), []int{10, 0}, 2, 0},
		{"empty from the start", ldaptest.Fault{Do: ldaptest.Empty()}, []int{0}, 1, 0},
		{"cut at once", on2(ldaptest.Cut(0)), []int{10, 0}, 1, -1},
		{"cut within an entry", on2(ldaptest.Cut(500)), []int{10, 4}, 1, -1},
		{"referral", on2(ldaptest.Referral("ldap://elsewhere/")), []int{10, 0}, 1, 10},
		{"disconnect", on2(ldaptest.Disconnect().After(0)), []int{10, 0}, 1, -1},
		{"trickle", on2(ldaptest.Trickle(100, time.Microsecond)), []int{10, 10, 5}, 3, 0},
		{"garbage", on2(ldaptest.Garbage()), []int{10, 10}, 1, -1},
	} {
		_, conn := demo(t, tt.fault)
		pages, controls, err := walk(conn)
		got := code(err)
		if tt.name == "cut within an entry" && len(pages) == 2 { // how many are out depends on their length
			if n := len(pages[1]); n < 1 || n > 6 {
				t.Errorf("cut after %d entries", n)
			}
			pages[1] = pages[1][:0:0]
			tt.want[1] = 0
		}
		if diff := cmp.Diff(tt.want, lengths(pages)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if controls != tt.controls || got != tt.code {
			t.Errorf("%s: %d controls, code %d (%v), want %d, %d", tt.name, controls, got, err, tt.controls, tt.code)
		}
	}
}

func TestFaultsOnEntries(t *testing.T) {
	t.Parallel()
	_, clean := demo(t)
	res, err := clean.Search(search(people, 1, "(uid=*)", "uid", "entryUUID"))
	if err != nil {
		t.Fatal(err)
	}
	whole, victim := dump(res), res.Entries[3]
	upper := strings.ToUpper(victim.DN)
	with := func(change func([]string) []string) []string { return change(slices.Clone(whole)) }
	for name, tt := range map[string]struct {
		do   ldaptest.Do
		want []string
	}{
		"hide":      {ldaptest.Hide(upper), with(func(s []string) []string { return slices.Delete(s, 3, 4) })},
		"duplicate": {ldaptest.Duplicate(upper), with(func(s []string) []string { return append(s, s[3]) })},
		"withhold": {ldaptest.Withhold(upper, "entryuuid"), with(func(s []string) []string {
			s[3] = victim.DN + ` uid=["` + victim.GetAttributeValue("uid") + `"]`
			return s
		})},
		"withhold from all": {ldaptest.Withhold("", "entryUUID"), with(func(s []string) []string {
			for i, line := range s {
				dn, _, _ := strings.Cut(line, " entryUUID")
				s[i] = dn + line[strings.Index(line, " uid="):]
			}
			return s
		})},
		"bad DN": {ldaptest.BadDN(upper), with(func(s []string) []string {
			s[3] = "uid=\xff\\zz,,=" + strings.TrimPrefix(s[3], victim.DN)
			return s
		})},
		"reference": {ldaptest.Reference("ldap://elsewhere/"), whole},
	} {
		_, conn := demo(t, ldaptest.Fault{Do: tt.do})
		res, err := conn.Search(search(people, 1, "(uid=*)", "uid", "entryUUID"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, dump(res)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := len(res.Referrals) == 1; got != (name == "reference") {
			t.Errorf("%s: references %v", name, res.Referrals)
		}
	}
	if _, err := ldap.ParseDN("uid=\xff\\zz,,="); err == nil {
		t.Error("the bad DN is one")
	}
	again, err := clean.Search(search(people, 1, "(uid=*)", "uid", "entryUUID"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, dump(again)); diff != "" {
		t.Error(diff)
	}
}

// TestFaultsThatHang are those after which a client waits until its own deadline.
func TestFaultsThatHang(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]ldaptest.Do{
		"stall":        ldaptest.Stall(),
		"stall midway": ldaptest.Stall().After(2),
		"huge length":  ldaptest.HugeLength(),
		"slow trickle": ldaptest.Trickle(1, time.Hour),
	} {
		s, url := start(t, ldaptest.Options{Entries: small(), AllowAnonymous: true, Faults: []ldaptest.Fault{{Do: do}}})
		raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "ldap://"))
		if err != nil {
			t.Fatal(err)
		}
		conn := ldap.NewConn(raw, false)
		conn.Start()
		failed := make(chan error)
		go func() {
			_, err := conn.Search(search(suffix, 2, "(objectClass=*)"))
			failed <- err
		}()
		for len(s.Searches()) == 0 { // the deadline is for the answer alone
			<-time.After(time.Millisecond)
		}
		_ = raw.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if err := <-failed; code(err) != -1 {
			t.Errorf("%s: %v", name, err)
		}
		_ = conn.Close()
		s.Close() // returns although a reply is under way
	}
}

// TestWrongMessageID shows that go-ldap does not notice: it waits for its own id.
func TestWrongMessageID(t *testing.T) {
	t.Parallel()
	_, conn := demo(t, ldaptest.Fault{Do: ldaptest.WrongMessageID()})
	conn.SetTimeout(50 * time.Millisecond)
	if _, err := conn.Search(search(people, 1, "(uid=*)")); code(err) != 200 {
		t.Error(err)
	}
}

func TestSetFaults(t *testing.T) {
	t.Parallel()
	s, conn := demo(t, ldaptest.Fault{Times: 1, Do: ldaptest.Result(53)})
	for i, want := range []int{53, 0, 0} {
		if _, err := conn.Search(search(people, 0, "(objectClass=*)")); code(err) != want {
			t.Errorf("search %d: %v", i, err)
		}
	}
	s.SetFaults(ldaptest.Fault{Do: ldaptest.Empty()}, ldaptest.Fault{Search: 4, Do: ldaptest.Result(52)})
	res, err := conn.Search(search(people, 0, "(objectClass=*)"))
	if code(err) != 52 || len(res.Entries) != 0 {
		t.Errorf("two faults at once: %v", err)
	}
}

func TestEmptyForABaseThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, conn := demo(t, ldaptest.Fault{Do: ldaptest.Empty()})
	if res, err := conn.Search(search("ou=gone,"+suffix, 2, "(uid=*)")); err != nil || len(res.Entries) != 0 {
		t.Error(err)
	}
}

func TestRangeOfOneEntry(t *testing.T) {
	t.Parallel()
	const g = "cn=g\\, h,dc=example,dc=org"
	_, url := start(t, ldaptest.Options{
		Entries: small(), AllowAnonymous: true, Faults: []ldaptest.Fault{{Do: ldaptest.Range(g, "member", 2)}},
	})
	conn := dial(t, url)
	for attr, want := range map[string]string{
		"member":           ` member=[] member;range=0-1=["m0" "m1"]`,
		"member;range=2-*": ``, // the rest is not to be had
	} {
		res, err := conn.Search(search(suffix, 2, "(member=*)", attr))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{g + want}, dump(res)); diff != "" {
			t.Errorf("%s: %s", attr, diff)
		}
	}
}

// TestUnreadableEntry is one whose DN is none from the start.
func TestUnreadableEntry(t *testing.T) {
	t.Parallel()
	_, url := start(t, ldaptest.Options{Entries: append(small(), ldaptest.Entry{DN: "nonsense"}), AllowAnonymous: true})
	conn := dial(t, url)
	for scope, want := range map[int]bool{0: false, 1: false, 2: true} {
		res, err := conn.Search(search(suffix, scope, "(entryUUID=*)", "1.1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(dump(res), "nonsense"); got != want {
			t.Errorf("scope %d has it: %v", scope, got)
		}
	}
}
