package ppms

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ppms-syncd/internal/reconcile"
)

// rawServer is a TCP server that hands each connection to serve and then closes it. It counts the requests that serve reads.
type rawServer struct {
	url string
}

func newRawServer(t *testing.T, serve func(conn *net.TCPConn)) rawServer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return rawServer{"http://" + listener.Addr().String() + "/pumapi/"}
}

// readRequest takes one whole request off the connection.
func readRequest(conn net.Conn) error {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// allCalls are a read and the three writes, by name.
func allCalls(t *testing.T, w *Writer) map[string]func() error {
	t.Helper()
	person := map[string]string{"lname": "Doe", "fname": "J", "email": "j@x", "unitlogin": "lab"}
	return map[string]func() error{
		"getusers":   func() error { return drop(w.Users(t.Context(), Any)) },
		"newuser":    func() error { return w.NewUser(t.Context(), "jdoe", person) },
		"updateuser": func() error { return w.UpdateUser(t.Context(), "jdoe", person) },
		"setright":   func() error { return w.SetRight(t.Context(), "jdoe", 31, reconcile.Autonomous) },
	}
}

func TestNobodyListens(t *testing.T) {
	w := newTestWriter(t, Options{URL: "http://127.0.0.1:1"}) // a port that nobody is given by chance
	for name, call := range allCalls(t, w) {
		before := w.Requests()
		err := call()
		wantKind(t, err, NotSent)
		if FateOf(err) != NeverSent || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", name, err)
		}
		if tries := w.Requests() - before; tries != 1 && name != "getusers" || name == "getusers" && tries != maxTries {
			t.Errorf("%s: tried %d times", name, tries)
		}
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(answering("OK"))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	w := newTestWriter(t, Options{URL: server.URL})
	for name, call := range allCalls(t, w) {
		before := w.Requests()
		err := call()
		wantKind(t, err, NotSent)
		if FateOf(err) != NeverSent || w.Requests() != before+1 {
			t.Errorf("%s: %v after %d tries", name, err, w.Requests()-before)
		}
	}
}

// TestCertificate: an answer over TLS tells when the certificate ends, also one that refuses; without TLS there is nothing to tell.
func TestCertificate(t *testing.T) {
	server := httptest.NewTLSServer(answering("error: request not authorized"))
	defer server.Close()
	w := newTestWriter(t, Options{URL: server.URL})
	if got := w.CertExpires(); !got.IsZero() {
		t.Errorf("before the first answer: %v", got)
	}
	w.pool = server.Client()
	_, err := w.Admins(t.Context())
	wantKind(t, err, Unauthorised)
	if got, want := w.CertExpires(), server.Certificate().NotAfter; !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
	plain := newLab(t, answering("admin"))
	if _, err := plain.Admins(t.Context()); err != nil || !plain.CertExpires().IsZero() {
		t.Errorf("without TLS: %v, %v", plain.CertExpires(), err)
	}
}

func TestBrokenConnections(t *testing.T) {
	for name, serve := range map[string]func(conn *net.TCPConn){
		"reset before the request is read": reset,
		"closed before":                    func(*net.TCPConn) {},
		"reset after the request is read":  func(conn *net.TCPConn) { _ = readRequest(conn); reset(conn) },
		"closed after":                     func(conn *net.TCPConn) { _ = readRequest(conn) },
		"reset in the headers": func(conn *net.TCPConn) {
			_ = readRequest(conn)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Le")
			reset(conn)
		},
		"no HTTP": func(conn *net.TCPConn) {
			_ = readRequest(conn)
			fmt.Fprint(conn, "220 mail.example.org ESMTP\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int64
			server := newRawServer(t, func(conn *net.TCPConn) { connections.Add(1); serve(conn) })
			w := newTestWriter(t, Options{URL: server.url})
			for action, call := range allCalls(t, w) {
				connections.Store(0)
				err := call()
				if name == "reset before the request is read" && KindOf(err) == NotSent {
					continue // so early that the connection did not come about
				}
				wantKind(t, err, Lost)
				if FateOf(err) != Unknown {
					t.Errorf("%s: %v", action, FateOf(err))
				}
				if got := connections.Load(); action == "getusers" && got != maxTries || action != "getusers" && got != 1 {
					t.Errorf("%s: %d connections", action, got)
				}
			}
		})
	}
}

// A cut answer is lost wherever it is cut; never a shorter list, and never an empty one.
func TestAnswerCutAtEveryByte(t *testing.T) {
	const body = "admin\r\njdoe\r\nasmith\r\n"
	for name, whole := range map[string]string{
		"Content-Length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"chunked": fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n",
			body[:7], len(body)-7, body[7:]),
		"neither": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body,
	} {
		t.Run(name, func(t *testing.T) {
			var length atomic.Int64
			server := newRawServer(t, func(conn *net.TCPConn) {
				if readRequest(conn) == nil {
					fmt.Fprint(conn, whole[:length.Load()])
				}
			})
			w := newTestWriter(t, Options{URL: server.url})
			for n := range len(whole) {
				length.Store(int64(n))
				users, err := w.Users(t.Context(), Any)
				if KindOf(err) != Lost || users != nil {
					t.Fatalf("cut at byte %d: %v %v", n, users, err)
				}
			}
			length.Store(int64(len(whole)))
			users, err := w.Users(t.Context(), Any)
			if name == "neither" {
				wantKind(t, err, Lost)
			} else if err != nil || len(users) != 3 {
				t.Errorf("whole: %v %v", users, err)
			}
		})
	}
}

