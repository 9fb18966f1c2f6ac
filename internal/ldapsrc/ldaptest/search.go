package ldaptest

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"ppms-syncd/internal/ldapsrc"
)

// SearchSeen is one search request as the server saw it.
type SearchSeen struct {
	Number    int // of the server's search requests, counted from 1
	Conn      int // of its connections, counted from 1
	BoundAs   string
	TLS       bool
	Base      string
	Scope     int // 0 base, 1 one level, 2 subtree
	Filter    string
	Attrs     []string
	TypesOnly bool
	SizeLimit int
	Controls  []string // OIDs
	Paged     bool
	PageSize  int
	Cookie    string
	Page      int // of a paged search, counted from 1; 1 without paging
}

// failure is a search that ends with a result code and nothing else.
type failure struct {
	code          int
	matched, text string
}

func (c *conn) search(req *request) bool {
	seen, filter, err := parseSearch(req)
	if err != nil {
		return c.send(message(req.id, result(opDone, codeProtocolError, "", err.Error())))
	}
	seen.Conn, seen.BoundAs, seen.TLS = c.number, c.boundAs, c.secure
	at, known := parseCookie(seen.Cookie)
	if known {
		seen.Page = int(at.page)
	}
	strikes := c.server.record(&seen)
	r := &Reply{Request: seen, CutAfter: -1}
	if fail := c.find(req, filter, at, r); fail != nil {
		r.Code, r.Matched, r.Text = fail.code, fail.matched, fail.text
	}
	for _, do := range strikes {
		do(r)
	}
	return c.reply(req.id, r)
}

// record keeps the request and returns what the faults do to it.
func (s *Server) record(seen *SearchSeen) (strikes []Do) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen.Number = len(s.seen) + 1
	s.seen = append(s.seen, *seen)
	for i := range s.faults {
		f := &s.faults[i]
		if f.strikes(seen) && (f.Times == 0 || s.struck[i] < f.Times) {
			s.struck[i]++
			strikes = append(strikes, f.Do)
		}
	}
	return strikes
}

// parseSearch reads a SearchRequest: base, scope, dereferencing, size and time limit, types only, filter, attributes.
func parseSearch(req *request) (seen SearchSeen, filter *ldapsrc.Filter, err error) {
	p := req.op.Children
	if len(p) != 8 {
		return seen, nil, errNoRequest
	}
	if filter, err = ldapsrc.FilterFromPacket(p[6]); err != nil {
		return seen, nil, err
	}
	seen = SearchSeen{
		Base: p[0].Data.String(), Scope: int(number(p[1])), SizeLimit: int(number(p[3])), TypesOnly: flag(p[5]),
		Filter: filter.String(), Page: 1,
	}
	for _, a := range p[7].Children {
		seen.Attrs = append(seen.Attrs, a.Data.String())
	}
	for _, ctl := range req.controls {
		seen.Controls = append(seen.Controls, ctl.oid)
		if ctl.oid == oidPaging {
			seen.Paged = true
			var ok bool
			if seen.PageSize, seen.Cookie, ok = parsePaging(ctl.value); !ok {
				return seen, nil, errors.New("paged results control cannot be decoded")
			}
		}
	}
	return seen, filter, nil
}

// find fills the reply with what an honest server sends.
func (c *conn) find(req *request, filter *ldapsrc.Filter, at cookie, r *Reply) *failure {
	seen, s := &r.Request, c.server
	for _, ctl := range req.controls {
		if ctl.critical && !slices.Contains(supportedControls(), ctl.oid) {
			return &failure{code: codeUnavailableControl, text: "critical control " + ctl.oid + " is not supported"}
		}
	}
	switch {
	case seen.Base == "" && seen.Scope == ldap.ScopeBaseObject:
		if root := s.rootDSE(); filter.Match(root.get) {
			r.Entries = s.selected([]*record{root}, seen)
			r.All = r.Entries
		}
		return nil
	case !c.bound && !s.options.AllowAnonymous:
		return &failure{code: codeInsufficientAccess, text: "bind first"}
	case seen.Cookie != "":
		return c.nextPage(at, r)
	}
	cur, fail := s.newCursor(filter, seen)
	if fail != nil {
		return fail
	}
	if s.refers(seen) {
		r.References = slices.Clone(s.options.References)
	}
	if seen.Paged {
		c.cursors = append(c.cursors, cur)
		c.page(cur, cookie{cursor: uint32(len(c.cursors) - 1), page: 1}, r) //nolint:gosec // a handful of searches
		return nil
	}
	r.All, r.Entries = cur.all, cur.all
	if cur.over {
		r.Code, r.Text = codeSizeLimitExceeded, "size limit exceeded"
	}
	return nil
}

