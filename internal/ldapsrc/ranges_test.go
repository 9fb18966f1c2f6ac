package ldapsrc

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"member":                           "none",
		"member;binary":                    "none",
		"member;range=0-1499":              "member 0 1499",
		"member;Range=1500-*":              "member 1500 *",
		"member;lang-de;range=0-9":         "member;lang-de 0 9",
		"member;range=0-9;lang-de":         "member;lang-de 0 9",
		"member;range=0-0":                 "member 0 0",
		"member;range=":                    "error",
		"member;range=5":                   "error",
		"member;range=5-":                  "error",
		"member;range=9-5":                 "error",
		"member;range=-1-5":                "error",
		"member;range=0-99999999999":       "error",
		"member;range=+1-2":                "error",
		"member;range=0x1-2":               "error",
		"member;range=*-*":                 "error",
		"member;ranges=0-1":                "none",
		"member;range":                     "none",
		"x;y;z":                            "none",
		"member;range=1-1;range=2-2":       "member;range=2-2 1 1",
		"1.2.840.113556.1.2.102;range=0-*": "1.2.840.113556.1.2.102 0 *",
	} {
		s, is, err := parseSpan(name)
		got := fmt.Sprintf("%s %d %d", s.attribute, s.low, s.high)
		switch {
		case err != nil:
			got = "error"
		case !is:
			got = "none"
		case s.open:
			got = fmt.Sprintf("%s %d *", s.attribute, s.low)
		}
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Whatever a server writes there: what is taken for a range says which one, in the spelling of the standard.
func FuzzSpan(f *testing.F) {
	for _, s := range []string{"member;range=0-1499", "member;range=1500-*", "member;lang-de;range=1-2", "a;;range=1-2", "member", ";range=0-*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, is, err := parseSpan(name)
		if !is && err != nil || !is && s != (span{}) {
			t.Fatalf("%q: %+v, %v", name, s, err)
		}
		if !is || err != nil {
			return
		}
		if s.low < 0 || !s.open && s.high < s.low {
			t.Fatalf("%q: %+v", name, s)
		}
		again := fmt.Sprintf("%s;range=%d-%d", s.attribute, s.low, s.high)
		if s.open {
			again = fmt.Sprintf("%s;range=%d-*", s.attribute, s.low)
		}
		if strings.Contains(strings.ToLower(s.attribute), ";range=") {
			return // a second one, which is not asked for
		}
		if back, is, err := parseSpan(again); err != nil || !is || back != s {
			t.Fatalf("%q became %q and then %+v", name, again, back)
		}
	})
}
