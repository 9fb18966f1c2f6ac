package ds389test_test

import (
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/ds389test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	s := ds389test.Start(t, ds389test.Options{Entries: ldaptest.Generate(ldaptest.GenOptions{People: 60, Groups: 3})})
	t.Logf("389 Directory Server answers after %v", time.Since(begun))
	conn, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(s.ReaderDN, s.ReaderPassword); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		res, err := conn.Search(ldap.NewSearchRequest("ou=people,"+ds389test.Suffix, 1, 0, 0, 0, false, "(uid=*)", []string{"nsUniqueId"}, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range res.Entries {
			if e.GetEqualFoldAttributeValue("nsUniqueId") == "" {
				t.Errorf("%s has no nsUniqueId", e.DN)
			}
		}
		return len(res.Entries)
	}
	if n := count(); n != 60 {
		t.Errorf("%d people", n)
	}
	s.Modify("dn: " + ds389test.Suffix + "\nchangetype: modify\ndelete: aci\n")
	if n := count(); n != 0 {
		t.Errorf("%d people without an ACI", n)
	}
}
