package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// explanation is all that explain has found about one login.
type explanation struct {
	login   string
	now     time.Time
	found   *ldapsrc.Result
	view    reconcile.PersonView
	plan    reconcile.Plan
	journal []ledger.Entry
	seen    ledger.View // of the last run; its At is zero if there was none
	config  *App
	names   []string // all logins there are, for a near miss
}

// Explain tells everything about one person: entry, mapping, rules, account, and what the next run does and why. The directory,
// the account and its rights are read now; what it knows of other accounts is from the last run.
func (a *App) Explain(ctx context.Context, login string) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	r, err := a.newPlanner(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	x, err := r.explain(ctx, strings.TrimSpace(login))
	if err != nil {
		return timedOut(ctx, err)
	}
	p := &printer{out: a.Out, colour: a.Colour}
	x.print(p)
	return p.err
}

func (r *run) explain(ctx context.Context, login string) (*explanation, error) {
	if err := r.recall(ctx); err != nil {
		return nil, err
	}
	x := &explanation{login: login, now: r.Now().UTC(), config: r.App}
	if r.ledger != nil {
		var err error
		if x.seen, _, err = r.ledger.View(ctx); err != nil {
			return nil, err
		}
		if x.journal, err = r.ledger.EntriesOf(ctx, reconcile.KeyOf(login), 5); err != nil {
			return nil, err
		}
	}
	var err error
	x.found, err = r.source.Read(ctx, request(r.memory, login))
	if err != nil {
		return nil, fmt.Errorf("the directory was not read completely: %w", err)
	}
	side, err := r.sideOf(ctx, login, x)
	if err != nil {
		return nil, err
	}
	in := reconcile.Input{Now: x.now, Settings: r.Config.Settings(), Directory: x.found.Directory, PPMS: *side, Memory: r.memory}
	x.view = reconcile.View(in, login)
	x.plan, _ = reconcile.Compute(in)
	reconcile.Judge(&x.plan, in.Settings.Guards, r.memory, x.now)
	for i := range x.found.Directory.People {
		x.names = append(x.names, x.found.Directory.People[i].Login)
	}
	for i := range side.Accounts {
		x.names = append(x.names, side.Accounts[i].Login)
	}
	return x, nil
}

// sideOf reads one account and its rights now and takes the rest from the last run. Without one it asks PPMS for the lists.
func (r *run) sideOf(ctx context.Context, login string, x *explanation) (*reconcile.PPMS, error) {
	side := &reconcile.PPMS{Systems: x.seen.Systems, Units: x.seen.Units, Admins: x.seen.Admins}
	if x.seen.At.IsZero() {
		l, err := r.readLists(ctx)
		if err != nil {
			return nil, err
		}
		side.Systems, side.Units, side.Admins = l.systems, l.units, l.admins
	}
	key := reconcile.KeyOf(login)
	for i := range r.known {
		if reconcile.KeyOf(r.known[i].Login) != key {
			side.Accounts = append(side.Accounts, r.known[i].Account)
		} else {
			login = r.known[i].Login
		}
	}
	user, exists, err := r.reader.User(ctx, login)
	if err != nil {
		return nil, err
	}
	side.Rights = map[int][]reconcile.Right{}
	if !exists {
		for _, system := range side.Systems {
			side.Rights[system.ID] = nil
		}
		return side, nil
	}
	side.Accounts = append(side.Accounts, user.Account)
	rights, err := r.reader.UserRights(ctx, user.Login)
	if err != nil {
		return nil, err
	}
	for _, system := range side.Systems {
		side.Rights[system.ID] = []reconcile.Right{{Login: user.Login, Level: rights[system.ID]}}
	}
	return side, nil
}

func (x *explanation) print(p *printer) {
	x.headline(p)
	x.directory(p)
	x.account(p)
	x.rights(p)
	x.next(p)
	x.past(p)
	if x.seen.At.IsZero() {
		p.printf("\nThe directory and PPMS were read just now. There was no run yet, so that other accounts are not known.\n")
	} else {
		p.printf("\nThe directory, this account and its rights were read just now; all else of PPMS is from the last run, %s.\n", ago(x.seen.At, x.now))
	}
}

