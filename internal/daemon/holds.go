package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// Hold leaves a person alone until they are released: nothing of their account, rights and state is written, by the first run neither.
func (a *App) Hold(ctx context.Context, login, reason string) error {
	login = strings.TrimSpace(login)
	if reason = strings.TrimSpace(reason); reason == "" {
		reason = "held by " + a.actor().User
	}
	l, err := a.openLedger(ctx)
	if err != nil {
		return err
	}
	login, known, err := accountOf(ctx, l, login)
	if err == nil {
		err = l.Hold(ctx, []reconcile.Hold{{Key: reconcile.KeyOf(login), Reason: reason}}, a.actor(), a.Now())
	}
	if err = errors.Join(err, l.Close()); err != nil {
		return err
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("%s is left alone from the next run on, until `ppms-syncd release %[1]s`.\n", harmless(login))
	if !known {
		p.printf("No run has seen such an account in PPMS: if the login is right, none is made.\n")
	}
	return p.err
}

// accountOf is the login of a person's account, whose entry may have another one, and whether the ledger knows it.
func accountOf(ctx context.Context, l Ledger, login string) (account string, known bool, err error) {
	accounts, links, err := knownAccounts(ctx, l)
	account, known = accountAmong(accounts, links, login)
	return account, known, err
}

// accountAmong is accountOf, where the ledger was read already.
func accountAmong(accounts []ledger.AccountSeen, links []reconcile.Link, login string) (account string, known bool) {
	if _, listed := spelling(loginsKnown(accounts, links), login); listed {
		return login, true
	}
	for i := range links {
		if links[i].Key == reconcile.KeyOf(login) {
			return links[i].Login, true
		}
	}
	return login, false
}

// knownAccounts are those that the ledger has seen or linked.
func knownAccounts(ctx context.Context, l Ledger) ([]ledger.AccountSeen, []reconcile.Link, error) {
	accounts, err := l.Accounts(ctx)
	if err != nil {
		return nil, nil, err
	}
	memory, err := l.Memory(ctx, time.Time{})
	return accounts, memory.Links, err
}

func loginsKnown(accounts []ledger.AccountSeen, links []reconcile.Link) (logins []string) {
	for i := range accounts {
		logins = append(logins, accounts[i].Login)
	}
	for i := range links {
		logins = append(logins, links[i].Login)
	}
	return logins
}

// Release ends all holds on one person.
func (a *App) Release(ctx context.Context, login string) error {
	login = strings.TrimSpace(login)
	return a.release(ctx, login, func(l Ledger) ([]reconcile.Hold, error) {
		gone, err := l.Release(ctx, reconcile.KeyOf(login), a.actor(), a.Now())
		if err != nil || len(gone) > 0 {
			return gone, err
		}
		account, _, err := accountOf(ctx, l, login)
		if err != nil {
			return nil, err
		}
		return l.Release(ctx, reconcile.KeyOf(account), a.actor(), a.Now())
	})
}

// ReleaseRun ends all holds that the undoing of a run made.
func (a *App) ReleaseRun(ctx context.Context, run int64) error {
	return a.release(ctx, fmt.Sprintf("run %d", run), func(l Ledger) ([]reconcile.Hold, error) {
		return l.ReleaseRun(ctx, run, a.actor(), a.Now())
	})
}

func (a *App) release(ctx context.Context, what string, release func(Ledger) ([]reconcile.Hold, error)) error {
	var gone []reconcile.Hold
	var seen ledger.View
	if err := a.withLedger(ctx, func(l Ledger) (err error) {
		if seen, _, err = l.View(ctx); err != nil {
			return err
		}
		gone, err = release(l)
		return err
	}); err != nil {
		return err
	}
	if len(gone) == 0 {
		return fmt.Errorf("nothing is held of %s; `ppms-syncd history --holds` lists what is", what)
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("Released: %s. The next run decides on them again.\n", count(len(gone), "hold", "holds"))
	p.holds(gone, seen)
	return p.err
}

// holds lists what is left alone, since when and why.
func (p *printer) holds(holds []reconcile.Hold, seen ledger.View) {
	rows := make([][]string, len(holds))
	for i, h := range holds {
		rows[i] = []string{string(h.Key), heldWhat(h.Field, seen), clock(h.At), h.Reason}
	}
	p.table([]string{"login", "what", "since", "reason"}, rows)
}

// heldWhat names what a hold is about, for people.
func heldWhat(field string, seen ledger.View) string {
	if field == "" {
		return "everything"
	}
	for i := range seen.Systems {
		if s := &seen.Systems[i]; field == reconcile.SystemField(s.ID) {
			return fmt.Sprintf("right on %s (%d)", s.Name, s.ID)
		}
	}
	return strings.Replace(field, "system:", "right on system ", 1)
}

// holdJSON is one hold for programs.
type holdJSON struct {
	Login  string `json:"login"` // normalised
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
	Run    int64  `json:"run,omitempty"`
	Since  string `json:"since"`
}

func holdsJSON(holds []reconcile.Hold) []holdJSON {
	out := make([]holdJSON, len(holds))
	for i, h := range holds {
		out[i] = holdJSON{string(h.Key), h.Field, h.Reason, h.Run, stamp(h.At)}
	}
	return out
}

// historyHolds lists all holds with the way to end them.
func (a *App) historyHolds(ctx context.Context, l Ledger, o HistoryOptions) error {
	memory, err := l.Memory(ctx, a.Now())
	if err != nil {
		return err
	}
	held := memory.Held()
	if o.Output == JSON {
		return a.printJSON(holdsJSON(held))
	}
	seen, _, err := l.View(ctx)
	if err != nil {
		return err
	}
	p := &printer{out: a.Out, colour: a.Colour}
	if len(held) == 0 {
		p.printf("Nothing is held.\n")
		return p.err
	}
	p.holds(held, seen)
	p.printf("\n%s\n", howToRelease(held))
	return p.err
}

// howToRelease is the sentence that ends a list of holds.
func howToRelease(holds []reconcile.Hold) string {
	for _, h := range holds {
		if h.Run == 0 {
			continue
		}
		return fmt.Sprintf("To end holds: ppms-syncd release LOGIN, or ppms-syncd release --run %d for all that the undoing of run %[1]d holds.", h.Run)
	}
	return "To end holds: ppms-syncd release LOGIN."
}
