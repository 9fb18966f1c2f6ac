package ppmssim

import (
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// request is one call while it is worked on: what was asked, the state, and what it changed. All changes of the state by
// actions go through it.
type request struct {
	name    string // of the action
	params  url.Values
	state   *state
	wire    Wire
	scope   Scope
	now     time.Time
	fault   *Fault
	changes []Change
}

func (q *request) has(param string) bool { return q.params.Has(param) }

// value is a parameter as the client sent it.
func (q *request) value(param string) string {
	v := q.params.Get(param)
	if q.wire.EscapeHTML {
		return html.UnescapeString(v)
	}
	return v
}

// lacks says which parameters are missing or blank; the words are a choice.
func (q *request) lacks(mandatory ...string) (no answer, lacks bool) {
	missing := slices.DeleteFunc(mandatory, func(param string) bool { return strings.TrimSpace(q.value(param)) != "" })
	return refuse("missing mandatory parameter " + strings.Join(missing, ", ")), len(missing) > 0
}

// flag reads the tri-state parameters: true, false, or absent. Clients write true and True.
func (q *request) flag(param string) (value, given bool) {
	v, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(q.params.Get(param))))
	return v, err == nil
}

// number reads an id.
func (q *request) number(param string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(q.params.Get(param)))
	return n, err == nil
}

// setText sets a field to a parameter, if it was sent. An empty parameter empties the field.
func (q *request) setText(field *string, param string) {
	if q.has(param) {
		*field = q.short(param, q.value(param))
	}
}

func (q *request) setFlag(field *bool, param string) {
	if v, given := q.flag(param); given {
		*field = v
	}
}

// short is what becomes of a value while FaultShorten is on.
func (q *request) short(name, value string) string {
	if q.fault == nil || q.fault.Kind != FaultShorten {
		return value
	}
	field, size := q.fault.shortening()
	if field == "" && (name == "login" || name == "unitlogin") || field != "" && field != name {
		return value
	}
	if utf8.RuneCountInString(value) <= size {
		return value
	}
	return string([]rune(value)[:size])
}

// send readies a record for the client.
func (q *request) send(row []cell) []cell {
	for i := range row {
		if !row[i].bare {
			row[i].text = q.wire.escaped(q.short(row[i].name, row[i].text))
		}
	}
	return row
}

// names readies logins for the client.
func (q *request) names(names []string) answer {
	for i := range names {
		names[i] = q.wire.escaped(names[i])
	}
	return answer{lines: names}
}

// idle says that writes shall look as if they happened.
func (q *request) idle() bool { return q.fault != nil && q.fault.Kind == FaultNothing }

func (q *request) putUser(u User) {
	if q.idle() {
		return
	}
	old, exists := q.state.user(u.Login)
	q.state.putUser(u)
	q.note("user "+u.Login, exists, userCells(old), userCells(u))
	if exists && old.Pwd != u.Pwd || !exists && u.Pwd != "" {
		q.changes = append(q.changes, Change{Object: "user " + u.Login, Field: "pwd", Before: hidden, After: hidden})
	}
}

func (q *request) putUnit(u Unit) {
	if q.idle() {
		return
	}
	old, exists := q.state.unit(u.Unitlogin)
	q.state.putUnit(u)
	q.note("unit "+u.Unitlogin, exists, unitCells(old), unitCells(u))
}

func (q *request) putRight(login string, system int, level string) {
	if q.idle() {
		return
	}
	before := q.state.right(login, system)
	q.state.setRight(login, system, level)
	if before != level {
		object := "right " + login + " " + strconv.Itoa(system)
		q.changes = append(q.changes, Change{Object: object, Field: "level", Before: before, After: level})
	}
}

// needUnit creates the group of that name if there is none: a typing error becomes a billing unit.
func (q *request) needUnit(login string) {
	if _, ok := q.state.unit(login); login == "" || ok {
		return
	}
	q.putUnit(Unit{Unitlogin: login, Unitname: login, Active: true, Creationdate: q.today()})
}

func (q *request) today() string { return q.now.Format("2006/01/02") }

// note keeps what changed in an object, field by field; of a new one, "exists" and all that is not empty.
func (q *request) note(object string, existed bool, before, after []cell) {
	if !existed {
		q.changes = append(q.changes, Change{Object: object, Field: "exists", Before: "false", After: "true"})
	}
	for i, c := range after {
		old := before[i].text
		if !existed {
			old = ""
		}
		if c.text != old {
			q.changes = append(q.changes, Change{Object: object, Field: c.name, Before: old, After: c.text})
		}
	}
}
