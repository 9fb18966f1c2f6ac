package ldapsrc

import (
	"fmt"
	"net"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// maxMessage bounds one message of the server in bytes. An entry is one message: a group with half a million members has
// about 40 MB.
const maxMessage = 64 << 20

// The decoder's own bound is a variable of its package, 2 GiB at first. It is set before anything runs: later it could race
// with any connection of the process.
var _ = boundDecoder()

func boundDecoder() struct{} {
	ber.MaxPacketLengthBytes = maxMessage
	return struct{}{}
}

// wire looks at the frame of every message that go-ldap reads: a sequence of bounded length, a message id, a kind of
// answer that belongs to what we ask. go-ldap skips a message silently when it cannot read the id or does not know the
// kind, and an entry would be missing.
type wire struct {
	net.Conn
	head []byte // of the current message, until it has been looked at
	skip int    // bytes of the current message that are still to come
}

// Read passes bytes on until a frame is not as it must be.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if w.skip > 0 {
			k := min(w.skip, len(rest))
			w.skip -= k
			rest = rest[k:]
			continue
		}
		w.head = append(w.head, rest[0])
		rest = rest[1:]
		length, done, bad := frame(w.head)
		if bad != nil {
			return 0, bad
		}
		if done {
			w.skip, w.head = length, w.head[:0]
		}
	}
	return n, err
}

// frame reads the head of a message as far as it has come. When it is done, rest bytes of the message are still to come.
func frame(head []byte) (rest int, done bool, err error) {
	if head[0] != 0x30 {
		return 0, false, fmt.Errorf("the answer is no LDAP message: it starts with %#02x", head[0])
	}
	if len(head) < 2 {
		return 0, false, nil
	}
	length, at := int(head[1]), 2
	if length >= 0x80 {
		count := length & 0x7f
		if count == 0 || count > 4 {
			return 0, false, fmt.Errorf("a message of the server has a length of %d bytes", count)
		}
		if at += count; len(head) < at {
			return 0, false, nil
		}
		length = 0
		for _, b := range head[2:at] {
			length = length<<8 | int(b)
		}
	}
	if length > maxMessage {
		return 0, false, fmt.Errorf("a message of the server has %d bytes, more than %d", length, maxMessage)
	}
	return body(head[at:], length)
}

// body reads id and kind.
func body(head []byte, length int) (rest int, done bool, err error) {
	if len(head) > length || length < 5 {
		return 0, false, fmt.Errorf("a message of the server has only %d bytes", length)
	}
	if len(head) < 2 {
		return 0, false, nil
	}
	if head[0] != 0x02 || head[1] < 1 || head[1] > 4 {
		return 0, false, fmt.Errorf("a message of the server has no id")
	}
	at := 2 + int(head[1])
	if len(head) <= at {
		return 0, false, nil
	}
	switch head[at] {
	case 0x61, 0x64, 0x65, 0x73, 0x78: // bind, entry, done, reference, extended
		return length - len(head), true, nil
	}
	return 0, false, fmt.Errorf("a message of the server is of a kind (%#02x) that nobody asked for", head[at])
}
