package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// Toolbox asks PPMS what a person wants to know, and prints it. It has nothing to write with: see [App.CreateUser] and its like for
// that. Each method is one command; docs/toolbox.md lists them beside PUMAPI's actions.
type Toolbox struct {
	*App
	reader *ppms.Reader
	form   Form
}

// Activity narrows a list of users or groups.
type Activity = ppms.Active

// What a list may be narrowed to.
const (
	AnyActivity  = ppms.Any
	OnlyActive   = ppms.OnlyActive
	OnlyInactive = ppms.OnlyInactive
)

// Today is the day at the facility.
func (b *Toolbox) Today() time.Time { return b.Now().In(b.Config.Pumapi().Location) }

// Toolbox runs f with a toolbox that prints in this form. It needs only what the configuration says of PPMS.
func (a *App) Toolbox(ctx context.Context, form Form, f func(ctx context.Context, b *Toolbox) error) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	options, err := a.pumapi()
	if err != nil {
		return err
	}
	reader, err := ppms.NewReader(options)
	if err != nil {
		return err
	}
	defer reader.Close()
	return timedOut(ctx, f(ctx, &Toolbox{a, reader, form}))
}

func (b *Toolbox) show(s *sheet, err error) error {
	if err != nil {
		return err
	}
	return b.printSheet(s, b.form)
}

// list is a sheet of one column.
func list[T any](column string, values []T, none string) *sheet {
	s := &sheet{columns: []string{column}, none: none}
	for _, v := range values {
		s.add(v)
	}
	return s
}

// Users lists logins; with details what PPMS knows of each, which is one call a user.
func (b *Toolbox) Users(ctx context.Context, active ppms.Active, details bool) error {
	logins, err := b.reader.Users(ctx, active)
	if err != nil || !details {
		return b.show(list("login", logins, "PPMS has no such users."), err)
	}
	users, gone, err := b.reader.Records(ctx, logins, b.progress("users", len(logins)))
	if err != nil || len(gone) > 0 {
		return unlisted("getusers", some(gone), err)
	}
	s := &sheet{columns: append([]string{"login"}, userColumns()...)}
	for i := range users {
		s.add(append([]any{users[i].Login}, userValues(&users[i])...)...)
	}
	return b.show(s, nil)
}

func userColumns() []string {
	var names []string
	for f := range reconcile.Field(reconcile.NumFields) {
		names = append(names, f.String())
	}
	return append(names, "active", "mustchpwd", "mustchbcode")
}

func userValues(u *ppms.User) []any {
	var values []any
	for f := range reconcile.Field(reconcile.NumFields) {
		values = append(values, u.Fields[f])
	}
	return append(values, u.Active, u.MustChangePassword, u.MustChangeBcode)
}

// User shows one user, and fails if there is none.
func (b *Toolbox) User(ctx context.Context, login string, withID bool) error {
	user, found, err := b.reader.User(ctx, login)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("PPMS has no user %q", login)
	}
	s := &sheet{columns: append([]string{"login"}, userColumns()...), single: true}
	values := append([]any{user.Login}, userValues(&user)...)
	if withID {
		id, _, err := b.reader.UserID(ctx, login)
		if err != nil {
			return err
		}
		s.columns, values = append(s.columns, "userid"), append(values, id)
	}
	s.add(values...)
	return b.show(s, nil)
}

// Emails lists the addresses of these users, or of all: one call a user.
func (b *Toolbox) Emails(ctx context.Context, logins []string, active ppms.Active) error {
	if len(logins) == 0 {
		var err error
		if logins, err = b.reader.Users(ctx, active); err != nil {
			return err
		}
	}
	users, gone, err := b.reader.Records(ctx, logins, b.progress("users", len(logins)))
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		return fmt.Errorf("PPMS has no user %s", some(gone))
	}
	s := &sheet{columns: []string{"login", "email"}}
	for i := range users {
		if email := users[i].Fields[reconcile.Email]; email != "" {
			s.add(users[i].Login, email)
		} else {
			s.without("Without an address", users[i].Login)
		}
	}
	return b.show(s, nil)
}

// Admins lists PPMS's administrators.
func (b *Toolbox) Admins(ctx context.Context) error {
	logins, err := b.reader.Admins(ctx)
	return b.show(list("login", logins, "PPMS names no administrators."), err)
}

// Groups lists unitlogins.
func (b *Toolbox) Groups(ctx context.Context, active ppms.Active) error {
	groups, err := b.reader.Groups(ctx, active)
	return b.show(list("unitlogin", groups, "PPMS has no such groups."), err)
}