func TestAnswerToAWriteNeedsNoLength(t *testing.T) {
	server := newRawServer(t, func(conn *net.TCPConn) {
		if readRequest(conn) == nil {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndone")
		}
	})
	w := newTestWriter(t, Options{URL: server.url})
	if err := w.SetRight(t.Context(), "jdoe", 31, reconcile.Novice); err != nil {
		t.Error(err)
	}
}

// What a server sends beyond its Content-Length is no part of the answer.
func TestLongerThanItsLength(t *testing.T) {
	server := newRawServer(t, func(conn *net.TCPConn) {
		if readRequest(conn) == nil {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nadmin\njdoe\n")
		}
	})
	users, err := newTestWriter(t, Options{URL: server.url}).Users(t.Context(), Any)
	if err != nil || len(users) != 1 {
		t.Error(users, err)
	}
}

func TestTimeouts(t *testing.T) {
	for name, serve := range map[string]func(w http.ResponseWriter, release <-chan struct{}){
		"no answer at all": func(_ http.ResponseWriter, release <-chan struct{}) { <-release },
		"a slow drip": func(w http.ResponseWriter, release <-chan struct{}) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				fmt.Fprint(w, "jdoe\n")
				w.(http.Flusher).Flush()
				select {
				case <-tick.C:
				case <-release:
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in memory, where no machine is too busy for it
				release, wire := make(chan struct{}), newWire()
				l := newLabOn(t, wire, func(w http.ResponseWriter, _ *http.Request) { serve(w, release) },
					func(o *Options) { o.Timeout, o.Dial = 50*time.Millisecond, wire.dial })
				t.Cleanup(func() { close(release) }) // before the server is closed, which waits for its handlers
				for action, call := range allCalls(t, l.Writer) {
					err := call()
					wantKind(t, err, Lost)
					if !errors.Is(err, errTimeout) || errors.Is(err, context.DeadlineExceeded) || FateOf(err) != Unknown {
						t.Errorf("%s: %v", action, err)
					}
				}
				if l.Requests() != maxTries+3 {
					t.Error(l.Requests())
				}
			})
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		l := newLab(t, answering("jdoe"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range []error{
			drop(l.Users(ctx, Any)),
			l.SetRight(ctx, "jdoe", 31, reconcile.Novice),
			second(l.Records(ctx, logins(10), nil)),
			drop(l.AllSystemRights(ctx, []int{1, 2, 3}, nil)),
		} {
			if KindOf(err) != NotSent || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if l.Requests() != 0 {
			t.Error(l.Requests())
		}
	})
	t.Run("while waiting for the answer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLab(t, func(_ http.ResponseWriter, req *http.Request) { cancel(); <-req.Context().Done() })
		_, err := l.Users(ctx, Any)
		wantKind(t, err, Lost)
		if !errors.Is(err, context.Canceled) || l.Requests() != 1 {
			t.Error(err, l.Requests())
		}
	})
	t.Run("while waiting to try again", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		l.observe = func(string, string, time.Duration) { cancel() }
		_, err := l.Users(ctx, Any)
		wantKind(t, err, HTTPStatus)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "503") {
			t.Error(err)
		}
	})
}

func second(_ []User, _ []string, err error) error { return err }

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var followed atomic.Bool
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/login")
			w.WriteHeader(status)
		})
		for action, call := range allCalls(t, l.Writer) {
			err := call()
			wantKind(t, err, NotPUMAPI)
			if FateOf(err) != Unknown || !strings.Contains(err.Error(), elsewhere.URL) {
				t.Errorf("%s: %v", action, err)
			}
		}
		if followed.Load() || l.Requests() != 4 {
			t.Errorf("%d: followed %v, %d requests", status, followed.Load(), l.Requests())
		}
		elsewhere.Close()
	}
}

