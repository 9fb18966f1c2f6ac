package ldapsrc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// session is one connection to one server, bound.
type session struct {
	endpoint endpoint
	config   *Config
	conn     *ldap.Conn
	boundAs  string
	expires  time.Time // of the server's certificate; zero without TLS
	log      *zap.Logger
	refs     references
	pages    int
	release  func() bool // the context no longer closes the socket
}

// patience is how long one server may take until it is bound, if there are others to try.
const patience = 10 * time.Second

// connect tries the servers in turn. A refused password is not tried on the next one: each attempt counts towards a lock-out.
func (s *Source) connect(ctx context.Context) (*session, error) {
	var failures []*IncompleteError
	for i, e := range s.endpoints {
		sess, err := s.attempt(ctx, e, len(s.endpoints)-1-i)
		if err == nil {
			return sess, nil
		}
		failure := failed(ctx, "connecting", err)
		failure.Server = e.url
		var refused *refusedError
		if ctx.Err() != nil || errors.As(err, &refused) {
			return nil, failure
		}
		failures = append(failures, failure)
		if i+1 < len(s.endpoints) {
			s.log.Warn("ldap server cannot be used, trying the next", zap.String("server", e.url), zap.String("reason", failure.Reason))
		}
	}
	if len(failures) == 1 {
		return nil, failures[0]
	}
	texts := make([]string, len(failures))
	for i, f := range failures {
		texts[i] = f.Server + ": " + f.Reason
		if f.Do != "" {
			texts[i] += " (" + f.Do + ")"
		}
	}
	return nil, &IncompleteError{
		Reason: fmt.Sprintf("none of %d servers can be used: %s", len(failures), strings.Join(texts, "; ")),
		Err:    failures[0],
	}
}

// refusedError is what no other server would answer differently.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// attempt connects to one server and binds. While others are left to try, it gets only its share of the time.
func (s *Source) attempt(parent context.Context, e endpoint, left int) (*session, error) {
	ctx, cancel := parent, context.CancelFunc(func() {})
	if left > 0 {
		share := patience
		if end, ok := parent.Deadline(); ok {
			share = min(share, time.Until(end)/time.Duration(left+1))
		}
		ctx, cancel = context.WithTimeout(parent, share)
	}
	defer cancel()

	raw, err := s.cfg.Dial(ctx, e.network, e.address)
	if err != nil {
		return nil, failed(ctx, "connecting", err)
	}
	if end, ok := parent.Deadline(); ok {
		if err := raw.SetDeadline(end); err != nil {
			_ = raw.Close()
			return nil, err
		}
	}
	closeRaw := func() { _ = raw.Close() }
	early := context.AfterFunc(ctx, closeRaw)
	sess := &session{endpoint: e, config: &s.cfg, log: s.log, refs: s.refs}
	if err := sess.open(ctx, raw); err != nil {
		closeRaw()
		if sess.conn != nil {
			_ = sess.conn.Close()
		}
		return nil, err
	}
	if !early() { // the share of the time ended just now
		_ = sess.conn.Close()
		return nil, failed(ctx, "connecting", ctx.Err())
	}
	sess.release = context.AfterFunc(parent, closeRaw)
	return sess, nil
}

// open brings a socket to the state in which searches can be sent.
func (s *session) open(ctx context.Context, raw net.Conn) error {
	var secure *tls.Config
	if s.endpoint.tls || s.endpoint.startTLS {
		var err error
		if secure, err = s.config.TLS.client(s.endpoint.host); err != nil {
			return &refusedError{&IncompleteError{Reason: err.Error(), Err: err}}
		}
	}
	if s.endpoint.startTLS {
		if err := startTLS(raw); err != nil {
			return failed(ctx, "starting TLS", err)
		}
	}
	conn := raw
	if secure != nil {
		t := tls.Client(raw, secure)
		if err := t.HandshakeContext(ctx); err != nil {
			return failed(ctx, "the TLS handshake", err)
		}
		s.expires = t.ConnectionState().PeerCertificates[0].NotAfter
		conn = t
	}
	s.conn = ldap.NewConn(&wire{Conn: conn}, secure != nil)
	s.conn.Start()
	return s.bind(ctx)
}

// close says goodbye, if somebody still listens.
func (s *session) close() {
	_ = s.conn.Unbind()
	_ = s.conn.Close()
	s.release()
}
