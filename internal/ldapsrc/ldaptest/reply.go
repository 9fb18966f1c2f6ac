package ldaptest

import (
	"bufio"
	"cmp"
	"errors"
	"slices"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// reply sends what became of a search, and says whether the connection goes on.
func (c *conn) reply(id int64, r *Reply) bool {
	id += r.IDShift
	w := bufio.NewWriterSize(&line{c, r.CutAfter, r.Chunk, r.Pause}, 1<<15)
	half := (len(r.Entries) + 1) / 2
	for i := range len(r.Entries) + 1 {
		if i == half {
			for _, url := range r.References {
				_, _ = w.Write(message(id, application(opReference, octets(url))))
			}
		}
		if i < len(r.Entries) {
			_, _ = w.Write(message(id, entryResponse(r.Entries[i])))
		}
	}
	switch {
	case r.Raw != nil:
		_, _ = w.Write(r.Raw)
	case !r.Stall && r.Paging:
		controls := []*ber.Packet{pagingResponse(r.Cookie)}
		if r.Ended {
			controls = slices.Insert(controls, 0, pagingResponse(""))
		}
		_, _ = w.Write(message(id, result(opDone, r.Code, r.Matched, r.Text, r.Referral...), controls...))
	case !r.Stall:
		_, _ = w.Write(message(id, result(opDone, r.Code, r.Matched, r.Text, r.Referral...)))
	}
	if w.Flush() != nil { // keeps the first error of all writes
		return false
	}
	if r.Stall {
		c.drain()
	}
	return !r.Stall && r.Raw == nil
}

// line is the connection as a reply's faults make it.
type line struct {
	conn  *conn
	left  int // bytes until it is cut; below zero for never
	chunk int
	pause time.Duration
}

var errCut = errors.New("cut")

func (l *line) Write(p []byte) (n int, err error) {
	cut := l.left >= 0 && len(p) >= l.left
	if cut {
		p = p[:l.left]
	}
	for piece := range slices.Chunk(p, cmp.Or(l.chunk, max(len(p), 1))) {
		m, err := l.conn.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
		if l.pause > 0 && !l.conn.server.sleep(l.pause) {
			return n, errClosed
		}
	}
	if cut {
		return n, errCut
	}
	if l.left > 0 {
		l.left -= n
	}
	return n, nil
}

// sleep waits, and says whether the server still runs.
func (s *Server) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}
