// Package slapdtest runs a real OpenLDAP slapd for tests.
//
// It is apart from package ldaptest so that programs with a directory in memory do not import package testing.
package slapdtest

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/process"
)

// SlapdOptions describe a slapd. Lines of configuration are those of slapd.conf(5).
type SlapdOptions struct {
	// Entries are loaded with slapadd, which runs no overlays: memberOf values must be among them. What is missing of the
	// suffix entry, ou=services below it and the reader is added. Each gets ldaptest.EntryUUID unless it has an entryUUID.
	Entries      []ldaptest.Entry
	Suffix       string   // default dc=example,dc=org
	ReaderLimits string   // like "size=500"; default none at all. The administrator is exempt from every limit
	ACL          []string // "access to …" lines in front of the default, which is that who is bound may read
	Global       []string // lines before the database
	Database     []string // lines of the database, overlays for example
	Cert         ldaptest.CertOptions
}

// Slapd is a slapd that runs.
type Slapd struct {
	URL, TLSURL              string // URL also takes StartTLS
	LDAPI                    string // as OpenLDAP writes it, with %2F in the path; EXTERNAL binds of this process may read
	CAFile                   string
	CertFile, KeyFile        string // of the server, whose authority a client's certificate may have, too
	ReaderDN, ReaderPassword string
	AdminDN, AdminPassword   string

	tb  testing.TB
	dir string
}

const slapdProgram = "/usr/sbin/slapd"

// StartSlapd starts a slapd, which stops at the end of the test. Without the program the test is skipped, or fails if CI=true.
func StartSlapd(tb testing.TB, o SlapdOptions) *Slapd {
	tb.Helper()
	process.Need(tb, "the packages slapd and ldap-utils", slapdProgram)
	if o.Suffix == "" {
		o.Suffix = "dc=example,dc=org"
	}
	s := &Slapd{
		AdminDN: "cn=admin," + o.Suffix, AdminPassword: "secret",
		ReaderDN: "cn=reader,ou=services," + o.Suffix, ReaderPassword: "secret",
		tb: tb, dir: process.TempDir(tb, "slapd"),
	}
	s.write(o)
	process.Run(s.tb, s.program(), "-T", "add", "-q", "-f", s.path("slapd.conf"), "-b", o.Suffix, "-l", s.path("data.ldif"))
	process.Retry(tb, s.start)
	return s
}

func (s *Slapd) path(name string) string { return filepath.Join(s.dir, name) }

// write makes certificates, configuration and data.
func (s *Slapd) write(o SlapdOptions) {
	s.tb.Helper()
	certs, err := ldaptest.NewCerts(o.Cert)
	if err != nil {
		s.tb.Fatal(err)
	}
	var data bytes.Buffer
	if err := ldaptest.WriteLDIF(&data, s.complete(o)); err != nil {
		s.tb.Fatal(err)
	}
	s.CAFile, s.CertFile, s.KeyFile = s.path("ca.crt"), s.path("server.crt"), s.path("server.key")
	for name, content := range map[string][]byte{
		"ca.crt": certs.CA, "server.crt": certs.Cert, "server.key": certs.Key,
		"slapd.conf": []byte(s.configuration(o)), "data.ldif": data.Bytes(),
	} {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			s.tb.Fatal(err)
		}
	}
	if err := os.Mkdir(s.path("db"), 0o700); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *Slapd) configuration(o SlapdOptions) string {
	limits := o.ReaderLimits
	if limits == "" {
		limits = "size=unlimited size.prtotal=unlimited time=unlimited"
	}
	lines := []string{
		"modulepath /usr/lib/ldap", "moduleload back_mdb", "moduleload memberof", "moduleload refint", "moduleload ppolicy",
		"moduleload retcode",
		"include /etc/ldap/schema/core.schema", "include /etc/ldap/schema/cosine.schema",
		"include /etc/ldap/schema/inetorgperson.schema", "include /etc/ldap/schema/nis.schema",
		"TLSCACertificateFile " + s.path("ca.crt"),
		"TLSCertificateFile " + s.path("server.crt"),
		"TLSCertificateKeyFile " + s.path("server.key"),
		"TLSVerifyClient never",
		"sizelimit 500", "threads 4",
	}
	lines = append(lines, o.Global...)
	lines = append(lines,
		"database mdb", "suffix \""+o.Suffix+"\"", "rootdn \""+s.AdminDN+"\"", "rootpw "+s.AdminPassword,
		"directory "+s.path("db"), "maxsize 1073741824", "dbnosync",
		"index objectClass,uid,cn,mail,member,entryUUID eq",
		"limits dn.exact=\""+s.ReaderDN+"\" "+limits)
	lines = append(lines, o.ACL...)
	lines = append(lines,
		"access to attrs=userPassword by anonymous auth by * none",
		"access to * by users read by * none")
	lines = append(lines, o.Database...)
	return strings.Join(lines, "\n") + "\n"
}

