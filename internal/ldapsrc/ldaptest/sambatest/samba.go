// Package sambatest runs a real Samba as an Active Directory domain controller for tests.
//
// It answers LDAP alone, on an address of the loopback network that nobody else uses, because its ports cannot be chosen. That
// and making a domain take root.
package sambatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/process"
)

// Base is the domain, Staff a place in it for entries of tests.
const (
	Base  = "DC=ad,DC=example,DC=org"
	Staff = "OU=Staff," + Base
)

const domainSID = "S-1-5-21-1004336348-1177238915-682003330"

// Options say what is in the domain beside what every domain has.
type Options struct {
	Entries []ldaptest.Entry // in such an order that what others name comes first; Staff is there already
}

// Samba is a domain controller that runs.
type Samba struct {
	URL, TLSURL              string // URL also takes StartTLS, and no bind without it
	CAFile                   string
	ReaderDN, ReaderPassword string

	tb      testing.TB
	dir     string
	address string // IP
}

// Start starts one, which stops at the end of the test. Without Samba or the rights for it the test is skipped, or fails if
// CI=true.
func Start(tb testing.TB, o Options) *Samba {
	tb.Helper()
	process.Need(tb, "the packages samba, samba-ad-provision, samba-dsdb-modules, samba-vfs-modules and ldb-tools",
		"samba", "samba-tool", "ldbadd")
	if os.Geteuid() != 0 {
		process.Missing(tb, "a domain controller of Samba takes root: it listens on port 389")
	}
	s := &Samba{
		ReaderDN: "CN=reader,CN=Users," + Base, ReaderPassword: "Reader-Passw0rd",
		tb: tb, dir: process.TempDir(tb, "samba"), address: freeIP(tb),
	}
	s.URL, s.TLSURL = "ldap://"+s.address, "ldaps://"+s.address
	process.Run(tb, "cp", "-a", template(tb), s.path("private"))
	s.configure()
	s.load(o)
	if err := process.Start(tb, []string{s.address + ":636", s.address + ":389"}, "samba", "--foreground", "--model=single",
		"--no-process-group", "--configfile="+s.path("smb.conf"), "--debug-stdout", "--debuglevel=1"); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *Samba) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Samba) write(name string, content []byte) {
	s.tb.Helper()
	if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

// freeIP is an address of the loopback network on which nobody listens.
func freeIP(tb testing.TB) string {
	tb.Helper()
	for {
		ip := fmt.Sprintf("127.%d.%d.%d", 2+rand.IntN(253), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // no secret
		l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", ip+":389")
		if err == nil {
			_ = l.Close()
			return ip
		}
		if tb.Context().Err() != nil {
			tb.Fatal(err)
		}
	}
}

// configure writes certificates and the settings of a server that does nothing but LDAP.
func (s *Samba) configure() {
	s.tb.Helper()
	certs, err := ldaptest.NewCerts(ldaptest.CertOptions{Names: []string{s.address, "dc1.ad.example.org"}})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.CAFile = s.path("ca.crt")
	s.write("ca.crt", certs.CA)
	s.write("server.crt", certs.Cert)
	s.write("server.key", certs.Key)
	lines := []string{
		"netbios name = DC1", "realm = AD.EXAMPLE.ORG", "workgroup = AD", "server role = active directory domain controller",
		"server services = ldap", "interfaces = " + s.address + "/8", "bind interfaces only = yes", "disable netbios = yes",
		"private dir = " + s.path("private"), "pid directory = " + s.dir, "ncalrpc dir = " + s.path("ncalrpc"),
		"lock directory = " + s.dir, "state directory = " + s.dir, "cache directory = " + s.dir, "binddns dir = " + s.dir,
		"winbindd socket directory = " + s.path("winbindd"), "ntp signd socket directory = " + s.path("ntp"),
		"log file = " + s.path("log"),
		"tls enabled = yes", "tls keyfile = " + s.path("server.key"), "tls certfile = " + s.path("server.crt"),
		"tls cafile = " + s.path("ca.crt"), "ldap server require strong auth = yes", "ldb:nosync = true",
		"[sysvol]", "path = " + s.dir, "[netlogon]", "path = " + s.dir,
	}
	s.write("smb.conf", []byte("[global]\n"+strings.Join(lines, "\n")+"\n"))
}

// load adds the reader, a place for people, and what the test wants.
func (s *Samba) load(o Options) {
	s.tb.Helper()
	entries := append([]ldaptest.Entry{
		{DN: Staff, Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"Staff"}}},
		{DN: s.ReaderDN, Attrs: map[string][]string{
			"objectClass": {"user"}, "sAMAccountName": {"reader"}, "userAccountControl": {"512"},
			"unicodePwd": {unicodePwd(s.ReaderPassword)},
		}},
	}, o.Entries...)
	var data bytes.Buffer
	if err := ldaptest.WriteLDIF(&data, entries); err != nil {
		s.tb.Fatal(err)
	}
	s.write("data.ldif", data.Bytes())
	s.ldb("ldbadd", s.path("data.ldif"))
}

