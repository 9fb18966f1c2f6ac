package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

var (
	errOwnZone    = errors.New("must not carry its own time zone; set time_zone")
	errNoSchedule = errors.New(`is no schedule: write five fields (minute hour day month weekday) such as "*/30 * * * *", or @every 30m`)
	errNever      = errors.New("never fires: there is no such day")
)

// parseSchedule reads a schedule that is evaluated in a time zone.
func parseSchedule(spec string, zone *time.Location) (s cron.Schedule, err error) {
	defer func() { // the parser panics on a lone TZ=, and nobody knows on what else
		if recover() != nil {
			s, err = nil, errNoSchedule
		}
	}()
	if first := strings.TrimSpace(spec); strings.HasPrefix(first, "TZ=") || strings.HasPrefix(first, "CRON_TZ=") {
		return nil, errOwnZone
	}
	if every, found := strings.CutPrefix(spec, "@every "); found {
		d, err := ParseDuration(strings.TrimSpace(every))
		if err != nil {
			return nil, fmt.Errorf("@every: %q %w", strings.TrimSpace(every), err)
		}
		if time.Duration(d) < time.Second {
			return nil, errors.New("@every must be at least 1s")
		}
		return cron.Every(time.Duration(d)), nil
	}
	s, err = cron.ParseStandard(spec)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoSchedule, err)
	}
	fields, ok := s.(*cron.SpecSchedule)
	if !ok {
		return nil, errNoSchedule
	}
	fields.Location = zone
	// From just before a leap year, so that 29 February is found.
	if fields.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, zone)).IsZero() {
		return nil, errNever
	}
	return fields, nil
}

// oddSchedule says what can be lived with, but is probably not meant; "" if there is nothing.
func oddSchedule(s cron.Schedule, zone *time.Location) string {
	switch s := s.(type) {
	case cron.ConstantDelaySchedule:
		if s.Delay < time.Minute {
			return "runs follow each other in less than a minute: each one reads the whole directory and much of PPMS"
		}
	case *cron.SpecSchedule:
		const allHours = 1<<24 - 1
		if s.Hour&changedHours(zone, time.Now()) != 0 && s.Hour&allHours != allHours {
			return fmt.Sprintf("fires about when summer time begins or ends in %s: such a run is left out or made twice", zone)
		}
	}
	return ""
}

// changedHours has a bit for each hour of the day that is left out or comes twice in the year that begins now. Where there is any, those
// around 02:00 count as well: most zones change then, and who moves a schedule should not have to know which.
func changedHours(zone *time.Location, now time.Time) (hours uint64) {
	for t := now.In(zone); ; {
		_, change := t.ZoneBounds()
		if change.IsZero() || change.After(now.AddDate(1, 0, 0)) {
			return hours
		}
		_, before := change.Add(-time.Second).Zone()
		_, after := change.Zone()
		wall := func(offset int) time.Time { return change.UTC().Add(time.Duration(offset) * time.Second) }
		from, to := wall(min(before, after)), wall(max(before, after))
		for hour := from.Truncate(time.Hour); hour.Before(to); hour = hour.Add(time.Hour) {
			hours |= 1<<hour.Hour() | 1<<1 | 1<<2
		}
		t = change
	}
}

// parseZone finds a time zone by its IANA name.
func parseZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("must be named, such as Europe/Zurich: what is local differs from host to host")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone; use an IANA name such as Europe/Zurich or UTC", name)
	}
	return zone, nil
}
