package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// Approve lets the changes of a held plan be written by the runs until then.
func (a *App) Approve(ctx context.Context, hash string, lasts time.Duration) error {
	if err := checkHash(hash); err != nil {
		return err
	}
	var plan reconcile.Plan
	until := a.Now().Add(lasts)
	if err := a.withLedger(ctx, func(l Ledger) (err error) {
		var found bool
		switch plan, found, err = l.HeldPlan(ctx, hash); {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("no run has held a plan %s; `ppms-syncd history` lists those that are held. A plan that you have only looked at is "+
				"approved with `ppms-syncd apply FILE --approve HASH`", hash)
		}
		if err := l.Approve(ctx, plan, a.actor(), a.Now(), until); err != nil {
			return err
		}
		memory, err := l.Memory(ctx, a.Now())
		if end := approvedUntil(&plan, memory.Approved, a.Now()); end.After(until) { // an approval of before lasts longer
			until = end
		}
		return err
	}); err != nil {
		return err
	}
	how := "The next run writes those that it plans again unchanged."
	if plan.Undoes != 0 {
		how = "`ppms-syncd apply FILE`, with the file of this plan, writes them."
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("Approved until %s: %s (%d deactivations, %d revocations) of plan %s. %s\n", clock(until),
		count(len(plan.Changes), "change", "changes"), plan.Summary.Deactivations, plan.Summary.Revocations, plan.Hash, how)
	if plan.Tripped(reconcile.Shrink) {
		p.printf("Accepted as the new size of the directory: %s, %s.\n", count(plan.Directory.People, "person", "people"),
			count(plan.Directory.Groups, "group", "groups"))
	}
	return p.err
}

// Link says that an account belongs to an entry of the directory. The account is the one of the login; the entry is the one of
// the login too, unless its DN is given.
func (a *App) Link(ctx context.Context, login, dn string) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	r, err := a.newRun(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	login = strings.TrimSpace(login)
	read, err := r.source.Read(ctx, ldapsrc.Request{About: login})
	if err != nil {
		return err
	}
	person, err := chooseEntry(read, login, dn)
	if err != nil {
		return err
	}
	if login, err = r.spelled(ctx, login); err != nil {
		return err
	}
	account, exists, err := r.reader.User(ctx, login)
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("PPMS has no account %s to link", login)
	}
	link := reconcile.Link{
		ID: person.ID, Login: account.Login, Key: reconcile.KeyOf(person.Login), DN: person.DN, Origin: reconcile.ByHand, Since: r.Now(),
	}
	if err := r.ledger.Link(ctx, link, a.actor(), r.Now()); err != nil {
		return err
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("%s\n", harmless(fmt.Sprintf("%s (%s, %s) is now linked to %s.", account.Login, account.Fields[reconcile.Lname],
		account.Fields[reconcile.Email], person.DN)))
	return p.err
}

// spelled is a login as PPMS spells it, if PPMS has it at all: whether getuser folds the case of logins is not known.
func (r *run) spelled(ctx context.Context, login string) (string, error) {
	logins, err := r.reader.Users(ctx, ppms.Any)
	if err != nil {
		return "", err
	}
	login, _ = spelling(logins, login)
	return login, nil
}

// spelling finds a login in a list: just so, or else in another spelling.
func spelling(logins []string, login string) (found string, listed bool) {
	if slices.Contains(logins, login) {
		return login, true
	}
	same := func(other string) bool { return reconcile.KeyOf(other) == reconcile.KeyOf(login) }
	if i := slices.IndexFunc(logins, same); i >= 0 {
		return logins[i], true
	}
	return login, false
}

// chooseEntry finds the one entry that a link is for.
func chooseEntry(read *ldapsrc.Result, login, dn string) (*reconcile.Person, error) {
	var fits []*reconcile.Person
	for i := range read.Directory.People {
		p := &read.Directory.People[i]
		if dn != "" && ldapsrc.SameDN(p.DN, dn) || dn == "" && reconcile.KeyOf(p.Login) == reconcile.KeyOf(login) {
			fits = append(fits, p)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) > 1:
		var dns []string
		for _, p := range fits {
			dns = append(dns, p.DN)
		}
		slices.Sort(dns)
		return nil, usage("several entries have the login %s; say which with --dn: %s", login, strings.Join(dns, " or "))
	case dn != "":
		return nil, fmt.Errorf("the directory has no entry %s among those that are read", dn)
	}
	var why []string
	for _, e := range read.Elsewhere {
		why = append(why, fmt.Sprintf("; %s: %s", e.DN, e.Why))
	}
	return nil, fmt.Errorf("the directory has no entry with the login %s among those that are read%s", login, strings.Join(why, ""))
}

// Unlink makes an account local: it is never written again until somebody links it.
func (a *App) Unlink(ctx context.Context, login string) error {
	found := false
	if err := a.withLedger(ctx, func(l Ledger) (err error) {
		if login, _, err = accountOf(ctx, l, strings.TrimSpace(login)); err != nil { // which may have another login than the person
			return err
		}
		found, err = l.Unlink(ctx, login, a.actor(), a.Now())
		return err
	}); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the account %q is not linked; `ppms-syncd explain %s` tells more", login, login)
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("%s is no longer linked. If login and e-mail or last name agree with an entry, the next run links it again.\n", login)
	return p.err
}

// LinkAll relinks all accounts whose login, and e-mail or last name, agree with an entry that has another stable id than before:
// the directory was moved to another server. It lists them and asks first.
func (a *App) LinkAll(ctx context.Context, yes bool) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	r, err := a.newRun(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.recall(ctx); err != nil {
		return err
	}
	read, err := r.source.Read(ctx, ldapsrc.Request{})
	if err != nil {
		return err
	}
	lists, err := r.readLists(ctx)
	if err != nil {
		return err
	}
	logins, err := lists.logins()
	if err != nil {
		return err
	}
	users, _, err := r.reader.Records(ctx, logins, r.progress("accounts", len(logins)))
	if err != nil {
		return err
	}
	return r.relink(ctx, reconcile.Relink(read.Directory.People, accountsOf(users), r.memory.Links, r.Now()), yes)
}

func accountsOf(users []ppms.User) []reconcile.Account {
	accounts := make([]reconcile.Account, len(users))
	for i := range users {
		accounts[i] = users[i].Account
	}
	return accounts
}

func (r *run) relink(ctx context.Context, links []reconcile.Link, yes bool) error {
	p := &printer{out: r.Out, colour: r.Colour}
	if len(links) == 0 {
		p.printf("Nothing to link: no account agrees with an entry that it is not linked to already.\n")
		return p.err
	}
	before := map[reconcile.Key]string{}
	for _, l := range r.memory.Links {
		before[reconcile.KeyOf(l.Login)] = l.DN
	}
	rows := make([][]string, len(links))
	for i, l := range links {
		rows[i] = []string{l.Login, quoted(before[reconcile.KeyOf(l.Login)]), l.DN}
	}
	p.heading(text.Bold, "To be linked (%d)", len(links))
	p.table([]string{"login", "until now", "from now on"}, rows)
	if p.err != nil {
		return p.err
	}
	if !yes && r.ask("Link "+count(len(links), "account", "accounts")+"?") != Yes {
		return &ExitError{Code: ExitFailed, Err: errors.New("nothing was linked; answer yes, or give --yes")}
	}
	actor := r.actor()
	for i := range links {
		if err := r.ledger.Link(ctx, links[i], actor, r.Now()); err != nil {
			return err
		}
	}
	p.printf("Linked %s.\n", count(len(links), "account", "accounts"))
	return p.err
}
