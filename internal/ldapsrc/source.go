package ldapsrc

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/reconcile"
)

// Source reads one directory. It keeps no connection and no state between reads.
type Source struct {
	cfg       Config
	mapping   Mapping
	endpoints []endpoint
	refs      references
	users     *Filter
	log       *zap.Logger
}

// New checks all that can be checked without the server. Nothing is contacted and no file is read.
func New(cfg Config, mapping Mapping, log *zap.Logger) (*Source, error) {
	if cfg.PageSize == 0 {
		cfg.PageSize = 500
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Source{cfg: cfg, mapping: mapping, log: log}
	for _, check := range []func() error{s.checkServers, s.checkSearches, s.checkGroups} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Request is what the caller wants beside the people.
type Request struct {
	// Missing is called after the search, before the connection closes: it names the stable ids to look up once more.
	// It may be nil.
	Missing func(people []reconcile.Person) []string
	// Groups are DNs that were groups of rules at earlier reads, spelled as Directory.Rules had them.
	Groups []string
	// Known are the DNs that entries had at an earlier read, by stable id.
	Known map[string]string
	// About is a login: its entry is kept for explaining, if there are several the one that is known. "" keeps none.
	About string
}

// Result is one complete read.
type Result struct {
	Directory   reconcile.Directory
	Server      string    // URL of the one that was read
	BoundAs     string    // as the server says, or else as configured
	Pages       int       // of all searches
	CertExpires time.Time // of the server's certificate; zero without TLS
	// Lacking counts, for each attribute that the mapping uses, the people who have no value of it.
	Lacking map[string]int
	// NoMembers counts the groups that list nobody at all.
	NoMembers int
	// Entry is that of Request.About; nil if it was not found.
	Entry *Entry
	// Elsewhere has entries with that login which the read leaves out, if it was not found.
	Elsewhere []Elsewhere
}

// Read reads the directory from one server. The error is an [*IncompleteError], and then there is no result at all.
func (s *Source) Read(ctx context.Context, req Request) (result *Result, err error) {
	if s.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
	}
	sess, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer sess.close()
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, incomplete("this is a bug: please report it", "the reader failed: %v", r)
		}
		if err != nil {
			failure := failed(ctx, "reading", err)
			failure.Server = sess.endpoint.url
			failure.Do = strings.ReplaceAll(failure.Do, readerName, sess.boundAs)
			result, err = nil, failure
		}
	}()
	started := time.Now()
	result, err = s.read(ctx, sess, req)
	if err == nil {
		s.log.Info("ldap directory read", zap.String("server", result.Server), zap.String("bound_as", result.BoundAs),
			zap.Int("people", len(result.Directory.People)), zap.Int("groups", result.Directory.Groups),
			zap.Int("pages", result.Pages), zap.Duration("took", time.Since(started)))
	}
	return result, err
}

