package daemon_test

import (
	"context"
	"errors"
	"net"
	"sync"
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
