package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// explanation is all that explain has found about one login.
type explanation struct {
	login   string // of the account, whose entry may have another one
	now     time.Time
	found   *ldapsrc.Result
	view    reconcile.PersonView
	plan    reconcile.Plan
	journal []ledger.Entry
	seen    ledger.View // of the last run; its At is zero if there was none
	config  *config.Config
	names   []string // all logins there are, for a near miss
}

// Explain tells everything about one person: entry, mapping, rules, account, and what the next run does and why. The directory,
// the account and its rights are read now; what it knows of other accounts is from the last run.
func (a *App) Explain(ctx context.Context, login string) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	r, err := a.newPlanner(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	x, err := r.explain(ctx, strings.TrimSpace(login))
	if err != nil {
		return timedOut(ctx, err)
	}
	p := &printer{out: a.Out, colour: a.Colour}
	x.print(p)
	return p.err
}

func (r *run) explain(ctx context.Context, login string) (*explanation, error) {
	if err := r.recall(ctx); err != nil {
		return nil, err
	}
	x := &explanation{login: login, now: r.Now().UTC(), config: r.Config}
	if err := r.recallOne(ctx, x); err != nil {
		return nil, err
	}
	var err error
	if x.found, err = r.source.Read(ctx, request(r.memory, entryOf(x.login, r.memory.Links))); err != nil {
		return nil, err
	}
	side, err := r.sideOf(ctx, x)
	if err != nil {
		return nil, err
	}
	r.changed = changed(side.Accounts, r.known)
	in := r.input(x.found, side)
	x.view = reconcile.View(in, x.login)
	x.plan, _ = reconcile.Compute(in)
	x.judge(in.Settings.Guards, r.memory)
	if err := r.heldBefore(ctx, &x.plan); err != nil {
		return nil, err
	}
	for i := range x.found.Directory.People {
		x.names = append(x.names, x.found.Directory.People[i].Login)
	}
	for i := range side.Accounts {
		x.names = append(x.names, side.Accounts[i].Login)
	}
	return x, nil
}

// recallOne reads what the ledger has of the account, which may have another login than the entry.
func (r *run) recallOne(ctx context.Context, x *explanation) (err error) {
	if r.ledger == nil {
		return nil
	}
	x.login, _ = accountAmong(r.known, r.memory.Links, x.login)
	if x.seen, _, err = r.ledger.View(ctx); err != nil {
		return err
	}
	x.journal, err = r.ledger.EntriesOf(ctx, reconcile.KeyOf(x.login), 5)
	return err
}

// entryOf is the login of the entry that an account is linked to, as it was then.
func entryOf(login string, links []reconcile.Link) string {
	for i := range links {
		if link := &links[i]; reconcile.KeyOf(link.Login) == reconcile.KeyOf(login) && link.Key != reconcile.KeyOf(login) {
			return string(link.Key)
		}
	}
	return login
}

// judge lets the guards look at this person's changes alone: the rights of all others were not read, so that what the plan has of
// them means nothing.
func (x *explanation) judge(guards reconcile.GuardSettings, m reconcile.Memory) {
	mine := x.mine(x.plan.Changes)
	changes := make([]reconcile.Change, len(mine))
	for i, c := range mine {
		changes[i] = *c
	}
	x.plan.Changes = changes
	reconcile.Judge(&x.plan, guards, m, x.now)
}

// heldBefore marks the changes that a guard held in the last plan: what it counted of others is not known here, and will be so again,
// unless the configuration has changed.
func (r *run) heldBefore(ctx context.Context, plan *reconcile.Plan) error {
	if r.ledger == nil {
		return nil
	}
	run, _, err := r.ledger.Latest(ctx)
	if err != nil || run.Result != ledger.Held || run.Undoes != 0 || run.ConfigHash != r.configHash() {
		return err
	}
	last, _, err := r.ledger.HeldPlan(ctx, run.PlanHash)
	if err != nil {
		return err
	}
	held := make(map[string]string, len(last.Changes))
	for i := range last.Changes {
		held[last.Changes[i].ID()] = last.Changes[i].Held
	}
	for i := range plan.Changes {
		if c := &plan.Changes[i]; c.Held == "" && !c.Approved {
			c.Held = held[c.ID()]
		}
	}
	return nil
}

