package ldapsrc

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/go-ldap/ldap/v3"
)

// sentence says what an error means and what to do.
func sentence(err error) (reason, do string) {
	if reason, do = tlsSentence(err); reason != "" {
		return reason, do
	}
	if reason, do = netSentence(err); reason != "" {
		return reason, do
	}
	e, ok := result(err)
	if !ok {
		return lostSentence(err)
	}
	reason, do = resultSentence(e.ResultCode)
	if reason == "" {
		reason = "the server refused: " + cmp.Or(strings.ToLower(ldap.LDAPResultCodeMap[e.ResultCode]), "for a reason of its own")
	}
	reason = fmt.Sprintf("%s (result code %d", reason, e.ResultCode)
	if text := strings.TrimSpace(strings.TrimRight(e.Err.Error(), "\x00")); text != "" {
		reason += ", the server says: " + text
	}
	if e.ResultCode == ldap.LDAPResultInvalidCredentials {
		if r, d := dataCode(e.Err.Error()); r != "" {
			return r + " (result code 49)", d
		}
	}
	return reason + ")", do
}

// result is what the server answered, if it did. From 200 to 255 the codes are go-ldap's own.
func result(err error) (*ldap.Error, bool) {
	e, ok := errors.AsType[*ldap.Error](err)
	const lastOwn = 255
	return e, ok && (e.ResultCode < ldap.ErrorNetwork || e.ResultCode > lastOwn)
}

// lostSentence is for connections that ended, and for what the library could not read.
func lostSentence(err error) (reason, do string) {
	text := strings.TrimPrefix(err.Error(), `LDAP Result Code 200 "Network Error": `)
	switch {
	case strings.Contains(text, "i/o timeout"):
		return "the time ran out", "look whether the server answers at all, or raise ldap.timeout"
	case strings.Contains(text, "EOF"), strings.Contains(text, "connection closed"), strings.Contains(text, "reset by peer"),
		strings.Contains(text, "broken pipe"), strings.Contains(text, "channel closed"):
		return "the connection was lost (" + text + ")", "look into the server's log, and whether this port is meant for TLS"
	}
	return text, "look into the server's log; what it sent is no LDAP that can be understood"
}

func netSentence(err error) (reason, do string) {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("the name %s cannot be resolved", e.Name), "check ldap.urls and the name service"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there (connection refused)", "check host and port in ldap.urls, and whether the server runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it", "check the network and the firewall"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket", "check the path in the ldapi URL"
	case errors.Is(err, syscall.EACCES):
		return "the socket may not be opened by this user", "check its permissions"
	}
	return "", ""
}

func tlsSentence(err error) (reason, do string) {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return fmt.Sprintf("the server's certificate is not valid now (from %s until %s)",
				e.Cert.NotBefore.UTC().Format("2006-01-02"), e.Cert.NotAfter.UTC().Format("2006-01-02 15:04")), "renew it, or correct the clock"
		}
		return "the server's certificate is not valid: " + e.Error(), "have it issued again"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is signed by an authority that is not trusted here", "put that authority's certificate into ldap.tls.ca_file"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server's certificate is for %s, not for %s", names(e.Certificate), e.Host),
			"use one of these names in ldap.urls, or set ldap.tls.server_name"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS on this port", "use the ldaps port (usually 636), or ldap:// with start_tls"
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server refused the TLS handshake: " + e.Error(), "check the client certificate and the server's TLS settings"
	}
	return "", ""
}

func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no name at all"
	}
	return strings.Join(all, ", ")
}

func resultSentence(code uint16) (reason, do string) {
	if reason, do = limitSentence(code); reason != "" {
		return reason, do
	}
	switch code {
	case ldap.LDAPResultInvalidCredentials:
		return "the server refused the name or the password", "check ldap.bind.dn and the password file"
	case ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultAuthMethodNotSupported:
		return "the server does not take this way to bind", "check ldap.bind.method"
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		return "the server wants an encrypted connection", "use ldaps:// or start_tls"
	case ldap.LDAPResultNoSuchObject:
		return "the entry does not exist, or the reader may not see it", "check the search bases, and the server's access rules for the reader"
	case ldap.LDAPResultInsufficientAccessRights:
		return "the reader may not do this", "check the server's access rules for the reader"
	case ldap.LDAPResultReferral:
		return "the server refers to another one", "use the URL of the server that holds the data"
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable:
		return "the server is busy or shutting down", "the next run tries again"
	case ldap.LDAPResultUnwillingToPerform:
		return "the server is unwilling to do this", "check whether it allows this way to bind and to search"
	case ldap.LDAPResultInvalidDNSyntax:
		return "the server takes a name for invalid", "check ldap.bind.dn and the search bases"
	case ldap.LDAPResultUnavailableCriticalExtension:
		return "the server lacks an extension that the search needs", "look whether it is the right kind of server"
	case ldap.LDAPResultProtocolError:
		return "the server did not understand the request", "if start_tls is set, look whether the server has TLS switched on"
	case ldap.LDAPResultOperationsError:
		return "the server could not do it", "if the bind is anonymous, look whether the server allows it to search"
	}
	return "", "look into the server's log"
}

func limitSentence(code uint16) (reason, do string) {
	switch code {
	case ldap.LDAPResultSizeLimitExceeded:
		return "the server's size limit cut the answer", "give the reader an unlimited size limit " +
			`(OpenLDAP: olcLimits: dn.exact="` + readerName + `" size=unlimited, which counts over all pages; 389-ds: nsSizeLimit)`
	case ldap.LDAPResultAdminLimitExceeded:
		return "an administrative limit of the server cut the answer", "give the reader an unlimited size and look-through limit " +
			"(389-ds: nsSizeLimit, nsLookThroughLimit; OpenLDAP: olcLimits), and index what the filter uses"
	case ldap.LDAPResultTimeLimitExceeded:
		return "the server's time limit cut the answer", "give the reader a longer time limit, and index what the filter uses"
	}
	return "", ""
}

// dataCode translates what Active Directory hides in the text of an error 49: "… AcceptSecurityContext error, data 52e, v4563".
func dataCode(text string) (reason, do string) {
	_, after, found := strings.Cut(text, ", data ")
	if !found {
		return "", ""
	}
	code, _, _ := strings.Cut(after, ",")
	switch strings.TrimSpace(strings.ToLower(code)) {
	case "525":
		return "the reader's account does not exist", "check ldap.bind.dn"
	case "52e":
		return "the reader's password is wrong", "check the password file"
	case "530":
		return "the reader's account may not log on at this time", "change its logon hours"
	case "531":
		return "the reader's account may not log on from this computer", "change its list of workstations"
	case "532":
		return "the reader's password has expired", "set a new one, or let it never expire"
	case "533":
		return "the reader's account is disabled", "enable it"
	case "568":
		return "the reader's account is in too many groups", "take it out of some"
	case "701":
		return "the reader's account has expired", "extend it"
	case "773":
		return "the reader's password must be changed before its first use", "set one that need not be"
	case "775":
		return "the reader's account is locked out", "unlock it, and look who tries wrong passwords"
	}
	return "", ""
}
