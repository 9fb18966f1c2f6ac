package ppms

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"ppms-syncd/internal/reconcile"
)

// System is one bookable instrument, as getsystems returns it.
type System struct {
	reconcile.System
	Location                   string
	Schedules, Stats, Bookable bool
	AutonomyRequired           bool
	AutonomyRequiredAfterHours bool
}

// Systems lists all systems. A row that cannot be read is left out with a warning in the log: a broken one was seen among good
// ones, and must not keep the others from being synchronised. If none can be read it is an error.
func (r *Reader) Systems(ctx context.Context) ([]System, error) {
	return read(ctx, r, "getsystems", nil, func(text string) ([]System, error) {
		if text == "" {
			return nil, nil
		}
		return parseSystems(text, func(err error) {
			r.log.Warn("system left out", zap.Error(r.failed(call{action: "getsystems"}, err)))
		})
	})
}

// parseSystems tells skipped of each row that it leaves out.
func parseSystems(text string, skipped func(error)) ([]System, error) {
	t, err := parseTable(text, "core facility ref", "system id", "type", "name", "active")
	if err != nil {
		return nil, err
	}
	var systems []System
	seen := make(map[int]bool, len(t.rows))
	for _, row := range t.rows {
		system, err := systemOf(t, row)
		if err == nil && seen[system.ID] {
			err = malformed("", "line %d: the system %d is listed twice", row.line, system.ID)
		}
		if err != nil {
			skipped(err)
			continue
		}
		seen[system.ID] = true
		systems = append(systems, system)
	}
	if len(systems) == 0 && len(t.rows) > 0 {
		return nil, malformed(text, "none of the %d systems can be read", len(t.rows))
	}
	return systems, nil
}

func systemOf(t *table, row row) (s System, err error) {
	if err = row.check(); err != nil {
		return s, err
	}
	if s.ID, err = t.number(row, "system id"); err != nil {
		return s, err
	}
	if s.Facility, err = t.number(row, "core facility ref"); err != nil {
		return s, err
	}
	s.Type, s.Name, s.Location = t.get(row, "type"), t.get(row, "name"), t.get(row, "localisation")
	if s.Active, err = t.truth(row, "active"); err != nil {
		return s, err
	}
	// The others decide nothing, so they make no row unreadable.
	flag := func(column string) bool { return strings.EqualFold(t.get(row, column), "true") }
	s.Schedules, s.Stats, s.Bookable = flag("schedules"), flag("stats"), flag("bookable")
	s.AutonomyRequired = flag("autonomy required")
	s.AutonomyRequiredAfterHours = flag("autonomy required after hours")
	return s, nil
}
