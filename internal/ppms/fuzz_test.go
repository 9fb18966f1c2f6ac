package ppms

import (
	"strings"
	"testing"
	"unicode"

	"ppms-syncd/internal/reconcile"
)

// What is accepted as a list reads the same when it is written again.
func FuzzList(f *testing.F) {
	for _, seed := range []string{"", "jdoe\n", "a\r\n b \r\n\r\nc", "<html>", "error: x", "a\tb", "o&#39;brien\n&#32;", "\ufeffa"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseList(text)
		if err != nil {
			return
		}
		for _, v := range values {
			if v == "" || v != strings.TrimSpace(v) || strings.ContainsFunc(v, unicode.IsControl) {
				t.Fatalf("%q in the list", v)
			}
		}
		if strings.ContainsRune(text, '&') {
			return // entities are undone once
		}
		again, err := parseList(strings.Join(values, "\r\n"))
		if err != nil || strings.Join(again, "\n") != strings.Join(values, "\n") {
			t.Fatalf("%q became %q: %v", values, again, err)
		}
	})
}

// A table never has a row without all needed values that is not marked, and lines are counted within the text.
func FuzzTable(f *testing.F) {
	for _, seed := range []string{"", "a,b\n1,2", "a, b\r\n\"1\" ,\"2\"\"\"\r\n", "a,b\n\"1,2", "a,b\n1,2,,\"\"\n3", "\"a\nc\",b\n,,,\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parseTable(text, "a", "b")
		if err != nil {
			return
		}
		last := 0
		for _, r := range table.rows {
			if (r.problem == "") == (r.fields == nil) || r.line <= last || r.line > 1+strings.Count(text, "\n") {
				t.Fatalf("%q: row %+v after line %d", text, r, last)
			}
			last = r.line
			if r.problem == "" && len(r.fields) <= max(table.columns["a"], table.columns["b"]) {
				t.Fatalf("%q: row %+v is short", text, r)
			}
		}
		_, _ = parseUser(text, "a")
		_, _ = parseGroup(text, "a")
		_, _ = parseSystems(text, func(error) {})
	})
}

func FuzzPairs(f *testing.F) {
	for _, seed := range []string{"", "A:jdoe\nS:jdoe", "A,\"x\"", "N:a:b,c\r\n", "X:1", "A,\"x", "D,\"a\"\"b\"", "A:31"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := parsePairs(text)
		if err != nil {
			return
		}
		for _, p := range pairs {
			if p.value == "" || p.level == reconcile.None || p.level > reconcile.Superuser {
				t.Fatalf("%q: %+v", text, p)
			}
		}
		rights, err := parseSystemRights(text)
		if err != nil || len(rights) > len(pairs) || len(rights) == 0 && len(pairs) > 0 {
			t.Fatalf("%q: %v %v", text, rights, err)
		}
		_, _ = parseUserRights(text)
	})
}

func FuzzStatus(f *testing.F) {
	for _, seed := range []string{"", "OK newuser", "done", "error: x", "abandoned", "tokén", "not ok"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parseStatus(text)
		lower := strings.ToLower(text)
		if err == nil && !strings.Contains(lower, "ok") && !strings.Contains(lower, "done") && !strings.ContainsRune(lower, 'ſ') && !strings.ContainsRune(text, '\u212a') {
			t.Fatalf("%q was taken for yes", text)
		}
	})
}
