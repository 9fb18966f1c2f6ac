package ldapsrc

import (
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/google/go-cmp/cmp"
)

// jane is an entry with a bit of everything.
func jane(attr string) []string {
	return map[string][]string{
		"objectclass":        {"inetOrgPerson", "top"},
		"uid":                {"jdoe"},
		"cn":                 {"Jane  Q. Doe"},
		"sn":                 {"Müller"},
		"employeetype":       {"guest", "Visitor"},
		"accountstatus":      {"closed"},
		"useraccountcontrol": {"514"},
		"age":                {"9"},
		"memberof":           {"CN=Ops, OU=Groups,DC=example,DC=org"},
		"objectguid":         {"\x01Aa\xff"},
		"userpassword":       {"{SSHA}hunter2"},
		"mail":               {"a@x", "b@x", "c@x", "d@x", "e@x"},
		"description":        {"(a*b)"},
	}[strings.ToLower(attr)]
}

func TestFilterMatch(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]bool{
		"(uid=jdoe)":                   true,
		"(UID=JDOE)":                   true,
		"(uid= jdoe )":                 true,
		"(uid=jdo)":                    false,
		"(objectclass=INETORGPERSON)":  true,
		"(employeeType=visitor)":       true, // any value
		"(cn=jane q. doe)":             true, // blanks collapse
		"(sn=MÜLLER)":                  true,
		"(sn=mu\\cc\\88ller)":          true, // decomposed
		"(uid=*)":                      true,
		"(pager=*)":                    false,
		"(pager=1)":                    false,
		"(!(pager=1))":                 true,
		"(!(uid=jdoe))":                false,
		"(!(!(uid=jdoe)))":             true,
		"(&)":                          true,
		"(|)":                          false,
		"(&(uid=jdoe)(pager=1))":       false,
		"(|(uid=jdoe)(pager=1))":       true,
		"(cn=jane*)":                   true,
		"(cn=*doe)":                    true,
		"(cn=j*q*e)":                   true,
		"(cn=*q. *)":                   true,
		"(cn=*doe*jane*)":              false,
		"(cn=doe*)":                    false,
		"(cn=*jane)":                   false,
		"(uid=jdo*oe)":                 false, // the pieces may not overlap
		"(description=\\28a\\2ab\\29)": true,
		"(description=*\\2a*)":         true,
		"(age>=10)":                    false, // as numbers
		"(age<=10)":                    true,
		"(age>=9)":                     true,
		"(uid>=JDOA)":                  true, // as text
		"(uid<=JDOA)":                  false,
		"(uid~=JDoe)":                  true,
		"(memberOf=cn=ops,ou=groups,dc=EXAMPLE,dc=org)":     true,
		"(memberOf=cn=ops,ou=group,dc=example,dc=org)":      false,
		"(objectGUID=\\01Aa\\ff)":                           true,
		"(objectGUID=\\01AA\\ff)":                           false, // bytes have no case
		"(uid:=JDOE)":                                       true,
		"(uid:caseExactMatch:=jdoe)":                        true,
		"(uid:caseExactMatch:=JDOE)":                        false,
		"(uid:2.5.13.2:=JDOE)":                              true,
		"(userAccountControl:1.2.840.113556.1.4.803:=2)":    true,
		"(userAccountControl:1.2.840.113556.1.4.803:=3)":    false, // not all bits
		"(userAccountControl:1.2.840.113556.1.4.804:=3)":    true,  // any bit
		"(userAccountControl:1.2.840.113556.1.4.804:=1)":    false,
		"(!(userAccountControl:1.2.840.113556.1.4.803:=2))": false,
		"(!(pager:1.2.840.113556.1.4.803:=2))":              true, // no such attribute: plainly not
		// What cannot be evaluated is neither true nor false.
		"(memberOf:1.2.840.113556.1.4.1941:=cn=all)":                   false,
		"(!(memberOf:1.2.840.113556.1.4.1941:=cn=all))":                false,
		"(|(uid=jdoe)(memberOf:1.2.840.113556.1.4.1941:=cn=all))":      true,
		"(!(|(pager=1)(memberOf:1.2.840.113556.1.4.1941:=cn=all)))":    false,
		"(!(&(pager=1)(memberOf:1.2.840.113556.1.4.1941:=cn=all)))":    true,
		"(uid:1.2.840.113556.1.4.803:=2)":                              false,
		"(!(uid:1.2.840.113556.1.4.803:=2))":                           false,
		"(!(:caseExactMatch:=x))":                                      false,
		"(!(ou:dn:=people))":                                           false,
		"(uid:dn:=jdoe)":                                               true,
		"(&(objectClass=inetOrgPerson)(!(accountStatus=closed)))":      false,
		"(&(objectClass=inetOrgPerson)(|(uid=x)(employeeType=guest)))": true,
	} {
		f, err := CompileFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := f.Match(jane); got != want {
			t.Errorf("%s matches: %v, want %v", filter, got, want)
		}
		if got := f.Why(jane); (got == "") != want {
			t.Errorf("%s says %q, but matches: %v", filter, got, want)
		}
	}
}