func (s *Source) read(ctx context.Context, sess *session, req Request) (*Result, error) {
	if err := sess.checkBase(ctx, "ldap.users.base", s.cfg.Users.Base); err != nil {
		return nil, err
	}
	watch, err := newCanaries(s.cfg.Canaries, &s.mapping)
	if err != nil {
		return nil, err
	}
	graph, err := s.readGroups(ctx, sess)
	if err != nil {
		return nil, err
	}
	m := newMapper(&s.cfg, &s.mapping, graph)
	m.known = req.Known
	x := &explainer{about: reconcile.KeyOf(req.About), known: req.Known, graph: graph}
	people, err := s.readPeople(ctx, sess, m, watch, x)
	if err != nil {
		return nil, err
	}
	watch.groups(graph)
	if err := watch.check(); err != nil {
		return nil, err
	}
	r := &Result{
		Directory: reconcile.Directory{People: people, Groups: len(graph.groups), Doubts: s.doubts(graph), Rules: m.rules.result(graph, req.Groups)},
		Server:    sess.endpoint.url, BoundAs: sess.boundAs, CertExpires: sess.expires,
		Lacking: m.lacking(), NoMembers: graph.noMembers(), Entry: x.entry,
	}
	for i, rule := range s.mapping.Rules {
		if rule.When != nil {
			m.seen(rule.When.expr.attributes, len(people), &r.Directory.Rules[i])
		}
	}
	for f, v := range s.mapping.Fields {
		if v.expr != nil {
			r.Directory.Fields[f] = graph.usedBy(v.expr.groups, req.Groups)
			m.seen(v.expr.attributes, len(people), &r.Directory.Fields[f])
		}
	}
	if d := s.cfg.Users.Disabled; d != nil {
		r.Directory.Disabling = graph.usedBy(d.expr.groups, req.Groups)
		m.seen(d.expr.attributes, len(people), &r.Directory.Disabling)
	}
	if req.Missing != nil {
		if r.Directory.Lookups, err = s.lookups(ctx, sess, req.Missing(people)); err != nil {
			return nil, err
		}
	}
	if req.About != "" && x.entry == nil {
		r.Elsewhere = s.elsewhere(ctx, sess, strings.TrimSpace(req.About))
	}
	r.Pages = sess.pages
	return r, nil
}

func (s *Source) readGroups(ctx context.Context, sess *session) (*groupGraph, error) {
	search := s.cfg.Groups
	if search.Base == "" {
		graph := &groupGraph{}
		return graph, graph.build(search)
	}
	graph := &groupGraph{primary: s.cfg.Kind.Primary}
	if err := sess.checkBase(ctx, "ldap.groups.base", search.Base); err != nil {
		return nil, err
	}
	q := query{what: "the search for groups", base: search.Base, filter: search.Filter, attributes: graph.attributes(search), pieces: search.Member}
	s.log.Info("ldap search", zap.String("command", sess.command(q)))
	var large []entry // of which only the first members came
	err := sess.walk(ctx, q, func(page []entry) error {
		for i := range page {
			if _, _, is, err := piece(&page[i], search.Member); is || err != nil {
				large = append(large, page[i])
			} else if err := graph.add(&page[i], search); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range large {
		if err := sess.complete(ctx, &large[i], search.Member); err != nil {
			return nil, err
		}
		if err := graph.add(&large[i], search); err != nil {
			return nil, err
		}
	}
	return graph, graph.build(search)
}

func (s *Source) readPeople(ctx context.Context, sess *session, m *mapper, watch *canaries, x *explainer) ([]reconcile.Person, error) {
	var pages [][]reconcile.Person // joined once: a list that grows would be copied again and again
	q := query{
		what: "the search for people", base: s.cfg.Users.Base, filter: s.cfg.Users.Filter,
		attributes: distinct(append(m.needed, s.cfg.Users.ID)),
	}
	s.log.Info("ldap search", zap.String("command", sess.command(q)))
	err := sess.walk(ctx, q, func(page []entry) error {
		people := make([]reconcile.Person, len(page))
		for i := range page {
			e, p := &page[i], &people[i]
			err := e.named("an entry")
			if err == nil {
				*p, err = m.person(e)
			}
			if err != nil {
				return err
			}
			watch.person(e.key, p)
			x.see(e, p)
		}
		pages = append(pages, people)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(pages...), nil
}

// distinct sorts attribute names and drops those that differ only in case.
func distinct(names []string) []string {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	return slices.CompactFunc(names, strings.EqualFold)
}

// doubts collects those of the expressions that are no rules'.
func (s *Source) doubts(g *groupGraph) []string {
	var out []string
	bare := s.mapping
	bare.Rules = nil
	for _, e := range bare.expressions(s.cfg.Users) {
		if d := g.doubt(e.groups); d != "" {
			out = append(out, fmt.Sprintf("the expression %s says nothing: %s", e.source, d))
		}
	}
	return out
}

func (g *groupGraph) noMembers() int {
	n := 0
	for i := range g.groups {
		if g.groups[i].empty {
			n++
		}
	}
	return n
}