func (x *explanation) headline(p *printer) {
	person, account := x.view.Person, x.view.Account
	name := x.login
	if person != nil {
		name += " (" + strings.TrimSpace(firstOf(person.Fields[reconcile.Fname])+" "+firstOf(person.Fields[reconcile.Lname])) + ")"
	}
	where := "neither in the directory nor in PPMS"
	switch {
	case person != nil && account != nil:
		where = "in the directory and in PPMS"
	case person != nil:
		where = "in the directory, not in PPMS"
	case account != nil:
		where = "in PPMS, not in the directory"
	}
	p.printf("%s: %s.\n", p.paint(text.Bold, harmless(name)), where)
	if person == nil && account == nil && x.found.Entry == nil {
		if near := nearest(x.login, x.names); len(near) > 0 {
			p.printf("No such login; nearest: %s.\n", harmless(strings.Join(near, ", ")))
		} else {
			p.printf("No such login, and none that is like it.\n")
		}
	}
}

func firstOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// directory shows the entry, what is made of it, and the groups; or why there is none.
func (x *explanation) directory(p *printer) {
	p.heading(text.Bold, "Directory (%s)", x.found.Server)
	entry := x.found.Entry
	if entry == nil {
		x.elsewhere(p)
		return
	}
	person := entry.Person
	rows := [][]string{{"entry", entry.DN}, {"stable id", person.ID}, {"state", person.State.String()}}
	for _, other := range entry.Others {
		rows = append(rows, []string{"another entry", other})
	}
	for _, a := range entry.Attributes {
		rows = append(rows, []string{a.Name, strings.Join(a.Values, "\n")})
	}
	for _, problem := range person.Problems {
		rows = append(rows, []string{"problem", problem})
	}
	p.table(nil, rows)
	x.mapping(p, &person)
	x.groups(p, entry)
}

func (x *explanation) mapping(p *printer, person *reconcile.Person) {
	settings := x.config.Config.Settings()
	mapping := x.config.Config.Mapping()
	rows := [][]string{{"login", mapping.Login.String(), person.Login, "", "never changed"}}
	for f := range reconcile.Field(reconcile.NumFields) {
		if !settings.Mapped[f] {
			continue
		}
		have := ""
		if x.view.Account != nil {
			have = x.view.Account.Fields[f]
		}
		role := "for new accounts only"
		if settings.Authoritative[f] {
			role = "kept as the directory has it"
		}
		rows = append(rows, []string{f.String(), mapping.Fields[f].String(), strings.Join(person.Fields[f], "\n"), have, role})
	}
	if x.view.Account != nil {
		rows[0][3] = x.view.Account.Login
	}
	p.heading(text.Bold, "Fields")
	p.table([]string{"field", "from", "directory", "PPMS", "role"}, rows)
}

func (x *explanation) groups(p *printer, entry *ldapsrc.Entry) {
	p.heading(text.Bold, "Groups (%d)", len(entry.Groups))
	var rows [][]string
	for _, g := range entry.Groups {
		how := "a member"
		if !g.Direct() {
			path := slices.Clone(g.Path)
			slices.Reverse(path)
			how = "by " + strings.Join(path, ", which is in ")
		}
		rows = append(rows, []string{g.Name, how, g.DN})
	}
	if len(rows) == 0 {
		p.printf("  none\n")
		return
	}
	p.table(nil, rows)
}

// elsewhere says where the login stands outside of what is read.
func (x *explanation) elsewhere(p *printer) {
	if x.view.Person != nil {
		p.printf("  The entry that is linked to this account now has the login %s: %s\n", harmless(x.view.Person.Login), harmless(x.view.Person.DN))
		return
	}
	p.printf("  No entry with this login among the %s that the search returns.\n", count(len(x.found.Directory.People), "person", "people"))
	for _, e := range x.found.Elsewhere {
		if e.DN == "" {
			p.printf("  %s.\n", harmless(e.Why))
			continue
		}
		p.printf("  %s has it, but is left out: %s.\n", harmless(e.DN), harmless(e.Why))
	}
}

