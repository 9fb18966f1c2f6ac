package ldapsrc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"ppms-syncd/internal/reconcile"
)

func TestSentences(t *testing.T) {
	t.Parallel()
	code := func(n uint16, text string) error { return ldap.NewError(n, errors.New(text)) }
	ad := func(data string) error {
		return code(49, "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data "+data+", v4563\x00")
	}
	for _, c := range []struct {
		err        error
		reason, do string
	}{
		{ad("52e"), "the reader's password is wrong (result code 49)", "check the password file"},
		{ad("525"), "account does not exist", "ldap.bind.dn"},
		{ad("530"), "at this time", "logon hours"},
		{ad("531"), "from this computer", "workstations"},
		{ad("532"), "password has expired", "set a new one"},
		{ad("533"), "account is disabled", "enable"},
		{ad("568"), "too many groups", "take it out"},
		{ad("701"), "account has expired", "extend"},
		{ad("773"), "must be changed", "set one"},
		{ad("775"), "locked out", "unlock"},
		{ad("999"), "refused the name or the password (result code 49, the server says: 80090308", "password file"},
		{code(49, ""), "refused the name or the password (result code 49)", "password file"},
		{code(8, "BindSimple: Transport encryption required."), "encrypted connection (result code 8, the server says: BindSimple", "start_tls"},
		{code(13, "confidentiality required"), "encrypted connection", "start_tls"},
		{code(53, "unauthenticated bind (DN with no password) disallowed"), "unwilling", "way to bind"},
		{code(2, "unsupported extended operation"), "did not understand", "TLS switched on"},
		{code(999, "x"), "for a reason of its own (result code 999, the server says: x)", "log"},
		{fmt.Errorf("x: %w", x509.UnknownAuthorityError{}), "not trusted", "ldap.tls.ca_file"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"a", "b"}}, Host: "c"}}, "is for a, b, not for c", "ldap.tls.server_name"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "c"}, "is for no name at all", "ldap.tls.server_name"},
		{x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.NotAuthorizedToSign}, "is not valid", "issued again"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "does not speak TLS", "636"},
		{tls.AlertError(42), "refused the TLS handshake", "client certificate"},
		{&net.DNSError{Name: "nohost", Err: "no such host"}, "the name nohost cannot be resolved", "ldap.urls"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "nothing listens there", "host and port"},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, "no route", "firewall"},
		{&net.OpError{Op: "dial", Err: syscall.EACCES}, "may not be opened", "permissions"},
		{code(ldap.ErrorNetwork, "unable to read LDAP response packet: read tcp: i/o timeout"), "the time ran out", "ldap.timeout"},
		{code(ldap.ErrorNetwork, "ldap: response channel closed"), "connection was lost", "log"},
		{io.ErrUnexpectedEOF, "connection was lost", "log"},
		{code(ldap.ErrorUnexpectedResponse, "what"), "what", "no LDAP"},
	} {
		reason, do := sentence(c.err)
		if !strings.Contains(reason, c.reason) || !strings.Contains(do, c.do) {
			t.Errorf("%v: %q; %q", c.err, reason, do)
		}
		if strings.ContainsAny(reason+do, "\x00\n") {
			t.Errorf("%q; %q", reason, do)
		}
	}
}

func TestFailedPrefersTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := failed(ctx, "reading", errors.New("use of closed network connection"))
	if !errors.Is(e, context.Canceled) || e.Error() != "the directory was not read: reading: it was cancelled" {
		t.Error(e)
	}
	if inner := incomplete("do", "why"); failed(ctx, "x", fmt.Errorf("y: %w", inner)) != inner {
		t.Error("a reason was lost")
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url      string
		startTLS bool
		want     string // network address host tls startTLS, or a part of the error
	}{
		{"ldaps://ldap.example.org", true, "tcp ldap.example.org:636 ldap.example.org true false"},
		{"LDAPS://ldap.example.org:1636/", false, "tcp ldap.example.org:1636 ldap.example.org true false"},
		{"ldap://ldap.example.org", true, "tcp ldap.example.org:389 ldap.example.org false true"},
		{"ldap://ldap.example.org", false, "not encrypted"},
		{"ldap://127.0.0.1:3389", false, "tcp 127.0.0.1:3389 127.0.0.1 false false"},
		{"ldap://[::1]", false, "tcp [::1]:389 ::1 false false"},
		{"ldap://localhost", false, "tcp localhost:389 localhost false false"},
		{"ldap://localhost.example.org", false, "not encrypted"},
		{"ldapi://%2Frun%2Fslapd%2Fldapi", true, "unix /run/slapd/ldapi  false false"},
		{"ldapi://%2Frun%2Fslapd%2Fldapi/", false, "unix /run/slapd/ldapi  false false"},
		{"ldapi:///run/slapd/ldapi", false, "unix /run/slapd/ldapi  false false"},
		{"ldapi://", false, "names the socket"},
		{"ldapi://%zz", false, "invalid URL escape"},
		{"ldap.example.org", false, "no LDAP URL"},
		{"http://ldap.example.org", false, "none of the schemes"},
		{"ldaps://", false, "names no host"},
		{"ldaps://u:p@ldap.example.org", false, "more than scheme, host and port"},
		{"ldaps://ldap.example.org/dc=x??sub", false, "more than scheme, host and port"},
		{"ldaps://ldap:port", false, "invalid port"},
	} {
		e, err := parseURL(c.url, c.startTLS)
		got := fmt.Sprintln(e.network, e.address, e.host, e.tls, e.startTLS)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || (CheckURL(c.url, c.startTLS) == nil) != (err == nil) {
			t.Errorf("%s: %s", c.url, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := func() (Config, Mapping) {
		return Config{
			URLs: []string{"ldaps://x"}, Bind: Bind{Method: Simple, DN: "cn=r"},
			Users:  UserSearch{Base: "ou=p", Filter: "(a=b)", ID: "entryUUID"},
			Groups: GroupSearch{Base: "ou=g", Filter: "(a=b)", Name: "cn", Member: "member"},
		}, Mapping{Login: Attribute("uid")}
	}
	if c, m := good(); must(New(c, m, zap.NewNop())).cfg.PageSize != 500 {
		t.Error("no page size")
	}
	for want, spoil := range map[string]func(*Config, *Mapping){
		"no server":        func(c *Config, _ *Mapping) { c.URLs = nil },
		"not encrypted":    func(c *Config, _ *Mapping) { c.URLs = append(c.URLs, "ldap://y") },
		"needs a DN":       func(c *Config, _ *Mapping) { c.Bind.DN = "" },
		"none of simple":   func(c *Config, _ *Mapping) { c.Bind.Method = "gssapi" },
		"users base":       func(c *Config, _ *Mapping) { c.Users.Base = "people" },
		"groups base":      func(c *Config, _ *Mapping) { c.Groups.Base = "groups" },
		"users filter":     func(c *Config, _ *Mapping) { c.Users.Filter = "(a" },
		"groups filter":    func(c *Config, _ *Mapping) { c.Groups.Filter = "" },
		"stable id":        func(c *Config, _ *Mapping) { c.Users.ID = "" },
		"of the login":     func(_ *Config, m *Mapping) { m.Login = Value{} },
		"name and members": func(c *Config, _ *Mapping) { c.Groups.Member = "" },
		"is no reference":  func(c *Config, _ *Mapping) { c.Referrals = []string{"ldap://x/nodn"} },
		"canaries":         func(c *Config, _ *Mapping) { c.Canaries = []string{"jdoe"} },
		"rule r needs":     func(c *Config, m *Mapping) { c.Groups = GroupSearch{}; m.Rules = []RuleSource{{Name: "r", Group: "g"}} },
		"looks at groups": func(c *Config, m *Mapping) {
			c.Groups = GroupSearch{}
			m.Create = must(CompileCondition("'x' in groups"))
		},
		"needs a certificate": func(c *Config, _ *Mapping) { c.Bind.Method = External },
	} {
		c, m := good()
		spoil(&c, &m)
		if _, err := New(c, m, zap.NewNop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	c, m := good()
	c.Groups = GroupSearch{}
	m.Fields[reconcile.Email] = must(CompileValue("attr('mail')"))
	if _, err := New(c, m, zap.NewNop()); err != nil {
		t.Error(err)
	}
}

// Whatever a word is, the shell gives it back.
func TestQuote(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	words := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune(`a' "$\`+"`"+`(;&|*?~#!=äß`)), 0, 6, -1), 1, 40)
	for seed := range 8 {
		all := words.Example(seed)
		quoted := make([]string, len(all))
		for i, w := range all {
			quoted[i] = quote(w)
		}
		out, err := exec.CommandContext(t.Context(), sh, "-c", `printf '%s\n' `+strings.Join(quoted, " ")).Output()
		if err != nil || string(out) != strings.Join(all, "\n")+"\n" {
			t.Errorf("%q came back as %q, %v", all, out, err)
		}
	}
}
