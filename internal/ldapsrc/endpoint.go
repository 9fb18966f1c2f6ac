package ldapsrc

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// endpoint is where a server listens.
type endpoint struct {
	url      string // as configured
	network  string // tcp or unix
	address  string
	host     string // whose certificate we expect
	tls      bool   // from the first byte
	startTLS bool
}

// CheckURL says what is wrong with a server's URL. Plain ldap:// is refused, unless the host is this machine.
func CheckURL(raw string, startTLS bool) error {
	_, err := parseURL(raw, startTLS)
	return err
}

func parseURL(raw string, startTLS bool) (endpoint, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return endpoint{}, fmt.Errorf("%q is no LDAP URL, such as ldaps://ldap.example.org", raw)
	}
	scheme = strings.ToLower(scheme)
	if scheme == "ldapi" { // the path is escaped in the place of the host, which net/url refuses
		return parseSocket(raw, rest)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return endpoint{}, err
	}
	if u.Hostname() == "" {
		return endpoint{}, fmt.Errorf("%q names no host", raw)
	}
	if bare := (url.URL{Scheme: u.Scheme, Host: u.Host}); bare.String() != strings.TrimSuffix(u.String(), "/") {
		return endpoint{}, fmt.Errorf("%q has more than scheme, host and port", raw)
	}
	e := endpoint{url: raw, network: "tcp", host: u.Hostname()}
	port := "389"
	switch scheme {
	case "ldaps":
		e.tls, port = true, "636"
	case "ldap":
		if e.startTLS = startTLS; !startTLS && !loopback(e.host) {
			return endpoint{}, fmt.Errorf("%q is not encrypted: use ldaps:// or start_tls", raw)
		}
	default:
		return endpoint{}, fmt.Errorf("%q has none of the schemes ldaps, ldap and ldapi", raw)
	}
	e.address = net.JoinHostPort(e.host, cmp.Or(u.Port(), port))
	return e, nil
}

func parseSocket(raw, rest string) (endpoint, error) {
	host, path, _ := strings.Cut(rest, "/")
	if host == "" && path != "" {
		host = "/" + path // ldapi:///run/slapd/ldapi, which many write
	}
	path, err := url.PathUnescape(host)
	if err != nil {
		return endpoint{}, err
	}
	if path == "" {
		return endpoint{}, errors.New("an ldapi URL names the socket, as in ldapi://%2Frun%2Fslapd%2Fldapi")
	}
	return endpoint{url: raw, network: "unix", address: path}, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
