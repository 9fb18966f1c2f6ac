// Package ds389test runs a real 389 Directory Server for tests.
//
// It is set up without dscreate, which takes a quarter of a minute and listens on every address meanwhile: the configuration is
// the template that comes with the server, filled in.
package ds389test

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the server wants its administrator's password hashed, and this hash it knows
	"encoding/base64"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/process"
)

const (
	template = "/usr/share/dirsrv/data/template-dse.ldif"
	settings = "/etc/dirsrv"
)

// Suffix is the naming context.
const Suffix = "dc=example,dc=org"

// ReaderACI lets the reader see everything. Without one that allows it, a search gives nobody anything, and no error.
const ReaderACI = `(targetattr != "userPassword || aci")(version 3.0; acl "reader"; allow (read, search, compare) ` +
	`userdn = "ldap:///cn=reader,ou=services,` + Suffix + `";)`

// Options describe a server.
type Options struct {
	Entries []ldaptest.Entry // what is missing of the suffix entry, ou=services below it and the reader is added
	ACI     []string         // of the suffix entry; nil is ReaderACI
	// Limits are limits of the reader's own, like nsSizeLimit; nil is none at all. Those left out are the server's: 2000 entries
	// and 5000 looked through.
	Limits map[string]string
}

// Server is a server that runs.
type Server struct {
	URL                      string
	ReaderDN, ReaderPassword string
	AdminDN, AdminPassword   string

	tb  testing.TB
	dir string
}

// Start starts one, which stops at the end of the test. Without the program the test is skipped, or fails if CI=true.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	process.Need(tb, "the package 389-ds-base", "/usr/sbin/ns-slapd")
	if _, err := os.ReadDir(settings); err != nil {
		process.Missing(tb, "389 Directory Server: "+err.Error()+"; as root: chmod -R a+rX "+settings)
	}
	s := &Server{
		ReaderDN: "cn=reader,ou=services," + Suffix, ReaderPassword: "Reader-Passw0rd",
		AdminDN: "cn=Directory Manager", AdminPassword: "Dm-Passw0rd",
		tb: tb, dir: process.TempDir(tb, "ds389"),
	}
	process.Retry(tb, func() error { return s.start(o) })
	return s
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// start loads and runs the server on a free port.
func (s *Server) start(o Options) error {
	s.tb.Helper()
	address := process.FreeAddress(s.tb)
	s.URL = "ldap://" + address
	s.configure(address)
	var data bytes.Buffer
	err := ldaptest.WriteLDIF(&data, s.complete(o))
	if err == nil {
		err = os.WriteFile(s.path("data.ldif"), data.Bytes(), 0o600)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	process.Run(s.tb, "/usr/sbin/ns-slapd", "ldif2db", "-D", s.path("config"), "-n", "userroot", "-i", s.path("data.ldif"))
	return process.Start(s.tb, []string{address, s.path("run/ldapi")}, "/usr/sbin/ns-slapd", "-D", s.path("config"), "-i", s.path("run/pid"), "-d", "0")
}

// backend is what the template lacks: where the suffix is kept. The folder has a default, which ldif2db does not know.
const backend = `
dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userroot
nsslapd-suffix: ` + Suffix + `
nsslapd-directory: %db_dir%/userroot

dn: cn="` + Suffix + `",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: ` + Suffix + `
nsslapd-state: backend
nsslapd-backend: userroot
`

func (s *Server) configure(address string) {
	s.tb.Helper()
	host, port, _ := strings.Cut(address, ":")
	me, err := user.Current()
	s.check(err)
	hash := sha1.Sum([]byte(s.AdminPassword)) //nolint:gosec // see above
	values := []string{
		"%ds_port%", port + "\nnsslapd-listenhost: " + host, "%ds_user%", me.Username, "%fqdn%", "localhost", "%rootdn%", s.AdminDN,
		"%ds_passwd%", "{SHA}" + base64.StdEncoding.EncodeToString(hash[:]), "%ds_suffix%", Suffix,
		"%db_lib%", "bdb" + "\nnsslapd-import-cache-autosize: 0\nnsslapd-cache-autosize: 0", // else it takes gigabytes, and seconds to fill them
		"%ldapi_enabled%", "on", "%ldapi_autobind%", "off", "%ldapi%", s.path("run/ldapi"),
		"%config_dir%", s.path("config"), "%schema_dir%", s.path("config/schema"), "%db_dir%", s.path("db"), "%db_home_dir%", s.path("db"),
	}
	for _, name := range []string{"lock", "tmp", "cert", "ldif", "bak", "run", "inst", "log"} {
		values = append(values, "%"+name+"_dir%", s.path(name))
		s.check(os.MkdirAll(s.path(name), 0o700))
	}
	s.check(os.MkdirAll(s.path("db/userroot"), 0o700))
	s.check(os.RemoveAll(s.path("config")))
	s.check(os.MkdirAll(s.path("config/schema"), 0o700))
	for name, target := range map[string]string{
		"config/certmap.conf": "config/certmap.conf", "config/slapd-collations.conf": "config/slapd-collations.conf",
		"schema/99user.ldif": "config/schema/99user.ldif",
	} {
		content, err := os.ReadFile(filepath.Join(settings, name)) //nolint:gosec // a constant
		s.check(err)
		s.check(os.WriteFile(s.path(target), content, 0o600)) //nolint:gosec // in a folder of our own
	}
	content, err := os.ReadFile(template)
	s.check(err)
	text := strings.NewReplacer(values...).Replace(strings.TrimSpace(string(content)) + "\n" + backend)
	s.check(os.WriteFile(s.path("config/dse.ldif"), []byte(text), 0o600)) //nolint:gosec // in a folder of our own
}

func (s *Server) check(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatal(err)
	}
}

// complete adds to the entries what this server needs.
func (s *Server) complete(o Options) []ldaptest.Entry {
	aci := o.ACI
	if aci == nil {
		aci = []string{ReaderACI}
	}
	reader := map[string][]string{
		"objectClass": {"applicationProcess", "simpleSecurityObject", "extensibleObject"}, "cn": {"reader"},
		"userPassword": {s.ReaderPassword},
	}
	limits := o.Limits
	if limits == nil {
		limits = map[string]string{
			"nsSizeLimit": "-1", "nsLookThroughLimit": "-1", "nsIDListScanLimit": "-1", "nsPagedSizeLimit": "-1", "nsPagedLookThroughLimit": "-1",
		}
	}
	for name, value := range limits {
		reader[name] = []string{value}
	}
	all := []ldaptest.Entry{
		{DN: Suffix, Attrs: map[string][]string{"objectClass": {"top", "domain"}, "dc": {"example"}, "aci": aci}},
		{DN: "ou=services," + Suffix, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"services"}}},
		{DN: s.ReaderDN, Attrs: reader},
	}
	for _, e := range o.Entries {
		if strings.EqualFold(e.DN, Suffix) {
			attrs := maps.Clone(e.Attrs)
			attrs["aci"] = aci
			all[0].Attrs = attrs
			continue
		}
		all = append(all, e)
	}
	return all
}

// Modify applies LDIF change records as administrator.
func (s *Server) Modify(ldif string) {
	s.tb.Helper()
	s.check(os.WriteFile(s.path("changes.ldif"), []byte(ldif), 0o600))
	process.Run(s.tb, "ldapmodify", "-x", "-H", s.URL, "-D", s.AdminDN, "-w", s.AdminPassword, "-f", s.path("changes.ldif"))
}
