package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/reconcile"
)

// print shows a report as a contract for programs, or grouped by what happens for people.
func (a *App) print(r *Report, o Output, saved string) error {
	if o == JSON {
		return a.printJSON(r)
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.report(r)
	p.verdict(r, saved)
	if r.Afterwards != nil {
		p.afterwards(r.Afterwards)
	}
	return p.err
}

// section is one group of changes as people see them.
type section struct {
	title  string
	colour text.Color
	titles []string
	has    func(c *reconcile.Change) bool
	row    func(c *reconcile.Change) []string
}

func sections() []section {
	guard := func(g reconcile.Guard) func(c *reconcile.Change) bool {
		return func(c *reconcile.Change) bool { return c.Guard() == g }
	}
	reactivates := func(c *reconcile.Change) bool { return c.Fields[reconcile.ActiveField].To == "true" }
	person := func(c *reconcile.Change) []string { return []string{c.Login, c.Reason} }
	right := func(c *reconcile.Change) []string {
		return []string{c.Login, fmt.Sprintf("%s (%d)", c.SystemName, c.System), word(*c.From) + " → " + c.To, c.Reason}
	}
	return []section{
		{"New accounts", text.FgGreen, []string{"login", "name", "unit", "e-mail", "reason"}, guard(reconcile.Creations), newUserRow},
		{
			"Updates", text.FgYellow,
			[]string{"login", "changes", "reason"},
			func(c *reconcile.Change) bool { return c.Guard() == reconcile.Updates && !reactivates(c) },
			func(c *reconcile.Change) []string { return []string{c.Login, fieldChanges(c), c.Reason} },
		},
		{"Reactivated", text.FgGreen, []string{"login", "reason"}, reactivates, person},
		{"Rights given", text.FgGreen, []string{"login", "system", "level", "reason"}, guard(reconcile.Grants), right},
		{"Rights taken back", text.FgRed, []string{"login", "system", "level", "reason"}, guard(reconcile.Revocations), right},
		{"Deactivated", text.FgRed, []string{"login", "reason"}, guard(reconcile.Deactivations), person},
	}
}

func newUserRow(c *reconcile.Change) []string {
	f := func(name reconcile.Field) string { return c.Fields[name.String()].To }
	return []string{c.Login, f(reconcile.Lname) + ", " + f(reconcile.Fname), f(reconcile.Unit), f(reconcile.Email), c.Reason}
}

func fieldChanges(c *reconcile.Change) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		v := c.Fields[name]
		from := ""
		if v.From != nil {
			from = *v.From
		}
		parts = append(parts, fmt.Sprintf("%s: %s → %s", name, quoted(from), v.To))
	}
	return strings.Join(parts, "; ")
}

