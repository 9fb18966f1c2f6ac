package ldapsrc

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// query is one search. The scope is the whole subtree, unless it is one entry.
type query struct {
	what       string // for errors: "the search for people"
	base       string
	one        bool
	filter     string
	attributes []string
	pieces     string // an attribute that may come in pieces, since the caller asks for the rest
}

// domainScope is the control that keeps Active Directory from referring to the other parts of its forest (MS-ADTS 3.1.1.3.4.1.4).
const domainScope = "1.2.840.113556.1.4.1339"

// walk reads all pages of a search and gives each to the function; what that keeps must be thrown away if walk fails. Each
// page is a new request, since go-ldap writes the cookie into the one that it is given.
func (s *session) walk(ctx context.Context, q query, each func(page []entry) error) error {
	var cookie []byte
	var before progress
	for page := 1; ; page++ {
		control := ldap.NewControlPaging(s.config.PageSize)
		control.SetCookie(cookie)
		result, err := s.search(ctx, q, control)
		if err != nil {
			return failed(ctx, fmt.Sprintf("%s, page %d", q.what, page), err)
		}
		s.pages++
		entries, err := s.checkPage(q, result)
		if err != nil {
			return err
		}
		if n := pagingControls(result.Controls); n > 1 {
			return incomplete("look into the server's log, and for a proxy in between",
				"%s, page %d came with %d paging controls: nobody knows whether it is the last", q.what, page, n)
		}
		answer, paged := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if paged && len(answer.Cookie) > 0 && !before.goesOn(string(answer.Cookie), result.Entries) {
			return incomplete("look into the server's log", "%s, page %d: the server returned a cookie for the second time, so pages repeat", q.what, page)
		}
		if err := each(entries); err != nil {
			return err
		}
		if !paged {
			return s.unpaged(ctx, q, page, len(result.Entries))
		}
		if cookie = answer.Cookie; len(cookie) == 0 {
			return nil
		}
	}
}

func pagingControls(all []ldap.Control) (n int) {
	for _, c := range all {
		if c.GetControlType() == ldap.ControlTypePaging {
			n++
		}
	}
	return n
}

// progress notices when pages go round in circles. A cookie that comes twice is one sign, but not of 389-ds, whose cookie
// names the search and not the place in it: then the page itself must be one that did not come before.
type progress struct{ cookies, firsts map[string]bool }

func (p *progress) goesOn(cookie string, page []*ldap.Entry) bool {
	if p.cookies == nil {
		p.cookies, p.firsts = make(map[string]bool), make(map[string]bool)
	}
	fresh := !p.cookies[cookie]
	p.cookies[cookie] = true
	if len(page) == 0 {
		return fresh
	}
	fresh = fresh || !p.firsts[page[0].DN]
	p.firsts[page[0].DN] = true
	return fresh
}

// unpaged judges a page without the paging control. A server that does not know it sends everything at once, on page 1; one
// that says it knows it must answer with it, and one that stops at just the size of a page has more.
func (s *session) unpaged(ctx context.Context, q query, page, entries int) error {
	known, err := s.rootDSE(ctx, "supportedControl")
	if err != nil { // not everybody may read it
		s.log.Debug("ldap server does not say what it supports", zap.Error(err))
	}
	if page > 1 || slices.Contains(known, ldap.ControlTypePaging) {
		return incomplete("look into the server's log", "%s, page %d came without the paging control: nobody knows whether it is the last", q.what, page)
	}
	if entries == int(s.config.PageSize) {
		return incomplete("if there are just so many entries, set another ldap.page_size",
			"%s gave exactly one page of %d entries, without the paging control: there may be more", q.what, entries)
	}
	return nil
}

