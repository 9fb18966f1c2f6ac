package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"ppms-syncd/internal/reconcile"
)

// AccountSeen is the record of an account as last read from PPMS, and when that was.
type AccountSeen struct {
	reconcile.Account
	VerifiedAt time.Time
}

// SaveAccounts stores records, each in the place of the one with the same spelled login.
func (l *Ledger) SaveAccounts(ctx context.Context, accounts []AccountSeen) error {
	if len(accounts) == 0 {
		return nil
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		stmt, err := tx.PrepareContext(ctx, `INSERT INTO accounts
			(login, key, lname, fname, email, phone, bcode, affiliation, unitlogin, active, verified)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (login) DO UPDATE SET lname = excluded.lname, fname = excluded.fname, email = excluded.email,
				phone = excluded.phone, bcode = excluded.bcode, affiliation = excluded.affiliation,
				unitlogin = excluded.unitlogin, active = excluded.active, verified = excluded.verified`)
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }()
		for i := range accounts {
			a := &accounts[i]
			args := []any{a.Login, string(reconcile.KeyOf(a.Login))}
			for _, field := range columns() {
				args = append(args, a.Fields[field])
			}
			if _, err := stmt.ExecContext(ctx, append(args, a.Active, millis(a.VerifiedAt))...); err != nil {
				return err
			}
		}
		return nil
	})
}

// columns are the fields in the order of the table.
func columns() [reconcile.NumFields]reconcile.Field {
	return [...]reconcile.Field{
		reconcile.Lname, reconcile.Fname, reconcile.Email, reconcile.Phone, reconcile.Bcode, reconcile.Affiliation, reconcile.Unit,
	}
}

const selectAccounts = `SELECT login, lname, fname, email, phone, bcode, affiliation, unitlogin, active, verified FROM accounts`

func scanAccount(s scanner) (a AccountSeen, err error) {
	var verified int64
	dest := []any{&a.Login}
	for _, field := range columns() {
		dest = append(dest, &a.Fields[field])
	}
	err = s.Scan(append(dest, &a.Active, &verified)...)
	a.VerifiedAt = moment(verified)
	return a, err
}

// Accounts returns all records, by login.
func (l *Ledger) Accounts(ctx context.Context) ([]AccountSeen, error) {
	return l.accounts(ctx, selectAccounts+` ORDER BY login`)
}

// Unmatched returns the active accounts that no entry is linked to, by login.
func (l *Ledger) Unmatched(ctx context.Context) ([]AccountSeen, error) {
	return l.accounts(ctx, selectAccounts+` WHERE active AND key NOT IN (SELECT key FROM links) ORDER BY login`)
}

func (l *Ledger) accounts(ctx context.Context, query string) (accounts []AccountSeen, err error) {
	err = l.read(ctx, func(tx *sql.Tx) (err error) {
		accounts, err = list(ctx, tx, scanAccount, query)
		return err
	})
	return accounts, err
}

// DropAccounts forgets the records of these accounts, spelled just so.
func (l *Ledger) DropAccounts(ctx context.Context, logins []string) error {
	if len(logins) == 0 {
		return nil
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, login := range logins {
			if _, err := execute(ctx, tx, `DELETE FROM accounts WHERE login = ?`, login); err != nil {
				return err
			}
		}
		return nil
	})
}

// View is what a run saw of PPMS beside the accounts and their rights.
type View struct {
	At      time.Time          `json:"at"`
	PPMS    string             `json:"ppms"` // which one: host and path of its address; "" before that was kept
	Systems []reconcile.System `json:"systems"`
	Units   []string           `json:"units"`
	Admins  []string           `json:"admins"`
}

// SaveView keeps the view of a run in the place of the one before.
func (l *Ledger) SaveView(ctx context.Context, run int64, v View) error {
	v.At = moment(millis(v.At))
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		_, err := execute(ctx, tx, `INSERT INTO view (one, run, content) VALUES (1, ?, ?)
			ON CONFLICT (one) DO UPDATE SET run = excluded.run, content = excluded.content`, run, string(content))
		return err
	})
}

// View returns the view of the last run, and whether there was one.
func (l *Ledger) View(ctx context.Context) (v View, found bool, err error) {
	err = l.read(ctx, func(tx *sql.Tx) error {
		var content []byte
		err := tx.QueryRowContext(ctx, `SELECT content FROM view`).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		return json.Unmarshal(content, &v)
	})
	return v, found, err
}
