package ldapsrc

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	ber "github.com/go-asn1-ber/asn1-ber"
)

// expiryFunctions tell expressions whether a time of the directory has come, by the clock of the reader at the start of the
// read. What is absent never ends. What cannot be understood is an error, since a guess could make somebody a leaver, or hide
// one.
func expiryFunctions(entry *cel.Type) []cel.EnvOption {
	var out []cel.EnvOption
	for name, parse := range map[string]func(string) (time.Time, error){
		"expiredTicks": ticks,
		"expiredDays":  days,
		"expiredTime":  generalizedTime,
	} {
		hidden := "@" + name
		out = append(out,
			cel.Macros(cel.GlobalMacro(name, 1, withEntry(hidden))),
			cel.Function(hidden, cel.Overload(name+"_string", []*cel.Type{entry, cel.StringType}, cel.BoolType,
				cel.BinaryBinding(func(e, text ref.Val) ref.Val {
					value := string(text.(types.String))
					if value == "" {
						return types.False
					}
					end, err := parse(value)
					if err != nil {
						return types.NewErr("%s: %v", name, err)
					}
					return types.Bool(!end.IsZero() && !end.After(e.(*subject).now))
				}))))
	}
	return out
}

// ticks are 100 nanoseconds since 1601, as in Active Directory's accountExpires. 0 and the largest number are never.
func ticks(s string) (time.Time, error) {
	const perSecond, from1601to1970 = 10_000_000, 11_644_473_600
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, fmt.Errorf("%q is no number of ticks", s)
	}
	if n == 0 || n == math.MaxInt64 {
		return time.Time{}, nil
	}
	return time.Unix(n/perSecond-from1601to1970, n%perSecond*100), nil
}

// days are counted from 1970, as in shadowExpire. -1 is never, and so is 0, of which programs think differently.
func days(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no number of days", s)
	}
	if n <= 0 {
		return time.Time{}, nil
	}
	return time.Unix(n*24*60*60, 0), nil
}

// generalizedTime is the usual time of LDAP (RFC 4517 3.3.13). The beginning of 1970 is never: a KDC writes its 0 so.
func generalizedTime(s string) (time.Time, error) {
	t, err := ber.ParseGeneralizedTime([]byte(s))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time like 20261231235959Z", s)
	}
	if t.Unix() == 0 {
		return time.Time{}, nil
	}
	return t, nil
}