func (x *explanation) account(p *printer) {
	p.heading(text.Bold, "Account in PPMS")
	a := x.view.Account
	if a == nil {
		p.printf("  none\n")
		return
	}
	rows := [][]string{{"login", a.Login}, {"active", fmt.Sprint(a.Active)}}
	for f := range reconcile.Field(reconcile.NumFields) {
		rows = append(rows, []string{f.String(), a.Fields[f]})
	}
	managed := "no: it is local, and ppms-syncd never writes it"
	if link := x.view.Link; link != nil {
		managed = fmt.Sprintf("yes: linked to %s since %s (%s)", link.DN, clock(link.Since), link.Origin)
	}
	rows = append(rows, []string{"managed", managed})
	if x.view.Untouchable != "" {
		rows = append(rows, []string{"never written", "the account is " + x.view.Untouchable})
	}
	p.table(nil, rows)
}

func (x *explanation) rights(p *printer) {
	p.heading(text.Bold, "Rights (%d)", len(x.view.Rights))
	if len(x.view.Rights) == 0 {
		p.printf("  none, and no rule gives one\n")
		return
	}
	var rows [][]string
	for i := range x.view.Rights {
		v := &x.view.Rights[i]
		wanted := "no rule gives it"
		if v.Wanted != reconcile.None {
			wanted = v.Wanted.String() + " by rule " + v.Rule
			if len(v.Path) > 0 {
				wanted += " (" + strings.Join(v.Path, " ← ") + ")"
			}
		}
		gave := ""
		if v.Gave != nil {
			gave = fmt.Sprintf("we set %s on %s", v.Gave.Level, v.Gave.At.Local().Format(time.DateOnly))
		}
		rows = append(rows, []string{
			fmt.Sprintf("%s (%d)", v.System.Name, v.System.ID), wanted, "PPMS has " + word(v.Have.String()), gave, x.rightVerdict(v),
		})
	}
	p.table([]string{"system", "wanted", "now", "before", "result"}, rows)
}

// rightVerdict is what the plan makes of one right.
func (x *explanation) rightVerdict(v *reconcile.RightView) string {
	for _, c := range x.mine(x.plan.Changes) {
		if c.System == v.System.ID {
			return "will be set to " + c.To + heldNote(c)
		}
	}
	for _, c := range x.mine(x.plan.Withheld) {
		if c.System == v.System.ID {
			return fmt.Sprintf("left out by policy %s (would be %s)", x.plan.Policy, c.To)
		}
	}
	switch {
	case v.Have == reconcile.Superuser:
		return "kept: an S is never touched"
	case v.Wanted == reconcile.None && v.Have != reconcile.None && v.Gave == nil:
		return "kept: staff gave it"
	case v.Wanted != reconcile.None && v.Have > v.Wanted:
		return "kept: staff gave more"
	case v.Have == v.Wanted:
		return "as it should be"
	}
	return "kept; see below"
}

func heldNote(c *reconcile.Change) string {
	if c.Held == "" {
		return ""
	}
	return ", but guard " + c.Held + " holds it"
}

func (x *explanation) mine(changes []reconcile.Change) []*reconcile.Change {
	key := reconcile.KeyOf(x.login)
	var out []*reconcile.Change
	for i := range changes {
		if reconcile.KeyOf(changes[i].Login) == key {
			out = append(out, &changes[i])
		}
	}
	return out
}

