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
		const nightHours, allHours = 1<<1 | 1<<2, 1<<24 - 1
		if s.Hour&nightHours != 0 && s.Hour&allHours != allHours && hasSummerTime(zone, time.Now()) {
			return fmt.Sprintf("fires between 01:00 and 03:00: when summer time begins or ends in %s such a run is left out or made twice", zone)
		}
	}
	return ""
}

// hasSummerTime says whether the clocks are changed in the year that begins now.
func hasSummerTime(zone *time.Location, now time.Time) bool {
	_, first := now.In(zone).Zone()
	for month := range 12 {
		if _, offset := now.AddDate(0, month+1, 0).In(zone).Zone(); offset != first {
			return true
		}
	}
	return false
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
