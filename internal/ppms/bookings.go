package ppms

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Booking is who has a system now, or who has it next.
type Booking struct {
	Login   string
	Until   time.Time // when the present booking ends; zero for the next one
	From    time.Time // when the next booking begins; zero for the present one
	Session string    // PPMS's number of it; "" if PPMS does not say
}

// CurrentBooking asks who has a system now; false if nobody does. PPMS says how many minutes are left; the end is that many from
// now, in the facility's time zone, to the minute.
func (r *Reader) CurrentBooking(ctx context.Context, system int) (Booking, bool, error) {
	b, at, err := r.booking(ctx, "getbooking", system)
	b.Until = at
	return b, !at.IsZero(), err
}

// NextBooking asks who has a system next; false if nobody does, or only so far ahead that PPMS leaves it out (a booking two years
// ahead was seen, one in ten years was not). PPMS says in how many minutes it begins, and not when it ends.
func (r *Reader) NextBooking(ctx context.Context, system int) (Booking, bool, error) {
	b, at, err := r.booking(ctx, "nextbooking", system)
	b.From = at
	return b, !at.IsZero(), err
}

func (r *Reader) booking(ctx context.Context, action string, system int) (b Booking, at time.Time, err error) {
	minutes := 0
	b, err = read(ctx, r, action, url.Values{"id": {strconv.Itoa(system)}}, func(text string) (b Booking, err error) {
		at = r.now() // of this answer: it may not be the first try
		b, minutes, err = parseBooking(text)
		return b, err
	})
	if err != nil || b.Login == "" {
		return Booking{}, time.Time{}, err
	}
	return b, at.In(r.zone).Truncate(time.Minute).Add(time.Duration(minutes) * time.Minute), nil
}

// parseBooking reads three lines: login, minutes, session. The third is not documented, so it may be missing.
func parseBooking(text string) (b Booking, minutes int, err error) {
	if text == "" {
		return b, 0, nil
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 2 || len(lines) > 3 {
		return b, 0, malformed(text, "a booking has %d lines instead of three: login, minutes, session", len(lines))
	}
	const most = 100 * 366 * 24 * 60 // what time can be added
	if minutes, err = strconv.Atoi(strings.TrimSpace(lines[1])); err != nil || minutes < 0 || minutes > most {
		return b, 0, malformed(lines[1], "the minutes of a booking are no number")
	}
	b.Login = strings.TrimSpace(unescape(lines[0]))
	if b.Login == "" {
		return b, 0, malformed(text, "a booking has no login")
	}
	if len(lines) == 3 {
		b.Session = strings.TrimSpace(lines[2])
	}
	return b, minutes, nil
}

// Session is one line of a running sheet. User and system are named as people read them: [Names] knows the way back, as far
// as there is one.
type Session struct {
	Location, System, User string
	Start, End             time.Time // in the facility's time zone
	Training, Assisted     string    // as PPMS writes it; "" for no
}

// RunningSheet reads all bookings of one day in a core facility. Of the day only the date counts, in the zone that it is in. An
// end of 00:00 is the end of that day.
func (r *Reader) RunningSheet(ctx context.Context, facility int, day time.Time) ([]Session, error) {
	form := url.Values{"plateformid": {strconv.Itoa(facility)}, "day": {day.Format(time.DateOnly)}}
	return read(ctx, r, "getrunningsheet", form, func(text string) ([]Session, error) {
		return rowsOf(text, func(t *table, row row) (Session, error) { return sessionOf(t, row, day, r.zone) },
			"start time", "end time", "object", "user")
	})
}

func sessionOf(t *table, row row, day time.Time, zone *time.Location) (s Session, err error) {
	s.Location, s.System, s.User = t.get(row, "location"), t.get(row, "object"), t.get(row, "user")
	s.Training, s.Assisted = t.get(row, "training"), t.get(row, "assisted")
	start, err := clockOn(day, t.get(row, "start time"))
	if err != nil {
		return s, malformed(err.Error(), "line %d: the start is no time", row.line)
	}
	end, err := clockOn(day, t.get(row, "end time"))
	if err != nil {
		return s, malformed(err.Error(), "line %d: the end is no time", row.line)
	}
	if !end.After(start) { // midnight; that others do so, too, is a guess
		end = end.AddDate(0, 0, 1)
	}
	s.Start, s.End = wallIn(start, zone), wallIn(end, zone)
	if s.End.Before(s.Start) { // it ends within the hour that summer time leaves out
		s.End = s.Start
	}
	return s, nil
}

// clockOn puts HH:MM (or HH:MM:SS, or 24:00) on a day, in UTC: clocks are compared before a zone, in which hours may be missing, counts.
func clockOn(day time.Time, text string) (time.Time, error) {
	if text == "24:00" {
		text = "00:00"
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		if clock, err = time.Parse(time.TimeOnly, text); err != nil {
			return time.Time{}, err
		}
	}
	return time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, time.UTC), nil
}

// wallIn is when clocks in a zone show what a time in UTC shows. Of one that they leave out [time.Date] makes, west of Greenwich, one as
// much earlier, which may be yesterday; here it is that much later everywhere.
func wallIn(utc time.Time, zone *time.Location) time.Time {
	at := time.Date(utc.Year(), utc.Month(), utc.Day(), utc.Hour(), utc.Minute(), utc.Second(), 0, zone)
	_, offset := at.Zone()
	return at.Add(max(0, utc.Sub(at)-time.Duration(offset)*time.Second))
}

// Names finds the logins behind the names that a running sheet has: LASTNAME FIRSTNAME. PPMS lets several people have one name,
// so there may be more than one.
type Names map[string][]string

// NewNames knows these people.
func NewNames(accounts []reconcile.Account) Names {
	n := make(Names, len(accounts))
	for i := range accounts {
		a := &accounts[i]
		name := nameKey(a.Fields[reconcile.Lname] + " " + a.Fields[reconcile.Fname])
		n[name] = append(n[name], a.Login)
	}
	return n
}

// Logins are those of all who have the name, none if nobody has.
func (n Names) Logins(name string) []string { return n[nameKey(name)] }

// nameKey makes names alike that differ in case, composition or blanks only.
func nameKey(name string) string {
	return string(reconcile.KeyOf(strings.Join(strings.Fields(name), " ")))
}
