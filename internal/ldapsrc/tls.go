package ldapsrc

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"ppms-syncd/internal/secret"
)

// client makes the TLS settings. Files are read anew for each connection, so that they can be renewed.
func (t TLS) client(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ldap.tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ldap.tls.ca_file: %s has no certificate in PEM form", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := t.pair()
		if err != nil {
			return nil, fmt.Errorf("ldap.tls.cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (t TLS) pair() (tls.Certificate, error) {
	certificate, err := os.ReadFile(t.CertFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := secret.File{Path: t.KeyFile, Dirs: []string{"."}}.ReadPEM()
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, []byte(key.Reveal()))
}

// CheckTLS says what is wrong with the files of TLS, if one of the servers needs it. It contacts nobody.
func (c Config) CheckTLS() error {
	for _, raw := range c.URLs {
		if e, err := parseURL(raw, c.StartTLS); err == nil && (e.tls || e.startTLS) {
			_, err := c.TLS.client(e.host)
			return err
		}
	}
	return nil
}

// startTLS asks the server to start TLS. It is not left to go-ldap, which turns the reasons of a failed handshake into text
// and knows no context.
func startTLS(raw net.Conn) error {
	request := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "")
	request.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, "1.3.6.1.4.1.1466.20037", ""))
	message := ber.NewSequence("")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 1, ""))
	message.AppendChild(request)
	if _, err := raw.Write(message.Bytes()); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(&wire{Conn: raw}) // takes not one byte more than the answer
	if err != nil {
		return err
	}
	return ldap.GetLDAPError(answer)
}
