package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func FuzzParse(f *testing.F) {
	f.Add(Example(""))
	f.Add([]byte(ruled))
	for _, s := range []string{"", "a", "{", "policy: [", "? {a: b}\n: c", "[a]: b", "- - - a", "a: &a [*a]", "\x00", "\xff", "%YAML 1.2\n---\n", "a: |9\n x", "a: \"\\u12\"", "policy: >\n", "<<: {}\n", "a: {b}", "{a, b: c}", "\r\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		c, err := Parse("f", data, Dirs{"/etc/x"})
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v for %d bytes", took, len(data))
		}
		if err != nil {
			var problems *Problems
			if !errors.As(err, &problems) || len(*problems) == 0 || c != nil {
				t.Fatalf("error %v, configuration %v", err, c)
			}
			lines := strings.Count(string(data), "\n") + 1
			for _, p := range *problems {
				if p.Line < 1 || p.Line > lines+1 || p.Column < 1 || p.Message == "" {
					t.Errorf("%+v in a file of %d lines", p, lines)
				}
			}
			return
		}
		again, err := Parse("f", data, Dirs{"/etc/x"})
		if err != nil || again.Hash() != c.Hash() || again.Scope() != c.Scope() {
			t.Errorf("read twice, with different results: %v", err)
		}
		if len(c.Settings().Rules) != len(c.Mapping().Rules) || len(c.Directory().URLs) == 0 || c.Timetable() == nil || c.Location() == nil || c.Pumapi().Location == nil {
			t.Error("the configuration is not whole")
		}
	})
}

// Texts that are made to be slow end soon, in a problem.
func TestBombs(t *testing.T) {
	aliases := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		aliases += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	var keys strings.Builder
	for i := range maxTokens/3 - 100 { // each is three tokens
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	for name, text := range map[string]string{
		"aliases":    aliases,
		"brackets":   strings.Repeat("[", 200_000),
		"braces":     strings.Repeat("{a: ", 50_000),
		"dashes":     strings.Repeat("- ", 100_000),
		"questions":  strings.Repeat("? ", 100_000),
		"too long":   strings.Repeat("# x\n", 100_000),
		"keys":       keys.String(),
		"twins":      strings.Repeat("a: 1\n", maxTokens/3-100),
		"words":      "policy: " + strings.Repeat("x\n  ", 60_000),
		"expression": smallest + "  create: {cel: \"" + strings.Repeat("(", 100_000) + "\"}\n",
		"terms":      smallest + "  create: {cel: \"true" + strings.Repeat(" || true", 20_000) + "\"}\n",
		"filter":     strings.Replace(smallest, "users: {", "users: {filter: \""+strings.Repeat("(!", 100_000)+"\", ", 1),
		"pattern":    smallest + "  login_pattern: \"^" + strings.Repeat("(a{1,1000}){1,1000}", 1000) + "$\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("f", []byte(text), nil)
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("took %v", took)
			}
			if err == nil {
				t.Error("was taken")
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "400d": 9600 * time.Hour, "1d12h": 36 * time.Hour, "0s": 0, "0d": 0,
		"1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, "168h": 168 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || time.Duration(got) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "5", "0", "1.5d", "1d-1h", "1d+1h", "+1h", "1h1d", "5 m", "1d 1h", "1w"} {
		if got, err := ParseDuration(text); !errors.Is(err, errDuration) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"999999999d", "99999999999999999999d", "106752d", "106751d24h", "2562048h", "1d2562047h"} {
		if got, err := ParseDuration(text); !errors.Is(err, errTooLong) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if got, err := ParseDuration("-1d"); !errors.Is(err, errNegative) {
		t.Errorf("-1d: %v, %v", got, err)
	}
}

// What has the form of the schema is read as it is written, unless it is longer than 106,751 days.
func TestDurationPattern(t *testing.T) {
	long := regexp.MustCompile(`^[0-9]{6}d`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([0-9]{1,6}d)?[0-9.dhmsun+\- ]{0,6}`).Draw(t, "text")
		d, err := ParseDuration(text)
		if errors.Is(err, errTooLong) && !long.MatchString(text) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil {
			if again, err := ParseDuration(d.String()); err != nil || again != d {
				t.Fatalf("%q is written %s and read %v, %v", text, d, again, err)
			}
		}
	})
}
