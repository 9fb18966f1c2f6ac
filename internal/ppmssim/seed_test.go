package ppmssim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

func TestDefaultSeed(t *testing.T) {
	s := ppmssim.DefaultSeed()
	if len(s.Users) < 12 || len(s.Units) < 5 || len(s.Systems) < 6 || len(s.Rights) < 10 {
		t.Errorf("%d users, %d units, %d systems, %d rights", len(s.Users), len(s.Units), len(s.Systems), len(s.Rights))
	}
	var inactive, admins int
	for _, u := range s.Users {
		if !u.Active {
			inactive++
		}
		if u.Admin {
			admins++
		}
	}
	if inactive == 0 || admins == 0 {
		t.Error("nobody inactive, or no administrator")
	}
}

func TestSeedErrors(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"syntax":        {"users: [", []string{":1:8: "}},
		"unknown key":   {"users:\n  - login: a\n    nickname: b\n", []string{`:3:5: unknown field "nickname"`}},
		"unknown list":  {"people: []\n", []string{`:1:1: unknown field "people"`}},
		"wrong type":    {"systems:\n  - id: twelve\n", []string{":2:9: "}},
		"no boolean":    {"users:\n  - {login: a, active: maybe}\n", []string{":2:24: "}},
		"duplicate key": {"users:\n  - login: a\n    login: b\n", []string{":3:5: "}},
		"no list":       {"users: 5\n", []string{":1:8: "}},
		"mistakes, all at once": {
			"units:\n  - {unitlogin: lab}\n  - {unitlogin: lab}\n  - {unitname: x}\n" +
				"users:\n  - {login: a, unitlogin: lab}\n  - {login: a}\n  - {login: b, unitlogin: bal}\n  - {lname: x}\n" +
				"systems:\n  - {id: 1}\n  - {id: 1}\n  - {name: x}\n" +
				"rights:\n  - {login: c, system: 1, level: A}\n  - {login: a, system: 2, level: A}\n" +
				"  - {login: a, system: 1, level: B}\n  - {login: a, system: 1, level: A}\n",
			[]string{
				`:3:17: unit "lab" is here twice`, `:4:5: a unit needs a unitlogin`, `:7:13: user "a" is here twice`,
				`:8:27: unit "bal" of user "b" is not among the units`, `:9:5: a user needs a login`,
				`:12:10: system 1 is here twice`, `:13:5: a system needs an id`, `:15:13: a right for "c"`,
				`:16:24: a right on system 2`, `:17:34: level "B"`, `:18:13: "a" has more than one right on system 1`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seed.yaml")
			if err := os.WriteFile(path, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ppmssim.ReadSeed(path)
			if err == nil {
				t.Fatal("taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), path+want) {
					t.Errorf("want %s in\n%v", want, err)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; n != len(c.want) {
				t.Errorf("%d lines, want %d:\n%v", n, len(c.want), err)
			}
		})
	}
}

func TestSeedDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.yaml")
	text := "users: [{login: a}, {login: b, active: false}]\nsystems: [{id: 1}, {id: 2, bookable: false}]\nunits: [{unitlogin: u}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ppmssim.ReadSeed(path)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Users[0].Active || s.Users[1].Active || !s.Systems[0].Bookable || s.Systems[1].Bookable || !s.Systems[1].Active || !s.Units[0].Active {
		t.Errorf("%+v", s)
	}
	if _, err := ppmssim.ReadSeed(path + ".not"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestNewRefuses(t *testing.T) {
	twice := ppmssim.Seed{Users: []ppmssim.User{{Login: "Ann"}, {Login: "ann"}}}
	for name, o := range map[string]ppmssim.Options{
		"no key":         {},
		"folded twice":   {Key: secret.New("k"), Seed: twice, FoldLogins: true},
		"bad right":      {Key: secret.New("k"), Seed: ppmssim.Seed{Rights: []ppmssim.Right{{Login: "x", System: 1, Level: "A"}}}},
		"bad fault":      {Key: secret.New("k"), Faults: []ppmssim.Fault{{Action: "getuser", Kind: "nonsense"}}},
		"no such folder": {Key: secret.New("k"), StateFile: filepath.Join(t.TempDir(), "no", "state.json")},
	} {
		if _, err := ppmssim.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := ppmssim.New(ppmssim.Options{Key: secret.New("k"), Seed: twice}); err != nil {
		t.Errorf("two that differ in case, compared exactly: %v", err)
	}
}

// JSON is read as YAML is, defaults and strictness included, and a mistake in it has its place.
func TestSeedInJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.json")
	for text, want := range map[string]string{
		`{"users":[{"login":"a"}],"units":[{"unitlogin":"u"}],"systems":[{"id":1,"bookable":false}],"rights":[{"login":"a","system":1,"level":"A"}]}`: "",
		`{"users":[{"login":"a","nickname":"b"}]}`:    `:1:24: unknown field "nickname"`,
		`{"users":[{"login":"a","unitlogin":"bal"}]}`: `:1:36: unit "bal" of user "a" is not among the units`,
		`{"people":[]}`: `:1:2: unknown field "people"`,
		`{"users":[{"login":"a","active":"maybe"}]}`: `:1:33: `,
		`{"users":[{"login":"a"}]} {"users":[]}`:     `:1:`,
		"{users: [{login: a}], systems: [{id: 1, bookable: false}], units: [{unitlogin: u}], rights: [{login: a, system: 1, level: A}]}": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ppmssim.ReadSeed(path)
		switch {
		case want != "" && (err == nil || !strings.Contains(err.Error(), path+want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		case want == "" && (err != nil || !s.Users[0].Active || !s.Units[0].Active || s.Systems[0].Bookable || !s.Systems[0].Schedules || len(s.Rights) != 1):
			t.Errorf("%s: %v %+v", text, err, s)
		}
	}
}

// Facilities have thousands of accounts: a seed of that size must not take minutes.
func TestLargeSeed(t *testing.T) {
	for name, size := range map[string]int{"seed.yaml": 3000, "seed.json": 20000} {
		open, end := "users:\n", "\n"
		if name == "seed.json" {
			open, end = `{"users":`, "}"
		}
		var b strings.Builder
		for i := range size {
			fmt.Fprintf(&b, `, {"login": "u%d", "lname": "L", "fname": "F", "email": "u%d@example.org"}`, i, i)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(open+"  ["+strings.TrimPrefix(b.String(), ",")+"]"+end), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ppmssim.ReadSeed(path)
		if err != nil || len(s.Users) != size || !s.Users[size-1].Active {
			t.Errorf("%s: %d users, %v", name, len(s.Users), err)
		}
	}
}
