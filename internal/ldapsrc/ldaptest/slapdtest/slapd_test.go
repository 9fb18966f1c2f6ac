package slapdtest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	suffix = "dc=example,dc=org"
	people = "ou=people," + suffix
	groups = "ou=groups," + suffix
)

func dial(t *testing.T, url, dn, password string, opts ...ldap.DialOpt) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Bind(dn, password); err != nil {
		t.Fatal(err)
	}
	return conn
}

func search(base string, scope int, filter string, attrs ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attrs, nil)
}

func TestSlapd(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{
		Entries:      ldaptest.Generate(ldaptest.GenOptions{People: 30, Groups: 3}),
		ReaderLimits: "size=20",
		ACL:          []string{`access to dn.exact="cn=secret,ou=groups,dc=example,dc=org" by * none`},
		Database:     []string{"overlay memberof"},
	})
	t.Logf("slapd answers after %v", time.Since(begun))
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if _, err := dial(t, s.TLSURL, s.ReaderDN, s.ReaderPassword, ldap.DialWithTLSConfig(config)).WhoAmI(nil); err != nil {
		t.Error(err)
	}
	config.ServerName = "127.0.0.1"
	if err := dial(t, s.URL, s.ReaderDN, s.ReaderPassword).StartTLS(config); err != nil {
		t.Error(err)
	}
	dial(t, "ldapi://"+strings.ReplaceAll(strings.TrimPrefix(s.LDAPI, "ldapi://"), "%2F", "/"), s.ReaderDN, s.ReaderPassword)

	reader, admin := dial(t, s.URL, s.ReaderDN, s.ReaderPassword), dial(t, s.URL, s.AdminDN, s.AdminPassword)
	if res, err := reader.SearchWithPaging(search(people, 1, "(uid=*)"), 7); !ldap.IsErrorWithCode(err, 4) || len(res.Entries) != 20 {
		t.Errorf("the reader's limit: %v", err)
	}
	if res, err := admin.Search(search(people, 1, "(uid=*)")); err != nil || len(res.Entries) != 30 {
		t.Errorf("the administrator: %v", err)
	}
	first, err := admin.Search(search(people, 1, "(uid=*)"))
	if err != nil {
		t.Fatal(err)
	}
	member := first.Entries[0].DN
	s.Modify("dn: cn=secret," + groups + "\nchangetype: add\nobjectClass: groupOfNames\ncn: secret\nmember: " + member + "\n")
	if res, err := reader.Search(search(groups, 1, "(cn=secret)")); err != nil || len(res.Entries) != 0 {
		t.Errorf("the hidden group: %v", err)
	}
	res, err := reader.Search(search(member, 0, "(objectClass=*)", "memberOf"))
	if err != nil || res.Entries[0].GetAttributeValue("memberOf") != "cn=secret,"+groups {
		t.Errorf("the overlay: %v, %v", res, err)
	}
}

