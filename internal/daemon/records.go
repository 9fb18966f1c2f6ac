package daemon

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// records are what a run knows of accounts: what it has read itself, and what the ledger remembers of earlier runs. PPMS answers
// slowly and has no call for several users, so that a run reads only what it must:
//
//   - accounts that the ledger does not know, or knows with another state than the lists have;
//   - those that were not read for longest, so many that each has its turn within ppms.verify_every;
//   - those on which something in the plan rests; see [reconcile.RestsOn].
//
// A change that staff make to any other record is found when its turn comes. It is never overwritten unseen before: what would
// be written is read first, here for the plan and once more before the write.
type records struct {
	logins []string // all there are, sorted
	known  map[string]reconcile.Account
	fresh  map[string]bool // read in this run
}

// newRecords takes what the ledger remembers, as far as it can be so.
func newRecords(logins, active []string, remembered []ledger.AccountSeen) *records {
	isActive := make(map[string]bool, len(active))
	for _, login := range active {
		isActive[login] = true
	}
	r := &records{logins: logins, known: make(map[string]reconcile.Account, len(logins)), fresh: map[string]bool{}}
	for i := range remembered {
		a := &remembered[i]
		if a.Active == isActive[a.Login] { // else it changed, or is gone
			r.known[a.Login] = a.Account
		}
	}
	return r
}

// remembered are the records that the ledger has. Those of another PPMS than the configuration names now count as never verified:
// accounts of its namesakes need not be the same.
func (a *App) remembered(ctx context.Context, l Ledger) ([]ledger.AccountSeen, error) {
	view, _, err := l.View(ctx)
	if err != nil {
		return nil, err
	}
	accounts, err := l.Accounts(ctx)
	if view.PPMS != a.instance() {
		for i := range accounts {
			accounts[i] = unknown(accounts[i].Account)
		}
	}
	return accounts, err
}

// unknown is a record of which nobody can say whose it is: it was not read yet, or we write both e-mail and last name.
func unknown(a reconcile.Account) ledger.AccountSeen {
	a.Fields[reconcile.Email], a.Fields[reconcile.Lname] = "", ""
	return ledger.AccountSeen{Account: a}
}

// changed finds accounts of which neither e-mail nor last name is as it was, whatever the spelling of their login.
func changed(accounts []reconcile.Account, remembered []ledger.AccountSeen) map[reconcile.Key]bool {
	now, spelled := make(map[string]*reconcile.Account, len(accounts)), make(map[reconcile.Key]*reconcile.Account, len(accounts))
	for i := range accounts {
		now[accounts[i].Login], spelled[reconcile.KeyOf(accounts[i].Login)] = &accounts[i], &accounts[i]
	}
	other := map[reconcile.Key]bool{}
	for i := range remembered {
		was, key := &remembered[i], reconcile.KeyOf(remembered[i].Login)
		a := cmp.Or(now[was.Login], spelled[key])
		known := was.Fields[reconcile.Email] != "" || was.Fields[reconcile.Lname] != ""
		if a != nil && known && !sameField(a, was, reconcile.Email) && !sameField(a, was, reconcile.Lname) {
			other[key] = true
		}
	}
	return other
}

func sameField(a *reconcile.Account, was *ledger.AccountSeen, f reconcile.Field) bool {
	return reconcile.Same(f, a.Fields[f], was.Fields[f])
}

// unknown lists the accounts of which nothing is known.
func (r *records) unknown() []string {
	return slices.DeleteFunc(slices.Clone(r.logins), func(login string) bool {
		_, known := r.known[login]
		return known
	})
}

// unread narrows a list to accounts that were not read in this run.
func (r *records) unread(logins []string) []string {
	return slices.DeleteFunc(logins, func(login string) bool { return r.fresh[login] })
}

// accounts are all, in the order of their logins.
func (r *records) accounts() []reconcile.Account {
	all := make([]reconcile.Account, len(r.logins))
	for i, login := range r.logins {
		all[i] = r.known[login]
	}
	return all
}

// read asks PPMS for the records of these accounts.
func (r *records) read(ctx context.Context, reader *ppms.Reader, logins []string, step Step) error {
	users, gone, err := reader.Records(ctx, logins, step)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		return fmt.Errorf("getusers lists %s, but getuser does not know them; if they were removed just now, the next run is fine", some(gone))
	}
	for i := range users {
		r.known[logins[i]] = users[i].Account
		r.fresh[logins[i]] = true
	}
	return nil
}

// due lists the accounts whose turn it is: the oldest part of all, as large as the time since the last run is of every. A run that
// failed took nobody's turn.
func due(remembered []ledger.AccountSeen, total int, every time.Duration, now time.Time) []string {
	oldest := slices.Clone(remembered)
	slices.SortFunc(oldest, func(a, b ledger.AccountSeen) int {
		return cmp.Or(a.VerifiedAt.Compare(b.VerifiedAt), cmp.Compare(a.Login, b.Login))
	})
	n := len(oldest)
	if n > 0 {
		since := now.Sub(oldest[n-1].VerifiedAt)
		if since >= 0 && since < every { // else all: so much time has passed, or the clock went back
			n = min(n, int(math.Ceil(float64(total)*float64(since)/float64(every))))
		}
	}
	logins := make([]string, 0, n)
	for i := range oldest {
		if i < n || oldest[i].VerifiedAt.IsZero() { // written since it was read
			logins = append(logins, oldest[i].Login)
		}
	}
	return logins
}

// readRecords reads what a run must read of accounts, beginning with what is unknown or due; then whatever the plan turns out to
// rest on, until it rests on nothing that was not read. That ends, since each round reads more.
func (r *run) readRecords(ctx context.Context, in reconcile.Input, lists *lists, logins []string) (*records, error) {
	known := newRecords(logins, lists.active, r.known)
	listed := make(map[string]bool, len(logins))
	for _, login := range logins {
		listed[login] = true
	}
	ask := append(known.unknown(), due(r.known, len(logins), r.Config.Pumapi().VerifyEvery, r.Now())...)
	for i := range r.journal { // an undo looks at all that it may take back
		ask = append(ask, r.journal[i].Login)
	}
	ask = slices.DeleteFunc(ask, func(login string) bool { return !listed[login] })
	slices.Sort(ask)
	ask = slices.Compact(ask)
	for {
		if err := known.read(ctx, r.reader, ask, r.progress("accounts", len(ask))); err != nil {
			return nil, err
		}
		if len(known.fresh) == len(logins) {
			return known, nil
		}
		in.PPMS.Accounts = known.accounts()
		plan, seen := r.compare(in)
		if ask = known.unread(reconcile.RestsOn(in, &plan, &seen)); len(ask) == 0 {
			return known, nil
		}
	}
}