func quoted(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// report shows the changes, what the policy leaves out, what is held back, and the guards that tripped.
func (p *printer) report(r *Report) {
	p.changes(r.Changes, "")
	if len(r.Withheld) > 0 {
		p.heading(text.Bold, "Left out by policy %s (%d)", r.Policy, len(r.Withheld))
		p.changes(r.Withheld, "  not done: ")
	}
	p.issues(r.Issues)
	p.leaving(r.Leaving)
	p.unmatched(r.Unmatched)
	p.guards(r)
}

// leaving names those who are missing or disabled, but not for long enough.
func (p *printer) leaving(leavers []Leaver) {
	if len(leavers) == 0 {
		return
	}
	const fit = 10
	p.heading(text.FgYellow, "Missing from the directory or disabled in it, and under observation (%d)", len(leavers))
	rows := make([][]string, 0, fit)
	for i := range leavers[:min(fit, len(leavers))] {
		l := &leavers[i]
		rows = append(rows, []string{
			l.Login, l.State.String(), clock(l.Since), count(l.Reads, "complete read", "complete reads"), "deactivated from " + clock(l.From) + " on, at the earliest",
		})
	}
	p.table([]string{"login", "state", "since", "seen in", "by policy sync"}, rows)
	if more := len(leavers) - fit; more > 0 {
		p.printf("  and %s more\n", thousands(more))
	}
}

// unmatched names the accounts that are nobody's, as far as they fit.
func (p *printer) unmatched(logins []string) {
	if len(logins) == 0 {
		return
	}
	const fit = 20
	more := ""
	if n := len(logins) - fit; n > 0 {
		logins, more = logins[:fit], fmt.Sprintf(" and %s more (ppms-syncd history --unmatched, after the first run)", thousands(n))
	}
	p.heading(text.Bold, "Active accounts that nobody in the directory is linked to; never written")
	p.printf("  %s%s\n", harmless(strings.Join(logins, ", ")), more)
}

func (p *printer) changes(changes []reconcile.Change, prefix string) {
	for _, s := range sections() {
		var rows [][]string
		outcomes := false
		for i := range changes {
			if c := &changes[i]; s.has(c) {
				row := s.row(c)
				if c.Outcome != "" {
					outcomes = true
					row = append(row, outcome(c))
				} else if c.Held != "" {
					outcomes = true
					row = append(row, "held by "+c.Held)
				} else {
					row = append(row, "")
				}
				rows = append(rows, row)
			}
		}
		if len(rows) == 0 {
			continue
		}
		titles := append(slices.Clone(s.titles), "")
		if outcomes {
			titles[len(titles)-1] = "outcome"
		}
		p.heading(s.colour, "%s%s (%d)", prefix, s.title, len(rows))
		p.table(titles, rows)
	}
}

func outcome(c *reconcile.Change) string {
	switch {
	case c.Detail == "":
		return string(c.Outcome)
	case c.Outcome == reconcile.HeldBack:
		return c.Detail // which begins with that word
	}
	return string(c.Outcome) + ": " + c.Detail
}

func (p *printer) issues(issues []reconcile.Issue) {
	if len(issues) == 0 {
		return
	}
	p.heading(text.FgMagenta, "Held back, for somebody to look at (%d)", len(issues))
	var rows [][]string
	for _, i := range issues {
		rows = append(rows, []string{string(i.Kind), i.Login, i.Detail})
	}
	p.table([]string{"kind", "login", "detail"}, rows)
}

func (p *printer) guards(r *Report) {
	for _, g := range r.Guards {
		if !g.Tripped {
			continue
		}
		p.printf("\n%s\n", p.paint(text.FgRed, guardSentence(g)))
	}
}

// guardSentence says what a guard saw.
func guardSentence(g reconcile.GuardResult) string {
	switch g.Name {
	case reconcile.Shrink:
		return fmt.Sprintf("Guard shrink: %s people or groups fewer than at the last accepted read, and %s may be missing. The whole plan is held.",
			thousands(g.Value), thousands(g.Limit))
	case reconcile.MinPeople:
		return fmt.Sprintf("Guard min_people: the directory has %s, and guards.min_people asks for %s. The whole plan is held.",
			count(g.Value, "person", "people"), thousands(g.Limit))
	case reconcile.Revocations, reconcile.Deactivations:
		return fmt.Sprintf("Guard %s: %s within 24 hours, and %s may be without approval. The removals are held.",
			g.Name, count(g.Value, "person", "people"), thousands(g.Limit))
	case reconcile.Creations, reconcile.Updates, reconcile.Grants, reconcile.ScopeGuard:
	}
	return fmt.Sprintf("Guard %s: %s within 24 hours, and %s may be without approval. The whole plan is held.",
		g.Name, count(g.Value, "person", "people"), thousands(g.Limit))
}

// verdict ends the report: both sides in numbers, what became of the plan, and what to do next.
func (p *printer) verdict(r *Report, saved string) {
	read := fmt.Sprintf("Directory: %s, %s.", count(r.Directory.People, "person", "people"), count(r.Directory.Groups, "group", "groups"))
	if r.Undoes != 0 {
		read = fmt.Sprintf("To undo run %d.", r.Undoes)
	}
	p.printf("\n%s PPMS: %s, %d active, of these %d managed and %d unmatched.\n", read, count(r.PPMS.Accounts, "account", "accounts"), r.PPMS.Active,
		r.PPMS.Managed, r.PPMS.Unmatched)
	if r.FirstRun {
		p.printf("This is the first run with this ledger: rights and deactivations of before count as staff's.\n")
	}
	if r.DryRun {
		p.printf("%s\n", p.paint(text.FgYellow, "dry_run is set in the configuration: this is a plan, and nothing was written."))
	}
	if len(r.Changes) == 0 {
		p.nothing(r, saved)
		return
	}
	s := r.Summary
	p.printf("%s: %d newuser, %d updateuser (%d of them deactivations), %d setright (%d of them revocations); %s.\n",
		count(len(r.Changes), "change", "changes"), s.NewUser, s.UpdateUser, s.Deactivations, s.SetRight, s.Revocations, count(s.Issues, "issue", "issues"))
	p.hash(r, saved)
	p.next(r, saved)
}

// nothing says why a plan has no changes.
func (p *printer) nothing(r *Report, saved string) {
	switch {
	case r.Holds():
		p.printf("There is nothing to write, but a guard doubts the read. ")
		p.hash(r, saved)
		p.next(r, saved)
		return
	case r.Undoes != 0:
		p.printf("Nothing of run %d is left to undo.\n", r.Undoes)
	case len(r.Issues) == 0:
		p.printf("%s\n", p.paint(text.FgGreen, "In sync: nothing to do."))
	default:
		p.printf("In sync but for %s: nothing to do.\n", count(r.Summary.Issues, "issue", "issues"))
	}
	if saved != "" {
		p.hash(r, saved)
	}
}

func (p *printer) hash(r *Report, saved string) {
	p.printf("Plan %s", r.Hash)
	if saved != "" {
		p.printf(", saved to %s", saved)
	}
	p.printf("\n")
}

func (p *printer) next(r *Report, saved string) {
	held := 0
	for i := range r.Changes {
		if r.Changes[i].Held != "" {
			held++
		}
	}
	if r.Run != 0 && len(r.Changes) > 0 {
		p.printf("Run %d: %s.\n", r.Run, outcomesWord(r.totals().Outcomes))
	}
	if r.HeldSince > 0 {
		p.printf("Held, so that no run does it again, %s: ppms-syncd release LOGIN, or release --run %d, ends that.\n",
			count(r.HeldSince, "field or right", "fields and rights"), r.Undoes)
	}
	switch waits := held > 0 || r.Tripped(reconcile.Shrink); {
	case r.DryRun:
	case r.Tripped(reconcile.MinPeople):
		p.printf("If the directory really has so few people, lower guards.min_people.\n")
	case waits:
		p.printf("%s\n", howToApprove(r, saved, held))
	case r.Run != 0:
	case saved != "":
		p.printf("Nothing was written. To do it: ppms-syncd apply %s\n", saved)
	case r.Undoes != 0:
		p.printf("Nothing was written. To do it: save the plan with -o FILE, then ppms-syncd apply FILE\n")
	default:
		p.printf("Nothing was written. To do it: ppms-syncd apply\n")
	}
}

// howToApprove says what to do about a plan of which a guard holds something.
func howToApprove(r *Report, saved string, held int) string {
	hash := shortHash(r.Hash)
	switch {
	case r.Run != 0 && r.Undoes != 0:
		return fmt.Sprintf("When you have looked at what is held: ppms-syncd apply FILE --approve %s, with the file of this plan.", hash)
	case r.Run != 0:
		return fmt.Sprintf("When you have looked at what is held: ppms-syncd approve %s, and the next run does it.", hash)
	case saved != "":
		return fmt.Sprintf("%s would be held. When you have looked at the plan: ppms-syncd apply %s --approve %s", count(held, "change", "changes"), saved, hash)
	}
	return fmt.Sprintf("%s would be held. Save the plan with -o FILE, look at it, then: ppms-syncd apply FILE --approve %s",
		count(held, "change", "changes"), hash)
}
