package ppms

import (
	"context"
	"net/url"

	"ppms-syncd/internal/reconcile"
)

// Group is one PPMS group, as getgroup returns it: a unit, which pays.
type Group struct {
	Login, Name         string // unitlogin, unitname
	HeadName, HeadEmail string
	Bcode               string
	Department          string
	Institution         string
	Address             string
	Affiliation         string
	External, Active    bool
	AdminName           string
	AdminEmail          string
	Created             string // as PPMS writes it; 2022/04/05 was seen
}

// Groups lists unitlogins.
func (r *Reader) Groups(ctx context.Context, active Active) ([]string, error) {
	return read(ctx, r, "getgroups", active.form(), parseList)
}

// GroupUsers lists the logins of a group's users; empty also if there is no such group.
func (r *Reader) GroupUsers(ctx context.Context, unitlogin string, active Active) ([]string, error) {
	form := active.form()
	form.Set("unitlogin", unitlogin)
	return read(ctx, r, "getgroupusers", form, parseList)
}

// Group reads one group; false if PPMS has none of that name.
func (r *Reader) Group(ctx context.Context, unitlogin string) (Group, bool, error) {
	return readOne(ctx, r, "getgroup", url.Values{"unitlogin": {unitlogin}}, func(text string) (Group, error) {
		return parseGroup(text, unitlogin)
	})
}

// parseGroup reads a getgroup answer, which must be about the one asked for.
func parseGroup(text, unitlogin string) (group Group, err error) {
	t, err := parseTable(text, "unitlogin", "active")
	if err != nil {
		return group, err
	}
	row, err := t.only()
	if err != nil {
		return group, err
	}
	get := func(column string) string { return t.get(row, column) }
	group = Group{
		Login: get("unitlogin"), Name: get("unitname"), HeadName: get("headname"), HeadEmail: get("heademail"),
		Bcode: get("unitbcode"), Department: get("department"), Institution: get("institution"), Address: get("address"),
		Affiliation: get("affiliation"), AdminName: get("admname"), AdminEmail: get("admemail"), Created: get("creationdate"),
	}
	if reconcile.KeyOf(group.Login) != reconcile.KeyOf(unitlogin) {
		return group, malformed(group.Login, "asked for the group %q, PPMS answered about another", unitlogin)
	}
	if group.Active, err = t.truth(row, "active"); err != nil {
		return group, err
	}
	group.External, err = t.flag(row, "ext")
	return group, err
}
