package ppmssim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// length is how long a booking lasts; an end of 00:00 is the end of the day.
func (b *Booking) length() time.Duration {
	start, end := minutes(b.Start), minutes(b.End)
	if end <= start {
		end += 24 * 60
	}
	return time.Duration(end-start) * time.Minute
}

// minutes of a day at a clock time, which check has seen.
func minutes(clock string) int {
	t, _ := time.Parse("15:04", clock)
	return 60*t.Hour() + t.Minute()
}

// on is when the booking begins on that day; false if it is not on that day.
func (b *Booking) on(day time.Time) (time.Time, bool) {
	if b.Day != "" && b.Day != day.Format(time.DateOnly) {
		return time.Time{}, false
	}
	clock := minutes(b.Start)
	return time.Date(day.Year(), day.Month(), day.Day(), clock/60, clock%60, 0, 0, day.Location()), true
}

// next is when the booking begins for the first time after now; false if never.
func (b *Booking) next(now time.Time) (time.Time, bool) {
	days := []time.Time{now, now.AddDate(0, 0, 1)} // one of every day begins today or tomorrow
	if b.Day != "" {
		day, err := time.ParseInLocation(time.DateOnly, b.Day, now.Location())
		if err != nil {
			return time.Time{}, false
		}
		days = []time.Time{day}
	}
	for _, day := range days {
		if at, ok := b.on(day); ok && at.After(now) {
			return at, true
		}
	}
	return time.Time{}, false
}

// getBooking says who has a system now, and how many minutes are left.
func getBooking(q *request) answer {
	id, _ := q.number("id")
	for i := range q.state.bookings {
		b := &q.state.bookings[i]
		for _, day := range []time.Time{q.now, q.now.AddDate(0, 0, -1)} { // it may have begun yesterday
			at, ok := b.on(day)
			if end := at.Add(b.length()); ok && b.System == id && !at.After(q.now) && end.After(q.now) {
				return q.booking(b, end)
			}
		}
	}
	return none()
}

// nextBooking says who has a system next, and in how many minutes. One in ten years is left out, as was seen.
func nextBooking(q *request) answer {
	id, _ := q.number("id")
	var first *Booking
	at := q.now.AddDate(9, 0, 0) // where exactly PPMS stops is not known
	for i := range q.state.bookings {
		b := &q.state.bookings[i]
		if next, ok := b.next(q.now); ok && b.System == id && next.Before(at) {
			first, at = b, next
		}
	}
	if first == nil {
		return none()
	}
	return q.booking(first, at)
}

func (q *request) booking(b *Booking, at time.Time) answer {
	left := int(at.Sub(q.now.Truncate(time.Minute)) / time.Minute)
	return answer{lines: []string{q.wire.escaped(b.Login), strconv.Itoa(left), strconv.Itoa(b.Session)}}
}

// getRunningSheet names systems and people as people do. Its header is the one that was recorded with blanks after the commas.
func getRunningSheet(q *request) answer {
	facility, _ := q.number("plateformid")
	day, err := time.ParseInLocation(time.DateOnly, q.value("day"), q.now.Location())
	if err != nil {
		return refuse("invalid day") // the words are a choice
	}
	type line struct {
		at  time.Time
		row []cell
	}
	var sheet []line
	for i := range q.state.bookings {
		b := &q.state.bookings[i]
		system, known := q.state.system(b.System)
		at, ok := b.on(day)
		if !ok || !known || system.Facility != facility {
			continue
		}
		user, _ := q.state.user(b.Login)
		sheet = append(sheet, line{at, q.send([]cell{
			textCell("Location", system.Localisation), textCell("Start time", b.Start), textCell("End time", b.End),
			textCell("Object", system.Name), textCell("User", strings.TrimSpace(user.Lname+" "+user.Fname)),
			textCell("Training", b.Training), textCell("Assisted", b.Assisted),
		})})
	}
	slices.SortStableFunc(sheet, func(a, b line) int { return a.at.Compare(b.at) })
	if len(sheet) == 0 {
		return none() // an empty body and a bare header were both seen
	}
	rows := make([][]cell, len(sheet))
	for i := range sheet {
		rows[i] = sheet[i].row
	}
	return apart(table([]string{"Location", "Start time", "End time", "Object", "User", "Training", "Assisted"}, rows...))
}

// apart puts a blank after each comma of the header, as some recordings have it.
func apart(a answer) answer {
	a.lines[0] = strings.ReplaceAll(a.lines[0], ",", ", ")
	return a
}

// getUserExp lists who has used what, narrowed by login and system if they are given.
func getUserExp(q *request) answer {
	id, byID := q.number("id")
	var rows [][]cell
	for _, e := range q.state.experience {
		if byID && e.System != id || q.has("login") && q.state.key(e.Login) != q.state.key(q.value("login")) {
			continue
		}
		rows = append(rows, q.send([]cell{
			textCell("login", e.Login), number("id", e.System), bare("booked_hours", cmp.Or(e.Booked, "0")), bare("used_hours", cmp.Or(e.Used, "0")),
			bare("last_res", cmp.Or(e.LastRes, "n/a")), bare("last_train", cmp.Or(e.LastTrain, "n/a")),
		}))
	}
	return table([]string{"login", "id", "booked_hours", "used_hours", "last_res", "last_train"}, rows...)
}
