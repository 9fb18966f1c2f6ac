package ppms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ppms-syncd/internal/reconcile"
)

// failing fails the first n requests.
func failing(n int64, fail, then http.HandlerFunc) http.HandlerFunc {
	var count atomic.Int64
	return func(w http.ResponseWriter, req *http.Request) {
		if count.Add(1) <= n {
			fail(w, req)
			return
		}
		then(w, req)
	}
}

func TestReadsAreTriedAgain(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, fail := range map[string]http.HandlerFunc{
		"500": status(500),
		"503": status(503),
		"429": status(429),
		"reset": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "admin\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, failing(maxTries-1, fail, answering("jdoe")))
			users, err := l.Users(t.Context(), Any)
			if err != nil || len(users) != 1 || l.Requests() != maxTries {
				t.Error(users, err, l.Requests())
			}
			if !strings.HasSuffix(l.observed(), ", getusers ok") {
				t.Error(l.observed())
			}
		})
	}
}

func TestWritesAreNever(t *testing.T) {
	l := newLab(t, failing(1, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, answering("done")))
	err := l.SetRight(t.Context(), "jdoe", 31, reconcile.Novice)
	wantKind(t, err, HTTPStatus)
	if l.Requests() != 1 || len(l.requests()) != 1 {
		t.Error(l.Requests())
	}
}

func TestPace(t *testing.T) {
	waits := &pace{BackOff: newBackOff(time.Second)}
	if wait := waits.NextBackOff(); wait < time.Second/2 || wait > 3*time.Second/2 {
		t.Error("first wait", wait)
	}
	waits.asked = 100 * time.Second
	if wait := waits.NextBackOff(); wait != 100*time.Second {
		t.Error("the server asked for 100 s, got", wait)
	}
	waits.asked = maxRetryAfter + 1
	if wait := waits.NextBackOff(); wait != backoff.Stop {
		t.Error("the server asked for too long, got", wait)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0,
		"Sun, 01 Mar 2026 12:01:00 GMT": time.Minute, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(3600))
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := l.Users(t.Context(), Any)
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.After != time.Hour || failure.Status != 429 || l.Requests() != 1 {
		t.Errorf("%v after %d requests", err, l.Requests())
	}
}

// The server's wish is kept to the second.
func TestReadWaitsAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := newTestWriter(t, Options{URL: "http://ppms.test/"})
		w.pool.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			if tries++; tries == 1 {
				return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"42"}}, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})
		start := time.Now()
		if _, err := w.Users(t.Context(), Any); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 42*time.Second {
			t.Error(took)
		}
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestWriter(t, Options{URL: "http://ppms.test/", RequestsPerSecond: 20, Concurrency: 8})
		w.pool.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})
		start := time.Now()
		_, gone, err := w.Records(t.Context(), logins(102), nil)
		if err != nil || len(gone) != 102 {
			t.Fatal(len(gone), err)
		}
		if took := time.Since(start).Round(time.Millisecond); took != 5*time.Second { // two at once, a hundred at 20 a second
			t.Error(took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := w.SetRight(ctx, "jdoe", 31, reconcile.Novice); KindOf(err) != NotSent {
			t.Error("the limiter holds writes, too:", err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
