package ppms

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Experience is how much somebody has used a system.
type Experience struct {
	Login        string
	System       int
	Booked, Used Decimal   // hours
	LastBooking  time.Time // the day, at its beginning in the facility's time zone; zero for never
	LastTraining time.Time
}

// Experiences reads the experience of one login ("" is everybody) on one system (0 is every one).
func (r *Reader) Experiences(ctx context.Context, login string, system int) ([]Experience, error) {
	form := url.Values{}
	if login != "" {
		form.Set("login", login)
	}
	if system != 0 {
		form.Set("id", strconv.Itoa(system))
	}
	return read(ctx, r, "getuserexp", form, func(text string) ([]Experience, error) {
		all, err := rowsOf(text, func(t *table, row row) (Experience, error) { return experienceOf(t, row, r.zone) },
			"login", "id", "booked_hours", "used_hours", "last_res", "last_train")
		for _, e := range all {
			if login != "" && reconcile.KeyOf(e.Login) != reconcile.KeyOf(login) || system != 0 && e.System != system {
				return nil, malformed(e.Login, "asked for the experience of %q on system %d (0 is every one), PPMS answered about another, on %d",
					login, system, e.System)
			}
		}
		return all, err
	})
}

func experienceOf(t *table, row row, zone *time.Location) (e Experience, err error) {
	e.Login = t.get(row, "login")
	if e.System, err = t.number(row, "id"); err != nil {
		return e, err
	}
	if e.Booked, err = t.decimal(row, "booked_hours"); err != nil {
		return e, err
	}
	if e.Used, err = t.decimal(row, "used_hours"); err != nil {
		return e, err
	}
	if e.LastBooking, err = t.day(row, "last_res", zone); err != nil {
		return e, err
	}
	e.LastTraining, err = t.day(row, "last_train", zone)
	return e, err
}
