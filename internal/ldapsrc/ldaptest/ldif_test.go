package ldaptest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ppms-syncd/internal/ldapsrc/ldaptest"
)

func TestParseLDIF(t *testing.T) {
	t.Parallel()
	const text = `version: 1
# a comment
 that goes on

dn: uid=a,
 dc=org
objectClass: top
objectclass:person
cn::  w4Q=
# in the middle
description: one
  two
empty:

# between


dn:: dWlkPcOk
x: y: z` + "\r\n"
	got, err := ldaptest.ParseLDIF(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []ldaptest.Entry{
		{DN: "uid=a,dc=org", Attrs: map[string][]string{
			"objectClass": {"top", "person"}, "cn": {"Ä"}, "description": {"one two"}, "empty": {""},
		}},
		{DN: "uid=ä", Attrs: map[string][]string{"x": {"y: z"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseLDIFErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"version: 2\n":                    `line 1: LDIF version "2" is not 1`,
		"\n\ncn: x\n":                     `line 3: a record begins with dn, not with "cn"`,
		"dn: a=b\nnothing\n":              `line 2: a line has a name, a colon and a value`,
		"dn: a=b\n\n continued\n":         `line 3: nothing to continue`,
		" x\n":                            `line 1: nothing to continue`,
		"dn: a=b\ncn:: *\n":               `line 2: cn: no base64`,
		"dn: a=b\ncn:< file:///etc/x\n":   `line 2: cn: values in other files are not read`,
		"dn: a=b\nchangetype: delete\n":   `line 2: records of changes are not read here`,
		"dn: a=b\nc: d\ndn: c=d\n":        `line 3: a blank line is missing before dn`,
		"dn: a=b\nfoo bar: x\n":           `line 2: "foo bar" is no name of an attribute`,
		"dn: a=b\nx: folded\n  on\n: y\n": `line 4: "" is no name of an attribute`,
	} {
		if _, err := ldaptest.ParseLDIF(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestLDIFRoundTrip(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ :<a-z]{0,200}`), rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	}))
	rapid.Check(t, func(t *rapid.T) {
		var entries []ldaptest.Entry
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			e := ldaptest.Entry{DN: value.Draw(t, "dn"), Attrs: map[string][]string{}}
			for range rapid.IntRange(0, 3).Draw(t, "attributes") {
				name := rapid.StringMatching(`a[a-z0-9-]{0,5}(;[a-z]{1,3})?`).Draw(t, "name")
				e.Attrs[name] = rapid.SliceOfN(value, 1, 3).Draw(t, "values")
			}
			entries = append(entries, e)
		}
		var b bytes.Buffer
		if err := ldaptest.WriteLDIF(&b, entries); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if len(line) > 77 {
				t.Fatalf("a line of %d bytes", len(line))
			}
		}
		got, err := ldaptest.ParseLDIF(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseLDIF(f *testing.F) {
	f.Add("dn: a=b\nc: d\n e\n\n# x\ndn:: eA==\n")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := ldaptest.ParseLDIF(strings.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := ldaptest.WriteLDIF(&b, entries); err != nil {
			t.Fatal(err)
		}
		again, err := ldaptest.ParseLDIF(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, again); diff != "" {
			t.Error(diff)
		}
	})
}
