package ldapsrc_test

import (
	"fmt"
	"testing"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
)

// crowded is a domain with so many people, all of them in the group confocal; its limits are those of Active Directory.
func crowded(people int) ldaptest.Options {
	var entries []ldaptest.Entry
	var members []string
	for i := range people {
		name := fmt.Sprintf("p%04d", i)
		entries = append(entries, adEntry("user", name, 2000+i))
		members = append(members, adDN(name))
	}
	o := domain(entries...)
	for _, e := range o.Entries {
		if e.DN == adDN("confocal") {
			e.Attrs["member"] = members
		}
	}
	o.MaxPageSize, o.MaxValRange = 1000, 1500
	return o
}

func members(r *ldapsrc.Result) (n int) {
	for _, p := range r.Directory.People {
		for _, m := range p.Rules {
			if m.Path[0] == "confocal" {
				n++
			}
		}
	}
	return n
}

// More people than a page may have, whatever the page that we ask for, and more members than come at once. Samba has neither
// limit.
func TestActiveDirectoryLimits(t *testing.T) {
	t.Parallel()
	for _, people := range []int{1500, 1501, 3001} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			t.Parallel()
			s, url := fake(t, crowded(people))
			cfg := adConfig(t, url)
			cfg.PageSize = 5000
			r := mustRead(t, cfg, adMapping(), ldapsrc.Request{})
			if n := len(r.Directory.People); n != people+4 || members(r) != people {
				t.Errorf("got %d people, %d of them in the group", n, members(r))
			}
			for _, q := range s.Searches() {
				if q.Scope == 2 && !q.Paged {
					t.Errorf("a search without paging: %+v", q)
				}
			}
		})
	}
}
