package ldaptest_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ppms-syncd/internal/ldapsrc/ldaptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	suffix   = "dc=example,dc=org"
	people   = "ou=people," + suffix
	groups   = "ou=groups," + suffix
	readerDN = "cn=reader," + suffix
)

func start(t *testing.T, o ldaptest.Options) (*ldaptest.Server, string) {
	t.Helper()
	s := ldaptest.New(o)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, url
}

func dial(t *testing.T, url string, opts ...ldap.DialOpt) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// demo is a server with some people that anybody may read.
func demo(t *testing.T, faults ...ldaptest.Fault) (*ldaptest.Server, *ldap.Conn) {
	t.Helper()
	s, url := start(t, ldaptest.Options{
		Entries:        ldaptest.Generate(ldaptest.GenOptions{People: 25, Groups: 4, Nested: 2, Seed: 1}),
		AllowAnonymous: true,
		Faults:         faults,
	})
	return s, dial(t, url)
}

func code(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		return int(e.ResultCode)
	}
	return -1
}

func search(base string, scope int, filter string, attrs ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attrs, nil)
}

func TestBind(t *testing.T) {
	t.Parallel()
	_, closed := start(t, ldaptest.Options{BindDN: readerDN, Password: "secret"})
	_, open := start(t, ldaptest.Options{AllowAnonymous: true})
	_, own := start(t, ldaptest.Options{OnBind: func(_, password string) (int, string) {
		if password == "expired" {
			return 49, "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 532, v2580"
		}
		return 0, ""
	}})
	for _, tt := range []struct {
		name, url, dn, password string
		want                    int
	}{
		{"right", closed, readerDN, "secret", 0},
		{"another spelling", closed, "CN=Reader, DC=example,DC=org", "secret", 0},
		{"wrong password", closed, readerDN, "Secret", 49},
		{"unknown", closed, "cn=x", "secret", 49},
		{"forgotten password", closed, readerDN, "", 53},
		{"anonymous refused", closed, "", "", 48},
		{"anonymous", open, "", "", 0},
		{"nobody may bind", open, "cn=x", "y", 49},
		{"own check", own, "cn=x", "fine", 0},
		{"own refusal", own, "cn=x", "expired", 49},
	} {
		conn := dial(t, tt.url)
		request := ldap.NewSimpleBindRequest(tt.dn, tt.password, nil)
		request.AllowEmptyPassword = true
		_, err := conn.SimpleBind(request)
		if code(err) != tt.want {
			t.Errorf("%s: %v, want code %d", tt.name, err, tt.want)
		}
	}
	if code(dial(t, closed).ExternalBind()) != 7 {
		t.Error("EXTERNAL without TLS is not refused")
	}
}

func TestWhoMaySearch(t *testing.T) {
	t.Parallel()
	s, url := start(t, ldaptest.Options{
		Entries: ldaptest.Generate(ldaptest.GenOptions{People: 1}), BindDN: readerDN, Password: "secret",
	})
	conn := dial(t, url)
	if _, err := conn.Search(search(suffix, 2, "(uid=*)")); code(err) != 50 {
		t.Errorf("before the bind: %v", err)
	}
	if res, err := conn.Search(search("", 0, "(objectClass=*)", "+", "*")); err != nil || len(res.Entries) != 1 {
		t.Errorf("root DSE: %v", err)
	}
	if who, err := conn.WhoAmI(nil); err != nil || who.AuthzID != "" {
		t.Errorf("who am I: %v, %v", who, err)
	}
	if err := conn.Bind(readerDN, "secret"); err != nil {
		t.Fatal(err)
	}
	if res, err := conn.Search(search(suffix, 2, "(uid=*)")); err != nil || len(res.Entries) != 1 {
		t.Errorf("after the bind: %v", err)
	}
	if who, err := conn.WhoAmI(nil); err != nil || who.AuthzID != "dn:"+readerDN {
		t.Errorf("who am I: %v, %v", who, err)
	}
	if err := conn.Bind(readerDN, "wrong"); code(err) != 49 {
		t.Error(err)
	}
	if _, err := conn.Search(search(suffix, 2, "(uid=*)")); code(err) != 50 {
		t.Errorf("a bind that failed does not end the old one: %v", err)
	}
	for _, err := range []error{
		conn.Del(ldap.NewDelRequest(suffix, nil)),
		conn.Modify(&ldap.ModifyRequest{DN: suffix}),
		conn.Add(&ldap.AddRequest{DN: suffix}),
	} {
		if code(err) != 53 {
			t.Errorf("a write: %v", err)
		}
	}
	var bound []string
	for _, seen := range s.Searches() {
		bound = append(bound, seen.BoundAs)
	}
	if diff := cmp.Diff([]string{"", "", readerDN, ""}, bound); diff != "" {
		t.Error(diff)
	}
}