func (s *Samba) ldb(program string, args ...string) (output string) {
	s.tb.Helper()
	return process.Run(s.tb, program, append([]string{
		"-H", s.path("private/sam.ldb"), "--nosync", "--configfile", s.path("smb.conf"),
	}, args...)...)
}

// Modify applies LDIF change records past the access control.
func (s *Samba) Modify(ldif string) {
	s.tb.Helper()
	s.write("changes.ldif", []byte(ldif))
	s.ldb("ldbmodify", s.path("changes.ldif"))
}

// SetPrimaryGroup makes the group the primary one of members of it, who then are no longer listed in it. Their primary group was
// Domain Users, whose list they now come onto.
func (s *Samba) SetPrimaryGroup(group string, people ...string) {
	s.tb.Helper()
	const name = "primaryGroupToken: "
	_, number, ok := strings.Cut(s.ldb("ldbsearch", "-b", group, "-s", "base", "primaryGroupToken"), name)
	number, _, _ = strings.Cut(number, "\n")
	if !ok {
		s.tb.Fatalf("%s has no number", group)
	}
	var changes []string
	for _, dn := range people {
		changes = append(changes, "dn: "+dn+"\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: "+number+"\n")
	}
	s.Modify(strings.Join(changes, "\n"))
}

// unicodePwd is a password as Active Directory takes it: in quotes, UTF-16, little end first.
func unicodePwd(password string) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return string(out)
}

// template is the private folder of a new domain. Making one takes seconds, so that it is kept for all tests of all packages,
// beside the caches of Go.
func template(tb testing.TB) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	out, err := exec.CommandContext(tb.Context(), "samba", "--version").Output()
	if err != nil {
		tb.Fatal(err)
	}
	folder := filepath.Join(cache, "ppms-syncd-tests", strings.ReplaceAll(strings.TrimSpace(string(out)), " ", "-"))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		tb.Fatal(err)
	}
	unlock := lock(tb, folder)
	defer unlock()
	done := filepath.Join(folder, "domain")
	if _, err := os.Stat(done); err != nil {
		provision(tb, done)
	}
	return filepath.Join(done, "private")
}

func lock(tb testing.TB, folder string) (unlock func()) {
	tb.Helper()
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in our own cache
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return func() { _ = f.Close() }
}

// provision makes a domain. What it is called and its SID are the same every time.
func provision(tb testing.TB, folder string) {
	tb.Helper()
	half := folder + ".new"
	if err := os.RemoveAll(half); err != nil {
		tb.Fatal(err)
	}
	process.Run(tb, "samba-tool", "domain", "provision", "--targetdir="+half, "--realm=AD.EXAMPLE.ORG", "--domain=AD",
		"--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip=127.0.0.1", "--adminpass=Adm1n-Passw0rd",
		"--use-rfc2307", "--function-level=2008_R2", "--domain-sid="+domainSID)
	if err := os.Rename(half, folder); err != nil {
		tb.Fatal(err)
	}
}