// next tells what the next run does, does not do, and when.
func (x *explanation) next(p *printer) {
	p.heading(text.Bold, "What the next run does")
	said := false
	say := func(format string, args ...any) {
		said = true
		p.printf("  %s\n", harmless(fmt.Sprintf(format, args...)))
	}
	for _, c := range x.mine(x.plan.Changes) {
		say("%s: %s (%s)%s", c.Kind, what(c), c.Reason, heldNote(c))
	}
	for _, c := range x.mine(x.plan.Withheld) {
		say("not by policy %s: %s: %s (%s)", x.plan.Policy, c.Kind, what(c), c.Reason)
	}
	key := reconcile.KeyOf(x.login)
	for _, i := range x.plan.Issues {
		if reconcile.KeyOf(i.Login) == key || i.Kind == reconcile.RuleSuspended {
			say("held back: %s: %s", i.Kind, i.Detail)
		}
	}
	if cause := x.view.Leaver; cause != nil {
		end := x.config.Config.Settings().Leavers.End(*cause)
		say("%s since %s, seen in %d complete reads; to be deactivated (policy sync) from %s on, after %d reads", cause.State,
			clock(cause.Since), cause.Reads, clock(end), x.config.Config.Leavers.Confirmations)
	}
	if reason := x.idle(); !said && reason != "" {
		say("%s", reason)
	}
	if next := x.config.Config.Timetable().Next(x.now); !next.IsZero() {
		p.printf("  The schedule has the next run at %s.\n", clock(next))
	}
}

// idle says why nothing happens.
func (x *explanation) idle() string {
	person, account := x.view.Person, x.view.Account
	switch {
	case x.view.Untouchable != "":
		return "Nothing: the account is " + x.view.Untouchable + "."
	case person == nil && account != nil && x.view.Link == nil:
		return "Nothing: nobody in the directory has this login, so that the account is local."
	case person == nil && account != nil:
		return "Nothing yet: whoever the account is linked to was not in this read."
	case person == nil:
		return "Nothing: there is nobody of this login."
	case person.State != reconcile.Enabled:
		return "Nothing: the person is " + person.State.String() + " in the directory."
	case account == nil && !person.Create:
		return "Nothing: accounts.create leaves this person out."
	}
	return "Nothing: both sides agree."
}

func what(c *reconcile.Change) string {
	switch c.Kind {
	case reconcile.SetRight:
		return fmt.Sprintf("%s from %s to %s", c.SystemName, word(*c.From), c.To)
	case reconcile.UpdateUser:
		return strings.ReplaceAll(fieldChanges(c), "\n", ", ")
	case reconcile.NewUser:
	}
	var parts []string
	for f := range reconcile.Field(reconcile.NumFields) {
		if v, ok := c.Fields[f.String()]; ok {
			parts = append(parts, f.String()+" "+v.To)
		}
	}
	return strings.Join(parts, ", ")
}

func (x *explanation) past(p *printer) {
	if len(x.journal) == 0 {
		return
	}
	p.heading(text.Bold, "What earlier runs did")
	var rows [][]string
	for i := range x.journal {
		e := &x.journal[i]
		rows = append(rows, []string{clock(e.At), fmt.Sprintf("run %d", e.Run), string(e.Change.Kind), what(&e.Change), string(e.Outcome), e.Detail})
	}
	p.table(nil, rows)
}

// nearest are the logins that a typing error may have meant, the likeliest first.
func nearest(login string, names []string) []string {
	type near struct {
		name     string
		distance int
	}
	key := []rune(string(reconcile.KeyOf(login)))
	var found []near
	seen := map[string]bool{}
	for _, name := range names {
		k := string(reconcile.KeyOf(name))
		if k == "" || seen[k] {
			continue
		}
		seen[k] = true
		limit := max(1, len(key)/3)
		if d := distance(key, []rune(k), limit); d <= limit {
			found = append(found, near{name, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(a.distance-b.distance, cmp.Compare(a.name, b.name)) })
	var out []string
	for _, n := range found[:min(5, len(found))] {
		out = append(out, n.name)
	}
	return out
}

// distance is Levenshtein's: how many letters have to be added, dropped or exchanged. Above the limit any larger number will do.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			next := diagonal
			if a[i] != b[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
