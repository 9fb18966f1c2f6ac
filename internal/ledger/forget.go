package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ppms-syncd/internal/reconcile"
)

// Trace is one kind of thing that the ledger knows of a person, and how much of it.
type Trace struct {
	What string // a noun in the plural
	N    int
}

// tracesOf are the tables from which a person is removed: ?1 is the key of the account, ?2 the stable id of its link.
func tracesOf() []struct{ what, rows string } {
	return []struct{ what, rows string }{
		{"links", `links WHERE key = ?1 OR id = ?2`},
		{"leavers under observation", `leavers WHERE id = ?2`},
		{"rights that we gave", `grants WHERE key = ?1`},
		{"deactivations by us", `deactivations WHERE key = ?1`},
		{"records of the account", `accounts WHERE key = ?1`},
		{"approved changes", `approvals WHERE key = ?1`},
		{"changes that do not stick", `stuck WHERE key = ?1`},
		{"words of operators", `interventions WHERE verb <> 'forget' AND (key = ?1 OR ?2 <> '' AND person = ?2)`},
	}
}

// Traces lists what [Ledger.Forget] would remove, or says why it would refuse.
func (l *Ledger) Traces(ctx context.Context, key reconcile.Key) (found []Trace, err error) {
	err = l.read(ctx, func(tx *sql.Tx) error {
		who, err := readSubject(ctx, tx, key)
		if err != nil {
			return err
		}
		for _, t := range tracesOf() {
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM `+t.rows, string(key), who.id).Scan(&n); err != nil {
				return err
			}
			found = append(found, Trace{t.what, n})
		}
		found = append(found, Trace{"changes in the journal", len(who.entries)}, Trace{"held plans", len(who.plans)},
			Trace{"error messages of runs", len(who.runs)})
		return nil
	})
	return slices.DeleteFunc(found, func(t Trace) bool { return t.N == 0 }), err
}

// Forget removes what the ledger knows of one person, for a request of data protection. The account becomes local: nothing that
// happened before can lead to a removal, and none of it is written until a complete read links it again. The journal keeps what was
// done and when, to nobody, so that the guards go on counting. Held plans that name the person go whole, since a plan
// with a hole would not have its hash; whatever they held is held again by the next run. Freed pages are overwritten.
//
// It is refused while something is held for the person, or a write is in doubt: both would be forgotten, and the next run
// would do what they keep it from. No run may be under way.
func (l *Ledger) Forget(ctx context.Context, key reconcile.Key, actor Actor, at time.Time) error {
	err := l.write(ctx, func(tx *sql.Tx) error {
		who, err := readSubject(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := who.anonymise(ctx, tx); err != nil {
			return err
		}
		for _, t := range tracesOf() {
			if _, err := execute(ctx, tx, `DELETE FROM `+t.rows, string(key), who.id); err != nil {
				return err
			}
		}
		return intervene(ctx, tx, intervention{verb: "forget"}, actor, at)
	})
	if err != nil {
		return err
	}
	if err := l.Scrub(ctx); err != nil {
		return plain("what ledger %s knew of %s is removed, but not yet overwritten in its files; `ppms-syncd forget %[2]s` again does that: %w", l.path, key, err)
	}
	return nil
}

// Scrub overwrites whatever was removed from the ledger. Who reads a state of before, keeps it.
func (l *Ledger) Scrub(ctx context.Context) error {
	if _, err := l.writer.ExecContext(ctx, "VACUUM"); err != nil {
		return explain(l.path, err)
	}
	var blocked bool
	var frames, moved int
	if err := l.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&blocked, &frames, &moved); err != nil {
		return explain(l.path, err)
	}
	if blocked { // which SQLite does not call an error
		return plain("another process reads ledger %s: find it (fuser %[1]s), wait for its end, then try again", l.path)
	}
	return nil
}

// subject is a person who is to be forgotten.
type subject struct {
	key     reconcile.Key
	id      string // stable id; "" without a link
	entries []Entry
	plans   []int64 // row ids of held plans that name the person
	runs    []int64 // whose error does
	details []int64 // journal entries, of anybody, whose detail does
}

func readSubject(ctx context.Context, tx *sql.Tx, key reconcile.Key) (who subject, err error) {
	who.key = key
	if err := refuseToForget(ctx, tx, key); err != nil {
		return who, err
	}
	linked, err := list(ctx, tx, links().scan, selectLinks+` WHERE key = ?`, string(key))
	if err != nil {
		return who, err
	}
	names := []string{string(key)}
	for _, r := range linked {
		who.id = r.id
		names = append(names, r.login, r.entry, r.dn) // who was linked by hand may have another login in the directory
	}
	// By id, too: the person may have had another login.
	if who.entries, err = list(ctx, tx, scanEntry, selectEntries+` WHERE journal.key = ?1 OR ?2 <> '' AND change ->> 'id' = ?2`,
		string(key), who.id); err != nil {
		return who, err
	}
	for i := range who.entries {
		c := &who.entries[i].Change
		names = append(names, c.Login, c.DN, c.Fields[reconcile.Email.String()].To)
	}
	records, err := list(ctx, tx, scanAccount, selectAccounts+` WHERE key = ?`, string(key))
	if err != nil {
		return who, err
	}
	for i := range records {
		names = append(names, records[i].Login, records[i].Fields[reconcile.Email])
	}
	return who, who.findNames(ctx, tx, names)
}

func refuseToForget(ctx context.Context, tx *sql.Tx, key reconcile.Key) error {
	var held, doubts int
	if err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM holds WHERE key = ?1),
		(SELECT count(*) FROM journal WHERE key = ?1 AND (outcome IS NULL OR outcome = 'in-doubt'))`, string(key)).Scan(&held, &doubts); err != nil {
		return err
	}
	switch {
	case held > 0:
		return plain("there are holds on %s (%d), and to forget them would let the next run do what they keep it from: "+
			"`ppms-syncd release %[1]s` first, if that is right", key, held)
	case doubts > 0:
		return plain("of %d writes to %s nobody knows yet whether they happened: `ppms-syncd apply` settles them first", doubts, key)
	}
	return nil
}

// findNames looks for the person where plans and messages may name anybody.
func (s *subject) findNames(ctx context.Context, tx *sql.Tx, names []string) error {
	named, err := wholeWords(names)
	if err != nil {
		return err
	}
	for _, place := range []struct {
		query string
		rows  *[]int64
	}{
		{`SELECT rowid, plan FROM held_plans`, &s.plans},
		{`SELECT id, error FROM runs WHERE error <> ''`, &s.runs},
		{`SELECT id, detail FROM journal WHERE detail <> ''`, &s.details},
	} {
		if *place.rows, err = list(ctx, tx, func(r scanner) (id int64, err error) {
			var text string
			if err = r.Scan(&id, &text); err == nil && !named.MatchString(text) {
				id = 0
			}
			return id, err
		}, place.query); err != nil {
			return err
		}
		*place.rows = slices.DeleteFunc(*place.rows, func(id int64) bool { return id == 0 })
	}
	return nil
}

// wholeWords finds any of the names in a text, in any case, but not as a part of a longer one.
func wholeWords(names []string) (*regexp.Regexp, error) {
	var any []string
	for _, name := range names {
		if name != "" {
			any = append(any, regexp.QuoteMeta(name))
		}
	}
	return regexp.Compile(`(?i)(^|[^\pL\pN._@-])(` + strings.Join(any, "|") + `)($|[^\pL\pN._@-]|\.($|[^\pL\pN]))`)
}

// anonymise takes the person out of the journal, the held plans and the runs' errors.
func (s *subject) anonymise(ctx context.Context, tx *sql.Tx) error {
	for i := range s.entries {
		nobody := fmt.Sprintf("(forgotten %d)", s.entries[0].ID) // one name for all, since the guards count people
		change, err := json.Marshal(anonymous(s.entries[i].Change, nobody))
		if err != nil {
			return err
		}
		if _, err := execute(ctx, tx, `UPDATE journal SET key = ?, change = ?, detail = '' WHERE id = ?`,
			nobody, string(change), s.entries[i].ID); err != nil {
			return err
		}
	}
	for _, place := range []struct {
		statement string
		rows      []int64
	}{
		{`DELETE FROM held_plans WHERE rowid = ?`, s.plans},
		{`UPDATE runs SET error = '(removed: it named somebody who was forgotten)' WHERE id = ?`, s.runs},
		{`UPDATE journal SET detail = '(removed: it named somebody who was forgotten)' WHERE id = ? AND detail <> ''`, s.details},
	} {
		for _, id := range place.rows {
			if _, err := execute(ctx, tx, place.statement, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// anonymous keeps of a change what was done, and not to whom: the names of fields without their values, rights without the groups
// that gave them.
func anonymous(c reconcile.Change, nobody string) reconcile.Change {
	fields := map[string]reconcile.Value{}
	for name, v := range c.Fields {
		if name != reconcile.ActiveField {
			v.To = ""
			if v.From != nil {
				v.From = new("")
			}
		}
		fields[name] = v
	}
	if len(fields) == 0 {
		fields = nil
	}
	return reconcile.Change{
		Kind: c.Kind, Login: nobody, Fields: fields, System: c.System, SystemName: c.SystemName, From: c.From, To: c.To, Rule: c.Rule,
		Reason: "forgotten", Approved: c.Approved,
	}
}
