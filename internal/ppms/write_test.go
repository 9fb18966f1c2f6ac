package ppms

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"ppms-syncd/internal/reconcile"
)

func TestAnswersToWrites(t *testing.T) {
	for body, want := range map[string]struct {
		kind Kind
		fate Fate
	}{
		"OK newuser":                      {0, Confirmed},
		"ok\r\n":                          {0, Confirmed},
		"done":                            {0, Confirmed},
		"DONE.":                           {0, Confirmed},
		"user updated: OK":                {0, Confirmed},
		"":                                {Unconfirmed, Unknown},
		"abandoned":                       {Unconfirmed, Unknown}, // done is no word of it
		"token":                           {Unconfirmed, Unknown},
		"true":                            {Unconfirmed, Unknown},
		"error: invalid user jdoe":        {Refused, Rejected},
		"User made. Error: mail not sent": {Unconfirmed, Unknown}, // a refusal begins so
		"error: request not authorized":   {Unauthorised, Rejected},
		"<html>OK</html>":                 {NotPUMAPI, Unknown},
	} {
		l := newLab(t, answering(body))
		for action, call := range allCalls(t, l.Writer) {
			if action == "getusers" {
				continue
			}
			if err := call(); KindOf(err) != want.kind || FateOf(err) != want.fate || (err == nil) != (want.kind == 0) {
				t.Errorf("%s answered %q: %v, %v", action, body, err, FateOf(err))
			}
		}
	}
}

func TestWritesThatMustNotBeSent(t *testing.T) {
	l := newLab(t, answering("OK done"))
	ctx := t.Context()
	person := func(name, value string) map[string]string {
		fields := map[string]string{"lname": "Doe", "fname": "J", "email": "j@x", "unitlogin": "lab"}
		fields[name] = value
		return fields
	}
	for name, err := range map[string]error{
		"superuser":              l.SetRight(ctx, "jdoe", 31, reconcile.Superuser),
		"no level":               l.SetRight(ctx, "jdoe", 31, reconcile.None),
		"a level out of range":   l.SetRight(ctx, "jdoe", 31, reconcile.Superuser+1),
		"no system":              l.SetRight(ctx, "jdoe", 0, reconcile.Novice),
		"right of nobody":        l.SetRight(ctx, " ", 31, reconcile.Novice),
		"new user of no login":   l.NewUser(ctx, "", person("phone", "1")),
		"new user of no unit":    l.NewUser(ctx, "jdoe", person("unitlogin", "")),
		"new user of blank name": l.NewUser(ctx, "jdoe", person("lname", " \t")),
		"new user, active":       l.NewUser(ctx, "jdoe", person("active", "true")),
		"update of no field":     l.UpdateUser(ctx, "jdoe", nil),
		"update of no login":     l.UpdateUser(ctx, "", person("phone", "1")),
		"update of the action":   l.UpdateUser(ctx, "jdoe", person("action", "newgroup")),
		"update of the key":      l.UpdateUser(ctx, "jdoe", person("apikey", "x")),
		"update of the login":    l.UpdateUser(ctx, "jdoe", person("login", "other")),
		"update of active: 0":    l.UpdateUser(ctx, "jdoe", person("active", "0")),
		"update of active: none": l.UpdateUser(ctx, "jdoe", person("active", "")),
	} {
		if KindOf(err) != NotSent || FateOf(err) != NeverSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.Requests() != 0 || len(l.requests()) != 0 {
		t.Error("something was sent")
	}
}

func TestEachWriteHasAConnectionOfItsOwn(t *testing.T) {
	var mu sync.Mutex
	connections := map[string]bool{}
	l := newLab(t, func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		connections[req.RemoteAddr] = true
		fmt.Fprint(w, "OK")
	})
	for range 3 {
		_ = drop(l.Users(t.Context(), Any))
	}
	if len(connections) != 1 {
		t.Errorf("three reads opened %d connections", len(connections))
	}
	for range 3 {
		_ = l.SetRight(t.Context(), "jdoe", 31, reconcile.Novice)
	}
	if len(connections) != 4 {
		t.Errorf("with three writes it is %d connections", len(connections))
	}
}

// The transport may send a request again of its own accord if a kept connection turns out to be closed and the body can be
// rewound. Here the server answers one request on each connection and resets it at the second.
func TestTransportNeverSendsAgain(t *testing.T) {
	var requests atomic.Int64
	server := newRawServer(t, func(conn *net.TCPConn) {
		reader := bufio.NewReader(conn)
		for n := 0; ; n++ {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_ = req.ParseForm()
			requests.Add(1)
			if n > 0 {
				reset(conn)
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
		}
	})
	w := newTestWriter(t, Options{URL: server.url})
	t.Cleanup(w.Close)
	// Through the pool of kept connections, where no write goes: the worst case.
	setright := call{action: "setright", write: true}
	for i, want := range []Kind{0, Lost} {
		_, err := w.exchange(t.Context(), w.pool, setright)
		if f, _ := errors.AsType[*fault](err); (err == nil) != (want == 0) || f != nil && f.kind != want {
			t.Errorf("request %d: %v", i, err)
		}
		if got := requests.Load(); got != int64(i+1) {
			t.Fatalf("%d requests arrived after %d were sent", got, i+1)
		}
	}
}

// The transport sends again if it could write nothing to a kept connection, which only a body without GetBody prevents. A
// connection that fails at its second request stands for one that died unnoticed.
func TestRequestCannotBeRewound(t *testing.T) {
	l := newLab(t, answering("OK"))
	var dials atomic.Int64
	l.pool.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &dying{Conn: conn}, err
	}
	ask := func(rewindable bool) error {
		req, err := l.request(t.Context(), call{action: "setright", write: true})
		if err != nil {
			t.Fatal(err)
		}
		if req.GetBody != nil {
			t.Error("our requests can be rewound")
		}
		if rewindable {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Fatal(err)
			}
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			req.Body, _ = req.GetBody()
		}
		resp, err := l.pool.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return err
	}
	if err := ask(false); err != nil {
		t.Fatal(err)
	}
	if err := ask(false); err == nil || dials.Load() != 1 {
		t.Errorf("our request was sent again: %v, %d connections", err, dials.Load())
	}
	if err := ask(false); err != nil {
		t.Fatal(err)
	}
	if err := ask(true); err != nil || dials.Load() != 3 {
		t.Errorf("the test proves nothing: a request with GetBody was not sent again: %v, %d connections", err, dials.Load())
	}
}

// dying is a connection on which only the first request can be written.
type dying struct {
	net.Conn
	requests atomic.Int64
}

func (c *dying) Write(data []byte) (int, error) {
	if bytes.HasPrefix(data, []byte("POST ")) && c.requests.Add(1) > 1 {
		return 0, errors.New("the connection has died")
	}
	return c.Conn.Write(data)
}
