package ppms

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ppms-syncd/internal/reconcile"
)

// NewUser creates a user. PPMS would update one that exists, and create a group for a unitlogin that it does not know: the
// caller must have asked. The new user is active; login, lname, fname, email and unitlogin are mandatory.
func (w *Writer) NewUser(ctx context.Context, login string, fields map[string]string) error {
	c := call{action: "newuser"}
	form, err := userForm(login, fields, false)
	if err != nil {
		return w.refuse(c, err)
	}
	for _, name := range []string{"lname", "fname", "email", "unitlogin"} {
		if strings.TrimSpace(fields[name]) == "" {
			return w.refuse(c, fmt.Errorf("a new user needs %s", name))
		}
	}
	c.form = form
	return w.write(ctx, c)
}

// UpdateUser changes the fields given, and "active" if it is among them. PPMS would create a user that does not exist: the
// caller must have asked.
func (w *Writer) UpdateUser(ctx context.Context, login string, fields map[string]string) error {
	c := call{action: "updateuser", wire: "upduser"}
	form, err := userForm(login, fields, true)
	if err != nil {
		return w.refuse(c, err)
	}
	if len(fields) == 0 {
		return w.refuse(c, fmt.Errorf("no field to update"))
	}
	c.form = form
	return w.write(ctx, c)
}

// SetRight gives a login a level on a system, Deactivated to take it away. Superuser is never given by a program, and PPMS
// would take a missing level for A.
func (w *Writer) SetRight(ctx context.Context, login string, system int, level reconcile.Level) error {
	c := call{action: "setright"}
	switch {
	case strings.TrimSpace(login) == "":
		return w.refuse(c, fmt.Errorf("there is no login"))
	case system <= 0:
		return w.refuse(c, fmt.Errorf("%d is no system id", system))
	case level != reconcile.Deactivated && level != reconcile.Novice && level != reconcile.Autonomous:
		return w.refuse(c, fmt.Errorf("the level %q is not one to set", level))
	}
	c.form = url.Values{"id": {strconv.Itoa(system)}, "login": {login}, "type": {level.String()}}
	return w.write(ctx, c)
}

// MakeSuperuser gives a login the level S on a system: no plan ever does, but a person may.
func (w *Writer) MakeSuperuser(ctx context.Context, login string, system int) error {
	c := call{action: "setright"}
	if strings.TrimSpace(login) == "" || system <= 0 {
		return w.refuse(c, fmt.Errorf("a right needs a login and a system"))
	}
	c.form = url.Values{"id": {strconv.Itoa(system)}, "login": {login}, "type": {reconcile.Superuser.String()}}
	return w.write(ctx, c)
}

// NewGroup creates a group. PPMS would update one that exists: the caller must have asked. The new group is active.
func (w *Writer) NewGroup(ctx context.Context, unitlogin string, fields map[string]string) error {
	return w.group(ctx, call{action: "newgroup"}, unitlogin, fields)
}

// UpdateGroup changes the fields given, and "active" if it is among them. PPMS would create a group that does not exist: the
// caller must have asked.
func (w *Writer) UpdateGroup(ctx context.Context, unitlogin string, fields map[string]string) error {
	c := call{action: "updategroup", wire: "updgroup"}
	if len(fields) == 0 {
		return w.refuse(c, fmt.Errorf("no field to update"))
	}
	return w.group(ctx, c, unitlogin, fields)
}

func (w *Writer) group(ctx context.Context, c call, unitlogin string, fields map[string]string) error {
	if strings.TrimSpace(unitlogin) == "" {
		return w.refuse(c, fmt.Errorf("there is no unitlogin"))
	}
	c.form = url.Values{"unitlogin": {unitlogin}}
	for name, value := range fields {
		switch {
		case slices.Contains(GroupFields(), name):
		case name == reconcile.ActiveField && c.action == "newgroup":
			return w.refuse(c, fmt.Errorf("a new group is active; active cannot be given"))
		case name != "ext" && name != reconcile.ActiveField:
			return w.refuse(c, fmt.Errorf("%q is no field of a group", name))
		case value != "true" && value != "false":
			return w.refuse(c, fmt.Errorf("%s must be true or false, not %q", name, value))
		}
		if name == "unitbcode" {
			name = "unitBcode" // the one parameter that the vendor spells otherwise than its column
		}
		c.form.Set(name, value)
	}
	return w.write(ctx, c)
}

// GroupFields are the texts of a group that can be written, beside its unitlogin. "ext" is the flag among its fields.
func GroupFields() []string {
	return []string{"unitname", "headname", "heademail", "unitbcode", "department", "institution", "address", "affiliation"}
}

// write sends a change once, over a connection of its own, and never again.
func (w *Writer) write(ctx context.Context, c call) error {
	c.write = true
	_, err := once(ctx, w.Reader, w.fresh, c, parseStatus)
	return err
}

// refuse is for a write that must not be sent.
func (w *Writer) refuse(c call, err error) error {
	return w.failed(c, &fault{kind: NotSent, what: "not sent: " + err.Error()})
}

// userForm takes only fields that PUMAPI documents, so that no field can pass for another parameter.
func userForm(login string, fields map[string]string, update bool) (url.Values, error) {
	if strings.TrimSpace(login) == "" {
		return nil, fmt.Errorf("there is no login")
	}
	form := url.Values{"login": {login}}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		if _, known := reconcile.FieldNamed(name); known {
			form.Set(name, value)
			continue
		}
		switch name {
		case "pwd":
		case reconcile.ActiveField, "mustchpwd", "mustchbcode":
			if name == reconcile.ActiveField && !update {
				return nil, fmt.Errorf("a new user is active; active cannot be given")
			}
			if value != "true" && value != "false" {
				return nil, fmt.Errorf("%s must be true or false, not %q", name, value)
			}
		default:
			return nil, fmt.Errorf("%q is no field of a user", name)
		}
		form.Set(name, value)
	}
	return form, nil
}
