package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// readPPMS reads the other side, or fails. Nothing in PUMAPI says that a list is whole, so each is held against another: all
// users against the active and the inactive, and both against what the ledger knows.
func (r *run) readPPMS(ctx context.Context, directory *ldapsrc.Result) (*reconcile.PPMS, error) {
	defer r.Metrics.phase(phasePPMS)()
	side, err := r.readPPMSChecked(ctx, directory)
	if at := r.reader.CertExpires(); err == nil || !at.IsZero() { // else perhaps nothing was reached
		r.Metrics.connected(sidePPMS, at)
	}
	if err != nil {
		return nil, fmt.Errorf("PPMS was not read completely, so nothing was compared: %w", err)
	}
	return side, nil
}

func (r *run) readPPMSChecked(ctx context.Context, directory *ldapsrc.Result) (*reconcile.PPMS, error) {
	lists, err := r.readLists(ctx)
	if err != nil {
		return nil, err
	}
	logins, err := lists.logins()
	if err != nil {
		return nil, err
	}
	if err := r.checkKnown(ctx, logins); err != nil {
		return nil, err
	}
	side := &reconcile.PPMS{Systems: lists.systems, Units: lists.units, Admins: lists.admins}
	systems := r.systems(side)
	if side.Rights, err = r.reader.AllSystemRights(ctx, systems, r.progress("rights", len(systems))); err != nil {
		return nil, err
	}
	records, err := r.readRecords(ctx, r.input(directory, side), lists, logins)
	if err != nil {
		return nil, err
	}
	side.Accounts, r.fresh = records.accounts(), records.fresh
	r.changed = changed(side.Accounts, r.known)
	return side, nil
}

// lists are the answers that name everything there is.
type lists struct {
	all, active, inactive []string
	units, admins         []string
	systems               []reconcile.System
}

func (r *run) readLists(ctx context.Context) (*lists, error) {
	l := &lists{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.Config.Pumapi().Concurrency)
	read := func(into *[]string, ask func() ([]string, error)) {
		group.Go(func() (err error) {
			*into, err = ask()
			return err
		})
	}
	read(&l.all, func() ([]string, error) { return r.reader.Users(ctx, ppms.Any) })
	read(&l.active, func() ([]string, error) { return r.reader.Users(ctx, ppms.OnlyActive) })
	read(&l.inactive, func() ([]string, error) { return r.reader.Users(ctx, ppms.OnlyInactive) })
	read(&l.units, func() ([]string, error) { return r.reader.Groups(ctx, ppms.Any) })
	read(&l.admins, func() ([]string, error) { return r.reader.Admins(ctx) })
	group.Go(func() error {
		systems, err := r.reader.Systems(ctx)
		for i := range systems {
			l.systems = append(l.systems, systems[i].System)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return l, nil
}

// logins checks the lists against each other and returns all users.
func (l *lists) logins() ([]string, error) {
	for _, list := range []struct {
		what  string
		empty bool
	}{
		{"active users", len(l.active) == 0},
		{"systems", len(l.systems) == 0},
		{"units", len(l.units) == 0},
		{"administrators", len(l.admins) == 0},
	} {
		if list.empty {
			return nil, fmt.Errorf("PPMS lists no %s, which cannot be: its answer is not whole, or the key may not see them", list.what)
		}
	}
	both := slices.Concat(l.active, l.inactive)
	all := slices.Clone(l.all)
	slices.Sort(both)
	slices.Sort(all)
	if !slices.Equal(all, both) {
		return nil, fmt.Errorf("PPMS's lists of users do not agree: %d in all, but %d active and %d inactive; one of them was cut short, or users "+
			"were changed meanwhile", len(l.all), len(l.active), len(l.inactive))
	}
	return slices.Compact(all), nil
}

// checkKnown asks for accounts that the ledger knows and the list lacks. If PPMS still has one, the list was cut.
func (r *run) checkKnown(ctx context.Context, logins []string) error {
	listed := make(map[reconcile.Key]bool, len(logins))
	for _, login := range logins {
		listed[reconcile.KeyOf(login)] = true
	}
	var ask []string
	note := func(login string) {
		if key := reconcile.KeyOf(login); !listed[key] {
			listed[key] = true
			ask = append(ask, login)
		}
	}
	for i := range r.known {
		note(r.known[i].Login)
	}
	for i := range r.memory.Links {
		note(r.memory.Links[i].Login)
	}
	found, _, err := r.reader.Records(ctx, ask, nil)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("getusers leaves out %s, but getuser still knows them: the list was cut short", some(loginsOf(found)))
	}
	return nil
}

func loginsOf(users []ppms.User) []string {
	logins := make([]string, len(users))
	for i := range users {
		logins[i] = users[i].Login
	}
	return logins
}

// some names the first few.
func some(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
