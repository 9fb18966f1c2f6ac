package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Duration is a time span, never negative. The file writes it as Go does, with d for days of 24 hours in front: 90s, 1h30m,
// 400d, 1d12h.
type Duration time.Duration

const day = 24 * time.Hour

// durationPattern is the form of a duration in the schema.
const durationPattern = `^([0-9]+d)?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|μs|ns))*$`

var (
	errDuration = errors.New("is no duration such as 90s, 1h30m or 400d")
	errNegative = errors.New("is a negative duration")
)

// ParseDuration reads a duration as the file writes it.
func ParseDuration(s string) (Duration, error) {
	if strings.HasPrefix(s, "-") {
		return 0, errNegative
	}
	rest, total := s, time.Duration(0)
	if days, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day)/2 {
			return 0, errDuration
		}
		rest, total = after, time.Duration(n)*day
		if rest == "" {
			return Duration(total), nil
		}
	}
	d, err := time.ParseDuration(rest)
	unitless := strings.Trim(rest, "0123456789") == "" // Go takes a bare 0
	if err != nil || unitless || rest[0] == '-' || rest[0] == '+' || d > math.MaxInt64-total {
		return 0, errDuration
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

// JSONSchema says how a duration looks.
func (Duration) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{Type: "string", Pattern: durationPattern, MinLength: &one}
}
