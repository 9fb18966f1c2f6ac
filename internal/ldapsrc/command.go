package ldapsrc

import (
	"fmt"
	"strings"
)

// command is the search as a line for a shell, with the tools of OpenLDAP. The password stays in its file, which must not end
// with a line feed for ldapsearch, though it may for us.
func (s *session) command(q query) string {
	var words []string
	add := func(w ...string) { words = append(words, w...) }
	env := func(name, value string) {
		if value != "" {
			add(name + "=" + quote(value))
		}
	}
	c := s.config
	if s.endpoint.tls || s.endpoint.startTLS {
		env("LDAPTLS_CACERT", c.TLS.CAFile)
		env("LDAPTLS_CERT", c.TLS.CertFile)
		env("LDAPTLS_KEY", c.TLS.KeyFile)
	}
	add("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-H", quote(s.endpoint.url))
	if s.endpoint.startTLS {
		add("-ZZ")
	}
	switch c.Bind.Method {
	case Simple:
		file, err := c.Bind.Password.Find()
		if err != nil {
			file = c.Bind.Password.Path
		}
		add("-x", "-D", quote(c.Bind.DN), "-y", quote(file))
	case External:
		add("-Q", "-Y", "EXTERNAL")
	case Anonymous:
		add("-x")
	}
	add("-b", quote(q.base))
	if q.one {
		add("-s", "base")
	} else {
		add("-s", "sub", "-E", fmt.Sprintf("pr=%d/noprompt", c.PageSize))
	}
	if c.Kind.DomainScope {
		add("-E", "domainScope")
	}
	add(quote(q.filter))
	for _, a := range q.attributes {
		add(quote(a))
	}
	return strings.Join(words, " ")
}

// quote protects a word from the shell.
func quote(s string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.,:/@%+"
	if s != "" && strings.Trim(s, safe) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
