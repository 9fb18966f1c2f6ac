package ldapsrc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"ppms-syncd/internal/reconcile"
)

// batch is how many ids one search asks for. A server without an index on the id goes through all entries for each search.
const batch = 50

// lookups searches once more for people who are missing, by stable id: first as the read did, then everywhere. Who is found the
// first way was left out by the read, which is wrong then. A failure of the second search leaves its ids unknown.
func (s *Source) lookups(ctx context.Context, sess *session, ids []string) (map[string]reconcile.Lookup, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	out := make(map[string]reconcile.Lookup, len(ids))
	top, topErr := s.namingContext(ctx, sess)
	for some := range slices.Chunk(ids, batch) {
		found, err := s.byID(ctx, sess, s.cfg.Users.Base, s.cfg.Users.Filter, some)
		for _, id := range some {
			if dn, ok := found[id]; ok {
				return nil, incomplete("the next run tries again; if it stays so, look into the server's log",
					"the read was wrong: it left out %s, which a second search finds inside base and filter", dn)
			}
		}
		found = nil
		if err == nil {
			err = topErr
		}
		if err == nil {
			found, err = s.byID(ctx, sess, top, "", some)
		}
		for _, id := range some {
			if err != nil {
				out[id] = reconcile.Lookup{Err: failed(ctx, "looking for "+id, err).Reason}
			} else {
				out[id] = reconcile.Lookup{DN: found[id]}
			}
		}
	}
	return out, nil
}

// byID finds entries by stable id, by id.
func (s *Source) byID(ctx context.Context, sess *session, base, filter string, ids []string) (map[string]string, error) {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "(%s=%s)", s.cfg.Users.ID, idFilter(s.cfg.Users.ID, id))
	}
	any := b.String()
	if len(ids) > 1 {
		any = "(|" + any + ")"
	}
	if filter != "" {
		any = "(&" + filter + any + ")"
	}
	q := query{what: "the search for the missing", base: base, filter: any, attributes: []string{s.cfg.Users.ID}}
	s.log.Debug("ldap search", zap.String("command", sess.command(q)))
	found := make(map[string]string)
	err := sess.walk(ctx, q, func(page []entry) error {
		for _, e := range page {
			var id string
			if values := e.get(s.cfg.Users.ID); len(values) == 1 {
				id, _ = idText(s.cfg.Users.ID, values[0])
			}
			i := slices.IndexFunc(ids, func(want string) bool { return strings.EqualFold(want, id) })
			if i < 0 {
				return fmt.Errorf("the server answered with %s, which was not asked for", e.DN)
			}
			found[ids[i]] = e.DN
		}
		return nil
	})
	return found, err
}

// namingContext is the top of the tree that has the people.
func (s *Source) namingContext(ctx context.Context, sess *session) (string, error) {
	contexts, err := sess.rootDSE(ctx, "namingContexts")
	if err != nil {
		return "", err
	}
	base, err := dnKey(s.cfg.Users.Base)
	if err != nil {
		return "", err
	}
	best, bestKey, any := "", "", false
	for _, dn := range contexts {
		key, err := dnKey(dn)
		if err == nil && below(base, key) && (!any || len(key) > len(bestKey)) {
			best, bestKey, any = dn, key, true
		}
	}
	if !any {
		return "", errors.New("the server names no naming context above ldap.users.base")
	}
	return best, nil
}
