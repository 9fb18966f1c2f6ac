package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
)

// wires is a network in memory: what is dialled is accepted by whoever listens at that address.
type wires struct {
	mu        sync.Mutex
	listeners map[string]*wire
	broken    func(address string) error // says whether a connection can be made now; may be nil
}

// wire is a listener in memory.
type wire struct {
	address  wireAddress
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

type wireAddress string

func (wireAddress) Network() string  { return "tcp" }
func (a wireAddress) String() string { return string(a) }

func (n *wires) Listen(_ context.Context, _, address string) (net.Listener, error) {
	return n.listen(address), nil
}

func (n *wires) listen(address string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = map[string]*wire{}
	}
	w := &wire{address: wireAddress(address), incoming: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = w
	return w
}

func (n *wires) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	w, broken := n.listeners[address], n.broken
	n.mu.Unlock()
	if broken != nil {
		if err := broken(address); err != nil {
			return nil, err
		}
	}
	if w == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case w.incoming <- far:
		return near, nil
	case <-w.closed:
	case <-ctx.Done():
	}
	_, _ = near.Close(), far.Close()
	return nil, errors.New("connection refused")
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.incoming:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) Addr() net.Addr { return w.address }

// scissors cut requests to PPMS on their way.
type scissors struct {
	fits  func(form url.Values) bool
	pass  func(body int) int // of that many bytes, so many arrive
	reset bool               // the connection is reset; else it ends
	then  func()             // happens when one was cut; may be nil
	dial  func(ctx context.Context, network, address string) (net.Conn, error)

	mu  sync.Mutex
	cut map[string]int // how often, by the request
}

// Dial is for connections of which requests are cut.
func (s *scissors) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &snipped{conn, s}, nil
}

// once expects that requests were cut, and that each was sent a single time.
func (s *scissors) once(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cut) == 0 {
		t.Error("no request was cut")
	}
	for request, n := range s.cut {
		if n != 1 {
			t.Errorf("sent %d times: %s", n, request)
		}
	}
}

func (s *scissors) count(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut == nil {
		s.cut = map[string]int{}
	}
	s.cut[request]++
}

type snipped struct {
	net.Conn
	by *scissors
}

// Write is given a request at once, since those of PUMAPI are small.
func (c *snipped) Write(p []byte) (int, error) {
	_, body, _ := bytes.Cut(p, []byte("\r\n\r\n"))
	form, err := url.ParseQuery(string(body))
	if err != nil || !bytes.HasPrefix(p, []byte("POST ")) || !c.by.fits(form) {
		return c.Conn.Write(p)
	}
	c.by.count(form.Encode())
	n, err := c.Conn.Write(p[:len(p)-len(body)+c.by.pass(len(body))])
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.by.reset {
		err = errors.Join(err, tcp.SetLinger(0))
	}
	if c.by.then != nil {
		c.by.then()
	}
	return n, errors.Join(err, c.Close(), syscall.EPIPE)
}
