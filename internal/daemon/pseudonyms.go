package daemon

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// pseudonyms replace what names people. Equal values get equal ones, in any case of their letters, so that what a comparison would
// find in the original it finds in the copy. The salt is nowhere kept: nobody can go back, or try who it was.
type pseudonyms struct {
	salt  string
	taken map[string]bool // logins, which may differ in nothing but case
}

func newPseudonyms() *pseudonyms { return &pseudonyms{salt: rand.Text(), taken: map[string]bool{}} }

// of is the pseudonym of a value, which begins with what it is; of nothing it is nothing.
func (p *pseudonyms) of(what, value string) string {
	value = string(reconcile.KeyOf(value))
	if value == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(p.salt))
	mac.Write([]byte(what + "\x00" + value))
	const digits = 12 // two of 50,000 meet by a chance of 1 : 200,000
	return what + "-" + hex.EncodeToString(mac.Sum(nil))[:digits]
}

func (p *pseudonyms) email(value string) string {
	if value = p.of("mail", value); value != "" {
		value += "@example.org"
	}
	return value
}

func (p *pseudonyms) login(value string) string {
	login := p.of("user", value)
	for n := 0; p.taken[login]; n++ { // another spelling of the same: one more of its letters large
		login = strings.ToUpper(login[:n+1]) + login[n+1:]
	}
	p.taken[login] = true
	return login
}

// hide replaces names, logins, addresses, telephone and account numbers. Levels, states, dates and all of systems stay.
func (p *pseudonyms) hide(seed *ppmssim.Seed) {
	units, logins := make(map[string]string, len(seed.Units)), make(map[string]string, len(seed.Users))
	for i := range seed.Units {
		u := &seed.Units[i]
		units[u.Unitlogin] = fmt.Sprintf("unit-%d", i+1)
		*u = ppmssim.Unit{
			Unitlogin: units[u.Unitlogin], Unitname: fmt.Sprintf("Unit %d", i+1), Headname: p.of("name", u.Headname), Heademail: p.email(u.Heademail),
			Unitbcode: p.of("account", u.Unitbcode), Department: p.of("department", u.Department), Institution: p.of("institution", u.Institution),
			Address: p.of("address", u.Address), Affiliation: p.of("affiliation", u.Affiliation), Ext: u.Ext, Active: u.Active,
			Admname: p.of("name", u.Admname), Admemail: p.email(u.Admemail), Creationdate: u.Creationdate,
		}
		if strings.ContainsFunc(u.Creationdate, unicode.IsLetter) { // no date as they are known
			u.Creationdate = p.of("date", u.Creationdate)
		}
	}
	for i := range seed.Users {
		u := &seed.Users[i]
		logins[u.Login] = p.login(u.Login)
		u.Login, u.Lname, u.Fname, u.Email = logins[u.Login], p.of("name", u.Lname), p.of("name", u.Fname), p.email(u.Email)
		u.Phone, u.Bcode, u.Affiliation = p.of("phone", u.Phone), p.of("account", u.Bcode), p.of("affiliation", u.Affiliation)
		u.Unitlogin = units[u.Unitlogin]
	}
	for i := range seed.Rights {
		seed.Rights[i].Login = logins[seed.Rights[i].Login]
	}
	// The order of the logins would tell something of them.
	slices.SortFunc(seed.Users, func(a, b ppmssim.User) int { return strings.Compare(a.Login, b.Login) })
	sortRights(seed.Rights)
}
