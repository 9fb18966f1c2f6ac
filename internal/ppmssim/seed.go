package ppmssim

import (
	"bytes"
	_ "embed" // the example is the default
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Seed is all that a PPMS knows, as far as the simulator goes. In a file it is YAML (or JSON, which is YAML):
//
//	users:   [{login, lname, fname, email, phone, bcode, affiliation, unitlogin, active: true, admin: false,
//	           mustchpwd: false, mustchbcode: false, userid, pwd}]
//	units:   [{unitlogin, unitname, headname, heademail, unitbcode, department, institution, address, affiliation,
//	           ext: false, active: true, admname, admemail, creationdate: 2022/04/05}]
//	systems: [{id, rawid, facility, type, name, localisation, active: true, schedules: true, stats: true, bookable: true,
//	           autonomyrequired: true, autonomyrequiredafterhours: false}]
//	rights:  [{login, system, level}]
//
// Only login, unitlogin, id, and the three of a right must be given; what is absent is empty or as shown. Bookings, experience,
// services, orders, invoices, projects and account numbers are for the toolbox: see the types. The file testdata/seed.yaml is a
// commented example. In YAML a field goes by its name in small letters.
type Seed struct {
	Users      []User       `json:"users"`
	Units      []Unit       `json:"units"`
	Systems    []System     `json:"systems"`
	Rights     []Right      `json:"rights"`
	Bookings   []Booking    `json:"bookings,omitempty"`
	Experience []Experience `json:"experience,omitempty"`
	Services   []Service    `json:"services,omitempty"`
	Orders     []Order      `json:"orders,omitempty"`
	Invoices   []Invoice    `json:"invoices,omitempty"`
	Projects   []Project    `json:"projects,omitempty"`
	Bcodes     []Bcode      `json:"bcodes,omitempty"`
}

// User is an account. The fields are named as getuser's columns.
type User struct {
	Login       string `json:"login"`
	Lname       string `json:"lname"`
	Fname       string `json:"fname"`
	Email       string `json:"email"`
	Phone       string `json:"phone"`
	Bcode       string `json:"bcode"`
	Affiliation string `json:"affiliation"`
	Unitlogin   string `json:"unitlogin"`
	Mustchpwd   bool   `json:"mustchpwd"`
	Mustchbcode bool   `json:"mustchbcode"`
	Active      bool   `json:"active"`
	Admin       bool   `json:"admin"`
	UserID      int    `json:"userid"` // 0: the next free number
	// Pwd is what auth compares; it is kept in the clear, so never give the simulator a real one. "" lets nobody log in.
	Pwd string `json:"pwd,omitempty"`
}

// Unit is a PPMS group: who pays. The fields are named as getgroup's columns.
type Unit struct {
	Unitlogin    string `json:"unitlogin"`
	Unitname     string `json:"unitname"`
	Headname     string `json:"headname"`
	Heademail    string `json:"heademail"`
	Unitbcode    string `json:"unitbcode"`
	Department   string `json:"department"`
	Institution  string `json:"institution"`
	Address      string `json:"address"`
	Affiliation  string `json:"affiliation"`
	Ext          bool   `json:"ext"`
	Active       bool   `json:"active"`
	Admname      string `json:"admname"`
	Admemail     string `json:"admemail"`
	Creationdate string `json:"creationdate"` // YYYY/MM/DD
}

// System is a bookable instrument.
type System struct {
	ID                         int    `json:"id"`
	RawID                      string `json:"rawid,omitempty"` // what getsystems shows instead of the id
	Facility                   int    `json:"facility"`        // core facility ref
	Type                       string `json:"type"`
	Name                       string `json:"name"`
	Localisation               string `json:"localisation"`
	Active                     bool   `json:"active"`
	Schedules                  bool   `json:"schedules"`
	Stats                      bool   `json:"stats"`
	Bookable                   bool   `json:"bookable"`
	AutonomyRequired           bool   `json:"autonomyrequired"`
	AutonomyRequiredAfterHours bool   `json:"autonomyrequiredafterhours"`
}

// Right is the level (D, N, A or S) of an account on a system.
type Right struct {
	Login  string `json:"login"`
	System int    `json:"system"`
	Level  string `json:"level"`
}

// plain types are decoded without the methods below.
type (
	plainUser   User
	plainUnit   Unit
	plainSystem System
)

// What a file leaves out gets its default, be it YAML or JSON.

func usualUser() plainUser { return plainUser{Active: true} }

func usualUnit() plainUnit { return plainUnit{Active: true} }

func usualSystem() plainSystem {
	return plainSystem{Active: true, Schedules: true, Stats: true, Bookable: true, AutonomyRequired: true}
}

// UnmarshalYAML reads an account.
func (u *User) UnmarshalYAML(node ast.Node) error {
	*u = User(usualUser())
	return yaml.NodeToValue(node, (*plainUser)(u), yaml.Strict())
}

// UnmarshalJSON reads an account.
func (u *User) UnmarshalJSON(data []byte) error {
	*u = User(usualUser())
	return strictly(data, (*plainUser)(u))
}

// UnmarshalYAML reads a unit.
func (u *Unit) UnmarshalYAML(node ast.Node) error {
	*u = Unit(usualUnit())
	return yaml.NodeToValue(node, (*plainUnit)(u), yaml.Strict())
}

// UnmarshalJSON reads a unit.
func (u *Unit) UnmarshalJSON(data []byte) error {
	*u = Unit(usualUnit())
	return strictly(data, (*plainUnit)(u))
}

// UnmarshalYAML reads a system.
func (s *System) UnmarshalYAML(node ast.Node) error {
	*s = System(usualSystem())
	return yaml.NodeToValue(node, (*plainSystem)(s), yaml.Strict())
}

// UnmarshalJSON reads a system.
func (s *System) UnmarshalJSON(data []byte) error {
	*s = System(usualSystem())
	return strictly(data, (*plainSystem)(s))
}

// strictly decodes one JSON value with nothing unknown in it and nothing after it.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

//go:embed testdata/seed.yaml
var example []byte

// DefaultSeed is a small facility: two core facilities with systems, units, accounts, rights, and the odd cases that real
// ones have.
func DefaultSeed() Seed {
	seed, err := parseSeed("testdata/seed.yaml", example)
	if err != nil { // it is part of the program, and a test reads it
		panic(err)
	}
	return seed
}

// ReadSeed reads a seed from a file. Errors name path, line and column; mistakes in what the file says, such as a right of
// nobody, come all at once.
func ReadSeed(path string) (Seed, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return Seed{}, fmt.Errorf("cannot read the seed: %w", err)
	}
	return parseSeed(path, data)
}

