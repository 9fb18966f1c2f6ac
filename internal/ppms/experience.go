package ppms

import (
	"context"
	"net/url"
	"strconv"
	"strings"
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
		all, err := parseExperiences(text, r.zone)
		for _, e := range all {
			if login != "" && reconcile.KeyOf(e.Login) != reconcile.KeyOf(login) || system != 0 && e.System != system {
				return nil, malformed(e.Login, "asked for the experience of %q on system %d (0 is every one), PPMS answered about another, on %d", login, system, e.System)
			}
		}
		return all, err
	})
}

func parseExperiences(text string, zone *time.Location) ([]Experience, error) {
	if text == "" {
		return nil, nil
	}
	t, err := parseTable(text, "login", "id", "booked_hours", "used_hours", "last_res", "last_train")
	if err != nil {
		return nil, err
	}
	return rowsOf(t, func(row row) (e Experience, err error) {
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
	})
}

// rowsOf turns every row of a table into something. One that cannot be used is an error: what is left out of an answer for people
// looks as if it did not exist.
func rowsOf[T any](t *table, one func(row) (T, error)) ([]T, error) {
	all := make([]T, len(t.rows))
	for i, row := range t.rows {
		if row.problem != "" {
			return nil, malformed("", "line %d: %s", row.line, row.problem)
		}
		var err error
		if all[i], err = one(row); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// decimal is a value that must be a decimal number, or empty.
func (t *table) decimal(r row, column string) (Decimal, error) {
	d, err := ParseDecimal(t.get(r, column))
	if err != nil {
		return d, malformed(t.get(r, column), "line %d: %s is no number", r.line, column)
	}
	return d, nil
}

// day is a value that must be a date, "n/a" or empty, the last two of which are the zero time. 2019/06/02 was seen.
func (t *table) day(r row, column string, zone *time.Location) (time.Time, error) {
	text := known(t.get(r, column))
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, strings.ReplaceAll(text, "/", "-"))
	if err != nil {
		return day, malformed(text, "line %d: %s is no date", r.line, column)
	}
	return wallIn(day, zone), nil // not every day begins at midnight
}

// known is a value, or "" where PPMS says that there is none.
func known(value string) string {
	if strings.EqualFold(value, "n/a") {
		return ""
	}
	return value
}
