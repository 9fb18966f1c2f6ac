package daemon

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// choices asks the ledger for what a shell completes, in the order in which it is to be shown; if anything is wrong, there are none.
func (a *App) choices(ctx context.Context, list func(l Ledger) ([]string, error)) []string {
	l, err := a.readLedger(ctx)
	if err != nil || l == nil {
		return nil
	}
	defer func() { _ = l.Close() }() // it was only read
	all, err := list(l)
	if err != nil {
		return nil
	}
	return all
}

// Logins are the accounts that the ledger knows.
func (a *App) Logins(ctx context.Context) []string {
	return a.choices(ctx, func(l Ledger) ([]string, error) {
		accounts, links, err := knownAccounts(ctx, l)
		return alphabetical(loginsKnown(accounts, links)), err
	})
}

// HeldLogins are those of which something is held.
func (a *App) HeldLogins(ctx context.Context) []string {
	return a.choices(ctx, func(l Ledger) (logins []string, err error) {
		memory, err := l.Memory(ctx, time.Time{})
		for _, h := range memory.Held() {
			logins = append(logins, string(h.Key))
		}
		return alphabetical(logins), err
	})
}

// alphabetical is each once.
func alphabetical(logins []string) []string {
	slices.Sort(logins)
	return slices.Compact(logins)
}

// RunNumbers are those of the last runs, the latest first, each with when it was and how it ended.
func (a *App) RunNumbers(ctx context.Context) []string {
	return a.choices(ctx, func(l Ledger) (numbers []string, err error) {
		const recent = 50
		runs, err := l.Runs(ctx, recent)
		for i := range runs {
			numbers = append(numbers, strconv.FormatInt(runs[i].ID, 10)+"\t"+clock(runs[i].Started)+", "+resultWord(&runs[i]))
		}
		return numbers, err
	})
}
