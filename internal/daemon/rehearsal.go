package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// rehearsal is a simulated PPMS that takes the place of the real one. What is written goes there, and into a copy of the ledger.
type rehearsal struct {
	sim  *ppmssim.Sim
	url  string
	key  secret.Secret
	hash string // of the configuration that is rehearsed
}

// rehearse runs f with a program that is as this one, but for PPMS and the ledger. Both are gone afterwards. Where dry_run keeps the
// real PPMS as it is there is nothing to keep here, so that it does not count.
func (a *App) rehearse(ctx context.Context, snapshot string, f func(a *App) error) (err error) {
	seed, err := ppmssim.ReadSeed(snapshot)
	if err != nil {
		return fmt.Errorf("%w\nA snapshot is what `ppms-syncd ppms snapshot -o FILE` writes", err)
	}
	key := secret.New(rand.Text())
	sim, err := ppmssim.New(ppmssim.Options{Key: key, Seed: seed, Now: a.Now})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ppms-syncd-rehearsal-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, "ledger.db")
	if err := ledger.Copy(ctx, a.Config.Ledger.Path, copied); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy the ledger: %w", err)
	}
	url, stop, err := sim.Start() //nolint:contextcheck // it ends when it is stopped
	if err != nil {
		return err
	}
	defer stop()
	there, config := *a, *a.Config
	config.Ledger.Path, config.DryRun = copied, false
	there.Config, there.Metrics = &config, nil
	there.rehearsal = &rehearsal{sim, url, key, a.configHash()}
	return f(&there)
}

// configHash identifies the configuration, also where a rehearsal changed a copy of it: its plans are those of the real one.
func (a *App) configHash() string {
	if a.rehearsal != nil {
		return a.rehearsal.hash
	}
	return a.Config.Hash()
}

// Afterwards is what a rehearsal has come to.
type Afterwards struct {
	Changes []ppmssim.Change `json:"changes"` // of users and rights, each with what was before and what is now
	Left    int              `json:"left"`    // changes that a second plan would still make
}

// rehearseApply applies, a saved plan if there is one, shows what is there afterwards, and plans once more.
func (a *App) rehearseApply(ctx context.Context, mode ledger.Mode, file *reconcile.Plan, o ApplyOptions) error {
	report, err := a.apply(ctx, mode, file, o.Approve)
	if report == nil {
		return err
	}
	if err != nil {
		return report.end(errors.Join(err, a.print(report, o.Output, "")))
	}
	again, err := a.plan(ctx, file, report.Undoes)
	if err != nil {
		return fmt.Errorf("the second plan of the rehearsal: %w", err)
	}
	report.Afterwards = &Afterwards{Changes: afterwards(a.rehearsal.sim.Effects())}
	for i := range again.Changes {
		if again.Changes[i].Outcome == "" { // of a saved plan all that is done is stale
			report.Afterwards.Left++
		}
	}
	err = report.end(a.print(report, o.Output, ""))
	if err == nil && report.Afterwards.Left > 0 {
		return &ExitError{Code: ExitPartial}
	}
	return err
}

// afterwards sums up writes: of what was changed more than once, the beginning and the end.
func afterwards(effects []ppmssim.Effect) []ppmssim.Change {
	changes := []ppmssim.Change{}
	index := map[[2]string]int{}
	for i := range effects {
		for _, c := range effects[i].Changes {
			at, known := index[[2]string{c.Object, c.Field}]
			if known {
				changes[at].After = c.After
				continue
			}
			index[[2]string{c.Object, c.Field}] = len(changes)
			changes = append(changes, c)
		}
	}
	return changes
}

// afterwards shows what is there after a rehearsal, one line for each user and each right.
func (p *printer) afterwards(after *Afterwards) {
	var rows [][]string
	for _, c := range after.Changes {
		what := c.Field + " " + word(c.Before) + " → " + word(c.After)
		switch {
		case c.Field == "exists":
			what = "new"
		case c.Before == "" && c.Field != "level":
			what = c.Field + " " + c.After
		}
		if n := len(rows); n > 0 && rows[n-1][0] == c.Object {
			rows[n-1][1] += ", " + what
			continue
		}
		rows = append(rows, []string{c.Object, what})
	}
	p.heading(text.Bold, "Rehearsed: what PPMS would have afterwards (%d)", len(rows))
	p.table([]string{"what", "changed"}, rows)
	if after.Left == 0 {
		p.printf("A second plan has nothing left to do.\n")
		return
	}
	p.printf("A second plan still has %s.\n", count(after.Left, "change", "changes"))
}