// Group shows one group, and fails if there is none.
func (b *Toolbox) Group(ctx context.Context, unitlogin string) error {
	g, found, err := b.reader.Group(ctx, unitlogin)
	if err == nil && !found {
		err = fmt.Errorf("PPMS has no group %q", unitlogin)
	}
	s := &sheet{columns: []string{
		"unitlogin", "unitname", "headname", "heademail", "unitbcode", "department", "institution", "address", "affiliation", "ext", "active",
		"admname", "admemail", "creationdate",
	}, single: true}
	s.add(g.Login, g.Name, g.HeadName, g.HeadEmail, g.Bcode, g.Department, g.Institution, g.Address, g.Affiliation, g.External, g.Active,
		g.AdminName, g.AdminEmail, g.Created)
	return b.show(s, err)
}

// GroupUsers lists the users of a group.
func (b *Toolbox) GroupUsers(ctx context.Context, unitlogin string, active ppms.Active) error {
	logins, err := b.reader.GroupUsers(ctx, unitlogin, active)
	return b.show(list("login", logins, "No such users, or no group of that name."), err)
}

// SystemFilter narrows a list of systems.
type SystemFilter struct {
	Room   string   // a part of it, in any case
	Names  []string // a part of the name, any of these
	Active bool     // only active ones
}

func (f *SystemFilter) matches(s *ppms.System) bool {
	in := func(part, whole string) bool { return strings.Contains(strings.ToLower(whole), strings.ToLower(part)) }
	return (!f.Active || s.Active) && in(f.Room, s.Location) &&
		(len(f.Names) == 0 || slices.ContainsFunc(f.Names, func(name string) bool { return in(name, s.Name) }))
}

// Systems lists the systems that match.
func (b *Toolbox) Systems(ctx context.Context, f SystemFilter) error {
	systems, err := b.reader.Systems(ctx)
	s := &sheet{columns: []string{
		"id", "facility", "type", "name", "room", "active", "bookable", "schedules", "stats", "autonomy_required", "autonomy_required_after_hours",
	}, none: "No system matches."}
	for i := range systems {
		if x := &systems[i]; f.matches(x) {
			s.add(x.ID, x.Facility, x.Type, x.Name, x.Location, x.Active, x.Bookable, x.Schedules, x.Stats, x.AutonomyRequired, x.AutonomyRequiredAfterHours)
		}
	}
	return b.show(s, err)
}

// system finds a system by its id, or by its whole name. PPMS would answer for one that there is not, too.
func system(ctx context.Context, reader *ppms.Reader, name string) (*ppms.System, error) {
	systems, err := reader.Systems(ctx)
	if err != nil {
		return nil, err
	}
	ids := idsOf(systems, name)
	if id, err := strconv.Atoi(name); err == nil {
		ids = []int{id}
	}
	if len(ids) > 1 {
		return nil, fmt.Errorf("PPMS has several systems %q: give the id, one of %v", name, ids)
	}
	i := slices.IndexFunc(systems, func(s ppms.System) bool { return slices.Contains(ids, s.ID) })
	if i < 0 {
		return nil, fmt.Errorf("PPMS has no system %q; `ppms-syncd ppms systems` lists them", name)
	}
	return &systems[i], nil
}

func idsOf(systems []ppms.System, name string) (ids []int) {
	for i := range systems {
		if strings.EqualFold(strings.TrimSpace(name), systems[i].Name) {
			ids = append(ids, systems[i].ID)
		}
	}
	return ids
}

// RightsFilter says whose rights are shown: of a system, or of a login.
type RightsFilter struct {
	System, Login string
	Access        bool // leaves out D
}

// Rights lists levels.
func (b *Toolbox) Rights(ctx context.Context, f RightsFilter) error {
	if f.Login != "" {
		levels, err := b.reader.UserRights(ctx, f.Login)
		s := &sheet{columns: []string{"system", "level"}, none: "No rights, or no user of that login."}
		for _, id := range sortedKeys(levels) {
			if !f.Access || levels[id] != reconcile.Deactivated {
				s.add(id, levels[id].String())
			}
		}
		return b.show(s, err)
	}
	of, err := system(ctx, b.reader, f.System)
	if err != nil {
		return err
	}
	rights, err := b.reader.SystemRights(ctx, of.ID)
	s := &sheet{columns: []string{"login", "level"}, none: "No rights on this system."}
	for _, r := range rights {
		if !f.Access || r.Level != reconcile.Deactivated {
			s.add(r.Login, r.Level.String())
		}
	}
	return b.show(s, err)
}

// Experience lists how much people have used systems; empty means all.
func (b *Toolbox) Experience(ctx context.Context, login, on string) error {
	id := 0
	if on != "" {
		of, err := system(ctx, b.reader, on)
		if err != nil {
			return err
		}
		id = of.ID
	}
	experiences, err := b.reader.Experiences(ctx, login, id)
	s := &sheet{columns: []string{"login", "system", "booked_hours", "used_hours", "last_booking", "last_training"}, none: "No experience on record."}
	for _, e := range experiences {
		s.add(e.Login, e.System, e.Booked, e.Used, date(e.LastBooking), date(e.LastTraining))
	}
	return b.show(s, err)
}