func certs(t *testing.T, o ldaptest.CertOptions) (*ldaptest.Certs, *tls.Config) {
	t.Helper()
	c, err := ldaptest.NewCerts(o)
	if err != nil {
		t.Fatal(err)
	}
	config, err := c.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	return c, config
}

func TestTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ldaptest.CertOptions
		want string
	}{
		{"good", ldaptest.CertOptions{}, ""},
		{"expired", ldaptest.CertOptions{Expired: true}, "certificate has expired"},
		{"another address", ldaptest.CertOptions{Names: []string{"10.0.0.1"}}, "certificate is valid for 10.0.0.1, not 127.0.0.1"},
	} {
		c, config := certs(t, tt.CertOptions)
		client := &tls.Config{RootCAs: c.Pool(), MinVersion: tls.VersionTLS12, ServerName: "127.0.0.1"}
		_, url := start(t, ldaptest.Options{TLS: config, AllowAnonymous: true})
		conn, err := ldap.DialURL(url, ldap.DialWithTLSConfig(client))
		if err == nil {
			_, err = conn.Search(search("", 0, "(objectClass=*)"))
			_ = conn.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ldaps, %s: %v", tt.name, err)
		}
		s, url := start(t, ldaptest.Options{StartTLS: config, AllowAnonymous: true})
		err = dialStartTLS(t, url, client)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("StartTLS, %s: %v", tt.name, err)
		}
		if seen := s.Searches(); err == nil && (len(seen) != 1 || !seen[0].TLS) {
			t.Errorf("the search was not encrypted: %v", seen)
		}
	}
	_, url := start(t, ldaptest.Options{AllowAnonymous: true})
	if err := dialStartTLS(t, url, &tls.Config{MinVersion: tls.VersionTLS12}); code(err) != 2 {
		t.Errorf("StartTLS without a certificate: %v", err)
	}
}

func dialStartTLS(t *testing.T, url string, client *tls.Config) error {
	t.Helper()
	conn := dial(t, url)
	if err := conn.StartTLS(client); err != nil {
		return err
	}
	_, err := conn.Search(search("", 0, "(objectClass=*)"))
	return err
}

func TestExternalBind(t *testing.T) {
	t.Parallel()
	c, config := certs(t, ldaptest.CertOptions{})
	config.ClientAuth, config.ClientCAs = tls.RequestClientCert, c.Pool()
	_, url := start(t, ldaptest.Options{TLS: config})
	client := &tls.Config{RootCAs: c.Pool(), MinVersion: tls.VersionTLS12}
	if err := dial(t, url, ldap.DialWithTLSConfig(client)).ExternalBind(); code(err) != 48 {
		t.Errorf("without a certificate: %v", err)
	}
	client.Certificates = config.Certificates
	conn := dial(t, url, ldap.DialWithTLSConfig(client))
	if err := conn.ExternalBind(); err != nil {
		t.Fatal(err)
	}
	if who, err := conn.WhoAmI(nil); err != nil || who.AuthzID != "dn:CN=localhost" {
		t.Errorf("who am I: %v, %v", who, err)
	}
}

func TestServeInMemory(t *testing.T) {
	t.Parallel()
	s := ldaptest.New(ldaptest.Options{AllowAnonymous: true})
	client, server := net.Pipe()
	l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- server
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	conn := ldap.NewConn(client, false)
	conn.Start()
	if res, err := conn.Search(search("", 0, "(objectClass=*)")); err != nil || len(res.Entries) != 1 {
		t.Errorf("%v, %v", res, err)
	}
	s.Close()
	if err := <-ended; err != nil {
		t.Errorf("Serve ends with %v", err)
	}
	_ = conn.Close()
	s.Close() // again
	if _, err := s.Start(); err == nil {
		t.Error("starts after Close")
	}
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// TestNoRequest sends what is no LDAP: the server hangs up and lives.
func TestNoRequest(t *testing.T) {
	t.Parallel()
	_, url := start(t, ldaptest.Options{AllowAnonymous: true})
	for _, junk := range []string{"GET / HTTP/1.1\r\n\r\n", "\x30\x00", "\x30\x03\x02\x01\x01", "\x30\x05\x02\x01\x01\x04\x00", "\x04\x01x"} {
		raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", url[len("ldap://"):])
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = raw.Write([]byte(junk))
		if strings.HasPrefix(junk, "GET") { // to LDAP this is the beginning of 69 bytes
			_ = raw.(*net.TCPConn).CloseWrite()
		}
		if n, err := raw.Read(make([]byte, 100)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q is answered: %v", junk, err)
		}
		_ = raw.Close()
	}
	if _, err := dial(t, url).Search(search("", 0, "(objectClass=*)")); err != nil {
		t.Error(err)
	}
}