func TestFilterWhy(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"(&(uid=*)(employeeType=staff))":      `(employeeType=staff) does not match: employeeType is "guest" and "Visitor"`,
		"(&(uid=*)(!(accountStatus=closed)))": `(!(accountStatus=closed)) excludes it: accountStatus is "closed"`,
		"(&(pager=*)(uid=x))":                 `(pager=*) does not match: the entry has no pager`,
		"(!(!(sn=Smith)))":                    `(sn=Smith) does not match: sn is "Müller"`,
		"(|(sn=Smith*))":                      `(sn=Smith*) does not match: sn is "Müller"`,
		"(|(sn=Smith)(pager=1))":              `(|(sn=Smith)(pager=1)) does not match: sn is "Müller", the entry has no pager`,
		"(!(&(uid=jdoe)(age=9)))":             `(!(&(uid=jdoe)(age=9))) excludes it: uid is "jdoe", age is "9"`,
		"(!(|(uid=jdoe)(UID=x)))":             `(!(|(uid=jdoe)(UID=x))) excludes it: uid is "jdoe"`,
		"(mail=z@x)":                          `(mail=z@x) does not match: mail is "a@x" and "b@x" and "c@x" and 2 more`,
		"(userPassword=x)":                    `(userPassword=x) does not match: userPassword is not shown`,
		"(objectGUID=\\00)":                   `(objectGUID=\00) does not match: objectGUID is "\x01Aa\xff"`,
		"(&(uid:unknown:=x)(uid=x))":          `(uid=x) does not match: uid is "jdoe"`,
		"(!(pager:unknown:=x))":               `(!(pager:unknown:=x)) can only be judged by the directory: the entry has no pager`,
		"(&(uid=*)(uid:unknown:=x))":          `(uid:unknown:=x) can only be judged by the directory: uid is "jdoe"`,
		"(|)":                                 `(|) does not match: it names no attribute`,

		"(!(userAccountControl:1.2.840.113556.1.4.803:=2))": `(!(userAccountControl:1.2.840.113556.1.4.803:=2)) excludes it: userAccountControl is "514"`,
	} {
		f, err := CompileFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if diff := cmp.Diff(want, f.Why(jane)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
	long, err := CompileFilter("(cn=x)")
	if err != nil {
		t.Fatal(err)
	}
	why := long.Why(func(string) []string { return []string{strings.Repeat("ü", 1000)} })
	if n := len([]rune(why)); n > 150 || !strings.HasSuffix(why, "ü…\"") {
		t.Errorf("a long value gives %q", why)
	}
}

func TestFilterErrors(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"":                 `filter "" must be in parentheses, like (uid=*)`,
		"uid=x":            `filter "uid=x" must be in parentheses, like (uid=*)`,
		"(uid=x":           `filter "(uid=x": unexpected end of filter`,
		"(uid=x))":         `filter "(uid=x))": finished compiling filter with extra at end: )`,
		"(&(uid=x)":        `filter "(&(uid=x)": unexpected end of filter`,
		"(!(a=b)(c=d))":    `filter "(!(a=b)(c=d))": expected ')' at position 7`,
		"(uid)":            `filter "(uid)": error parsing filter`,
		"(=x)":             `filter "(=x)": "" is no name of an attribute`,
		"(user name=x)":    `filter "(user name=x)": "user name" is no name of an attribute`,
		"( uid=x)":         `filter "( uid=x)": " uid" is no name of an attribute`,
		"(größe=x)":        `filter "(größe=x)": "größe" is no name of an attribute`,
		"(uid=\\zz)":       `filter "(uid=\\zz)": invalid characters for escape in filter: encoding/hex: invalid byte: U+007A 'z'`,
		"(uid=**)":         `filter "(uid=**)": a substring match needs a piece of text`,
		"(:=x)":            `filter "(:=x)": an extensible match needs an attribute or a rule`,
		"(:dn)":            `filter "(:dn)": an extensible match needs := and a value`,
		"(uid:rule)":       `filter "(uid:rule)": an extensible match needs := and a value`,
		"(uid:no rule:=x)": `filter "(uid:no rule:=x)": "no rule" is no name of a matching rule`,
	} {
		_, err := CompileFilter(filter)
		if err == nil {
			t.Errorf("%s compiles", filter)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
}

func TestFilterAttributesAndString(t *testing.T) {
	t.Parallel()
	const text = `(&(objectClass=*)(|(uid=a*b)(UID=*c*)(sn=Müller\28\2a))(!(age>=3))(b<=x)(c~=y)(d:dn:2.5.13.2:=z)(:caseExactMatch:=q))`
	f, err := CompileFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	if f.String() != text {
		t.Errorf("String is %s", f)
	}
	if diff := cmp.Diff([]string{"objectClass", "uid", "sn", "age", "b", "c", "d"}, f.Attributes()); diff != "" {
		t.Error(diff)
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"(uid=x)", "(&(a=b)(|(c>=d)(e<=f))(!(g~=h)))", "(a=b*c*d)", "(a:dn:1.2.3:=b)", "(a=\\00\\ff)", "(((a=b)))", "(!a=b)", "(|)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := CompileFilter(text)
		if err != nil {
			return
		}
		if (filter.Why(jane) == "") != filter.Match(jane) {
			t.Errorf("%q: Match and Why disagree", text)
		}
		again, err := CompileFilter(filter.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, filter, err)
		}
		if again.String() != filter.String() || again.Match(jane) != filter.Match(jane) {
			t.Errorf("%q became %q and then %q", text, filter, again)
		}
	})
}

// FuzzFilterFromPacket feeds what may come over the wire.
func FuzzFilterFromPacket(f *testing.F) {
	f.Add([]byte{0xa0, 0x00})
	f.Add([]byte{0xa2, 0x00})
	f.Add([]byte{0xa3, 0x06, 0x04, 0x01, 'a', 0x04, 0x01, 'b'})
	f.Add([]byte{0xa4, 0x08, 0x04, 0x01, 'a', 0x30, 0x03, 0x81, 0x01, 'b'})
	f.Add([]byte{0xa9, 0x06, 0x82, 0x01, 'a', 0x83, 0x01, 'b'})
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ber.DecodePacketErr(data)
		if err != nil {
			return
		}
		filter, err := FilterFromPacket(p)
		if err != nil {
			return
		}
		if (filter.Why(jane) == "") != filter.Match(jane) {
			t.Errorf("%s: Match and Why disagree", filter)
		}
		_ = filter.Attributes()
	})
}
