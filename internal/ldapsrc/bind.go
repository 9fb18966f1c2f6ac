package ldapsrc

import (
	"context"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"
)

// bind proves who we are, and asks the server who it takes us for.
func (s *session) bind(ctx context.Context) error {
	var err error
	b := s.config.Bind
	switch b.Method {
	case Simple:
		password, err := b.Password.Read()
		if err != nil {
			return &refusedError{&IncompleteError{Reason: "the reader's password: " + err.Error(), Err: err}}
		}
		if err := s.conn.Bind(b.DN, password.Reveal()); err != nil {
			failure := failed(ctx, "binding as "+b.DN, err)
			failure.Reason = password.Scrub(failure.Reason)
			if failure.Err == err { //nolint:errorlint // the very error, whose text may have the password
				failure.Err = nil
			}
			if ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
				return &refusedError{failure}
			}
			return failure
		}
	case External:
		err = s.conn.ExternalBind()
	case Anonymous:
		err = s.conn.UnauthenticatedBind("")
	}
	if err != nil {
		failure := failed(ctx, "binding ("+string(b.Method)+")", err)
		if _, answered := result(err); !answered && b.Method == External && ctx.Err() == nil {
			// Since TLS 1.3 a server can refuse a certificate only after the handshake, and many then just hang up.
			failure.Do = "look whether the server trusts the authority of ldap.tls.cert_file, and into its log"
		}
		return failure
	}
	return s.whoAmI()
}

// whoAmI is not known to every server, so that its failure means nothing.
func (s *session) whoAmI() error {
	s.boundAs = s.config.Bind.DN
	if s.config.Bind.Method != Simple {
		s.boundAs = string(s.config.Bind.Method)
	}
	answer, err := s.conn.WhoAmI(nil)
	if err != nil {
		s.log.Debug("ldap server does not say who we are", zap.Error(err))
		return nil
	}
	name := strings.TrimSpace(strings.TrimPrefix(answer.AuthzID, "dn:")) // 389-ds has a blank behind the colon
	if name == "" {
		if s.config.Bind.Method != Anonymous {
			return incomplete("check ldap.bind", "the server takes the reader for anonymous")
		}
		name = string(Anonymous)
	}
	s.boundAs = name
	return nil
}
