package config

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span, never negative. The file writes it as Go does, with d for days of 24 hours in front: 90s, 1h30m,
// 400d, 1d12h.
type Duration time.Duration

const day = 24 * time.Hour

// durationPattern is the form of a duration in the schema.
const durationPattern = `^([0-9]+d)?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|μs|ns))*$`

var durationForm = regexp.MustCompile(durationPattern)

var (
	errDuration = errors.New("is no duration such as 90s, 1h30m or 400d")
	errNegative = errors.New("is a negative duration")
	errTooLong  = errors.New("is a longer duration than can be kept")
)

// ParseDuration reads a duration as the file writes it.
func ParseDuration(s string) (Duration, error) {
	if strings.HasPrefix(s, "-") {
		return 0, errNegative
	}
	if s == "" || !durationForm.MatchString(s) {
		return 0, errDuration
	}
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	n, err := strconv.ParseInt(days, 10, 64)
	if err != nil || n > int64(math.MaxInt64/day) {
		return 0, errTooLong
	}
	total := time.Duration(n) * day
	if rest == "" {
		return Duration(total), nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > math.MaxInt64-total {
		return 0, errTooLong
	}
	return Duration(total + d), nil
}

// String writes the duration so that it reads well: whole days as days, no zero minutes and seconds.
func (d Duration) String() string {
	if t := time.Duration(d); t >= day && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String, for JSON.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
