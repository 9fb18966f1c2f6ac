package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Link ties an account to an entry because somebody says so. It replaces the link that the entry or the account had. An
// account that loses its link thereby becomes local as by [Ledger.Unlink]; of the one that is linked, rights and a deactivation
// of ours remain ours. What counts towards a removal starts anew, and approvals end. The link's Origin becomes
// [reconcile.ByHand], its EnabledScope "". What is held of the person is held of the account, too, that is linked.
func (l *Ledger) Link(ctx context.Context, link reconcile.Link, actor Actor, at time.Time) error {
	key := reconcile.KeyOf(link.Login)
	if link.ID == "" || key == "" {
		return plain("ledger %s: a link needs the stable id of an entry and the login of an account", l.path)
	}
	link.Origin, link.EnabledScope = reconcile.ByHand, ""
	return l.write(ctx, func(tx *sql.Tx) error {
		replaced, err := list(ctx, tx, links().scan,
			selectLinks+` WHERE id = ? OR key = ?`, link.ID, string(key))
		if err != nil {
			return err
		}
		for _, r := range replaced {
			if err := cut(ctx, tx, r, reconcile.Key(r.account) == key, actor, at); err != nil {
				return err
			}
			if r.id == link.ID {
				if err := copyHolds(ctx, tx, reconcile.Key(r.account), key); err != nil {
					return err
				}
			}
		}
		if err := intervene(ctx, tx, intervention{verb: "link", key: key, person: link.ID, detail: link.DN}, actor, at); err != nil {
			return err
		}
		if _, err := execute(ctx, tx, `DELETE FROM leavers WHERE id = ?`, link.ID); err != nil {
			return err
		}
		if _, err := execute(ctx, tx, `DELETE FROM approvals WHERE key = ?`, string(key)); err != nil {
			return err
		}
		if _, err := execute(ctx, tx, `UPDATE grants SET wanted_scope = '', unwanted_state = NULL, unwanted_since = NULL, unwanted_reads = NULL,
			unwanted_scope = NULL WHERE key = ?`, string(key)); err != nil { // that a rule gave it was of the person before
			return err
		}
		return links().insert(ctx, tx, rowOfLink(link))
	})
}

// Unlink makes an account local, and says whether it was linked. What we granted to it or deactivated of it is ours no more
// and counts as staff's; its person is no leaver and its approvals end. So nothing that happened before can lead to a removal,
// even if the next complete read links the account again.
func (l *Ledger) Unlink(ctx context.Context, login string, actor Actor, at time.Time) (found bool, err error) {
	err = l.write(ctx, func(tx *sql.Tx) error {
		r, err := links().scan(tx.QueryRowContext(ctx,
			selectLinks+` WHERE key = ?`, string(reconcile.KeyOf(login))))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		return cut(ctx, tx, r, false, actor, at)
	})
	return found && err == nil, err
}

// cut removes one link; what is ours about its account is kept only if that gets another link.
func cut(ctx context.Context, tx *sql.Tx, r linkRow, keep bool, actor Actor, at time.Time) error {
	if err := links().remove(ctx, tx, r); err != nil {
		return err
	}
	if _, err := execute(ctx, tx, `DELETE FROM leavers WHERE id = ?`, r.id); err != nil {
		return err
	}
	key := reconcile.Key(r.account)
	if _, err := execute(ctx, tx, `DELETE FROM approvals WHERE key = ?`, r.account); err != nil {
		return err
	}
	if !keep {
		if err := disown(ctx, tx, key); err != nil {
			return err
		}
	}
	return intervene(ctx, tx, intervention{verb: "unlink", key: key, person: r.id, detail: r.dn}, actor, at)
}

// intervention is something that a person told the ledger.
type intervention struct {
	verb           string
	key            reconcile.Key
	person, detail string
}

func intervene(ctx context.Context, tx *sql.Tx, i intervention, actor Actor, at time.Time) error {
	_, err := execute(ctx, tx, `INSERT INTO interventions (at, run, verb, key, person, detail, os_user, host, version)
		VALUES (?, (SELECT coalesce(max(id), 0) FROM runs), ?, ?, ?, ?, ?, ?, ?)`,
		millis(at), i.verb, string(i.key), i.person, i.detail, actor.User, actor.Host, actor.Version)
	return err
}
