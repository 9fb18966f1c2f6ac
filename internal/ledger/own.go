package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ppms-syncd/internal/reconcile"
)

// own keeps what an applied change makes ours, or ends it:
//
//	newuser                   the account is linked, and nothing known of an earlier one of its name holds
//	right set to N or A       ours, on top of what staff had given before; lowered to just that, it is staff's again, and
//	                          lowered without a grant of ours it never was ours
//	right set to D            ours is the D
//	active true → false       deactivated by us
//	active false → true       no longer so
func own(ctx context.Context, tx *sql.Tx, run int64, c *reconcile.Change, at time.Time) error {
	switch c.Kind {
	case reconcile.NewUser:
		return ownAccount(ctx, tx, run, c, at)
	case reconcile.SetRight:
		return ownRight(ctx, tx, run, c, at)
	case reconcile.UpdateUser:
		return ownState(ctx, tx, c, at)
	case reconcile.NewGroup, reconcile.CreateOrder: // by hand only
	}
	return nil
}

func ownAccount(ctx context.Context, tx *sql.Tx, run int64, c *reconcile.Change, at time.Time) error {
	key := reconcile.KeyOf(c.Login)
	if err := disown(ctx, tx, key); err != nil {
		return err
	}
	said, err := readWord(ctx, tx, run)
	if err != nil || c.PersonID == "" || said.ids[c.PersonID] || said.keys[key] {
		return err
	}
	if _, err := execute(ctx, tx, `DELETE FROM links WHERE id = ? OR key = ?`, c.PersonID, string(key)); err != nil {
		return err
	}
	scope, err := scopeOf(ctx, tx, run)
	if err != nil {
		return err
	}
	link := reconcile.Link{
		ID: c.PersonID, Login: c.Login, Key: key, DN: c.DN, Origin: reconcile.Created, Since: at, EnabledScope: scope,
	}
	return links().insert(ctx, tx, rowOfLink(link))
}

func ownRight(ctx context.Context, tx *sql.Tx, run int64, c *reconcile.Change, at time.Time) error {
	grant, found, err := grantOf(ctx, tx, c)
	if err != nil {
		return err
	}
	if !found {
		if c.From != nil {
			grant.Before, _ = reconcile.ParseLevel(*c.From)
		}
		if grant.WantedScope, err = scopeOf(ctx, tx, run); err != nil {
			return err
		}
	}
	grant.Login, grant.System, grant.At, grant.Unwanted = c.Login, c.System, at, nil
	if c.Rule != "" {
		grant.Rule = c.Rule
	}
	level, ok := reconcile.ParseLevel(c.To)
	if !ok || level == reconcile.Superuser {
		return fmt.Errorf("right of level %q", c.To)
	}
	grant.Level = level
	if found {
		if err := grants().remove(ctx, tx, rowOfGrant(grant)); err != nil {
			return err
		}
	}
	if level == grant.Before || !found && level < grant.Before && level != reconcile.Deactivated {
		return nil
	}
	return grants().insert(ctx, tx, rowOfGrant(grant))
}

// grantOf is what we know of the right that a change sets.
func grantOf(ctx context.Context, tx *sql.Tx, c *reconcile.Change) (g reconcile.Grant, found bool, err error) {
	r, err := grants().scan(tx.QueryRowContext(ctx, selectGrants+` WHERE key = ? AND system = ?`,
		string(reconcile.KeyOf(c.Login)), c.System))
	if errors.Is(err, sql.ErrNoRows) {
		return g, false, nil
	}
	if err != nil {
		return g, false, err
	}
	g, err = r.grant()
	return g, true, err
}

func ownState(ctx context.Context, tx *sql.Tx, c *reconcile.Change, at time.Time) error {
	active, ok := c.Fields[reconcile.ActiveField]
	if !ok {
		return nil
	}
	key := string(reconcile.KeyOf(c.Login))
	if _, err := execute(ctx, tx, `DELETE FROM deactivations WHERE key = ?`, key); err != nil || active.To != "false" {
		return err
	}
	return deactivations().insert(ctx, tx, deactivationRow{key, c.Login, millis(at), false})
}

// overrule gives staff what they wrote by hand: of a right that no run has seen in between nothing else would tell that it is theirs now.
func overrule(ctx context.Context, tx *sql.Tx, c *reconcile.Change) error {
	switch c.Kind {
	case reconcile.NewUser:
		return disown(ctx, tx, reconcile.KeyOf(c.Login))
	case reconcile.SetRight:
		grant, found, err := grantOf(ctx, tx, c)
		if err != nil || !found {
			return err
		}
		if err := grants().remove(ctx, tx, rowOfGrant(grant)); err != nil || grant.Level == reconcile.Deactivated {
			return err
		}
		grant.Overruled = true
		return grants().insert(ctx, tx, rowOfGrant(grant))
	case reconcile.UpdateUser, reconcile.NewGroup, reconcile.CreateOrder:
	}
	return nil
}

// disown forgets what was ours about an account, so that nothing of it can ever be taken away.
func disown(ctx context.Context, tx *sql.Tx, key reconcile.Key) error {
	if _, err := execute(ctx, tx, `DELETE FROM grants WHERE key = ?`, string(key)); err != nil {
		return err
	}
	_, err := execute(ctx, tx, `DELETE FROM deactivations WHERE key = ?`, string(key))
	return err
}
