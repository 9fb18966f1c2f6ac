package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/reconcile"
)

func (x *explanation) print(p *printer) {
	x.headline(p)
	x.directory(p)
	x.account(p)
	x.rights(p)
	x.holds(p)
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
		rows = append(rows, []string{a.Name, strings.Join(a.Values, ", ")})
	}
	for _, problem := range person.Problems {
		rows = append(rows, []string{"problem", problem})
	}
	p.table(nil, rows)
	x.mapping(p, &person)
	x.groups(p, entry)
}

func (x *explanation) mapping(p *printer, person *reconcile.Person) {
	settings := x.config.Settings()
	mapping := x.config.Mapping()
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
		rows = append(rows, []string{f.String(), mapping.Fields[f].String(), strings.Join(person.Fields[f], ", "), have, role})
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
	if link := x.view.Link; x.view.Matched {
		managed = fmt.Sprintf("not yet: the next run links it to %s, since they agree", link.DN)
	} else if link != nil {
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
	return unchangedRight(v)
}

// unchangedRight says why a right that the plan does not change stays as it is.
func unchangedRight(v *reconcile.RightView) string {
	switch {
	case v.Have == reconcile.Superuser:
		return "kept: an S is never touched"
	case v.Wanted == reconcile.None && v.Have == reconcile.Deactivated:
		return "as it should be"
	case v.Wanted == reconcile.None && v.Have != reconcile.None && v.Gave == nil:
		return "kept: staff gave it"
	case v.Wanted == reconcile.None && v.Gave != nil && (v.Gave.Overruled || v.Have != v.Gave.Level):
		return "kept: staff changed it since"
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

// holds tells what is left alone, and until when.
func (x *explanation) holds(p *printer) {
	if len(x.view.Holds) == 0 {
		return
	}
	p.heading(text.Bold, "Held (%d)", len(x.view.Holds))
	p.holds(x.view.Holds, x.seen)
	p.printf("  To end that: ppms-syncd release %s\n", harmless(x.login))
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
	for _, i := range x.plan.Issues {
		if x.concerns(&i) {
			say("held back: %s: %s", i.Kind, i.Detail)
		}
	}
	if cause := x.view.Leaver; cause != nil && x.waits() {
		end := x.config.Settings().Leavers.End(*cause)
		say("%s since %s, seen in %s; to be deactivated (policy sync) from %s on, after %d reads", cause.State,
			clock(cause.Since), count(cause.Reads, "complete read", "complete reads"), clock(end), x.config.Leavers.Confirmations)
	}
	if reason := x.idle(); !said && reason != "" {
		say("%s", reason)
	}
	if next := x.config.Timetable().Next(x.now); !next.IsZero() {
		p.printf("  The schedule has the next run at %s.\n", clock(next))
	}
}

// waits says whether nothing but time stands between a leaver and the deactivation.
func (x *explanation) waits() bool {
	account := x.view.Account
	if account == nil || !account.Active || x.view.Untouchable != "" || x.view.Unsettled {
		return false
	}
	for _, c := range slices.Concat(x.mine(x.plan.Changes), x.mine(x.plan.Withheld)) {
		if c.Guard() == reconcile.Deactivations { // which is said already
			return false
		}
	}
	return !slices.ContainsFunc(x.view.Holds, func(h reconcile.Hold) bool { return h.Field == "" || h.Field == reconcile.ActiveField }) &&
		!slices.ContainsFunc(x.plan.Issues, func(i reconcile.Issue) bool { return i.Kind == reconcile.ReactivatedByStaff && x.concerns(&i) })
}

// concerns says whether an issue may hold something of this person. Whom a suspended rule is for nobody knows, but for those whom no
// rule gives anything.
func (x *explanation) concerns(i *reconcile.Issue) bool {
	switch {
	case i.Login == "" && (x.view.Person == nil || x.view.Untouchable != ""):
		return false
	case i.Kind == reconcile.SystemUnmatched:
		return slices.ContainsFunc(x.view.Rules, func(name string) bool { return strings.HasPrefix(i.Detail, "rule "+name+": ") })
	case i.Login == "":
		return i.Kind == reconcile.RuleSuspended
	}
	logins := []reconcile.Key{reconcile.KeyOf(x.login), x.view.Known}
	if x.view.Person != nil {
		logins = append(logins, reconcile.KeyOf(x.view.Person.Login))
	}
	return slices.Contains(logins, reconcile.KeyOf(i.Login))
}

// idle says why nothing happens.
func (x *explanation) idle() string {
	person, account := x.view.Person, x.view.Account
	switch {
	case x.view.Untouchable != "":
		return "Nothing: the account is " + x.view.Untouchable + "."
	case person == nil && account != nil && x.view.Link == nil:
		return "Nothing: the search finds nobody of this login, so that the account is local."
	case person == nil && account != nil && !account.Active:
		return "Nothing: the account is inactive already."
	case person == nil && account != nil:
		return "Nothing yet: whoever the account is linked to was not in this read."
	case person == nil:
		return "Nothing: there is nobody of this login."
	case x.view.Other != "":
		return "Nothing: the account is local, for the entry of this login is linked to another; see ppms-syncd explain " + x.view.Other + "."
	case person.State != reconcile.Enabled:
		return x.disabled(person.State)
	case account == nil && !person.Create:
		return "Nothing: accounts.create leaves this person out."
	}
	return "Nothing: both sides agree."
}

// disabled says why nothing happens to somebody who may not work.
func (x *explanation) disabled(state reconcile.State) string {
	switch account := x.view.Account; {
	case state == reconcile.Doubtful:
		return "Nothing: this read does not tell whether the person is disabled."
	case account != nil && account.Active && x.view.Link != nil && x.view.Leaver == nil:
		return fmt.Sprintf("Nothing yet: the person is %s in the directory, which no run has seen.", state)
	}
	return fmt.Sprintf("Nothing: the person is %s in the directory.", state)
}

func what(c *reconcile.Change) string {
	switch c.Kind {
	case reconcile.SetRight:
		return fmt.Sprintf("%s from %s to %s", c.SystemName, word(*c.From), c.To)
	case reconcile.UpdateUser:
		return fieldChanges(c)
	case reconcile.NewUser, reconcile.NewGroup, reconcile.CreateOrder:
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
		rows = append(rows, []string{clock(e.At), fmt.Sprintf("run %d", e.Run), string(e.Change.Kind), what(&e.Change), string(becameOf(e)), e.Detail})
	}
	p.table(nil, rows)
}