func TestSlapdCertificates(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]ldaptest.CertOptions{
		"certificate has expired": {Expired: true},
		"not 127.0.0.1":           {Names: []string{"10.0.0.1"}},
	} {
		s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Cert: o})
		ca, err := os.ReadFile(s.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		_, err = ldap.DialURL(s.TLSURL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// directory is loaded into both servers.
func directory() []ldaptest.Entry {
	e := ldaptest.Generate(ldaptest.GenOptions{People: 60, Groups: 6, Nested: 2, Seed: 3})
	return append(e,
		ldaptest.Entry{DN: "ou=a\\, b,ou=people," + suffix, Attrs: map[string][]string{
			"objectClass": {"organizationalUnit"}, "ou": {"a, b"}, "description": {"with (parentheses) and a * ", "Zweite"},
		}},
		ldaptest.Entry{DN: "uid=deep,ou=a\\, b,ou=people," + suffix, Attrs: map[string][]string{
			"objectClass": {"inetOrgPerson", "posixAccount"}, "uid": {"deep"}, "cn": {"Deep  Söul"}, "sn": {"Söul"},
			"uidNumber": {"1000"}, "gidNumber": {"99"}, "homeDirectory": {"/home/deep"}, "jpegPhoto": {"\xff\xd8\xff\x00"},
			"cn;lang-fr": {"Profond"}, "entryUUID": {"0a0b0c0d-1111-2222-3333-444455556666"},
		}},
	)
}

// normal is a result that does not depend on order and spelling: DN, attribute names and values, each sorted.
func normal(t *testing.T, entries []*ldap.Entry) []string {
	t.Helper()
	var lines []string
	for _, e := range entries {
		dn, err := ldap.ParseDN(e.DN)
		if err != nil {
			t.Fatal(err)
		}
		var attrs []string
		for _, a := range e.Attributes {
			slices.Sort(a.Values)
			attrs = append(attrs, fmt.Sprintf("%s=%q", strings.ToLower(a.Name), a.Values))
		}
		slices.Sort(attrs)
		lines = append(lines, strings.ToLower(dn.String())+" "+strings.Join(attrs, " "))
	}
	slices.Sort(lines)
	return lines
}

// TestContract holds the directory in memory to what slapd answers.
func TestContract(t *testing.T) {
	t.Parallel()
	real := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: directory(), Suffix: suffix})
	fake := ldaptest.New(ldaptest.Options{
		Entries: directory(), BindDN: real.ReaderDN, Password: real.ReaderPassword,
	})
	url, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	conns := []*ldap.Conn{
		dial(t, real.URL, real.ReaderDN, real.ReaderPassword), dial(t, url, real.ReaderDN, real.ReaderPassword),
	}
	all, err := conns[0].Search(search(people, 2, "(uid=*)", "entryUUID", "uid"))
	if err != nil {
		t.Fatal(err)
	}
	someone := all.Entries[5]
	filters := []string{ // without what only a schema can know: sn has no order in slapd, and jpegPhoto no equality
		"(objectClass=*)", "(objectClass=INETORGPERSON)", "(uid=deep)", "(uid=DEEP)", "(uid=d*)", "(uid=*e*)", "(uid=*2)",
		"(cn=deep söul)", "(cn=deep  SÖUL)", "(cn=*p s*)", "(cn=profond)", "(cn;lang-fr=profond)", "(sn=s\\c3\\b6ul)",
		"(employeeType=staff)", "(!(employeeType=staff))", "(&(objectClass=inetOrgPerson)(!(employeeType=staff)))",
		"(|(ou=lab01)(ou=LAB02))", "(telephoneNumber=*)", "(!(telephoneNumber=*))", "(uidNumber>=999)", "(uidNumber<=999)",
		"(uidNumber=1000)", "(uidNumber:1.2.840.113556.1.4.803:=8)", "(uidNumber:1.2.840.113556.1.4.804:=7)",
		"(description=*\\28parentheses\\29*)", "(description=*\\2a*)", "(ou=a, b)", "(cn~=deep söul)", "(uid:caseExactMatch:=Deep)", "(uid:caseExactMatch:=deep)",
		"(member=" + someone.DN + ")", "(member=" + strings.ToUpper(strings.ReplaceAll(someone.DN, ",", ", ")) + ")",
		"(entryUUID=" + someone.GetAttributeValue("entryUUID") + ")", "(entryDN=" + someone.DN + ")",
		"(jpegPhoto=*)", "(&)", "(|)", "(!(&))", "(&(|(uid=a*)(uid=d*))(!(|(sn=Novak)(mail=*2@*))))",
		"(memberOf:1.2.840.113556.1.4.1941:=cn=x)", "(!(uid:no-such-rule:=x))",
	}
	bases := []string{suffix, people, groups, "OU=People, DC=EXAMPLE, dc=org", "ou=a\\2C b," + people, someone.DN, "ou=gone," + suffix, "cn=x,ou=gone," + people}
	attrs := [][]string{nil, {"*"}, {"1.1"}, {"uid", "CN"}, {"entryUUID", "member"}, {"*", "entryUUID"}, {"cn;lang-fr"}, {"nonsense"}}
	n := 0
	for _, base := range bases {
		for scope := range 3 {
			for i, filter := range filters {
				if base != suffix && i%4 != 0 { // enough of the combinations
					continue
				}
				n++
				request := search(base, scope, filter, attrs[n%len(attrs)]...)
				request.SizeLimit, request.TypesOnly = 500*(n%2), n%11 == 0
				compare(t, conns, *request, uint32(n%3*7))
			}
		}
	}
	t.Logf("%d searches", n)
	small := search(people, 1, "(uid=*)")
	small.SizeLimit = 9
	compareCounts(t, conns, *small, 0)
	compareCounts(t, conns, *small, 4)
}

