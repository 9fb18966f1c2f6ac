package ldapsrc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// span says which values of an attribute came, where a server sends a large one in pieces (MS-ADTS 3.1.1.3.1.3.3): from low to
// high, both included and counted from 0, as in member;range=0-1499. The last piece is open, as in member;range=1500-*.
type span struct {
	attribute string
	low, high int
	open      bool
}

// parseSpan reads the name of an attribute. It is false for a name without a range.
func parseSpan(name string) (span, bool, error) {
	attribute, options, found := strings.Cut(name, ";")
	if !found {
		return span{}, false, nil
	}
	const option = "range="
	kept := strings.Split(options, ";")
	at := slices.IndexFunc(kept, func(o string) bool { return len(o) >= len(option) && strings.EqualFold(o[:len(option)], option) })
	if at < 0 {
		return span{}, false, nil
	}
	low, high, _ := strings.Cut(kept[at][len(option):], "-")
	s := span{attribute: strings.Join(append([]string{attribute}, slices.Delete(kept, at, at+1)...), ";"), open: high == "*"}
	var ok, ok2 bool
	if s.low, ok = index(low); !ok {
		return span{}, true, fmt.Errorf("%q has a range that cannot be understood", name)
	}
	if s.high, ok2 = index(high); !s.open && (!ok2 || s.high < s.low) {
		return span{}, true, fmt.Errorf("%q has a range that cannot be understood", name)
	}
	return s, true, nil
}

// index is a number without sign, blanks or anything else.
func index(s string) (int, bool) {
	const digits = "0123456789"
	if s == "" || strings.Trim(s, digits) != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return int(n), err == nil
}

// piece finds the values of an attribute that came with a range, and what of it.
func piece(e *entry, attribute string) ([]string, span, bool, error) {
	for _, a := range e.Attributes {
		s, is, err := parseSpan(a.Name)
		switch {
		case err != nil:
			return nil, s, false, err
		case !is || !strings.EqualFold(s.attribute, attribute):
			continue
		case !s.open && len(a.Values) != s.high-s.low+1:
			return nil, s, false, fmt.Errorf("%s has %d values", a.Name, len(a.Values))
		}
		return a.Values, s, true, nil
	}
	return nil, span{}, false, nil
}

// complete asks for the rest of an attribute of which an entry shows only the first values, until the server says that nothing
// follows.
func (s *session) complete(ctx context.Context, e *entry, attribute string) error {
	what := fmt.Sprintf("reading the rest of %s of %s", attribute, e.DN)
	values, got, found, err := piece(e, attribute)
	if err != nil || !found || got.low != 0 || len(values) == 0 {
		return doesNotAddUp(what, "%v", cause(err, "the first part does not begin with the first value"))
	}
	if beside := e.get(attribute); len(beside) > 0 {
		return doesNotAddUp(what, "there are %d values beside the range", len(beside))
	}
	values = slices.Clone(values)
	for open := got.open; !open; {
		var more []string
		q := query{
			what: what, base: e.DN, one: true, filter: "(objectClass=*)", attributes: []string{fmt.Sprintf("%s;range=%d-*", attribute, len(values)-1)},
			pieces: attribute,
		}
		if more, open, err = s.next(ctx, q, values); err != nil {
			return err
		}
		values = append(values, more...)
	}
	e.Attributes = slices.DeleteFunc(e.Attributes, func(a *ldap.EntryAttribute) bool {
		s, _, _ := parseSpan(a.Name)
		return strings.EqualFold(a.Name, attribute) || strings.EqualFold(s.attribute, attribute)
	})
	e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: attribute, Values: values})
	return nil
}

// next reads one more piece, and says whether it is the last. The question begins with the last value that is known: another one
// in its place means that the list has changed under our hands.
func (s *session) next(ctx context.Context, q query, known []string) (more []string, last bool, err error) {
	s.log.Debug("ldap search", zap.String("command", s.command(q)))
	result, err := s.search(ctx, q)
	if err != nil {
		return nil, false, failed(ctx, q.what, err)
	}
	entries, err := s.checkPage(q, result)
	if err != nil {
		return nil, false, err
	}
	if len(entries) != 1 {
		return nil, false, doesNotAddUp(q.what, "the server answers with %d entries", len(entries))
	}
	values, got, found, err := piece(&entries[0], q.pieces)
	at := len(known) - 1
	switch {
	case err != nil || !found:
		return nil, false, doesNotAddUp(q.what, "%v", cause(err, "the server sends no range any more"))
	case got.low != at || len(values) == 0:
		return nil, false, doesNotAddUp(q.what, "the server answers with %d values from %d on instead of %d", len(values), got.low, at)
	case values[0] != known[at]:
		return nil, false, doesNotAddUp(q.what, "the list has changed meanwhile")
	case len(values) == 1 && !got.open:
		return nil, false, doesNotAddUp(q.what, "the server sends nothing new")
	}
	return values[1:], got.open, nil
}

func doesNotAddUp(what, format string, args ...any) error {
	return incomplete("the next run tries again; if it stays so, look into the server's log", "%s: %s", what, fmt.Sprintf(format, args...))
}

// cause is the error, or what else is wrong.
func cause(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}
