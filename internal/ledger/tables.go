package ledger

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"ppms-syncd/internal/reconcile"
)

type linkRow struct {
	id, login, account, entry, dn, origin, scope string
	since                                        int64
	gone                                         bool
}

func (r linkRow) key() string { return r.id }
func (r linkRow) columns() []any {
	return []any{r.id, r.login, r.account, r.entry, r.dn, r.origin, r.since, r.scope, r.gone}
}

const selectLinks = `SELECT id, login, key, entry_key, dn, origin, since, enabled_scope, gone FROM links`

func links() table[linkRow] {
	return table[linkRow]{
		list: selectLinks + ` ORDER BY id`,
		add: `INSERT INTO links (id, login, key, entry_key, dn, origin, since, enabled_scope, gone)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		drop: `DELETE FROM links WHERE id = ?`,
		keys: 1,
		scan: func(s scanner) (r linkRow, err error) {
			return r, s.Scan(&r.id, &r.login, &r.account, &r.entry, &r.dn, &r.origin, &r.since, &r.scope, &r.gone)
		},
	}
}

func rowOfLink(l reconcile.Link) linkRow {
	return linkRow{
		id: l.ID, login: l.Login, account: string(reconcile.KeyOf(l.Login)), entry: string(l.Key), dn: l.DN,
		origin: string(l.Origin), scope: l.EnabledScope, since: millis(l.Since), gone: l.Gone,
	}
}

func (r linkRow) link() reconcile.Link {
	return reconcile.Link{
		ID: r.id, Login: r.login, Key: reconcile.Key(r.entry), DN: r.dn, Origin: reconcile.Origin(r.origin),
		Since: moment(r.since), EnabledScope: r.scope, Gone: r.gone,
	}
}

type leaverRow struct {
	id, state, scope string
	since, reads     int64
}

func (r leaverRow) key() string    { return r.id }
func (r leaverRow) columns() []any { return []any{r.id, r.state, r.since, r.reads, r.scope} }

func leavers() table[leaverRow] {
	return table[leaverRow]{
		list: `SELECT id, state, since, reads, scope FROM leavers ORDER BY id`,
		add:  `INSERT INTO leavers (id, state, since, reads, scope) VALUES (?, ?, ?, ?, ?)`,
		drop: `DELETE FROM leavers WHERE id = ?`,
		keys: 1,
		scan: func(s scanner) (r leaverRow, err error) {
			return r, s.Scan(&r.id, &r.state, &r.since, &r.reads, &r.scope)
		},
	}
}

func rowOfLeaver(id string, c reconcile.Cause) leaverRow {
	return leaverRow{id, c.State.String(), c.Scope, millis(c.Since), int64(c.Reads)}
}

func causeOf(state string, since, reads int64, scope string) (reconcile.Cause, error) {
	for s := range reconcile.Missing + 1 {
		if s.String() == state {
			return reconcile.Cause{State: s, Since: moment(since), Reads: int(reads), Scope: scope}, nil
		}
	}
	return reconcile.Cause{}, fmt.Errorf("unknown state %q", state)
}

// grantRow has a cause only if the right is no longer wanted.
type grantRow struct {
	account, login, level, before, rule, wanted string
	system, at                                  int64
	overruled                                   bool
	state, scope                                sql.Null[string]
	since, reads                                sql.Null[int64]
}

func (r grantRow) key() string { return r.account + "\x00" + strconv.FormatInt(r.system, 10) }
func (r grantRow) columns() []any {
	return []any{
		r.account, r.system, r.login, r.level, r.before, r.rule, r.at, r.wanted, r.overruled, r.state, r.since, r.reads, r.scope,
	}
}

const selectGrants = `SELECT key, system, login, level, before, rule, at, wanted_scope, overruled,
	unwanted_state, unwanted_since, unwanted_reads, unwanted_scope FROM grants`

func grants() table[grantRow] {
	return table[grantRow]{
		list: selectGrants + ` ORDER BY key, system`,
		add: `INSERT INTO grants (key, system, login, level, before, rule, at, wanted_scope, overruled,
			unwanted_state, unwanted_since, unwanted_reads, unwanted_scope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		drop: `DELETE FROM grants WHERE key = ? AND system = ?`,
		keys: 2,
		scan: func(s scanner) (r grantRow, err error) {
			return r, s.Scan(&r.account, &r.system, &r.login, &r.level, &r.before, &r.rule, &r.at, &r.wanted, &r.overruled,
				&r.state, &r.since, &r.reads, &r.scope)
		},
	}
}

func rowOfGrant(g reconcile.Grant) grantRow {
	r := grantRow{
		account: string(reconcile.KeyOf(g.Login)), login: g.Login, level: g.Level.String(), before: g.Before.String(),
		rule: g.Rule, wanted: g.WantedScope, system: int64(g.System), at: millis(g.At), overruled: g.Overruled,
	}
	if c := g.Unwanted; c != nil {
		r.state, r.scope = sql.Null[string]{V: c.State.String(), Valid: true}, sql.Null[string]{V: c.Scope, Valid: true}
		r.since, r.reads = sql.Null[int64]{V: millis(c.Since), Valid: true}, sql.Null[int64]{V: int64(c.Reads), Valid: true}
	}
	return r
}

func (r grantRow) grant() (reconcile.Grant, error) {
	level, ok := reconcile.ParseLevel(r.level)
	before, _ := reconcile.ParseLevel(r.before) // "" is none
	if !ok {
		return reconcile.Grant{}, fmt.Errorf("unknown level %q", r.level)
	}
	g := reconcile.Grant{
		Login: r.login, System: int(r.system), Level: level, Before: before, Rule: r.rule, At: moment(r.at),
		WantedScope: r.wanted, Overruled: r.overruled,
	}
	if r.state.Valid {
		cause, err := causeOf(r.state.V, r.since.V, r.reads.V, r.scope.V)
		if err != nil {
			return reconcile.Grant{}, err
		}
		g.Unwanted = &cause
	}
	return g, nil
}

type deactivationRow struct {
	account, login string
	at             int64
	overruled      bool
}

func (r deactivationRow) key() string    { return r.account }
func (r deactivationRow) columns() []any { return []any{r.account, r.login, r.at, r.overruled} }

func deactivations() table[deactivationRow] {
	return table[deactivationRow]{
		list: `SELECT key, login, at, overruled FROM deactivations ORDER BY key`,
		add:  `INSERT INTO deactivations (key, login, at, overruled) VALUES (?, ?, ?, ?)`,
		drop: `DELETE FROM deactivations WHERE key = ?`,
		keys: 1,
		scan: func(s scanner) (r deactivationRow, err error) {
			return r, s.Scan(&r.account, &r.login, &r.at, &r.overruled)
		},
	}
}

type adminRow struct {
	account string
	seen    int64
}

func (r adminRow) key() string    { return r.account }
func (r adminRow) columns() []any { return []any{r.account, r.seen} }

func admins() table[adminRow] {
	return table[adminRow]{
		list: `SELECT key, seen FROM admins ORDER BY key`,
		add:  `INSERT INTO admins (key, seen) VALUES (?, ?)`,
		drop: `DELETE FROM admins WHERE key = ?`,
		keys: 1,
		scan: func(s scanner) (r adminRow, err error) { return r, s.Scan(&r.account, &r.seen) },
	}
}

// ruleRow has the systems and the groups as JSON lists.
type ruleRow struct {
	name, selectors, systems, groups string
	members                          int64
}

func (r ruleRow) key() string    { return r.name }
func (r ruleRow) columns() []any { return []any{r.name, r.members, r.selectors, r.systems, r.groups} }

func rules() table[ruleRow] {
	return table[ruleRow]{
		list: `SELECT name, members, selectors, systems, group_dns FROM rules ORDER BY name`,
		add:  `INSERT INTO rules (name, members, selectors, systems, group_dns) VALUES (?, ?, ?, ?, ?)`,
		drop: `DELETE FROM rules WHERE name = ?`,
		keys: 1,
		scan: func(s scanner) (r ruleRow, err error) {
			return r, s.Scan(&r.name, &r.members, &r.selectors, &r.systems, &r.groups)
		},
	}
}

func rowOfRule(name string, m reconcile.RuleMemory) (ruleRow, error) {
	systems, err := json.Marshal(m.Systems)
	if err != nil {
		return ruleRow{}, err
	}
	groups, err := json.Marshal(m.Groups)
	return ruleRow{name: name, selectors: m.Selectors, systems: string(systems), groups: string(groups), members: int64(m.Members)}, err
}

// byRow is what expressions saw, by the rows that hold it among those of the rules: no rule can have such a name.
func byRow(s *reconcile.Seen) map[string]*[]string {
	rows := map[string]*[]string{"": &s.Disabling}
	for f := range reconcile.Field(reconcile.NumFields) {
		rows["\t"+f.String()] = &s.Fields[f]
	}
	return rows
}

func rowsOfRules(obs *reconcile.Observations) (rows map[string]ruleRow, err error) {
	rows = make(map[string]ruleRow, len(obs.Rules))
	for name, groups := range byRow(&obs.Seen) {
		if len(*groups) > 0 {
			if rows[name], err = rowOfRule(name, reconcile.RuleMemory{Groups: *groups}); err != nil {
				return nil, err
			}
		}
	}
	for name, memory := range obs.Rules {
		if rows[name], err = rowOfRule(name, memory); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (r ruleRow) memory() (m reconcile.RuleMemory, err error) {
	m.Members, m.Selectors = int(r.members), r.selectors
	return m, errors.Join(json.Unmarshal([]byte(r.systems), &m.Systems), json.Unmarshal([]byte(r.groups), &m.Groups))
}
