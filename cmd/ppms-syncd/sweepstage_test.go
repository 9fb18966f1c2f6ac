package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	_ "modernc.org/sqlite" // to make ledgers of older schemas

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
)

// morning is a small directory, and evening the same one after a day on which everything happened.
func morning() []ldaptest.Entry {
	entries := []ldaptest.Entry{
		entryOf(suffix, "domain", "dc", "example"), entryOf("ou=people,"+suffix, "organizationalUnit", "ou", "people"),
		entryOf("ou=groups,"+suffix, "organizationalUnit", "ou", "groups"),
	}
	for _, login := range []string{"ada", "bob", "eva", "karl", "lena", "otto", "uwe"} {
		entries = append(entries, somebody(login, "1"))
	}
	return append(entries, confocal("ada", "bob", "eva"))
}

func evening() []ldaptest.Entry {
	entries := without(morning(), "otto", "ada", "confocal-users")
	return append(entries, somebody("ada", "2"), somebody("nina", "1"), confocal("ada", "uwe", "nina"))
}

func entryOf(dn, class, attr, name string) ldaptest.Entry {
	return ldaptest.Entry{DN: dn, Attrs: map[string][]string{"objectClass": {class}, attr: {name}}}
}

func somebody(login, phone string) ldaptest.Entry {
	dn := "uid=" + login + ",ou=people," + suffix
	return ldaptest.Entry{DN: dn, Attrs: map[string][]string{
		"objectClass": {"inetOrgPerson"}, "uid": {login}, "cn": {login}, "sn": {strings.ToUpper(login)}, "givenName": {login},
		"mail": {login + "@example.org"}, "ou": {"lab"}, "telephoneNumber": {phone}, "entryUUID": {ldaptest.EntryUUID(dn)},
	}}
}

func confocal(logins ...string) ldaptest.Entry {
	e := entryOf("cn=confocal-users,ou=groups,"+suffix, "groupOfNames", "cn", "confocal-users")
	for _, login := range logins {
		e.Attrs["member"] = append(e.Attrs["member"], "uid="+login+",ou=people,"+suffix)
	}
	return e
}

func without(entries []ldaptest.Entry, names ...string) []ldaptest.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e ldaptest.Entry) bool {
		rdn, _, _ := strings.Cut(e.DN, ",")
		_, name, _ := strings.Cut(rdn, "=")
		return slices.Contains(names, name)
	})
}

// lab is a small PPMS: it lacks karl, ada has an old number, eva a right that staff gave, and there are some whom nobody may touch.
func lab() ppmssim.Seed {
	s := ppmssim.Seed{
		Units:   []ppmssim.Unit{{Unitlogin: "lab", Active: true}},
		Systems: []ppmssim.System{{ID: 12, Facility: 1, Type: "Confocal", Name: "SP8", Active: true, Bookable: true}},
		Rights:  []ppmssim.Right{{Login: "eva", System: 12, Level: "N"}, {Login: "visitor", System: 12, Level: "A"}},
	}
	for _, login := range []string{"ada", "bob", "boss", "eva", "lena", "otto", "svc-robot", "uwe", "visitor"} {
		s.Users = append(s.Users, ppmssim.User{
			Login: login, Lname: strings.ToUpper(login), Fname: login, Email: login + "@example.org", Unitlogin: "lab", Phone: "1", Active: true, Admin: login == "boss",
		})
	}
	s.Users[0].Phone = "0"
	return s
}

func overlayOf(t *testing.T, text string) (more map[string]any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &more); err != nil {
		t.Fatal(err)
	}
	return more
}

const sweepConfig = `
leavers: {grace: 1ms, confirmations: 2}
accounts: {protect: ["/^svc-/"]}
guards:
  creations: {floor: 99}
  updates: {floor: 99}
  grants: {floor: 99}
  revocations: {floor: 99}
  deactivations: {floor: 99}
`

// olderDays are the same day with ledgers of all older schemas, which the run upgrades first.
func olderDays(t *testing.T, day *scene) (scenes []*scene) {
	t.Helper()
	steps, err := filepath.Glob("../../internal/ledger/migrations/*.sql")
	must(t, err)
	for version := 1; version < len(steps); version++ {
		older := *day
		older.name, older.upgrade, older.touches = fmt.Sprintf("schema %d", version), true, nil
		older.files = map[string][]byte{"ledger.db": downgrade(t, day.files, steps[:version])}
		scenes = append(scenes, &older)
	}
	return scenes
}

// downgrade makes a ledger of an older schema with the same content.
func downgrade(t *testing.T, files map[string][]byte, steps []string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "older.db"))
	must(t, err)
	db.SetMaxOpenConns(1)
	do := func(statement string, args ...any) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement, args...)
		must(t, err)
	}
	for _, step := range steps {
		text, err := os.ReadFile(step)
		must(t, err)
		do(string(text))
	}
	do("ATTACH ? AS now", filepath.Join(dir, "ledger.db"))
	rows, err := db.QueryContext(t.Context(), `SELECT t.name, group_concat('"' || c.name || '"')
		FROM main.sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' GROUP BY t.name`)
	must(t, err)
	columns := map[string]string{}
	for rows.Next() {
		var table, names string
		must(t, rows.Scan(&table, &names))
		columns[table] = names
	}
	must(t, errors.Join(rows.Err(), rows.Close()))
	for table, names := range columns {
		do(fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %s FROM now.%[1]s", table, names, names))
	}
	do(`PRAGMA main.application_id = 0x70706d73`)
	do(fmt.Sprintf("PRAGMA main.user_version = %d", len(steps)))
	must(t, db.Close())
	data, err := os.ReadFile(filepath.Join(dir, "older.db"))
	must(t, err)
	return data
}

func startDirectory(t *testing.T, entries []ldaptest.Entry) (*ldaptest.Server, string) {
	t.Helper()
	d := ldaptest.New(ldaptest.Options{Entries: entries, BindDN: bindDN, Password: bindPassword})
	address, err := d.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, address
}

// looked is what a ledger has.
type looked struct {
	runs    []ledger.Run
	journal []ledger.Entry
	managed []string
	facts   []string
}

func (p *post) look(t *testing.T) (m looked) {
	t.Helper()
	l, err := ledger.OpenReadOnly(t.Context(), filepath.Join(p.dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	memory, err := l.Memory(t.Context(), time.Now())
	if err == nil {
		m.runs, err = l.Runs(t.Context(), 0)
	}
	slices.Reverse(m.runs)
	for _, run := range m.runs {
		var entries []ledger.Entry
		if err == nil {
			entries, err = l.Entries(t.Context(), run.ID)
		}
		m.journal = append(m.journal, entries...)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range memory.Links {
		m.managed = append(m.managed, x.Login)
		m.facts = append(m.facts, fmt.Sprint("link ", x.Login, " ", x.ID, " ", x.Origin))
	}
	for _, g := range memory.Grants {
		m.facts = append(m.facts, fmt.Sprint("gave ", g.Login, " ", g.Level, " on ", g.System, ", before: ", g.Before, g.Overruled))
	}
	for key, d := range memory.Deactivated {
		m.facts = append(m.facts, fmt.Sprint("deactivated ", key, d.Overruled))
	}
	slices.Sort(m.facts)
	return m
}

func protected(login string) bool { return strings.HasPrefix(login, "svc-") }

// seed moves samples from day to day; -v shows what it chose.
func seed() int { return time.Now().UTC().YearDay() }

// record leaves a figure for docs/reliability.md where make reliability wants it.
func record(t *testing.T, name, figure string) {
	t.Helper()
	dir := os.Getenv("RELIABILITY")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(figure+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
