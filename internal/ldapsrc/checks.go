package ldapsrc

import (
	"context"
	"slices"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"ppms-syncd/internal/reconcile"
)

// checkBase reads a search base by itself. It must be there, and it must be all that comes back: some servers answer a
// search below a base that does not exist, or may not be seen, with success and nothing.
func (s *session) checkBase(ctx context.Context, option, base string) error {
	q := query{what: "reading " + option, base: base, one: true, filter: "(objectClass=*)", attributes: []string{"objectClass"}}
	s.log.Debug("ldap search", zap.String("command", s.command(q)))
	result, err := s.search(ctx, q)
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) && ctx.Err() == nil {
		e := incomplete("correct "+option+", or let the reader see it", "%s %s does not exist, or the reader may not see it", option, base)
		e.Err = err
		return e
	}
	if err != nil {
		return failed(ctx, q.what, err)
	}
	entries, err := s.checkPage(q, result)
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return incomplete("correct "+option+", or let the reader see it", "%s %s, read by itself, gives %d entries instead of one", option, base, len(entries))
	}
	return nil
}

// canaries watches for the entries that every complete read must return.
type canaries struct {
	order  []string        // DNs as configured
	keys   map[string]bool // those still awaited
	lack   string          // what one of them lacks
	mapped *Mapping
}

func newCanaries(dns []string, m *Mapping) (*canaries, error) {
	c := &canaries{order: dns, keys: make(map[string]bool, len(dns)), mapped: m}
	for _, dn := range dns {
		key, err := dnKey(dn)
		if err != nil {
			return nil, err
		}
		c.keys[key] = true
	}
	return c, nil
}

// person ticks one off, if it has what an account needs.
func (c *canaries) person(key string, p *reconcile.Person) {
	if !c.keys[key] {
		return
	}
	delete(c.keys, key)
	var lacks string
	if p.Login == "" {
		lacks = "login"
	}
	for _, f := range []reconcile.Field{reconcile.Lname, reconcile.Fname, reconcile.Email, reconcile.Unit} {
		if !c.mapped.Fields[f].IsZero() && len(p.Fields[f]) == 0 && lacks == "" {
			lacks = f.String()
		}
	}
	if lacks != "" {
		c.lacks(p.DN, lacks)
	}
}

// groups ticks off those that have anybody. The primary ones are only known after the people.
func (c *canaries) groups(g *groupGraph) {
	for i := range g.groups {
		x := &g.groups[i]
		if !c.keys[x.key] {
			continue
		}
		delete(c.keys, x.key)
		if x.empty {
			c.lacks(x.dn, "members")
		}
	}
}

func (c *canaries) lacks(dn, what string) {
	text := dn + " came back without " + what
	if c.lack == "" || text < c.lack {
		c.lack = text
	}
}

// check says which did not come, or came without something.
func (c *canaries) check() error {
	const do = "see whether the search bases, the filters or the server's access rules for the reader have changed"
	if i := slices.IndexFunc(c.order, func(dn string) bool { key, err := dnKey(dn); return err != nil || c.keys[key] }); i >= 0 {
		return incomplete(do, "the canary %s did not come back", c.order[i])
	}
	if c.lack != "" {
		return incomplete(do, "the canary %s", c.lack)
	}
	return nil
}
