package ppms

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ppms-syncd/internal/secret"
)

const testKey = `Tr0ub4dor&3 "key"+/=`

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// lab is a server, a client of it, and all that the client has said and that the server has got.
type lab struct {
	*Writer
	server *httptest.Server
	logs   *observer.ObservedLogs

	mu       sync.Mutex
	got      []url.Values
	outcomes []string
}

// wire is a network in memory.
type wire struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newWire() *wire { return &wire{incoming: make(chan net.Conn), closed: make(chan struct{})} }

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case w.incoming <- far:
		return near, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
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

func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// newLab starts a server with the handler, whose requests have had their form parsed.
func newLab(tb testing.TB, handler http.HandlerFunc, change ...func(*Options)) *lab {
	tb.Helper()
	return newLabOn(tb, nil, handler, change...)
}

// newLabOn starts it on a listener; nil is one of loopback.
func newLabOn(tb testing.TB, listener net.Listener, handler http.HandlerFunc, change ...func(*Options)) *lab {
	tb.Helper()
	l := &lab{}
	l.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := req.ParseForm(); err != nil {
			tb.Error(err)
		}
		l.mu.Lock()
		l.got = append(l.got, maps.Clone(req.PostForm))
		l.mu.Unlock()
		handler(w, req)
	}))
	if listener != nil {
		_ = l.server.Listener.Close()
		l.server.Listener = listener
	}
	l.server.Start()
	core, logs := observer.New(zap.DebugLevel)
	l.logs = logs
	l.Writer = newTestWriter(tb, Options{
		URL: l.server.URL + "/lab/pumapi/", Log: zap.New(core),
		Observe: func(action, outcome string, _ time.Duration) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.outcomes = append(l.outcomes, action+" "+outcome)
		},
	}, change...)
	tb.Cleanup(l.server.Close) // after the client let go of its connections
	tb.Cleanup(l.Close)
	return l
}

func newTestWriter(tb testing.TB, o Options, change ...func(*Options)) *Writer {
	tb.Helper()
	o.Key = secret.New(testKey)
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	for _, c := range change {
		c(&o)
	}
	w, err := NewWriter(o)
	if err != nil {
		tb.Fatal(err)
	}
	w.firstWait = time.Millisecond
	tb.Cleanup(w.Close)
	return w
}

// answering gives the same answer to every request.
func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// answeringBy answers by action.
func answeringBy(bodies map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = w.Write([]byte(bodies[req.PostFormValue("action")]))
	}
}

func (l *lab) requests() []url.Values {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

func (l *lab) observed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.outcomes, ", ")
}

func wantKind(tb testing.TB, err error, want Kind) {
	tb.Helper()
	if got := KindOf(err); got != want {
		tb.Fatalf("got a %v error (%v), want %v", got, err, want)
	}
}
