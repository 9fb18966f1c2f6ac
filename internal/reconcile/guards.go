package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// Judge lets the guards look at a plan before the first write: it fills in plan.Guards and marks each change that is held or
// approved.
//
// A trip of revocations or deactivations holds the removals only; any other holds the whole plan, so that what belongs together
// is not torn apart. A removal that nobody saw come about under the present configuration waits for an approval. What was
// approved counts against no guard.
func Judge(p *Plan, guards GuardSettings, m Memory, now time.Time) {
	for i := range p.Changes {
		c := &p.Changes[i]
		until, ok := m.Approved[ApprovalOf(p.Undoes, c)]
		c.Approved, c.Held = ok && now.Before(until), "" // a plan that was read from a file may say anything
	}
	readHeld := Guard("")
	p.Guards = nil
	if p.Undoes == 0 { // else no directory was read
		p.Guards = readGuards(guards, m.Baseline, p.Directory.People, p.Directory.Groups)
	}
	for _, g := range p.Guards {
		if g.Tripped {
			readHeld = g.Name
		}
	}
	counted := countGuards(p, guards, m.Spent)
	p.Guards = append(counted, p.Guards...)
	p.hold(readHeld, counted)
	p.reportUnproven()
}

// hold marks the changes.
func (p *Plan) hold(readHeld Guard, counted []GuardResult) {
	all, removals := readHeld, Guard("")
	for _, g := range counted {
		switch {
		case !g.Tripped:
		case g.Name == Revocations || g.Name == Deactivations:
			removals = g.Name
		case readHeld == "":
			all = g.Name
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		switch {
		case c.Outcome != "": // of a saved plan, and stale: it will not be written
		case all != "":
			c.Held = string(all)
		case !c.Removal() || c.Approved:
		case c.Unproven:
			c.Held = string(ScopeGuard)
		default:
			c.Held = string(removals)
		}
	}
}

// reportUnproven makes the waiting removals visible as issues.
func (p *Plan) reportUnproven() {
	issues := p.Issues
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Unproven && !c.Approved && c.Outcome == "" {
			what := "deactivation"
			if c.Kind == SetRight {
				what = fmt.Sprintf("revocation of %s on %s", *c.From, c.SystemName)
			}
			issues = append(issues, Issue{NeedsApproval, c.Login, what + " (" + c.Reason +
				"): its cause was not seen to appear under the present configuration, so somebody has to approve it"})
		}
	}
	p.setIssues(issues)
}

// Holds says whether a guard tripped or a removal waits for approval.
func (p *Plan) Holds() bool {
	for _, g := range p.Guards {
		if g.Tripped {
			return true
		}
	}
	for i := range p.Changes {
		if p.Changes[i].Held != "" {
			return true
		}
	}
	return false
}

// Tripped says whether a guard tripped.
func (p *Plan) Tripped(name Guard) bool {
	return slices.ContainsFunc(p.Guards, func(g GuardResult) bool { return g.Name == name && g.Tripped })
}

// countGuards counts the people whom the plan and the last 24 h affect, once each a guard.
func countGuards(p *Plan, guards GuardSettings, spent []Spent) []GuardResult {
	affected := map[Guard]map[Key]bool{}
	planned := map[Guard]bool{}
	for _, g := range Counted() {
		affected[g] = map[Key]bool{}
	}
	for _, s := range spent {
		if keys := affected[s.Guard]; keys != nil {
			keys[s.Key] = true
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Approved || c.Unproven || c.Outcome != "" {
			continue
		}
		affected[c.Guard()][KeyOf(c.Login)] = true
		planned[c.Guard()] = true
	}
	results := make([]GuardResult, 0, numCounted+2)
	for i, g := range Counted() {
		limit := guards.Limits[i].people(p.PPMS.Managed)
		value := len(affected[g])
		results = append(results, GuardResult{Name: g, Value: value, Limit: limit, Tripped: planned[g] && value > limit})
	}
	return results
}

// people is the limit for so many managed active accounts.
func (l Limit) people(managed int) int { return max(l.Floor, min(l.Count, managed*l.Percent/100)) }

// smallShrink is how many people or groups may always go missing.
const smallShrink = 5

// readGuards judge the directory read itself.
func readGuards(guards GuardSettings, before Baseline, people, groups int) []GuardResult {
	shrink := GuardResult{Name: Shrink}
	if !before.At.IsZero() {
		p, g := shrunk(before.People, people, guards.MaxShrink), shrunk(before.Groups, groups, guards.MaxShrink)
		if shrink = p; g.Tripped && !p.Tripped {
			shrink = g
		}
	}
	return []GuardResult{shrink, {Name: MinPeople, Value: people, Limit: guards.MinPeople, Tripped: people < guards.MinPeople}}
}

func shrunk(before, now, percent int) GuardResult {
	lost, limit := max(0, before-now), max(smallShrink, before*percent/100)
	return GuardResult{Name: Shrink, Value: lost, Limit: limit, Tripped: lost > limit}
}
