package sambatest_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/sambatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSamba(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	const dn = "CN=Müller\\, Jörg," + sambatest.Staff
	s := sambatest.Start(t, sambatest.Options{
		Entries: []ldaptest.Entry{
			{DN: dn, Attrs: map[string][]string{"objectClass": {"user"}, "sAMAccountName": {"jm"}, "userAccountControl": {"544"}}},
			{DN: "CN=lab," + sambatest.Staff, Attrs: map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"lab"}, "member": {dn}}},
		},
	})
	t.Logf("samba answers after %v", time.Since(begun))
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := ldap.DialURL(s.TLSURL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(s.ReaderDN, s.ReaderPassword); err != nil {
		t.Fatal(err)
	}
	s.SetPrimaryGroup("CN=lab,"+sambatest.Staff, dn)
	s.Modify("dn: CN=lab," + sambatest.Staff + "\nchangetype: modify\nreplace: description\ndescription: of Jörg\n") // while it runs
	res, err := conn.Search(ldap.NewSearchRequest(sambatest.Staff, 2, 0, 0, 0, false, "(objectClass=group)", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Entries) != 1 || res.Entries[0].GetAttributeValue("member") != "" ||
		res.Entries[0].GetAttributeValue("description") != "of Jörg" {
		t.Errorf("%+v", res.Entries)
	}
	plain, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if err := plain.Bind(s.ReaderDN, s.ReaderPassword); !ldap.IsErrorWithCode(err, 8) {
		t.Errorf("a bind without TLS: %v", err)
	}
}