// sideOf reads one account and its rights now and takes the rest from the last run. Without one it asks PPMS for the lists.
func (r *run) sideOf(ctx context.Context, x *explanation) (*reconcile.PPMS, error) {
	side := &reconcile.PPMS{Systems: x.seen.Systems, Units: x.seen.Units, Admins: x.seen.Admins}
	var logins []string
	if x.seen.At.IsZero() {
		l, err := r.readLists(ctx)
		if err != nil {
			return nil, err
		}
		side.Systems, side.Units, side.Admins, logins = l.systems, l.units, l.admins, l.all
	}
	other := x.otherLogin(r.memory.Links)
	for i := range r.known {
		logins = append(logins, r.known[i].Login)
		if key := reconcile.KeyOf(r.known[i].Login); key != reconcile.KeyOf(x.login) && key != reconcile.KeyOf(other) {
			side.Accounts = append(side.Accounts, r.known[i].Account)
		}
	}
	user, exists, also, err := r.accountNow(ctx, x, other, logins)
	if err != nil {
		return nil, err
	}
	side.Accounts = append(side.Accounts, also...)
	side.Rights = map[int][]reconcile.Right{}
	if !exists {
		for _, system := range side.Systems {
			side.Rights[system.ID] = nil
		}
		return side, nil
	}
	side.Accounts = append(side.Accounts, user.Account)
	others, err := r.otherSpellings(ctx, logins, user.Login)
	if err != nil {
		return nil, err
	}
	side.Accounts = append(side.Accounts, others...)
	rights, err := r.reader.UserRights(ctx, user.Login)
	if err != nil {
		return nil, err
	}
	for _, system := range side.Systems {
		side.Rights[system.ID] = []reconcile.Right{{Login: user.Login, Level: rights[system.ID]}}
	}
	return side, nil
}

// accountNow reads the account, or that of the other login, to which staff may have renamed it since the last run; also is that one if
// both are there.
func (r *run) accountNow(
	ctx context.Context, x *explanation, other string, logins []string,
) (user ppms.User, exists bool, also []reconcile.Account, err error) {
	login, listed := spelling(logins, x.login)
	if !listed && !x.seen.At.IsZero() { // made since the last run, perhaps
		if login, err = r.spelled(ctx, login); err != nil {
			return user, false, nil, err
		}
	}
	if user, exists, err = r.reader.User(ctx, login); err != nil || other == "" {
		return user, exists, nil, err
	}
	other, _ = spelling(logins, other)
	renamed, there, err := r.reader.User(ctx, other)
	switch {
	case there && exists:
		also = append(also, renamed.Account)
	case there:
		user, exists, x.login = renamed, true, renamed.Login
	}
	return user, exists, also, err
}

// otherSpellings reads the accounts whose logins differ from this one in spelling alone: they hold each other.
func (r *run) otherSpellings(ctx context.Context, logins []string, login string) ([]reconcile.Account, error) {
	var accounts []reconcile.Account
	for _, other := range slices.Compact(slices.Sorted(slices.Values(logins))) {
		if other == login || reconcile.KeyOf(other) != reconcile.KeyOf(login) {
			continue
		}
		user, exists, err := r.reader.User(ctx, other)
		if err != nil {
			return nil, err
		}
		if exists && user.Login == other {
			accounts = append(accounts, user.Account)
		}
	}
	return accounts, nil
}

// otherLogin is that of the entry, if x has the account's, or the other way round; "" if both are the same.
func (x *explanation) otherLogin(links []reconcile.Link) string {
	linked := make(map[string]string, len(links))
	for i := range links {
		linked[links[i].ID] = links[i].Login
	}
	key := reconcile.KeyOf(x.login)
	for i := range x.found.Directory.People {
		p := &x.found.Directory.People[i]
		account := linked[p.ID]
		if account == "" || reconcile.KeyOf(account) == reconcile.KeyOf(p.Login) {
			continue
		}
		switch key {
		case reconcile.KeyOf(p.Login):
			return account
		case reconcile.KeyOf(account):
			return p.Login
		}
	}
	return ""
}

func (x *explanation) mine(changes []reconcile.Change) []*reconcile.Change {
	key := reconcile.KeyOf(x.login)
	var out []*reconcile.Change
	for i := range changes {
		if reconcile.KeyOf(changes[i].Login) == key {
			out = append(out, &changes[i])
		}
	}
	return out
}