// complete adds to the entries what this slapd needs, and entryUUIDs.
func (s *Slapd) complete(o SlapdOptions) []ldaptest.Entry {
	rdn, _, _ := strings.Cut(o.Suffix, ",")
	attr, name, _ := strings.Cut(rdn, "=")
	class := map[string]string{"dc": "domain", "o": "organization", "ou": "organizationalUnit"}[strings.ToLower(attr)]
	need := []ldaptest.Entry{
		{DN: o.Suffix, Attrs: map[string][]string{"objectClass": {class}, attr: {name}}},
		{DN: "ou=services," + o.Suffix, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"services"}}},
		{DN: s.ReaderDN, Attrs: map[string][]string{
			"objectClass": {"applicationProcess", "simpleSecurityObject"}, "cn": {"reader"}, "userPassword": {s.ReaderPassword},
		}},
	}
	have := map[string]bool{}
	for _, e := range o.Entries {
		have[strings.ToLower(e.DN)] = true
	}
	var all []ldaptest.Entry
	for _, e := range need {
		if !have[strings.ToLower(e.DN)] {
			all = append(all, e)
		}
	}
	all = append(all, o.Entries...)
	for i, e := range all {
		attrs := map[string][]string{"entryUUID": {ldaptest.EntryUUID(e.DN)}}
		for name, values := range e.Attrs {
			if strings.EqualFold(name, "entryUUID") {
				name = "entryUUID"
			}
			attrs[name] = values
		}
		all[i].Attrs = attrs
	}
	return all
}

// program is slapd, or a copy of it where AppArmor would keep the installed one out of the folder for temporary files.
func (s *Slapd) program() string {
	s.tb.Helper()
	enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if _, err := os.Stat("/etc/apparmor.d/usr.sbin.slapd"); err != nil || !strings.HasPrefix(string(enabled), "Y") {
		return slapdProgram
	}
	data, err := os.ReadFile(slapdProgram)
	if err == nil {
		err = os.WriteFile(s.path("slapd"), data, 0o700) //nolint:gosec // a program
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.path("slapd")
}

// start runs slapd on free ports until the end of the test.
func (s *Slapd) start() error {
	s.tb.Helper()
	plain, secure := process.FreeAddress(s.tb), process.FreeAddress(s.tb)
	s.URL = "ldap://" + plain
	s.TLSURL = "ldaps://" + secure
	s.LDAPI = "ldapi://" + url.PathEscape(s.path("ldapi"))
	return process.Start(s.tb, []string{plain, secure}, s.program(), "-d", "0", "-f", s.path("slapd.conf"),
		"-h", strings.Join([]string{s.URL + "/", s.TLSURL + "/", s.LDAPI + "/"}, " "))
}

// Modify applies LDIF change records as administrator.
func (s *Slapd) Modify(ldif string) {
	s.tb.Helper()
	file := s.path("changes.ldif")
	if err := os.WriteFile(file, []byte(ldif), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	process.Run(s.tb, "ldapmodify", "-x", "-H", s.URL, "-D", s.AdminDN, "-w", s.AdminPassword, "-f", file)
}
