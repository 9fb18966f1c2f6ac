package ppmssim

import (
	"cmp"
	"maps"
	"slices"

	"ppms-syncd/internal/reconcile"
)

// state is what the simulator holds, with the indexes that make it fast for facilities of many thousand accounts.
type state struct {
	key     func(login string) string
	users   []User // in the order in which they came to be
	units   []Unit
	systems []System
	userAt  map[string]int
	unitAt  map[string]int
	rights  map[int]map[string]string // system → key of the login → level
	lastID  int

	bookings   []Booking
	experience []Experience
	services   []Service
	orders     []Order
	invoices   []Invoice
	projects   []Project
	bcodes     []Bcode
}

func exactKey(login string) string { return login }

func foldedKey(login string) string { return string(reconcile.KeyOf(login)) }

func newState(seed Seed, key func(string) string) *state {
	s := &state{key: key, unitAt: map[string]int{}, userAt: map[string]int{}, rights: map[int]map[string]string{}, lastID: 1000}
	for _, u := range seed.Users {
		s.lastID = max(s.lastID, u.UserID)
	}
	for _, u := range seed.Units {
		s.putUnit(u)
	}
	for _, u := range seed.Users {
		s.putUser(u)
	}
	s.systems = slices.Clone(seed.Systems)
	s.bookings, s.experience, s.services = seed.Bookings, seed.Experience, seed.Services
	s.orders = slices.Clone(seed.Orders)
	s.invoices, s.projects, s.bcodes = seed.Invoices, seed.Projects, seed.Bcodes
	for _, r := range seed.Rights {
		s.setRight(r.Login, r.System, r.Level)
	}
	return s
}

func (s *state) user(login string) (User, bool) {
	i, ok := s.userAt[s.key(login)]
	if !ok {
		return User{}, false
	}
	return s.users[i], true
}

func (s *state) putUser(u User) {
	if i, ok := s.userAt[s.key(u.Login)]; ok {
		u.UserID = cmp.Or(u.UserID, s.users[i].UserID)
		s.users[i] = u
		return
	}
	if u.UserID == 0 {
		s.lastID++
		u.UserID = s.lastID
	}
	s.lastID = max(s.lastID, u.UserID)
	s.userAt[s.key(u.Login)] = len(s.users)
	s.users = append(s.users, u)
}

func (s *state) deleteUser(login string) {
	key := s.key(login)
	s.users = slices.DeleteFunc(s.users, func(u User) bool { return s.key(u.Login) == key })
	clear(s.userAt)
	for i, u := range s.users {
		s.userAt[s.key(u.Login)] = i
	}
	for _, of := range s.rights {
		delete(of, key)
	}
}

func (s *state) unit(login string) (Unit, bool) {
	i, ok := s.unitAt[login]
	if !ok {
		return Unit{}, false
	}
	return s.units[i], true
}

func (s *state) putUnit(u Unit) {
	if i, ok := s.unitAt[u.Unitlogin]; ok {
		s.units[i] = u
		return
	}
	s.unitAt[u.Unitlogin] = len(s.units)
	s.units = append(s.units, u)
}

func (s *state) system(id int) (System, bool) {
	i := slices.IndexFunc(s.systems, func(x System) bool { return x.ID == id })
	if i < 0 {
		return System{}, false
	}
	return s.systems[i], true
}

func (s *state) putSystem(x System) {
	if i := slices.IndexFunc(s.systems, func(y System) bool { return y.ID == x.ID }); i >= 0 {
		s.systems[i] = x
		return
	}
	s.systems = append(s.systems, x)
}

func (s *state) right(login string, system int) string { return s.rights[system][s.key(login)] }

// setRight sets a level; "" removes the right, which only staff can do.
func (s *state) setRight(login string, system int, level string) {
	if level == "" {
		delete(s.rights[system], s.key(login))
		return
	}
	if s.rights[system] == nil {
		s.rights[system] = map[string]string{}
	}
	s.rights[system][s.key(login)] = level
}

// rightsOn lists the rights on a system by login, as getsysrights was seen to order them.
func (s *state) rightsOn(system int) []Right {
	var list []Right
	for _, key := range slices.Sorted(maps.Keys(s.rights[system])) {
		if i, ok := s.userAt[key]; ok {
			list = append(list, Right{s.users[i].Login, system, s.rights[system][key]})
		}
	}
	return list
}

// seed is the whole state, for a file or a test.
func (s *state) seed() Seed {
	seed := Seed{
		Users: slices.Clone(s.users), Units: slices.Clone(s.units), Systems: slices.Clone(s.systems), Rights: []Right{},
		Bookings: s.bookings, Experience: s.experience, Services: s.services, Orders: slices.Clone(s.orders),
		Invoices: s.invoices, Projects: s.projects, Bcodes: s.bcodes,
	}
	for _, system := range slices.Sorted(maps.Keys(s.rights)) {
		seed.Rights = append(seed.Rights, s.rightsOn(system)...)
	}
	return seed
}
