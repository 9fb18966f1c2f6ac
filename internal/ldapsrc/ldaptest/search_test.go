package ldaptest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ldapsrc/ldaptest"
)

// small is a directory to look at closely.
func small() []ldaptest.Entry {
	return []ldaptest.Entry{
		{DN: "dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"domain"}, "dc": {"example"}}},
		{DN: "ou=People,dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"People"}}},
		{DN: "uid=a,ou=People,dc=example,dc=org", Attrs: map[string][]string{
			"objectClass": {"inetOrgPerson"}, "uid": {"a"}, "cn": {"A"}, "cn;lang-de": {"Ä"}, "jpegPhoto": {"\xff\xd8\x00"},
			"memberOf": {"cn=g"}, "userPassword": {"secret"}, "entryUUID": {"11111111-2222-3333-4444-555555555555"},
		}},
		{DN: "cn=x,uid=a,ou=People,dc=example,dc=org", Attrs: map[string][]string{"objectClass": {"device"}, "cn": {"x"}}},
		{DN: "cn=g\\, h,dc=example,dc=org", Attrs: map[string][]string{
			"objectClass": {"groupOfNames"}, "cn": {"g, h"}, "member": {"m0", "m1", "m2", "m3", "m4"},
		}},
	}
}

// dump writes a result as one line for each entry.
func dump(res *ldap.SearchResult) []string {
	var lines []string
	for _, e := range res.Entries {
		line := e.DN
		for _, a := range e.Attributes {
			line += fmt.Sprintf(" %s=%q", a.Name, a.Values)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSearch(t *testing.T) {
	t.Parallel()
	_, url := start(t, ldaptest.Options{Entries: small(), AllowAnonymous: true})
	conn := dial(t, url)
	const a, x, g = "uid=a,ou=People,dc=example,dc=org", "cn=x,uid=a,ou=People,dc=example,dc=org", "cn=g\\, h,dc=example,dc=org"
	for _, tt := range []struct {
		base   string
		scope  int
		filter string
		attrs  []string
		want   []string
	}{
		{suffix, 0, "(objectClass=*)", []string{"dc"}, []string{suffix + ` dc=["example"]`}},
		{suffix, 0, "(objectClass=device)", nil, nil},
		{suffix, 1, "(objectClass=*)", []string{"1.1"}, []string{"ou=People,dc=example,dc=org", g}},
		{suffix, 2, "(objectClass=*)", []string{"1.1"}, []string{suffix, "ou=People,dc=example,dc=org", a, x, g}},
		{"OU=people, DC=Example,DC=org", 2, "(cn=x)", []string{"CN"}, []string{x + ` cn=["x"]`}},
		{"cn=g\\2c h,dc=example,dc=org", 0, "(cn=g, h)", []string{"cn"}, []string{g + ` cn=["g, h"]`}},
		{suffix, 2, "(cn=ä)", []string{"cn"}, []string{a + ` cn=["A"] cn;lang-de=["Ä"]`}},
		{suffix, 2, "(cn=ä)", []string{"cn;lang-de"}, []string{a + ` cn;lang-de=["Ä"]`}},
		{a, 0, "(jpegPhoto=\\ff\\d8\\00)", []string{"jpegPhoto"}, []string{a + ` jpegPhoto=["\xff\xd8\x00"]`}},
		{a, 0, "(memberOf=cn=G)", nil, []string{a +
			` cn=["A"] cn;lang-de=["Ä"] jpegPhoto=["\xff\xd8\x00"] objectClass=["inetOrgPerson"] uid=["a"]`}},
		{a, 0, "(objectClass=*)", []string{"*"}, []string{a +
			` cn=["A"] cn;lang-de=["Ä"] jpegPhoto=["\xff\xd8\x00"] objectClass=["inetOrgPerson"] uid=["a"]`}},
		{a, 0, "(objectClass=*)", []string{"+"}, []string{a +
			` entryDN=["` + a + `"] entryUUID=["11111111-2222-3333-4444-555555555555"] memberOf=["cn=g"]`}},
		{a, 0, "(objectClass=*)", []string{"entryuuid", "uid", "userPassword"}, []string{a +
			` entryUUID=["11111111-2222-3333-4444-555555555555"] uid=["a"]`}},
		{suffix, 2, "(userPassword=secret)", nil, nil},
		{suffix, 2, "(entryUUID=" + ldaptest.EntryUUID(strings.ToUpper(x)) + ")", []string{"cn"}, []string{x + ` cn=["x"]`}},
	} {
		res, err := conn.Search(search(tt.base, tt.scope, tt.filter, tt.attrs...))
		if err != nil {
			t.Errorf("%s %d %s: %v", tt.base, tt.scope, tt.filter, err)
			continue
		}
		if diff := cmp.Diff(tt.want, dump(res)); diff != "" {
			t.Errorf("%s %d %s %v (-want +got):\n%s", tt.base, tt.scope, tt.filter, tt.attrs, diff)
		}
	}
}

func TestSearchFailures(t *testing.T) {
	t.Parallel()
	_, url := start(t, ldaptest.Options{Entries: small(), AllowAnonymous: true})
	conn := dial(t, url)
	_, err := conn.Search(search("cn=y,ou=none,ou=people,"+suffix, 2, "(objectClass=*)"))
	if e, _ := err.(*ldap.Error); code(err) != 32 || e.MatchedDN != "ou=People,dc=example,dc=org" { //nolint:errorlint // as it came
		t.Errorf("no such object: %v", err)
	}
	if _, err := conn.Search(search("no dn", 2, "(objectClass=*)")); code(err) != 34 {
		t.Errorf("invalid DN: %v", err)
	}
	if _, err := conn.Search(search("", 2, "(objectClass=*)")); code(err) != 32 {
		t.Errorf("subtree of the root DSE: %v", err)
	}
	request := search(suffix, 2, "(objectClass=*)")
	request.Controls = []ldap.Control{ldap.NewControlString("1.2.3.4", true, "")}
	if _, err := conn.Search(request); code(err) != 12 {
		t.Errorf("critical control: %v", err)
	}
	request.Controls = []ldap.Control{ldap.NewControlString("1.2.3.4", false, "")}
	if res, err := conn.Search(request); err != nil || len(res.Entries) != 5 {
		t.Errorf("control that is not critical: %v", err)
	}
	request.Controls = []ldap.Control{ldap.NewControlString("1.2.840.113556.1.4.319", true, "junk")}
	if _, err := conn.Search(request); code(err) != 2 {
		t.Errorf("paging control that is none: %v", err)
	}
	request.Controls, request.TypesOnly = nil, true
	if res, err := conn.Search(request); err != nil || len(res.Entries[0].Attributes) != 2 || len(res.Entries[0].GetAttributeValues("dc")) != 0 {
		t.Errorf("types only: %v", err)
	}
}

func TestRootDSE(t *testing.T) {
	t.Parallel()
	_, url := start(t, ldaptest.Options{
		Entries:        append(small(), ldaptest.Entry{DN: "o=other"}, ldaptest.Entry{DN: "cn=a,o=other"}),
		AllowAnonymous: true,
		RootDSE:        map[string][]string{"defaultNamingContext": {suffix}},
	})
	res, err := dial(t, url).Search(search("", 0, "(objectClass=*)", "*", "+"))
	if err != nil || len(res.Entries) != 1 {
		t.Fatalf("%v, %v", res, err)
	}
	root := res.Entries[0]
	if diff := cmp.Diff([]string{suffix, "o=other"}, root.GetAttributeValues("namingContexts")); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(root.GetAttributeValues("supportedControl"), ldap.ControlTypePaging) ||
		root.GetAttributeValue("defaultNamingContext") != suffix || root.GetAttributeValue("entryUUID") != "" {
		t.Errorf("%v", dump(res))
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s, conn := demo(t)
	all, err := conn.Search(search(people, 1, "(uid=*)", "uid"))
	if err != nil || len(all.Entries) != 25 {
		t.Fatalf("%v", err)
	}
	for _, size := range []uint32{1, 7, 24, 25, 26, 1000} {
		paged, err := conn.SearchWithPaging(search(people, 1, "(uid=*)", "uid"), size)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(dump(all), dump(paged)); diff != "" {
			t.Errorf("pages of %d (-all +paged):\n%s", size, diff)
		}
	}
	// The content changes after the first page; the search goes on with what it began with.
	control := ldap.NewControlPaging(20)
	request := search(people, 1, "(uid=*)", "uid")
	request.Controls = []ldap.Control{control}
	first, err := conn.Search(request)
	if err != nil {
		t.Fatal(err)
	}
	s.SetEntries(small())
	cookie := ldap.FindControl(first.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging).Cookie
	control.SetCookie(cookie)
	second, err := conn.Search(request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dump(all), append(dump(first), dump(second)...)); diff != "" {
		t.Errorf("(-all +two pages):\n%s", diff)
	}
	seen := s.Searches()
	last := seen[len(seen)-1]
	if last.Page != 2 || last.PageSize != 20 || last.Cookie != string(cookie) || !last.Paged || last.Number != len(seen) {
		t.Errorf("%+v", last)
	}
	// The same cookie again, in another search, from another connection, forged, and to give up.
	if again, err := conn.Search(request); err != nil || !cmp.Equal(dump(second), dump(again)) {
		t.Errorf("the same cookie again: %v", err)
	}
	request.Filter = "(uid=x*)"
	if _, err := conn.Search(request); code(err) != 53 {
		t.Errorf("cookie of another search: %v", err)
	}
	request.Filter = "(uid=*)"
	control.PagingSize = 0
	if res, err := conn.Search(request); err != nil || len(res.Entries) != 0 {
		t.Errorf("giving up: %v", err)
	}
	control.PagingSize = 20
	control.SetCookie([]byte("forged"))
	if _, err := conn.Search(request); code(err) != 53 {
		t.Errorf("forged cookie: %v", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		server, pages    int // SizeLimit, MaxPageSize
		client, pageSize int
		want, code       int
	}{
		{"none", 0, 0, 0, 0, 25, 0},
		{"of the server", 10, 0, 0, 0, 10, 4},
		{"of the client", 0, 0, 9, 0, 9, 4},
		{"exactly", 25, 0, 0, 0, 25, 0},
		{"total over pages", 10, 0, 0, 4, 10, 4},
		{"of the client over pages", 0, 0, 9, 4, 9, 4},
		{"page size cut", 0, 5, 0, 20, 25, 0},
		{"unpaged behind the page size", 0, 5, 0, 0, 5, 4},
	} {
		s, url := start(t, ldaptest.Options{
			Entries: ldaptest.Generate(ldaptest.GenOptions{People: 25}), AllowAnonymous: true,
			SizeLimit: tt.server, MaxPageSize: tt.pages,
		})
		conn := dial(t, url)
		request := search(people, 1, "(uid=*)", "uid")
		request.SizeLimit = tt.client
		read := conn.Search
		if tt.pageSize > 0 {
			read = func(r *ldap.SearchRequest) (*ldap.SearchResult, error) {
				return conn.SearchWithPaging(r, uint32(tt.pageSize))
			}
		}
		res, err := read(request)
		if code(err) != tt.code || len(res.Entries) != tt.want {
			t.Errorf("%s: %d entries, %v", tt.name, len(res.Entries), err)
		}
		if tt.name == "page size cut" && len(s.Searches()) != 5 {
			t.Errorf("%d pages", len(s.Searches()))
		}
	}
}

func TestValueRanges(t *testing.T) {
	t.Parallel()
	_, url := start(t, ldaptest.Options{Entries: small(), AllowAnonymous: true, MaxValRange: 2})
	conn := dial(t, url)
	for attr, want := range map[string]string{
		"member":           `member=[] member;range=0-1=["m0" "m1"]`,
		"*":                `cn=["g, h"] member=[] member;range=0-1=["m0" "m1"] objectClass=["groupOfNames"]`,
		"member;range=2-*": `member;range=2-3=["m2" "m3"]`,
		"member;range=4-*": `member;range=4-*=["m4"]`,
		"member;range=1-1": `member;range=1-1=["m1"]`,
		"member;range=0-4": `member;range=0-1=["m0" "m1"]`,
		"member;range=9-*": `member;range=5-*=[]`,
		"member;range=x":   ``,
	} {
		res, err := conn.Search(search(suffix, 2, "(member=*)", attr))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.TrimSpace(strings.TrimPrefix(dump(res)[0], "cn=g\\, h,dc=example,dc=org"))
		if got != want {
			t.Errorf("%s gives %s, want %s", attr, got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	const url = "ldap://DomainDnsZones.example.org/DC=DomainDnsZones,DC=example,DC=org"
	_, server := start(t, ldaptest.Options{Entries: small(), AllowAnonymous: true, References: []string{url}})
	conn := dial(t, server)
	for _, tt := range []struct {
		base     string
		scope    int
		controls []ldap.Control
		want     []string
	}{
		{suffix, 2, nil, []string{url}},
		{suffix, 1, nil, []string{}},
		{"ou=people," + suffix, 2, nil, []string{}},
		{suffix, 2, []ldap.Control{ldap.NewControlString("1.2.840.113556.1.4.1339", true, "")}, []string{}},
	} {
		request := search(tt.base, tt.scope, "(objectClass=*)")
		request.Controls = tt.controls
		res, err := conn.Search(request)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, res.Referrals); diff != "" {
			t.Errorf("%s %d: %s", tt.base, tt.scope, diff)
		}
	}
}
