package ldaptest

import (
	"slices"
	"strings"
	"time"
)

// Fault is one misbehaviour: which searches it strikes, and what happens then. The zero conditions strike every search. All
// faults that strike a search are applied in their order.
type Fault struct {
	Base   string // only searches with this base
	Filter string // only searches whose filter contains this text
	Page   int    // only this page of a paged search, counted from 1; a search without paging is page 1
	Search int    // only the server's n-th search request, counted from 1
	Times  int    // only so often; 0 means always
	Do     Do
}

// Do is what a fault does: it changes the reply that the server was about to send. Tests may write their own; they must replace
// entries, not change them in place, because other pages share them.
type Do func(*Reply)

// Reply is the answer to one search request, before it is sent.
type Reply struct {
	Request  SearchSeen
	Entries  []Found // of this page
	All      []Found // of the whole search
	Code     int     // result code
	Text     string  // diagnostic message
	Matched  string  // matchedDN, of noSuchObject
	Referral []string
	Paging   bool   // send the paged results control
	Cookie   string // in that control; "" on the last page
	Ended    bool   // a control with an empty cookie comes before that one

	// References are continuation references (URLs), sent after the first half of the entries.
	References []string
	// Raw is sent as it is, after the entries and in place of the result.
	Raw []byte
	// Stall sends nothing after the entries and waits until the client goes.
	Stall bool
	// CutAfter closes the connection after so many bytes of this reply; below zero it never does.
	CutAfter int
	// Chunk and Pause let the reply trickle: so many bytes, then a pause.
	Chunk int
	Pause time.Duration
	// IDShift is added to the message id of the whole reply.
	IDShift int64
}

// Found is an entry in a reply.
type Found struct {
	DN    string
	Attrs []Attr
}

// Attr is an attribute of an entry in a reply, as it goes over the wire.
type Attr struct {
	Name   string
	Values []string
}

// After lets only the first n entries of the page out before it happens.
func (do Do) After(n int) Do {
	return func(r *Reply) {
		r.Entries = r.Entries[:min(n, len(r.Entries))]
		do(r)
	}
}

// Result ends the search with this code, after the entries of the page: 4 size limit exceeded, 11 administrative limit
// exceeded, 50 insufficient access, 51 busy, 52 unavailable, 53 unwilling to perform.
func Result(code int) Do {
	return func(r *Reply) { r.Code, r.Text, r.Paging = code, "told to fail", false }
}

// Cut closes the connection after n bytes of the reply.
func Cut(n int) Do { return func(r *Reply) { r.CutAfter = n } }

// Stall sends the entries, then nothing, and waits until the client goes.
func Stall() Do { return func(r *Reply) { r.Stall = true } }

// Trickle sends the reply in pieces of n bytes with a pause after each.
func Trickle(n int, pause time.Duration) Do {
	return func(r *Reply) { r.Chunk, r.Pause = n, pause }
}

// RepeatCookie answers with the very cookie that the client sent, so that the same page comes again and again. It has no effect
// on page 1, which has none.
func RepeatCookie() Do {
	return func(r *Reply) {
		if r.Request.Cookie != "" {
			r.Paging, r.Cookie = true, r.Request.Cookie
		}
	}
}

// DropPaging leaves the paging control out, so that the page looks like the last.
func DropPaging() Do { return func(r *Reply) { r.Paging = false } }

// PagingTwice sends two paging controls, the first of which says that the page is the last.
func PagingTwice() Do { return func(r *Reply) { r.Ended = true } }

// IgnorePaging sends everything at once, without control.
func IgnorePaging() Do {
	return func(r *Reply) { r.Entries, r.Paging, r.Cookie = r.All, false, "" }
}

// Empty reports success without entries, as a server does that may not show them; 389-ds does so even for a base that is not
// there.
func Empty() Do {
	return func(r *Reply) { r.Entries, r.Cookie, r.Code, r.Matched, r.Text = nil, "", codeSuccess, "", "" }
}

// Reference sends a continuation reference among the entries.
func Reference(url string) Do {
	return func(r *Reply) { r.References = append(r.References, url) }
}

// Referral answers with a referral in place of a result, without entries.
func Referral(url string) Do {
	return func(r *Reply) {
		r.Entries, r.Paging, r.Code, r.Referral = nil, false, codeReferral, []string{url}
	}
}

// Hide leaves out the entry with this DN.
func Hide(dn string) Do {
	return func(r *Reply) {
		r.Entries = slices.DeleteFunc(slices.Clone(r.Entries), func(e Found) bool { return sameDN(e.DN, dn) })
	}
}

// Withhold leaves an attribute out of the entry with this DN; of all entries if the DN is "".
func Withhold(dn, attr string) Do {
	return func(r *Reply) {
		r.edit(dn, func(e *Found) {
			e.Attrs = slices.DeleteFunc(slices.Clone(e.Attrs), func(a Attr) bool { return strings.EqualFold(a.Name, attr) })
		})
	}
}

// Range sends only the first n values of an attribute of the entry with this DN, as member;range=0-1499, beside the attribute
// without values, as Active Directory does. Options.MaxValRange does so for all entries and answers requests for the rest, too.
func Range(dn, attr string, n int) Do {
	return func(r *Reply) {
		r.edit(dn, func(e *Found) {
			var attrs []Attr
			for _, a := range e.Attrs {
				if strings.EqualFold(a.Name, attr) {
					attrs = append(attrs, limited(a, n)...)
				} else {
					attrs = append(attrs, a)
				}
			}
			e.Attrs = attrs
		})
	}
}

// Duplicate sends the entry with this DN twice.
func Duplicate(dn string) Do {
	return func(r *Reply) {
		for _, e := range r.Entries {
			if sameDN(e.DN, dn) {
				r.Entries = append(slices.Clip(r.Entries), e)
				return
			}
		}
	}
}

// Rename sends the entry with this DN under another, which need not be one.
func Rename(dn, as string) Do {
	return func(r *Reply) { r.edit(dn, func(e *Found) { e.DN = as }) }
}

// BadDN sends the entry with this DN under one that cannot be decoded.
func BadDN(dn string) Do { return Rename(dn, "uid=\xff\\zz,,=") }

// HugeLength sends the head of a message of two gigabytes, and nothing more.
func HugeLength() Do {
	return func(r *Reply) { r.Raw, r.Stall = []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, true }
}

// Garbage sends bytes that are no LDAP, then closes the connection.
func Garbage() Do {
	return func(r *Reply) { r.Raw = []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") }
}

// Disconnect says goodbye as servers do when they shut down, with a notice of disconnection, and closes the connection.
func Disconnect() Do {
	return func(r *Reply) { r.Raw = noticeOfDisconnection() }
}

// WrongMessageID sends the reply under the id of a request that was never made.
func WrongMessageID() Do { return func(r *Reply) { r.IDShift = 1000 } }

// edit changes the entry with this DN, all if it is "", without touching the page of another search.
func (r *Reply) edit(dn string, change func(*Found)) {
	r.Entries = slices.Clone(r.Entries)
	for i := range r.Entries {
		if dn == "" || sameDN(r.Entries[i].DN, dn) {
			change(&r.Entries[i])
		}
	}
}

// strikes says whether the fault is meant for this search.
func (f *Fault) strikes(s *SearchSeen) bool {
	return (f.Base == "" || sameDN(f.Base, s.Base)) &&
		strings.Contains(strings.ToLower(s.Filter), strings.ToLower(f.Filter)) &&
		(f.Page == 0 || f.Page == s.Page) &&
		(f.Search == 0 || f.Search == s.Number)
}