// Booking shows who has a system now, or next.
func (b *Toolbox) Booking(ctx context.Context, of string, next bool) error {
	x, err := system(ctx, b.reader, of)
	if err != nil {
		return err
	}
	ask, column, none := b.reader.CurrentBooking, "until", "Nobody has this system now."
	if next {
		ask, column, none = b.reader.NextBooking, "from", "No booking to come; PPMS leaves out those that are years ahead."
	}
	booking, found, err := ask(ctx, x.ID)
	s := &sheet{columns: []string{"system", "login", column, "session"}, single: true, none: none}
	if found {
		at := booking.Until
		if next {
			at = booking.From
		}
		s.add(x.ID, booking.Login, at, booking.Session)
	}
	return b.show(s, err)
}

// RunningSheet lists a day's bookings in a core facility, or with 0 in all, with the logins and system ids behind the names that PPMS
// gives, as far as these lead back to one.
func (b *Toolbox) RunningSheet(ctx context.Context, facility int, day time.Time, room string) error {
	systems, err := b.reader.Systems(ctx)
	if err != nil {
		return err
	}
	var sheetOf []ppms.Session
	for _, of := range facilities(facility, systems) {
		sessions, err := b.reader.RunningSheet(ctx, of, day)
		if err != nil {
			return err
		}
		sheetOf = append(sheetOf, sessions...)
	}
	if room != "" {
		sheetOf = slices.DeleteFunc(sheetOf, func(s ppms.Session) bool {
			return !strings.Contains(strings.ToLower(s.Location), strings.ToLower(room))
		})
	}
	names, err := b.names(ctx, sheetOf)
	if err != nil {
		return err
	}
	s := &sheet{columns: []string{"start", "end", "room", "system_ids", "system", "logins", "user", "training", "assisted"}, none: "No bookings."}
	unsure := map[string]bool{}
	for _, x := range sheetOf {
		logins := names.Logins(x.User)
		s.add(x.Start, x.End, x.Location, idsOf(systems, x.System), x.System, logins, x.User, x.Training, x.Assisted)
		switch {
		case len(logins) == 0:
			unsure[fmt.Sprintf("Nobody in PPMS is called %q.", x.User)] = true
		case len(logins) > 1:
			unsure[fmt.Sprintf("%q may be %s: PPMS gives the name only.", x.User, strings.Join(logins, " or "))] = true
		}
	}
	s.note = strings.Join(sortedKeys(unsure), "\n")
	return b.show(s, nil)
}

// facilities are the one that was asked for, or all that have systems.
func facilities(one int, systems []ppms.System) []int {
	if one != 0 {
		return []int{one}
	}
	all := map[int]bool{}
	for i := range systems {
		all[systems[i].Facility] = true
	}
	return sortedKeys(all)
}

// names knows who is called how. It asks PPMS only for the accounts that the ledger does not remember, and for all the rest only if a
// name on the sheet is nobody's. That somebody else has got the same name since cannot be seen then.
func (b *Toolbox) names(ctx context.Context, sheetOf []ppms.Session) (ppms.Names, error) {
	if len(sheetOf) == 0 {
		return nil, nil
	}
	logins, err := b.reader.Users(ctx, ppms.Any)
	if err != nil {
		return nil, err
	}
	remembered := b.ledgerRecords(ctx)
	var accounts []reconcile.Account
	var missing, known []string
	for _, login := range logins {
		if a, ok := remembered[login]; ok {
			accounts, known = append(accounts, a), append(known, login)
		} else {
			missing = append(missing, login)
		}
	}
	users, _, err := b.reader.Records(ctx, missing, b.progress("users", len(missing)))
	if err != nil {
		return nil, err
	}
	names := ppms.NewNames(append(accounts, accountsOf(users)...))
	if !slices.ContainsFunc(sheetOf, func(s ppms.Session) bool { return len(names.Logins(s.User)) == 0 }) {
		return names, nil
	}
	again, _, err := b.reader.Records(ctx, known, b.progress("users", len(known)))
	return ppms.NewNames(append(accountsOf(users), accountsOf(again)...)), err
}

// ledgerRecords are the records that the ledger remembers and that hold. Without one, or where it may not be read, there are none.
func (b *Toolbox) ledgerRecords(ctx context.Context) map[string]reconcile.Account {
	var seen []ledger.AccountSeen
	l, err := b.readLedger(ctx)
	if l != nil {
		seen, err = b.remembered(ctx, l)
		err = errors.Join(err, l.Close())
	}
	if err != nil {
		b.Log.Warn("the ledger cannot be read, so that every user is asked for", zap.Error(err))
		return nil
	}
	accounts := make(map[string]reconcile.Account, len(seen))
	for i := range seen {
		if !seen[i].VerifiedAt.IsZero() {
			accounts[seen[i].Login] = seen[i].Account
		}
	}
	return accounts
}
