package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Observe stores what a complete read showed. It belongs between the comparison and the run's first write, whose effects it
// would otherwise take back, and says so. Leavers, Grants, Deactivated, Admins, Rules and Stuck replace what was stored; Linked is
// added to the links or moves them, and holds follow what Moved says; a Baseline of nil changes nothing.
//
// What people said by [Ledger.Link], [Ledger.Unlink] and [Ledger.Release] after the run began is newer than the read: it stands.
func (l *Ledger) Observe(ctx context.Context, run int64, obs reconcile.Observations, at time.Time) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		if err := mayObserve(ctx, tx, run); err != nil {
			return err
		}
		said, err := readWord(ctx, tx, run)
		if err != nil {
			return err
		}
		if err := observeLinks(ctx, tx, obs, said); err != nil {
			return err
		}
		if err := observeLists(ctx, tx, obs, said); err != nil {
			return err
		}
		if err := moveHolds(ctx, tx, obs.Moved); err != nil {
			return err
		}
		if err := observeStuck(ctx, tx, run, obs.Stuck); err != nil {
			return err
		}
		if obs.Baseline != nil {
			b := *obs.Baseline
			if b.At.IsZero() {
				b.At = at
			}
			return writeBaseline(ctx, tx, run, b)
		}
		return nil
	})
}

func mayObserve(ctx context.Context, tx *sql.Tx, run int64) error {
	var known, wrote bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM runs WHERE id = ?1),
		EXISTS (SELECT 1 FROM journal WHERE run = ?1 AND outcome = 'applied')`, run).Scan(&known, &wrote)
	switch {
	case err != nil:
		return err
	case !known:
		return fmt.Errorf("there is no run %d", run)
	case wrote:
		return fmt.Errorf("run %d has written already: what it observed belongs before its first write", run)
	}
	return nil
}

// word is what people said about links since a run began.
type word struct {
	ids      map[string]bool        // stable ids that it is about
	keys     map[reconcile.Key]bool // accounts that it is about
	unlinked map[reconcile.Key]bool // accounts that are local since
}

func readWord(ctx context.Context, tx *sql.Tx, run int64) (word, error) {
	w := word{map[string]bool{}, map[reconcile.Key]bool{}, map[reconcile.Key]bool{}}
	type said struct {
		verb, id string
		key      reconcile.Key
	}
	all, err := list(ctx, tx, func(s scanner) (r said, err error) { return r, s.Scan(&r.verb, &r.id, &r.key) },
		`SELECT verb, person, key FROM interventions WHERE run >= ? AND verb IN ('link', 'unlink') ORDER BY id`, run)
	for _, r := range all {
		w.ids[r.id], w.keys[r.key], w.unlinked[r.key] = true, true, r.verb == "unlink"
	}
	return w, err
}

func observeLinks(ctx context.Context, tx *sql.Tx, obs reconcile.Observations, said word) error {
	if len(obs.Linked) == 0 {
		return nil
	}
	stored, err := links().all(ctx, tx)
	if err != nil {
		return err
	}
	wanted := make(map[string]linkRow, len(stored)+len(obs.Linked))
	for _, r := range stored {
		wanted[r.id] = r
	}
	for _, link := range obs.Linked {
		if !said.ids[link.ID] && !said.keys[reconcile.KeyOf(link.Login)] {
			wanted[link.ID] = rowOfLink(link)
		}
	}
	holders := make(map[string]string, len(wanted))
	for id, r := range wanted {
		if other, ok := holders[r.account]; ok {
			return fmt.Errorf("account %s would be linked to two entries, %s and %s", r.login, min(id, other), max(id, other))
		}
		holders[r.account] = id
	}
	return links().replace(ctx, tx, wanted)
}

func observeLists(ctx context.Context, tx *sql.Tx, obs reconcile.Observations, said word) error {
	leaving := make(map[string]leaverRow, len(obs.Leavers))
	for id, cause := range obs.Leavers {
		if !said.ids[id] {
			leaving[id] = rowOfLeaver(id, cause)
		}
	}
	granted := make(map[string]grantRow, len(obs.Grants))
	for _, g := range obs.Grants {
		if said.keys[reconcile.KeyOf(g.Login)] {
			g.WantedScope, g.Unwanted = "", nil
		}
		if r := rowOfGrant(g); !said.unlinked[reconcile.Key(r.account)] {
			granted[r.key()] = r
		}
	}
	deactivated := make(map[string]deactivationRow, len(obs.Deactivated))
	for key, d := range obs.Deactivated {
		if !said.unlinked[key] {
			deactivated[string(key)] = deactivationRow{string(key), d.Login, millis(d.At), d.Overruled}
		}
	}
	administrators := make(map[string]adminRow, len(obs.Admins))
	for key, seen := range obs.Admins {
		administrators[string(key)] = adminRow{string(key), millis(seen)}
	}
	ruled, err := rowsOfRules(&obs)
	if err != nil {
		return err
	}
	for _, replace := range []func() error{
		func() error { return leavers().replace(ctx, tx, leaving) },
		func() error { return grants().replace(ctx, tx, granted) },
		func() error { return deactivations().replace(ctx, tx, deactivated) },
		func() error { return admins().replace(ctx, tx, administrators) },
		func() error { return rules().replace(ctx, tx, ruled) },
	} {
		if err := replace(); err != nil {
			return err
		}
	}
	return nil
}
