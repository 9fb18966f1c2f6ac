package daemon_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
)

const (
	// scraper may read the metrics, with this password.
	scraper  = "prometheus"
	scraping = "a-password-for-metrics"
	// hashed is its bcrypt hash, as htpasswd -nbBC 4 makes it: cheap, for it is asked for often.
	hashed = "$2a$04$CmyRYhmXQJ0S9JIoqvt8F.9SqQbfD7twL8vzd2Aqkx4SPlcLc1z4i"
)

// protected gives the world's listener a certificate and, with users, asks for a password. Its authority is in web-ca.crt.
func (w *world) protected(users bool) *ldaptest.Certs {
	w.t.Helper()
	certs, err := ldaptest.NewCerts(ldaptest.CertOptions{})
	must(w.t, err)
	w.write("web-ca.crt", string(certs.CA))
	w.write("web.crt", string(certs.Cert))
	w.write("web.key", string(certs.Key))
	text := "tls_server_config: {cert_file: web.crt, key_file: web.key}\n"
	if users {
		text += "basic_auth_users: {" + scraper + ": \"" + hashed + "\"}\n"
	}
	w.web(text)
	return certs
}

// web gives the world's listener a web configuration.
func (w *world) web(text string) {
	w.t.Helper()
	w.write("web.yaml", text)
	w.configure(func(s *settings) { s.Web = "web.yaml" })
}

func TestListenerWithTLSAndPassword(t *testing.T) {
	w := newWorld(t)
	certs := w.protected(true)
	s := w.serving(daemon.ServeOptions{})
	address := strings.TrimPrefix(s.url, "http://")
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: certs.Pool(), MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	for name, c := range map[string]struct {
		scheme, user, password string
		code                   int
		says                   string
	}{
		"right password": {"https", scraper, scraping, http.StatusOK, "ppms_syncd_build_info{"},
		"wrong password": {"https", scraper, "another", http.StatusUnauthorized, ""},
		"another user":   {"https", "grafana", scraping, http.StatusUnauthorized, ""},
		"no password":    {"https", "", "", http.StatusUnauthorized, ""},
		"clear text":     {"http", scraper, scraping, http.StatusBadRequest, "HTTP request to an HTTPS server"},
	} {
		for _, method := range []string{"GET /metrics", "GET /readyz", "POST /-/reload"} {
			verb, path, _ := strings.Cut(method, " ")
			req, err := http.NewRequestWithContext(t.Context(), verb, c.scheme+"://"+address+path, nil)
			must(t, err)
			if c.user != "" {
				req.SetBasicAuth(c.user, c.password)
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			must(t, err)
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			must(t, resp.Body.Close())
			says := c.says
			if c.code == http.StatusOK && path != "/metrics" {
				says = "ok"
			}
			if resp.ProtoMajor != 1 {
				t.Errorf("it agreed on %s, which the program that is shipped does not have", resp.Proto)
			}
			if resp.StatusCode != c.code || !strings.Contains(string(body), says) || c.code != http.StatusOK && strings.Contains(string(body), "ppms_syncd_") {
				t.Errorf("%s, %s: %s %s", name, method, resp.Status, body)
			}
		}
	}
	strange := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if resp, err := (&http.Client{Transport: strange}).Get("https://" + address + "/metrics"); err == nil { //nolint:noctx // ends with the daemon
		_ = resp.Body.Close()
		t.Error("a client that does not know the authority was content")
	}
}

// TestListenerPlain: whoever says that something else keeps the others out is believed.
func TestListenerPlain(t *testing.T) {
	w := newWorld(t)
	w.app.Config.HTTP.Listen = "0.0.0.0:0"
	fails(t, w.app.Check(t.Context(), true), "")
	expect(t, w.text(), "others can reach 0.0.0.0:0", "http.plain")
	w.app.Config.HTTP.Plain = true
	must(t, w.app.Check(t.Context(), true))
}

// TestListenerRefused: what would be open to all, or is not what it was meant to be, does not start.
func TestListenerRefused(t *testing.T) {
	for _, c := range []struct {
		name, listen string
		web          func(w *world)
		says         []string
	}{
		{"open, no web configuration", "0.0.0.0:0", func(*world) {}, []string{"0.0.0.0:0", "set http.web_config_file", "127.0.0.1"}},
		{"open, empty web configuration", "0.0.0.0:0", func(w *world) { w.web("") }, []string{"web.yaml", "neither TLS nor authentication", "basic_auth_users"}},
		{"open, web configuration about other things", "[::]:0", func(w *world) {
			w.web("http_server_config: {http2: false}\ntls_server_config: {min_version: TLS13}\nbasic_auth_users: {}\n")
		}, []string{"web.yaml", "neither TLS nor authentication"}},
		{"no such file", "127.0.0.1:0", func(w *world) { w.configure(func(s *settings) { s.Web = "web.yaml" }) }, []string{"http.web_config_file", "web.yaml", "no such file"}},
		{"no YAML", "127.0.0.1:0", func(w *world) { w.web("tls_server_config: [") }, []string{"http.web_config_file", "web.yaml"}},
		{"misspelt key", "127.0.0.1:0", func(w *world) { w.web("basic_auth_user: {a: b}") }, []string{"basic_auth_user"}},
		{"no bcrypt", "127.0.0.1:0", func(w *world) { w.web("basic_auth_users: {a: clear}") }, []string{"web.yaml", "hashedSecret"}},
		{"no key", "127.0.0.1:0", func(w *world) { w.protected(false); w.web("tls_server_config: {cert_file: web.crt}") }, []string{"key_file"}},
		{"no certificate", "127.0.0.1:0", func(w *world) { w.web("tls_server_config: {cert_file: web.crt, key_file: web.key}") }, []string{"cert_file", "no such file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.web(w)
			w.app.Config.HTTP.Listen = c.listen
			err := w.app.Serve(t.Context(), daemon.ServeOptions{})
			if daemon.ExitCode(err) != daemon.ExitConfig {
				t.Fatalf("exit code %d: %v", daemon.ExitCode(err), err)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
}
