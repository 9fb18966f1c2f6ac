package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// SnapshotOptions say where a snapshot goes and whether people can be known in it.
type SnapshotOptions struct {
	File         string // "" or [Stdout] prints it
	Pseudonymise bool
}

// Snapshot writes down the users, units, systems, rights and administrators of PPMS, as a seed of the simulator. It asks once for
// each user, unit and system.
func (b *Toolbox) Snapshot(ctx context.Context, o SnapshotOptions) error {
	seed, left, err := b.snapshot(ctx)
	if err != nil {
		return fmt.Errorf("PPMS was not read completely, so there is no snapshot: %w", err)
	}
	if o.Pseudonymise {
		newPseudonyms().hide(seed)
	}
	if _, err := ppmssim.New(ppmssim.Options{Key: secret.New("none"), Seed: *seed}); err != nil {
		return fmt.Errorf("the simulator cannot hold what PPMS says, so there is no snapshot: %w", err)
	}
	data, err := encodeJSON(seed)
	if err != nil {
		return err
	}
	if o.File == "" || o.File == Stdout {
		_, err = b.Out.Write(data)
		return err
	}
	if err := saveFile("the snapshot", o.File, data); err != nil {
		return err
	}
	p := &printer{out: b.Out, colour: b.Colour}
	p.printf("%s has %s, %s, %s and %s.\n", harmless(o.File), count(len(seed.Users), "user", "users"), count(len(seed.Units), "unit", "units"),
		count(len(seed.Systems), "system", "systems"), count(len(seed.Rights), "right", "rights"))
	if left > 0 {
		p.printf("Left out: %s of logins or to units that PPMS does not list.\n", count(left, "right or membership", "rights or memberships"))
	}
	return p.err
}

// snapshot reads PPMS. What it leaves out, and counts, leads nowhere: rights of logins and memberships in units that no list has.
func (b *Toolbox) snapshot(ctx context.Context) (seed *ppmssim.Seed, left int, err error) {
	seed = &ppmssim.Seed{Users: []ppmssim.User{}, Units: []ppmssim.Unit{}, Systems: []ppmssim.System{}, Rights: []ppmssim.Right{}}
	units, err := b.reader.Groups(ctx, ppms.Any)
	if err != nil {
		return nil, 0, err
	}
	step := b.progress("units", len(units))
	for i, unit := range units {
		g, found, err := b.reader.Group(ctx, unit)
		if err != nil || !found {
			return nil, 0, unlisted("getgroups", unit, err)
		}
		g.Login = unit // as lists spell it, in which users are looked for
		seed.Units = append(seed.Units, unitOf(&g))
		step(i + 1)
	}
	systems, err := b.reader.Systems(ctx)
	if err != nil {
		return nil, 0, err
	}
	for i := range systems {
		seed.Systems = append(seed.Systems, systemOf(&systems[i]))
	}
	if left, err = b.snapshotUsers(ctx, seed, units); err != nil {
		return nil, 0, err
	}
	strangers, err := b.snapshotRights(ctx, seed)
	return seed, left + strangers, err
}

func unlisted(action, name string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s lists %s, but PPMS does not know it when asked; if it was removed just now, try again", action, name)
}

func (b *Toolbox) snapshotUsers(ctx context.Context, seed *ppmssim.Seed, units []string) (left int, err error) {
	logins, err := b.reader.Users(ctx, ppms.Any)
	if err != nil {
		return 0, err
	}
	admins, err := b.reader.Admins(ctx)
	if err != nil {
		return 0, err
	}
	users, gone, err := b.reader.Records(ctx, logins, b.progress("users", len(logins)))
	if err != nil || len(gone) > 0 {
		return 0, unlisted("getusers", some(gone), err)
	}
	for i := range users {
		u := userOf(&users[i])
		_, u.Admin = spelling(admins, u.Login)
		if unit, listed := spelling(units, u.Unitlogin); listed {
			u.Unitlogin = unit
		} else if u.Unitlogin != "" {
			u.Unitlogin = ""
			left++
		}
		seed.Users = append(seed.Users, u)
	}
	return left, nil
}

// snapshotRights reads the rights of each system. An administrator has an S on all of them there, so that these are asked for their
// own.
func (b *Toolbox) snapshotRights(ctx context.Context, seed *ppmssim.Seed) (strangers int, err error) {
	ids := make([]int, len(seed.Systems))
	for i := range seed.Systems {
		ids[i] = seed.Systems[i].ID
	}
	exact, folded := make(map[string]*ppmssim.User, len(seed.Users)), make(map[string]*ppmssim.User, len(seed.Users))
	for i := range seed.Users {
		u := &seed.Users[i]
		exact[u.Login], folded[string(reconcile.KeyOf(u.Login))] = u, u
	}
	rights, err := b.reader.AllSystemRights(ctx, ids, b.progress("rights", len(ids)))
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		for _, r := range rights[id] {
			switch u := cmp.Or(exact[r.Login], folded[string(reconcile.KeyOf(r.Login))]); {
			case u == nil:
				strangers++
			case !u.Admin:
				seed.Rights = append(seed.Rights, ppmssim.Right{Login: u.Login, System: id, Level: r.Level.String()})
			}
		}
	}
	for i := range seed.Users {
		if !seed.Users[i].Admin {
			continue
		}
		levels, err := b.reader.UserRights(ctx, seed.Users[i].Login)
		if err != nil {
			return 0, err
		}
		for _, id := range sortedKeys(levels) {
			if slices.Contains(ids, id) {
				seed.Rights = append(seed.Rights, ppmssim.Right{Login: seed.Users[i].Login, System: id, Level: levels[id].String()})
			}
		}
	}
	sortRights(seed.Rights)
	return strangers, nil
}

func sortRights(rights []ppmssim.Right) {
	slices.SortFunc(rights, func(a, b ppmssim.Right) int { return cmp.Or(a.System-b.System, strings.Compare(a.Login, b.Login)) })
}

func userOf(u *ppms.User) ppmssim.User {
	f := &u.Fields
	return ppmssim.User{
		Login: u.Login, Lname: f[reconcile.Lname], Fname: f[reconcile.Fname], Email: f[reconcile.Email], Phone: f[reconcile.Phone],
		Bcode: f[reconcile.Bcode], Affiliation: f[reconcile.Affiliation], Unitlogin: f[reconcile.Unit],
		Active: u.Active, Mustchpwd: u.MustChangePassword, Mustchbcode: u.MustChangeBcode,
	}
}

func unitOf(g *ppms.Group) ppmssim.Unit {
	return ppmssim.Unit{
		Unitlogin: g.Login, Unitname: g.Name, Headname: g.HeadName, Heademail: g.HeadEmail, Unitbcode: g.Bcode, Department: g.Department,
		Institution: g.Institution, Address: g.Address, Affiliation: g.Affiliation, Ext: g.External, Active: g.Active,
		Admname: g.AdminName, Admemail: g.AdminEmail, Creationdate: g.Created,
	}
}

func systemOf(s *ppms.System) ppmssim.System {
	return ppmssim.System{
		ID: s.ID, Facility: s.Facility, Type: s.Type, Name: s.Name, Localisation: s.Location, Active: s.Active, Schedules: s.Schedules,
		Stats: s.Stats, Bookable: s.Bookable, AutonomyRequired: s.AutonomyRequired, AutonomyRequiredAfterHours: s.AutonomyRequiredAfterHours,
	}
}
