package ldaptest

import (
	"errors"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// The application tags of RFC 4511, section 4.2 and following. The response to a request that is not listed has the next tag.
const (
	opBind      = 0
	opUnbind    = 2
	opSearch    = 3
	opEntry     = 4
	opDone      = 5
	opAbandon   = 16
	opReference = 19
	opExtended  = 23
)

// The result codes that the server gives by itself.
const (
	codeSuccess            = 0
	codeProtocolError      = 2
	codeSizeLimitExceeded  = 4
	codeAuthNotSupported   = 7
	codeReferral           = 10
	codeUnavailableControl = 12
	codeNoSuchObject       = 32
	codeInvalidDN          = 34
	codeInappropriateAuth  = 48
	codeInvalidCredentials = 49
	codeInsufficientAccess = 50
	codeUnavailable        = 52
	codeUnwilling          = 53
)

var errNoRequest = errors.New("not an LDAP request")

// request is one message of the client.
type request struct {
	id       int64
	op       *ber.Packet
	controls []control
}

type control struct {
	oid      string
	critical bool
	value    []byte
}

func parseRequest(p *ber.Packet) (*request, error) {
	if len(p.Children) < 2 || p.Children[1].ClassType != ber.ClassApplication {
		return nil, errNoRequest
	}
	r := &request{id: number(p.Children[0]), op: p.Children[1]}
	if len(p.Children) > 2 {
		for _, c := range p.Children[2].Children {
			r.controls = append(r.controls, parseControl(c))
		}
	}
	return r, nil
}

// parseControl reads the OID and whichever of the two optional pieces are there.
func parseControl(p *ber.Packet) control {
	var c control
	for i, child := range p.Children {
		switch {
		case i == 0:
			c.oid = child.Data.String()
		case child.Tag == ber.TagBoolean:
			c.critical = flag(child)
		case child.Tag == ber.TagOctetString:
			c.value = child.Data.Bytes()
		}
	}
	return c
}

// number reads an integer or enumeration; what is none is 0.
func number(p *ber.Packet) int64 {
	n, _ := ber.ParseInt64(p.Data.Bytes())
	return n
}

func flag(p *ber.Packet) bool { return number(p) != 0 }

func sequence(children ...*ber.Packet) *ber.Packet {
	return construct(ber.ClassUniversal, ber.TagSequence, children...)
}

func application(tag ber.Tag, children ...*ber.Packet) *ber.Packet {
	return construct(ber.ClassApplication, tag, children...)
}

func construct(class ber.Class, tag ber.Tag, children ...*ber.Packet) *ber.Packet {
	p := ber.Encode(class, ber.TypeConstructed, tag, nil, "")
	for _, c := range children {
		p.AppendChild(c)
	}
	return p
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func integer(tag ber.Tag, n int64) *ber.Packet {
	return ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, tag, n, "")
}

// message wraps a response into its envelope.
func message(id int64, op *ber.Packet, controls ...*ber.Packet) []byte {
	p := sequence(integer(ber.TagInteger, id), op)
	if len(controls) > 0 {
		p.AppendChild(construct(ber.ClassContext, 0, controls...))
	}
	return p.Bytes()
}

// result is the LDAPResult that ends every operation.
func result(tag ber.Tag, code int, matched, text string, referral ...string) *ber.Packet {
	p := application(tag, integer(ber.TagEnumerated, int64(code)), octets(matched), octets(text))
	if len(referral) > 0 {
		urls := construct(ber.ClassContext, 3)
		for _, u := range referral {
			urls.AppendChild(octets(u))
		}
		p.AppendChild(urls)
	}
	return p
}

func entryResponse(e Found) *ber.Packet {
	attrs := sequence()
	for _, a := range e.Attrs {
		values := construct(ber.ClassUniversal, ber.TagSet)
		for _, v := range a.Values {
			values.AppendChild(octets(v))
		}
		attrs.AppendChild(sequence(octets(a.Name), values))
	}
	return application(opEntry, octets(e.DN), attrs)
}

// noticeOfDisconnection is the one message that no request asked for: RFC 4511, section 4.4.1.
func noticeOfDisconnection() []byte {
	res := result(opExtended+1, codeUnavailable, "", "the server is going down")
	res.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, "1.3.6.1.4.1.1466.20036", ""))
	return message(0, res)
}