// parseSeed reads JSON, which a snapshot is, as such: as YAML one of 20,000 users takes many times as long. If there is something wrong
// with it, it is read as YAML after all, which tells where.
func parseSeed(path string, data []byte) (Seed, error) {
	var seed Seed
	if strictly(data, &seed) == nil && len(check(&seed, exactKey)) == 0 {
		return seed, nil
	}
	seed = Seed{}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return Seed{}, located(path, err)
	}
	for _, doc := range file.Docs {
		if doc.Body == nil { // nothing but comments
			continue
		}
		if err := yaml.NodeToValue(doc.Body, &seed, yaml.Strict()); err != nil {
			return Seed{}, located(path, err)
		}
	}
	var all []error
	for _, m := range check(&seed, exactKey) {
		all = append(all, fmt.Errorf("%s:%s: %s", path, position(file, m.at), m.text))
	}
	return seed, errors.Join(all...)
}

// located puts path, line and column before the message of the YAML library, which would print an excerpt of the file.
func located(path string, err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		pos := e.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", path, pos.Line, pos.Column, e.GetMessage())
	}
	return fmt.Errorf("%s:1:1: %w", path, err)
}

// position finds the line and column of the value at a YAML path; of the beginning where the file has no such value.
func position(file *ast.File, at string) string {
	p, err := yaml.PathString(at)
	if err != nil {
		return "1:1"
	}
	node, err := p.FilterFile(file)
	if err != nil || node == nil {
		return "1:1"
	}
	pos := node.GetToken().Position
	return fmt.Sprintf("%d:%d", pos.Line, pos.Column)
}
