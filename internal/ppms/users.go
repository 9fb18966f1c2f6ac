package ppms

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
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

// CheckPassword asks whether somebody can log in with a password: an active user of that login who has it.
func (r *Reader) CheckPassword(ctx context.Context, login string, password secret.Secret) (bool, error) {
	return read(ctx, r, "auth", url.Values{"login": {login}, "pwd": {password.Reveal()}}, func(text string) (bool, error) {
		if text == "" {
			return false, nil
		}
		_, err := parseStatus(text)
		return err == nil, err
	})
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
	return readOne(ctx, r, "getuser", url.Values{"login": {login}}, func(text string) (User, error) { return parseUser(text, login) })
}

// UserID is the number that PPMS has for a user; false if PPMS has none of that login. Only JSON is known to have it.
func (r *Reader) UserID(ctx context.Context, login string) (int, bool, error) {
	form := url.Values{"login": {login}, "format": {"json"}, "withuserid": {"true"}}
	return readOne(ctx, r, "getuser", form, func(text string) (int, error) {
		var user struct {
			Login  string      `json:"login"`
			UserID json.Number `json:"userid"`
		}
		if err := json.Unmarshal([]byte(text), &user); err != nil {
			return 0, malformed(text, "the answer is no JSON object of a user")
		}
		if reconcile.KeyOf(unescape(user.Login)) != reconcile.KeyOf(login) {
			return 0, malformed(user.Login, "asked for the user %q, PPMS answered about another", login)
		}
		id, err := strconv.Atoi(user.UserID.String())
		if err != nil || id <= 0 {
			return 0, malformed(text, "the userid is no number")
		}
		return id, nil
	})
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
func parseUser(text, login string) (user User, err error) {
	needed := []string{"login", "active"}
	for f := range reconcile.Field(reconcile.NumFields) {
		needed = append(needed, f.String())
	}
	t, err := parseTable(text, needed...)
	if err != nil {
		return user, err
	}
	row, err := t.only()
	if err != nil {
		return user, err
	}
	user.Login = t.get(row, "login")
	if reconcile.KeyOf(user.Login) != reconcile.KeyOf(login) {
		return user, malformed(user.Login, "asked for the user %q, PPMS answered about another", login)
	}
	for f := range reconcile.Field(reconcile.NumFields) {
		user.Fields[f] = t.get(row, f.String())
	}
	if user.Active, err = t.truth(row, "active"); err != nil {
		return user, err
	}
	if user.MustChangePassword, err = t.flag(row, "mustchpwd"); err != nil {
		return user, err
	}
	user.MustChangeBcode, err = t.flag(row, "mustchbcode")
	return user, err
}