// refers says whether the search reaches what other servers hold, and wants to know.
func (s *Server) refers(seen *SearchSeen) bool {
	return seen.Scope == ldap.ScopeWholeSubtree && !slices.Contains(seen.Controls, oidDomainScope) &&
		slices.ContainsFunc(s.content.Load().contexts, func(dn string) bool { return sameDN(dn, seen.Base) })
}

// nextPage goes on with a paged search, or ends it if the size asked for is 0.
func (c *conn) nextPage(at cookie, r *Reply) *failure {
	if at.page < 2 || int(at.cursor) >= len(c.cursors) {
		return &failure{code: codeUnwilling, text: "paged results cookie is invalid"}
	}
	cur := c.cursors[at.cursor]
	if int(at.pos) > len(cur.all) || cur.base != r.Request.Base || cur.filter != r.Request.Filter {
		return &failure{code: codeUnwilling, text: "paged results cookie belongs to another search"}
	}
	if r.Request.PageSize == 0 {
		r.All, r.Paging = cur.all, true
		return nil
	}
	c.page(cur, at, r)
	return nil
}

// newCursor does the search.
func (s *Server) newCursor(filter *ldapsrc.Filter, seen *SearchSeen) (*cursor, *failure) {
	content := s.content.Load()
	base, err := ldap.ParseDN(seen.Base)
	if err != nil {
		return nil, &failure{code: codeInvalidDN, text: "invalid DN"}
	}
	if content.byKey[keyOf(seen.Base)] == nil {
		fail := &failure{code: codeNoSuchObject}
		if up := content.above(base); up != nil {
			fail.matched = up.dn
		}
		return nil, fail
	}
	limit := smallest(s.options.SizeLimit, seen.SizeLimit)
	if !seen.Paged {
		limit = smallest(limit, s.options.MaxPageSize)
	}
	cur := &cursor{base: seen.Base, filter: seen.Filter}
	var hits []*record
	for _, r := range content.records {
		if !r.within(base, seen.Scope) || !filter.Match(r.get) {
			continue
		}
		if limit > 0 && len(hits) == limit {
			cur.over = true
			break
		}
		hits = append(hits, r)
	}
	cur.all = s.selected(hits, seen)
	return cur, nil
}

// smallest is the smaller of two limits, of which 0 is none.
func smallest(a, b int) int {
	if a == 0 || b == 0 {
		return cmp.Or(a, b)
	}
	return min(a, b)
}

func (r *record) within(base *ldap.DN, scope int) bool {
	switch {
	case r.parsed == nil:
		return scope == ldap.ScopeWholeSubtree
	case scope == ldap.ScopeBaseObject:
		return base.EqualFold(r.parsed)
	case scope == ldap.ScopeSingleLevel:
		return len(r.parsed.RDNs) == len(base.RDNs)+1 && base.AncestorOfFold(r.parsed)
	}
	return base.AncestorOfFold(r.parsed) || base.EqualFold(r.parsed)
}

func supportedControls() []string { return []string{oidPaging, oidDomainScope, oidManageDsaIT} }

// rootDSE describes the server. As in OpenLDAP nearly all of it is operational.
func (s *Server) rootDSE() *record {
	attrs := map[string][]string{
		"objectClass":             {"top"},
		"namingContexts":          s.content.Load().contexts,
		"supportedControl":        supportedControls(),
		"supportedExtension":      {oidWhoAmI},
		"supportedLDAPVersion":    {"3"},
		"supportedSASLMechanisms": {"EXTERNAL"},
	}
	if s.options.StartTLS != nil {
		attrs["supportedExtension"] = []string{oidStartTLS, oidWhoAmI}
	}
	maps.Copy(attrs, s.options.RootDSE)
	return newRecord(Entry{Attrs: attrs})
}
