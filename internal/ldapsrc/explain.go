package ldapsrc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"ppms-syncd/internal/reconcile"
)

// Entry is what the read saw of one person, for explaining.
type Entry struct {
	DN         string
	Attributes []NamedValues // those that were asked for, by name
	Groups     []InGroup     // direct ones first, then by path
	Person     reconcile.Person
	Others     []string // DNs of further entries with the same login
}

// NamedValues is one attribute of an entry.
type NamedValues struct {
	Name   string
	Values []string
}

// InGroup is a group that contains somebody.
type InGroup struct {
	Name string
	DN   string
	Path []string // names from this group down to the one that lists the person
}

// Direct says whether the group itself lists the person.
func (g InGroup) Direct() bool { return len(g.Path) == 1 }

// Elsewhere is an entry with the login that was asked about, which the read leaves out.
type Elsewhere struct {
	DN  string // "" if the search for it failed
	Why string
}

// explainer keeps the one entry that somebody asked about.
type explainer struct {
	about reconcile.Key
	known map[string]string // stable ids of entries that an earlier read knew
	graph *groupGraph
	entry *Entry
}

func (x *explainer) see(e *entry, p *reconcile.Person) {
	if x.about == "" || reconcile.KeyOf(p.Login) != x.about {
		return
	}
	out := &Entry{DN: e.DN, Person: *p}
	for _, a := range e.Attributes {
		values := a.Values
		if strings.EqualFold(a.Name, objectGUID) {
			values = []string{p.ID}
		}
		out.Attributes = append(out.Attributes, NamedValues{a.Name, values})
	}
	slices.SortFunc(out.Attributes, func(a, b NamedValues) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	direct, _ := x.graph.of(e) // what is wrong with it is a problem of the person
	out.Groups = x.groups(direct)
	if old := x.entry; old != nil { // two entries, one login
		out.Others = append(old.Others, old.DN)
		if x.before(old, out) {
			old.Others = append(old.Others, out.DN)
			out = old
		}
		slices.Sort(out.Others)
	}
	x.entry = out
}

// before says which of two entries is shown: the one that is known, else the first by DN.
func (x *explainer) before(a, b *Entry) bool {
	_, knowsA := x.known[a.Person.ID]
	_, knowsB := x.known[b.Person.ID]
	if knowsA != knowsB {
		return knowsA
	}
	return a.DN < b.DN
}

func (x *explainer) groups(direct []int) []InGroup {
	above := x.graph.above(direct)
	out := make([]InGroup, len(above.order))
	for i, at := range above.order {
		g := &x.graph.groups[at]
		out[i] = InGroup{Name: g.name, DN: g.dn, Path: x.graph.pathNames(above.to(at))}
	}
	return out
}

// elsewhere looks in the whole tree for entries with a login that the read did not find, and says why it did not. It is only
// there to explain, so that its failure is a line among the answers.
func (s *Source) elsewhere(ctx context.Context, sess *session, login string) []Elsewhere {
	top, err := s.namingContext(ctx, sess)
	if err != nil {
		return []Elsewhere{{Why: "nothing is known of entries elsewhere: " + failed(ctx, "reading the root DSE", err).Reason}}
	}
	var any strings.Builder
	names := s.mapping.Login.Attributes()
	for _, a := range names {
		fmt.Fprintf(&any, "(%s=%s)", a, ldap.EscapeFilter(login))
	}
	if len(names) == 0 {
		return nil
	}
	q := query{
		what: "the search for " + login, base: top, filter: "(|" + any.String() + ")",
		attributes: distinct(append(slices.Clone(names), s.users.Attributes()...)),
	}
	s.log.Debug("ldap search", zap.String("command", sess.command(q)))
	var out []Elsewhere
	err = sess.walk(ctx, q, func(page []entry) error {
		for i := range page {
			out = append(out, Elsewhere{DN: page[i].DN, Why: s.excluded(&page[i])})
		}
		return nil
	})
	if err != nil {
		return []Elsewhere{{Why: "nothing is known of entries elsewhere: " + failed(ctx, q.what, err).Reason}}
	}
	slices.SortFunc(out, func(a, b Elsewhere) int { return cmp.Compare(a.DN, b.DN) })
	return out
}

// excluded says why the read leaves an entry out.
func (s *Source) excluded(e *entry) string {
	base, err := dnKey(s.cfg.Users.Base)
	if err == nil && e.key != "" && !below(e.key, base) {
		return "it is outside " + s.cfg.Users.Base
	}
	if why := s.users.Why(e.get); why != "" {
		return "the filter excludes it because " + why
	}
	return fmt.Sprintf("it is read, but its login is another: %s does not give this one", s.mapping.Login)
}
