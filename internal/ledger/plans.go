package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ppms-syncd/internal/reconcile"
)

// HeldPlan is a plan that a guard held.
type HeldPlan struct {
	Run  int64
	At   time.Time
	Plan reconcile.Plan
}

// HoldPlan keeps a plan that a guard held. The same plan, held again, takes the place of the older, but for one thing: if the
// directory shrank further meanwhile, the larger size stays, for that is what whoever approves it has seen. A hash covers changes, and
// those of a read that shrank may be none.
func (l *Ledger) HoldPlan(ctx context.Context, run int64, plan reconcile.Plan, at time.Time) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		if err := keepSize(ctx, tx, &plan, at); err != nil {
			return err
		}
		content, err := json.Marshal(plan)
		if err != nil {
			return err
		}
		if _, err := execute(ctx, tx, `INSERT INTO held_plans (hash, run, at, plan) VALUES (?, ?, ?, ?)
			ON CONFLICT (hash) DO UPDATE SET run = excluded.run, at = excluded.at, plan = excluded.plan`,
			plan.Hash, run, millis(at), string(content)); err != nil {
			return err
		}
		return makeRoom(ctx, tx)
	})
}

// room is how many bytes of plans are kept beside the newest. A plan for 20000 people has 7 MB, and while it waits to be approved each
// person who comes or goes makes another one of it.
const room = 64 << 20

// makeRoom removes the oldest plans. What they held is in the newer ones, or is no longer wanted.
func makeRoom(ctx context.Context, tx *sql.Tx) error {
	_, err := execute(ctx, tx, `DELETE FROM held_plans WHERE rowid IN (SELECT id FROM (
		SELECT rowid AS id, sum(octet_length(plan)) OVER (ORDER BY run DESC, rowid DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
			AS newer FROM held_plans) WHERE newer > ?)`, room) // NULL for the newest
	return err
}

// keepSize gives a plan the larger size of the same plan held before, as long as no other read was accepted since.
func keepSize(ctx context.Context, tx *sql.Tx, plan *reconcile.Plan, at time.Time) error {
	before, err := list(ctx, tx, scanPlan, selectPlans+` WHERE hash = ?`, plan.Hash)
	if err != nil || len(before) == 0 || !plan.Tripped(reconcile.Shrink) {
		return err
	}
	var m reconcile.Memory
	if err := readBaseline(ctx, tx, &m); err != nil {
		return err
	}
	if old := &before[0].Plan; old.Tripped(reconcile.Shrink) && newer(old.CreatedAt, m.Baseline, at) {
		plan.Directory.People = max(plan.Directory.People, old.Directory.People)
		plan.Directory.Groups = max(plan.Directory.Groups, old.Directory.Groups)
	}
	return nil
}

const selectPlans = `SELECT run, at, plan FROM held_plans`

func scanPlan(s scanner) (p HeldPlan, err error) {
	var at int64
	var content []byte
	if err := s.Scan(&p.Run, &at, &content); err != nil {
		return HeldPlan{}, err
	}
	p.At = moment(at)
	return p, json.Unmarshal(content, &p.Plan)
}

const (
	hashPrefix = "sha256:"
	minDigits  = 8 // of a hash that somebody types
)

// HashDigits are those of a hash that somebody typed, if it can be one.
func HashDigits(typed string) (string, error) {
	digits := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(typed)), hashPrefix)
	switch {
	case strings.Trim(digits, "0123456789abcdef") != "":
		return "", fmt.Errorf("%q is no plan hash: it has digits from 0 to f only", typed)
	case len(digits) < minDigits:
		return "", fmt.Errorf("plan hash %q is too short: give its first %d digits or more", typed, minDigits)
	}
	return digits, nil
}

// HeldPlan finds a held plan by its hash or by the first 8 digits of it or more, with or without "sha256:". A prefix that is
// shorter or that several plans share is an error.
func (l *Ledger) HeldPlan(ctx context.Context, hash string) (plan reconcile.Plan, found bool, err error) {
	digits, err := HashDigits(hash)
	if err != nil {
		return plan, false, err
	}
	err = l.read(ctx, func(tx *sql.Tx) error {
		plans, err := list(ctx, tx, scanPlan, selectPlans+` WHERE hash >= ? AND hash < ? LIMIT 2`,
			hashPrefix+digits, hashPrefix+digits+"g")
		if err != nil || len(plans) == 0 {
			return err
		}
		if len(plans) > 1 {
			return plain("several held plans begin with %q: give more digits", hash)
		}
		plan, found = plans[0].Plan, true
		return nil
	})
	return plan, found, err
}

// Approve stores that a plan's changes may be made until then. If shrink held the plan, what its read counted is
// accepted too: as of the time of that read, under the scope of the accepted read before, so that a configuration that changed
// meanwhile still makes removals wait. A read that was accepted later stands.
func (l *Ledger) Approve(ctx context.Context, plan reconcile.Plan, actor Actor, at, until time.Time) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		for i := range plan.Changes {
			c := &plan.Changes[i]
			if _, err := execute(ctx, tx, `INSERT INTO approvals (change, key, plan_hash, at, until) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (change) DO UPDATE SET plan_hash = excluded.plan_hash, at = excluded.at, until = excluded.until
				WHERE excluded.until > until`,
				reconcile.ApprovalOf(plan.Undoes, c), string(reconcile.KeyOf(c.Login)), plan.Hash, millis(at), millis(until)); err != nil {
				return err
			}
		}
		if err := acceptCounts(ctx, tx, &plan, at); err != nil {
			return err
		}
		return intervene(ctx, tx, intervention{verb: "approve", detail: plan.Hash}, actor, at)
	})
}

// newer says whether a read is newer than the last accepted one, if the clock was not ahead then.
func newer(read time.Time, accepted reconcile.Baseline, now time.Time) bool {
	return read.After(accepted.At) || accepted.At.After(now)
}

func acceptCounts(ctx context.Context, tx *sql.Tx, plan *reconcile.Plan, at time.Time) error {
	if !plan.Tripped(reconcile.Shrink) {
		return nil
	}
	var m reconcile.Memory
	if err := readBaseline(ctx, tx, &m); err != nil {
		return err
	}
	read := plan.CreatedAt
	if read.IsZero() {
		read = at
	}
	if !newer(read, m.Baseline, at) {
		return nil
	}
	return writeBaseline(ctx, tx, 0, reconcile.Baseline{
		At: read, People: plan.Directory.People, Groups: plan.Directory.Groups, Scope: m.Baseline.Scope,
	})
}
