package ppms

import (
	"context"
	"net/url"

	"ppms-syncd/internal/reconcile"
)

// Active is PUMAPI's parameter of that name, which has three states.
type Active string

// What a list may be narrowed to.
const (
	Any          Active = ""
	OnlyActive   Active = "true"
	OnlyInactive Active = "false"
)

func (a Active) form() url.Values {
	if a == Any {
		return url.Values{}
	}
	return url.Values{"active": {string(a)}}
}

// User is one PPMS user, as getuser returns it.
type User struct {
	reconcile.Account
	MustChangePassword bool
	MustChangeBcode    bool
}

// Auth asks whether PPMS accepts the key. By the vendor's documentation an empty answer means that it does.
func (r *Reader) Auth(ctx context.Context) error {
	_, err := read(ctx, r, "auth", nil, func(text string) (struct{}, error) {
		if text == "" {
			return struct{}{}, nil
		}
		return parseStatus(text)
	})
	return err
}

// Users lists logins. An empty list is returned as it came: whether it may be empty, and whether it is whole, the caller
// must judge.
func (r *Reader) Users(ctx context.Context, active Active) ([]string, error) {
	return read(ctx, r, "getusers", active.form(), parseList)
}

// Admins lists the logins of PPMS's administrators.
func (r *Reader) Admins(ctx context.Context) ([]string, error) {
	return read(ctx, r, "getadmins", nil, parseList)
}

// User reads one user; false if PPMS has none of that login.
func (r *Reader) User(ctx context.Context, login string) (User, bool, error) {
	user, err := read(ctx, r, "getuser", url.Values{"login": {login}}, func(text string) (*User, error) {
		if text == "" {
			return nil, nil
		}
		return parseUser(text, login)
	})
	if err != nil || user == nil {
		return User{}, false, err
	}
	return *user, true, nil
}

// Records reads many users, some at a time, and calls progress (which may be nil) after each. The users are in the order of
// the logins; gone are those that PPMS does not know. The first failure ends it: part of the records is none.
func (r *Reader) Records(ctx context.Context, logins []string, progress func(done int)) (users []User, gone []string, err error) {
	type answer struct {
		user  User
		found bool
	}
	answers := make([]answer, len(logins))
	err = r.each(ctx, len(logins), progress, func(ctx context.Context, i int) (err error) {
		answers[i].user, answers[i].found, err = r.User(ctx, logins[i])
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	users = make([]User, 0, len(logins))
	for i := range answers {
		if answers[i].found {
			users = append(users, answers[i].user)
		} else {
			gone = append(gone, logins[i])
		}
	}
	return users, gone, nil
}

// parseUser reads a getuser answer. It must be about the one asked for: what PPMS does with a login that it takes for another
// is not known, and a write would then hit a stranger.
func parseUser(text, login string) (*User, error) {
	needed := []string{"login", "active"}
	for f := range reconcile.Field(reconcile.NumFields) {
		needed = append(needed, f.String())
	}
	t, err := parseTable(text, needed...)
	if err != nil {
		return nil, err
	}
	row, err := t.only()
	if err != nil {
		return nil, err
	}
	user := &User{Account: reconcile.Account{Login: t.get(row, "login")}}
	if reconcile.KeyOf(user.Login) != reconcile.KeyOf(login) {
		return nil, malformed(user.Login, "asked for the user %q, PPMS answered about another", login)
	}
	for f := range reconcile.Field(reconcile.NumFields) {
		user.Fields[f] = t.get(row, f.String())
	}
	if user.Active, err = t.truth(row, "active"); err != nil {
		return nil, err
	}
	if user.MustChangePassword, err = t.flag(row, "mustchpwd"); err != nil {
		return nil, err
	}
	user.MustChangeBcode, err = t.flag(row, "mustchbcode")
	return user, err
}
