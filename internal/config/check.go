package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"ppms-syncd/internal/ldapsrc"
)

// attributePattern is what the name of a directory attribute looks like (RFC 4512): a word or an OID, and options.
// Some servers have names with an underscore.
const attributePattern = `^([A-Za-z][A-Za-z0-9_-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*$`

// checker looks at the meaning of what the walk has read, and compiles it on the way. A value that the walk did not take is
// still at its default, which is fine; what is said about its path a second time is dropped.
type checker struct {
	*walker
	c *Config
}

func (k *checker) all() {
	k.service()
	k.ldap()
	k.ppms()
	k.accounts()
	k.rights()
	k.guards()
}

// fail reports a problem of a value. Nothing is said about what is missing in a section that is missing itself, or that is no
// mapping: that has been said.
func (k *checker) fail(path, format string, args ...any) {
	at := k.at(path)
	section, _, _ := strings.Cut(path, ".")
	_, mapping := at.node.(*ast.MappingNode)
	if !k.has(path) && (at.node != nil && !mapping || !k.has(section) && k.wrong[section]) {
		return
	}
	k.report(path, at, format, args...)
}

// odd reports what can be lived with.
func (k *checker) odd(path, message string) { k.add(path, k.at(path), message, true) }

// missing reports a key that the others make necessary.
func (k *checker) missing(path, why string) {
	if !k.has(path) || k.empty(path) {
		k.fail(path, "required key is missing%s", why)
	}
}

// empty says whether the file has the key with an empty text.
func (k *checker) empty(path string) bool {
	text, ok := textOf(k.at(path).node)
	return ok && text == ""
}

// sound says whether the walk took what the file has at a path.
func (k *checker) sound(path string) bool {
	return k.has(path) && !k.wrong[path]
}

// service checks what is neither directory nor PPMS.
func (k *checker) service() {
	c := k.c
	var err error
	if c.compiled.location, err = parseZone(c.TimeZone); err != nil {
		k.fail("time_zone", "%v", err)
		c.compiled.location = time.UTC // for what else is wrong with the schedule
	}
	if c.compiled.timetable, err = parseSchedule(c.Schedule, c.compiled.location); err != nil {
		k.fail("schedule", "%v", err)
	} else if odd := oddSchedule(c.compiled.timetable, c.compiled.location); odd != "" {
		k.odd("schedule", odd)
	}
	k.positive("run_timeout", c.RunTimeout)
	if !filepath.IsAbs(c.Ledger.Path) {
		k.fail("ledger.path", "must be an absolute path")
	}
	if c.Ledger.Keep < Duration(day) {
		k.fail("ledger.keep", "must be at least 24h: the guards count what was done within the last 24 hours")
	}
	if err := checkListen(c.HTTP.Listen); err != nil {
		k.fail("http.listen", "%v", err)
	}
}

func (k *checker) positive(path string, d Duration) {
	if d == 0 {
		k.fail(path, "must be more than 0s")
	}
}

func checkListen(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("must be an address and a port, such as 127.0.0.1:9475")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q is no port: use a number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, " /@") {
		return fmt.Errorf("%q is no address", host)
	}
	return nil
}

func (k *checker) guards() {
	g := k.c.Guards
	for _, l := range []struct {
		name  string
		limit Limit
	}{
		{"creations", g.Creations},
		{"updates", g.Updates},
		{"grants", g.Grants},
		{"revocations", g.Revocations},
		{"deactivations", g.Deactivations},
	} {
		path := "guards." + l.name
		if l.limit.Floor > l.limit.Count && (k.has(path+".floor") || k.has(path+".count")) {
			k.odd(path, fmt.Sprintf("floor %d is above count %d, which then limits nothing", l.limit.Floor, l.limit.Count))
		}
	}
}

// attribute checks the name of a directory attribute.
func (k *checker) attribute(path, name, hint string) {
	if !regexp.MustCompile(attributePattern).MatchString(name) {
		k.fail(path, "%q is no name of a directory attribute%s", name, hint)
	}
}

func (k *checker) dn(path, dn string) {
	if err := ldapsrc.CheckDN(dn); err != nil {
		k.fail(path, "%q is no DN: %v", dn, err)
	}
}

func (k *checker) filter(path, filter string) {
	if err := ldapsrc.CheckFilter(filter); err != nil {
		k.fail(path, "%v", err)
	}
}