// search sends one request. An error throws away what came before it.
func (s *session) search(ctx context.Context, q query, controls ...ldap.Control) (*ldap.SearchResult, error) {
	scope := ldap.ScopeWholeSubtree
	if q.one {
		scope = ldap.ScopeBaseObject
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.config.Kind.DomainScope {
		controls = append(controls, ldap.NewControlString(domainScope, false, ""))
	}
	result, err := s.conn.Search(ldap.NewSearchRequest(q.base, scope, ldap.NeverDerefAliases, 0, 0, false, q.filter, q.attributes, controls))
	if err != nil {
		return nil, err
	}
	// An answer that belongs to no request of ours is recorded there, and may have been an entry.
	if err := s.conn.GetLastError(); err != nil {
		return nil, err
	}
	return result, nil
}

// rootDSE gives what the server says of itself.
func (s *session) rootDSE(ctx context.Context, attribute string) ([]string, error) {
	q := query{what: "reading the root DSE", one: true, filter: "(objectClass=*)", attributes: []string{attribute}}
	s.log.Debug("ldap search", zap.String("command", s.command(q)))
	result, err := s.search(ctx, q)
	if err != nil {
		return nil, failed(ctx, q.what, err)
	}
	var values []string
	for _, e := range result.Entries {
		values = append(values, e.GetEqualFoldAttributeValues(attribute)...)
	}
	return values, nil
}

// checkPage gives the entries of a result, unless there is something that go-ldap lets pass: references, entries that are not where we
// looked, attributes of which only a range came, and attributes in two parts, of which we would see the first alone.
func (s *session) checkPage(q query, result *ldap.SearchResult) ([]entry, error) {
	for _, ref := range result.Referrals {
		if !s.refs.allow(ref) {
			return nil, incomplete("narrow the search base, read from a server that has it all, or list the reference in ldap.referrals if it may be left unread",
				"%s: a part is on another server, %s", q.what, ref)
		}
		s.log.Debug("ldap reference left unread", zap.String("reference", ref))
	}
	base, err := dnKey(q.base)
	if err != nil {
		return nil, incomplete("look at it with ldapsearch", "%s: the name %q cannot be understood: %v", q.what, q.base, err)
	}
	entries := make([]entry, len(result.Entries))
	for i, e := range result.Entries {
		key, err := dnKey(e.DN)
		if err == nil && !below(key, base) || q.one && key != base {
			return nil, incomplete("look at it with ldapsearch, and for a proxy in between",
				"%s: the server answers with another entry, %q, which is outside of what was asked for", q.what, e.DN)
		}
		if err := checkAttributes(q, e); err != nil {
			return nil, err
		}
		entries[i] = entry{e, key}
	}
	return entries, nil
}

// checkAttributes compares each with all before it: an entry has the few that were asked for.
func checkAttributes(q query, e *ldap.Entry) error {
	for i, a := range e.Attributes {
		if slices.ContainsFunc(e.Attributes[:i], func(b *ldap.EntryAttribute) bool { return strings.EqualFold(a.Name, b.Name) }) {
			return incomplete("look at it with ldapsearch, and for a proxy in between", "%s: %s of %s came twice", q.what, a.Name, e.DN)
		}
		part, is, err := parseSpan(a.Name)
		if err != nil || is && !strings.EqualFold(part.attribute, q.pieces) {
			return incomplete("use an attribute with fewer values", "%s: %s of %s is only a part of the values", q.what, a.Name, e.DN)
		}
	}
	return nil
}

// references is the allow-list, normalised.
type references map[string]bool

func newReferences(urls []string) (references, error) {
	r := make(references, len(urls))
	for _, raw := range urls {
		host, dn, err := splitReference(raw)
		if err != nil {
			return nil, fmt.Errorf("%q is no reference: %w", raw, err)
		}
		r[host+"/"+dn] = true
	}
	return r, nil
}

func (r references) allow(raw string) bool {
	host, dn, err := splitReference(raw)
	return err == nil && (r[host+"/"+dn] || r[host+"/"])
}

// splitReference takes an LDAP URL apart (RFC 4516). What follows the DN, as in ldap://host/dc=x??sub, does not count.
func splitReference(raw string) (host, dn string, err error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return "", "", err
	}
	if dn, err = dnKey(strings.TrimPrefix(u.Path, "/")); err != nil {
		return "", "", err
	}
	return strings.ToLower(u.Scheme + "://" + u.Host), dn, nil
}
