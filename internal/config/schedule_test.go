package config

import (
	"testing"
	"time"
)

// TestSummerTimeIsWarnedOf: a schedule of which a year has a day without its run, or with two, is warned of, in whatever zone.
func TestSummerTimeIsWarnedOf(t *testing.T) {
	for _, name := range []string{
		"UTC", "Europe/Zurich", "Europe/London", "Europe/Athens", "America/New_York", "America/Havana", "America/Nuuk", "America/Santiago", "Africa/Cairo",
		"Asia/Beirut", "Asia/Tokyo", "Atlantic/Azores", "Australia/Lord_Howe", "Pacific/Easter", "Antarctica/Troll",
	} {
		zone, err := parseZone(name)
		if err != nil {
			t.Fatal(err)
		}
		for hour := range 24 {
			s, err := parseSchedule("30 "+time.Date(0, 1, 1, hour, 0, 0, 0, time.UTC).Format("15")+" * * *", zone)
			if err != nil {
				t.Fatal(err)
			}
			odd := false
			at, end := s.Next(time.Now()), time.Now().AddDate(1, 0, 0)
			for next := s.Next(at); next.Before(end); next = s.Next(at) {
				took := next.Sub(at)
				odd = odd || took < 22*time.Hour || took > 26*time.Hour
				at = next
			}
			if odd && oddSchedule(s, zone) == "" {
				t.Errorf("%s: no warning of %02d:30", name, hour)
			}
			if name == "UTC" && oddSchedule(s, zone) != "" {
				t.Errorf("%s has no summer time: %s", name, oddSchedule(s, zone))
			}
		}
	}
}
