package ppmssim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// mistake is something in a seed that no PPMS could hold.
type mistake struct{ at, text string } // at: a YAML path

// check lists what is wrong with a seed. Key is how logins are compared.
func check(s *Seed, key func(string) string) []mistake {
	c := checker{key: key, users: map[string]bool{}, units: map[string]bool{}, systems: map[int]bool{}}
	for i := range s.Units {
		c.unit(fmt.Sprintf("$.units[%d]", i), &s.Units[i])
	}
	for i := range s.Users {
		c.user(fmt.Sprintf("$.users[%d]", i), &s.Users[i])
	}
	for i := range s.Systems {
		c.system(fmt.Sprintf("$.systems[%d]", i), &s.Systems[i])
	}
	given := map[Right]bool{}
	for i, r := range s.Rights {
		at := fmt.Sprintf("$.rights[%d]", i)
		if c.right(at, r); given[Right{key(r.Login), r.System, ""}] {
			c.add(at+".login", "%q has more than one right on system %d", r.Login, r.System)
		}
		given[Right{key(r.Login), r.System, ""}] = true
	}
	c.toolbox(s)
	return c.found
}

// toolbox checks what the sync does not use.
func (c *checker) toolbox(s *Seed) {
	for i := range s.Bookings {
		b, at := &s.Bookings[i], fmt.Sprintf("$.bookings[%d]", i)
		c.holder(at, b.Login, b.System)
		c.moment(at+".start", "15:04", b.Start)
		c.moment(at+".end", "15:04", b.End)
		if b.Day != "" {
			c.moment(at+".day", time.DateOnly, b.Day)
		}
	}
	for i := range s.Experience {
		c.holder(fmt.Sprintf("$.experience[%d]", i), s.Experience[i].Login, s.Experience[i].System)
	}
	for i := range s.Orders {
		o, at := &s.Orders[i], fmt.Sprintf("$.orders[%d]", i)
		if o.Ref <= 0 || !c.users[c.key(o.Login)] {
			c.add(at, "an order needs a ref above 0 and a login that is among the users")
		}
	}
	columns := detailColumns()
	for i := range s.Invoices {
		for j, detail := range s.Invoices[i].Details {
			for _, name := range slices.Sorted(maps.Keys(detail)) {
				if !slices.Contains(columns, name) {
					c.add(fmt.Sprintf("$.invoices[%d].details[%d]", i, j), "an invoice has no column %q", name)
				}
			}
		}
	}
}

func (c *checker) holder(at, login string, system int) {
	if !c.users[c.key(login)] {
		c.add(at+".login", "%q is not among the users", login)
	}
	if !c.systems[system] {
		c.add(at+".system", "system %d is not among the systems", system)
	}
}

func (c *checker) moment(at, layout, text string) {
	if _, err := time.Parse(layout, text); err != nil {
		c.add(at, "%q is not of the form %s", text, layout)
	}
}

type checker struct {
	key     func(string) string
	users   map[string]bool
	units   map[string]bool
	systems map[int]bool
	found   []mistake
}

func (c *checker) add(at, format string, args ...any) {
	c.found = append(c.found, mistake{at, fmt.Sprintf(format, args...)})
}

func (c *checker) unit(at string, u *Unit) {
	switch {
	case !isName(u.Unitlogin):
		c.add(at, "a unit needs a unitlogin without control characters")
	case c.units[u.Unitlogin]:
		c.add(at+".unitlogin", "unit %q is here twice", u.Unitlogin)
	}
	c.units[u.Unitlogin] = true
}

func (c *checker) user(at string, u *User) {
	switch {
	case !isName(u.Login):
		c.add(at, "a user needs a login without control characters")
	case c.users[c.key(u.Login)]:
		c.add(at+".login", "user %q is here twice", u.Login)
	}
	c.users[c.key(u.Login)] = true
	if u.Unitlogin != "" && !c.units[u.Unitlogin] {
		c.add(at+".unitlogin", "unit %q of user %q is not among the units", u.Unitlogin, u.Login)
	}
}

func (c *checker) system(at string, s *System) {
	switch {
	case s.ID <= 0:
		c.add(at, "a system needs an id above 0 (rawid is what getsystems shows in its place)")
	case c.systems[s.ID]:
		c.add(at+".id", "system %d is here twice", s.ID)
	}
	c.systems[s.ID] = true
}

func (c *checker) right(at string, r Right) {
	if !c.users[c.key(r.Login)] {
		c.add(at+".login", "a right for %q, who is not among the users", r.Login)
	}
	if !c.systems[r.System] {
		c.add(at+".system", "a right on system %d, which is not among the systems", r.System)
	}
	if !isLevel(r.Level) {
		c.add(at+".level", "level %q is none of D, N, A, S", r.Level)
	}
}

func isName(s string) bool {
	return strings.TrimSpace(s) != "" && !strings.ContainsFunc(s, unicode.IsControl)
}

// isLevel knows the levels: deactivated, novice, autonomous, superuser.
func isLevel(s string) bool {
	return s == "D" || s == "N" || s == "A" || s == "S"
}