func TestStatuses(t *testing.T) {
	for status, want := range map[int]Kind{
		201: NotPUMAPI, 204: NotPUMAPI, 206: NotPUMAPI, 304: NotPUMAPI,
		400: NotPUMAPI, 401: NotPUMAPI, 403: NotPUMAPI, 404: NotPUMAPI, 405: NotPUMAPI, 413: NotPUMAPI,
		408: HTTPStatus, 429: HTTPStatus, 500: HTTPStatus, 502: HTTPStatus, 503: HTTPStatus, 504: HTTPStatus,
	} {
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		for action, call := range allCalls(t, l.Writer) {
			before := l.Requests()
			err := call()
			wantKind(t, err, want)
			tries := int64(1)
			if action == "getusers" && want == HTTPStatus {
				tries = maxTries
			}
			if FateOf(err) != Unknown || l.Requests()-before != tries {
				t.Errorf("%d %s: %v after %d tries", status, action, err, l.Requests()-before)
			}
		}
	}
}

func TestWebPageWithStatus200(t *testing.T) {
	l := newLab(t, answering("\ufeff\r\n "+fixture(t, "maintenance.html")))
	for action, call := range allCalls(t, l.Writer) {
		err := call()
		wantKind(t, err, NotPUMAPI)
		if FateOf(err) != Unknown {
			t.Error(action, err)
		}
	}
	if _, found, err := l.User(t.Context(), "jdoe"); found || KindOf(err) != NotPUMAPI {
		t.Error(found, err)
	}
	if l.Requests() != 5 {
		t.Error(l.Requests())
	}
}

func TestErrorTextWithStatus200(t *testing.T) {
	for body, want := range map[string]Kind{
		"error: request not authorized":            Unauthorised,
		"\r\n ERROR:Request Not Authorized \r\n":   Unauthorised,
		"error: invalid id":                        Refused,
		"Error: invalid user jdoe":                 Refused,
		"error: system right not authorized for x": Refused,
		"error: OK is not a unit":                  Refused,
	} {
		l := newLab(t, answering(body))
		for action, call := range allCalls(t, l.Writer) {
			err := call()
			wantKind(t, err, want)
			if FateOf(err) != Rejected {
				t.Error(action, err)
			}
		}
		if l.Requests() != 4 {
			t.Errorf("%q was asked %d times", body, l.Requests())
		}
	}
}

func TestHugeAnswer(t *testing.T) {
	const most = 1 << 20
	line := strings.Repeat("x", 1<<12-1) + "\n"
	t.Run("as long as may be", func(t *testing.T) {
		l := newLab(t, answering(strings.Repeat(line, most/len(line))))
		l.maxAnswer = most
		users, err := l.Users(t.Context(), Any)
		if err != nil || len(users) != most/len(line) {
			t.Error(len(users), err)
		}
	})
	t.Run("chunked", func(t *testing.T) {
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 1 + most/len(line) {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		})
		if l.maxAnswer != 64<<20 {
			t.Error(l.maxAnswer)
		}
		l.maxAnswer = most
		_, err := l.Users(t.Context(), Any)
		wantKind(t, err, Malformed)
	})
	t.Run("with a length", func(t *testing.T) {
		l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000000000")
			w.(http.Flusher).Flush()
		})
		_, err := l.Users(t.Context(), Any)
		wantKind(t, err, Malformed)
	})
}

// TestAnswerWithoutLength: where nothing says how long an answer is, HTTP/1.1 is not believed, for it has chunks; HTTP/1.0, which knows
// no other way without a length, is.
func TestAnswerWithoutLength(t *testing.T) {
	for protocol, want := range map[string]Kind{"HTTP/1.1": Lost, "HTTP/1.0": 0} {
		server := newRawServer(t, func(conn *net.TCPConn) {
			if readRequest(conn) == nil {
				fmt.Fprintf(conn, "%s 200 OK\r\nConnection: close\r\n\r\nann\r\nbob\r\n", protocol)
			}
		})
		w := newTestWriter(t, Options{URL: server.url})
		logins, err := w.Users(t.Context(), Any)
		if KindOf(err) != want || want == 0 && (err != nil || len(logins) != 2) {
			t.Errorf("%s: %q, %v", protocol, logins, err)
		}
	}
}
