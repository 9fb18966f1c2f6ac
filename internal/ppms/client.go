package ppms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"ppms-syncd/internal/secret"
)

// Options say where PPMS is and how hard it may be asked.
type Options struct {
	URL               string // https://HOST/INSTANCE/pumapi/; a missing last slash is added, since a server answers 405 without
	Key               secret.Secret
	Timeout           time.Duration // of one call, its whole answer included; 0: 30 s
	Concurrency       int           // calls at a time in bulk reads; 0: 1
	RequestsPerSecond float64       // of all calls together; 0: no limit
	UserAgent         string
	Zone              *time.Location   // of the facility, for bookings; nil: UTC
	Now               func() time.Time // nil: time.Now
	Log               *zap.Logger      // nil: none
	// Dial opens a socket; nil is the machine's own way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Observe is told of each request that was tried: the action, "ok" or a [Kind]'s name, and how long it took.
	Observe func(action, outcome string, took time.Duration)
}

// Reader asks PPMS and has no way to change it. It may be used by many goroutines at once.
type Reader struct {
	url         string
	key         secret.Secret
	timeout     time.Duration
	concurrency int
	limit       *rate.Limiter
	userAgent   string
	zone        *time.Location
	now         func() time.Time
	log         *zap.Logger
	observe     func(action, outcome string, took time.Duration)
	dial        func(ctx context.Context, network, address string) (net.Conn, error)
	pool        *http.Client
	sent        atomic.Int64
	expires     atomic.Pointer[time.Time] // when the server's certificate ends
	firstWait   time.Duration             // before a read's second try
	maxAnswer   int64                     // bytes
}

// NewReader makes a client without contacting PPMS.
func NewReader(o Options) (*Reader, error) {
	address, err := checkURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Key.Reveal() == "" {
		return nil, errors.New("ppms: there is no API key")
	}
	r := &Reader{
		url: address, key: o.Key, timeout: o.Timeout, concurrency: max(1, o.Concurrency), userAgent: o.UserAgent, zone: o.Zone, now: o.Now,
		log: o.Log, observe: o.Observe, dial: o.Dial, maxAnswer: maxAnswer, limit: rate.NewLimiter(rate.Inf, 0),
	}
	if r.timeout <= 0 {
		r.timeout = 30 * time.Second
	}
	r.firstWait = min(500*time.Millisecond, r.timeout/10)
	if o.RequestsPerSecond > 0 { // a tenth of a second's worth may come at once
		r.limit = rate.NewLimiter(rate.Limit(o.RequestsPerSecond), max(1, int(o.RequestsPerSecond/10)))
	}
	if r.userAgent == "" {
		r.userAgent = "ppms-syncd"
	}
	if r.zone == nil {
		r.zone = time.UTC
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	if r.observe == nil {
		r.observe = func(string, string, time.Duration) {}
	}
	if r.dial == nil {
		r.dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	r.pool = r.newClient(r.concurrency)
	return r, nil
}

// Writer can also change PPMS.
type Writer struct {
	*Reader
	fresh *http.Client
}

// NewWriter makes a client without contacting PPMS.
func NewWriter(o Options) (*Writer, error) {
	r, err := NewReader(o)
	if err != nil {
		return nil, err
	}
	return &Writer{Reader: r, fresh: r.newClient(0)}, nil
}

// Requests is how many requests were tried so far.
func (r *Reader) Requests() int64 { return r.sent.Load() }

// CertExpires is when the certificate ends that PPMS showed last; zero without TLS, or while nothing has answered.
func (r *Reader) CertExpires() time.Time {
	if at := r.expires.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Close gives up idle connections. The client can still be used.
func (r *Reader) Close() { r.pool.CloseIdleConnections() }

// checkURL adds the last slash. That plain http is for loopback only is the configuration's rule.
func checkURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("ppms: the URL cannot be parsed; it must be https://HOST/INSTANCE/pumapi/")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("ppms: %s is no PUMAPI address; it must be https://HOST/INSTANCE/pumapi/", u.Redacted())
	}
	return u.JoinPath("/").String(), nil
}

// newClient keeps as many idle connections as there are calls at a time, so that a bulk read opens each once. With none it
// makes a new connection for each request: what a write goes through, because on a kept one that PPMS closes at that very
// moment nobody could tell whether the request arrived.
//
// Redirects are not followed, since that would send the key elsewhere. HTTP/2 is left out: PPMS is not known to speak it, and
// the rules by which its transport sends requests again are others. Compression is, too, for answers are small and the
// length of a plain one can be checked.
func (r *Reader) newClient(idle int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            r.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			DisableKeepAlives:      idle == 0,
			MaxIdleConns:           idle,
			MaxIdleConnsPerHost:    idle,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 256 << 10,
			Protocols:              protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
