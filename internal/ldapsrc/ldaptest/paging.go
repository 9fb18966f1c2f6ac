package ldaptest

import (
	"encoding/binary"

	ber "github.com/go-asn1-ber/asn1-ber"
)

const (
	oidPaging      = "1.2.840.113556.1.4.319"
	oidDomainScope = "1.2.840.113556.1.4.1339"
	oidManageDsaIT = "2.16.840.1.113730.3.4.2"
)

// cursor is a paged search under way. It keeps the whole result, so that a change of the content between two pages does not
// show: what a page returns depends on its cookie alone, and a cookie that comes twice gets the same page twice.
type cursor struct {
	base, filter string
	all          []Found
	over         bool // a size limit cut the result
}

// cookie is a place in a cursor. To the client it is opaque.
type cookie struct{ cursor, pos, page uint32 }

const cookieLength = 12

func (c cookie) String() string {
	b := make([]byte, 0, cookieLength)
	for _, n := range []uint32{c.cursor, c.pos, c.page} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return string(b)
}

func parseCookie(s string) (c cookie, ok bool) {
	if len(s) != cookieLength {
		return c, false
	}
	b := []byte(s)
	return cookie{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}, true
}

// parsePaging reads the value of the control: SEQUENCE { size, cookie }.
func parsePaging(value []byte) (size int, cookie string, ok bool) {
	p, err := ber.DecodePacketErr(value)
	if err != nil || len(p.Children) != 2 || number(p.Children[0]) < 0 {
		return 0, "", false
	}
	return int(number(p.Children[0])), p.Children[1].Data.String(), true
}

// pagingResponse is the control in a result. The size, an estimate of the whole result, is 0 for "not known", as in OpenLDAP.
func pagingResponse(cookie string) *ber.Packet {
	value := sequence(integer(ber.TagInteger, 0), octets(cookie))
	return sequence(octets(oidPaging), octets(string(value.Bytes())))
}

// page fills the reply with the page that the request asks for, and its cookie.
func (c *conn) page(cur *cursor, at cookie, r *Reply) {
	size := r.Request.PageSize
	if most := c.server.options.MaxPageSize; most > 0 && (size == 0 || size > most) {
		size = most
	}
	rest := cur.all[at.pos:]
	r.All, r.Entries, r.Paging = cur.all, rest, true
	if size > 0 && len(rest) > size {
		r.Entries = rest[:size:size]
		r.Cookie = cookie{at.cursor, at.pos + uint32(size), at.page + 1}.String() //nolint:gosec // a page of a result in memory
		return
	}
	if cur.over {
		r.Code, r.Text, r.Paging = codeSizeLimitExceeded, "size limit exceeded", false
	}
}
