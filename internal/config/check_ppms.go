package config

import (
	"net"
	"net/url"
	"strings"
)

func (k *checker) ppms() {
	p := &k.c.PPMS
	if k.sound("ppms.url") {
		k.pumapiURL()
	}
	k.positive("ppms.timeout", p.Timeout)
	if p.TimeZone == "" {
		p.TimeZone = k.c.TimeZone
	}
	var err error
	if p.TimeZone == k.c.TimeZone {
		k.c.compiled.facility = k.c.compiled.location
	} else if k.c.compiled.facility, err = parseZone(p.TimeZone); err != nil {
		k.fail("ppms.time_zone", "%v", err)
	}
}

// pumapiURL checks the URL and ends it in a slash, without which PPMS answers 405. The text of the URL is not repeated: it
// could have a secret in it.
func (k *checker) pumapiURL() {
	const path = "ppms.url"
	u, err := url.Parse(k.c.PPMS.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		k.fail(path, "must be a URL such as https://ppms.example.org/facility/pumapi/")
		return
	case u.User != nil:
		k.fail(path, "must not have a user or password in it; the API key goes to api_key_file")
		return
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		k.fail(path, "must end with its path, without ? and #")
		return
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.fail(path, "must be https: each call carries the API key")
		return
	}
	if !strings.HasSuffix(u.Path, "/") {
		k.c.PPMS.URL += "/"
	}
	if !strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/pumapi") {
		k.odd(path, "does not end in /pumapi/, where PPMS has its API")
	}
}

// loopback says whether a host is this one.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