// ask sends the request; page size 0 is without paging.
func ask(conn *ldap.Conn, request ldap.SearchRequest, page uint32) (*ldap.SearchResult, *ldap.Error) {
	var res *ldap.SearchResult
	var err error
	if page > 0 {
		res, err = conn.SearchWithPaging(&request, page)
	} else {
		res, err = conn.Search(&request)
	}
	e, _ := err.(*ldap.Error) //nolint:errorlint // as the library made it
	if e == nil {
		e = &ldap.Error{}
	}
	return res, e
}

func compare(t *testing.T, conns []*ldap.Conn, request ldap.SearchRequest, page uint32) {
	t.Helper()
	want, wantErr := ask(conns[0], request, page)
	got, gotErr := ask(conns[1], request, page)
	what := fmt.Sprintf("%s, scope %d, %s, %v, page size %d", request.BaseDN, request.Scope, request.Filter, request.Attributes, page)
	if wantErr.ResultCode != gotErr.ResultCode || !strings.EqualFold(wantErr.MatchedDN, gotErr.MatchedDN) {
		t.Errorf("%s: slapd says %v (%s), the server %v (%s)", what, wantErr, wantErr.MatchedDN, gotErr, gotErr.MatchedDN)
		return
	}
	hide := func(entries []*ldap.Entry) []*ldap.Entry { // what only slapd has: who reads, and where that is
		return slices.DeleteFunc(entries, func(e *ldap.Entry) bool { return strings.HasSuffix(e.DN, "ou=services,"+suffix) })
	}
	if diff := cmp.Diff(normal(t, hide(want.Entries)), normal(t, hide(got.Entries))); diff != "" {
		t.Errorf("%s (-slapd +server):\n%s", what, diff)
	}
}

func compareCounts(t *testing.T, conns []*ldap.Conn, request ldap.SearchRequest, page uint32) {
	t.Helper()
	want, wantErr := ask(conns[0], request, page)
	got, gotErr := ask(conns[1], request, page)
	if len(want.Entries) != len(got.Entries) || wantErr.ResultCode != gotErr.ResultCode {
		t.Errorf("%d entries and code %d, but slapd gives %d and %d", len(got.Entries), gotErr.ResultCode, len(want.Entries), wantErr.ResultCode)
	}
}

// TestLdapsearch reads the directory in memory with OpenLDAP's own client.
func TestLdapsearch(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ldapsearch"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ldapsearch is missing: install the package ldap-utils")
		}
		t.Skip("ldapsearch is missing")
	}
	certs, err := ldaptest.NewCerts(ldaptest.CertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := certs.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	ca := t.TempDir() + "/ca.crt"
	if err := os.WriteFile(ca, certs.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []ldaptest.Options{{}, {TLS: config}, {StartTLS: config}} {
		o.Entries, o.BindDN, o.Password = directory(), "cn=reader", "secret"
		s := ldaptest.New(o)
		url, err := s.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		args := []string{"-x", "-H", url, "-D", "cn=reader", "-w", "secret", "-LLL", "-o", "ldif_wrap=60", "-b", suffix}
		if o.StartTLS != nil {
			args = append(args, "-ZZ")
		}
		var whole []ldaptest.Entry
		for _, paging := range [][]string{nil, {"-E", "pr=7/noprompt"}} {
			cmd := exec.CommandContext(t.Context(), "ldapsearch", append(append(slices.Clone(args), paging...), "(objectClass=inetOrgPerson)", "*", "entryUUID")...)
			cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+ca, "LDAPTLS_REQCERT=demand")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			entries, err := ldaptest.ParseLDIF(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != 61 || len(entries[60].Attrs["entryUUID"]) != 1 {
				t.Errorf("%d entries", len(entries))
			}
			if whole == nil {
				whole = entries
			} else if diff := cmp.Diff(whole, entries); diff != "" {
				t.Errorf("(-all +paged):\n%s", diff)
			}
		}
		if seen := s.Searches(); len(seen) != 1+9 || seen[9].Page != 9 || seen[9].TLS != (o.TLS != nil || o.StartTLS != nil) {
			t.Errorf("%d searches, the last %+v", len(seen), seen[len(seen)-1])
		}
	}
}
