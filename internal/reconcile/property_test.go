package reconcile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawWorld draws a small facility in any state that a run may find it in.
func drawWorld(t *rapid.T) *world {
	w := newWorld()
	w.Settings.Policy = rapid.SampledFrom(Policies()).Draw(t, "policy")
	w.Memory.Baseline.Scope = rapid.SampledFrom([]string{testScope, "old"}).Draw(t, "scope")
	w.Memory.Rules = map[string]RuleMemory{}
	w.Memory.Admins = map[Key]time.Time{}
	for r := range rapid.IntRange(0, 3).Draw(t, "rules") {
		name := fmt.Sprintf("r%d", r)
		w.Settings.Rules = append(w.Settings.Rules, Rule{
			Name: name, Level: rapid.SampledFrom([]Level{Novice, Autonomous}).Draw(t, "level"),
			Systems: []Selector{{ID: rapid.IntRange(1, 4).Draw(t, "sel")}, {Type: rapid.SampledFrom([]string{"T1", "T*", "X"}).Draw(t, "type")}},
		})
		w.Directory.Rules = append(w.Directory.Rules, RuleRead{Suspect: rapid.SampledFrom([]string{"", "", "", "no group"}).Draw(t, "suspect")})
		w.Memory.Rules[name] = RuleMemory{Members: rapid.IntRange(0, 2).Draw(t, "had")}
	}
	for id := 1; id <= 4; id++ {
		w.PPMS.Systems = append(w.PPMS.Systems, System{ID: id, Name: fmt.Sprintf("S%d", id), Type: fmt.Sprintf("T%d", id%2), Active: id != 4})
		w.PPMS.Rights[id] = nil
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "logins") {
		drawLogin(t, w, fmt.Sprintf("u%d", i))
	}
	drawLogin(t, w, "svc-1")
	drawLogin(t, w, "boss")
	return w
}

// drawLogin draws one login: in the directory or not, in PPMS or not, linked or not, and what happened before.
func drawLogin(t *rapid.T, w *world, login string) {
	yes := rapid.Bool()
	inDirectory, inPPMS, linked := yes.Draw(t, "in directory"), yes.Draw(t, "in ppms"), yes.Draw(t, "linked")
	if inDirectory {
		p := w.person(login)
		p.State = rapid.SampledFrom([]State{Enabled, Enabled, Enabled, Disabled}).Draw(t, "state")
		p.Create = rapid.SampledFrom([]bool{true, true, false}).Draw(t, "create")
		p.Fields[Phone] = rapid.SampledFrom([][]string{nil, {"1"}, {"2", "3"}}).Draw(t, "phone")
		p.Fields[Unit] = rapid.SampledFrom([][]string{{"smithlab"}, {"unknown"}, nil}).Draw(t, "unit")
		if rapid.IntRange(0, 9).Draw(t, "same e-mail") == 0 {
			p.Fields[Email] = []string{"shared@example.org"}
		}
		if rapid.IntRange(0, 19).Draw(t, "twin") == 0 {
			w.person(login).ID = "twin-" + login
		}
		for r := range w.Settings.Rules {
			if yes.Draw(t, "member") {
				p.Rules = append(p.Rules, Member{Rule: r, Path: []string{"g"}})
			}
		}
	} else if yes.Draw(t, "looked up") {
		w.lookup(login, Lookup{DN: rapid.SampledFrom([]string{"", "ou=former"}).Draw(t, "where")})
	}
	if inPPMS {
		a := w.account(login)
		a.Active = rapid.SampledFrom([]bool{true, true, false}).Draw(t, "active")
		a.Fields[Phone] = rapid.SampledFrom([]string{"", "1", "3"}).Draw(t, "has phone")
		if rapid.IntRange(0, 5).Draw(t, "stranger") == 0 {
			a.Fields[Email], a.Fields[Lname] = "other-"+login+"@example.org", "Other"
		}
		for id := range 4 {
			if level := rapid.SampledFrom([]Level{None, None, Deactivated, Novice, Autonomous, Superuser}).Draw(t, "right"); level != None {
				w.PPMS.Rights[id+1] = append(w.PPMS.Rights[id+1], Right{login, level})
			}
		}
	}
	if !linked {
		return
	}
	w.link(login)
	w.Memory.Links[len(w.Memory.Links)-1].EnabledScope = rapid.SampledFrom([]string{testScope, "old", ""}).Draw(t, "enabled scope")
	if !inDirectory && yes.Draw(t, "leaver") {
		w.leaver(login, Cause{
			State: Missing, Since: testNow.Add(-time.Duration(rapid.IntRange(0, 300).Draw(t, "hours")) * time.Hour),
			Reads: rapid.IntRange(1, 5).Draw(t, "reads"), Scope: rapid.SampledFrom([]string{testScope, ""}).Draw(t, "cause scope"),
		})
	}
	if inPPMS && rapid.IntRange(0, 3).Draw(t, "by us") == 0 {
		w.deactivated(login, Deactivation{})
	}
	for id := 1; id <= 4; id++ {
		if level := rapid.SampledFrom([]Level{None, None, Deactivated, Novice, Autonomous}).Draw(t, "gave"); level != None {
			w.Memory.Grants = append(w.Memory.Grants, Grant{Login: login, System: id, Level: level, Rule: "r0", WantedScope: testScope})
		}
	}
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		plan, obs := Compute(w.Input)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		other := w.Input
		other.Directory.People = shuffled(r, other.Directory.People)
		other.PPMS.Accounts = shuffled(r, other.PPMS.Accounts)
		other.PPMS.Systems = shuffled(r, other.PPMS.Systems)
		other.PPMS.Units = shuffled(r, other.PPMS.Units)
		other.Memory.Links = shuffled(r, other.Memory.Links)
		other.PPMS.Rights = map[int][]Right{}
		for id, rights := range w.PPMS.Rights {
			other.PPMS.Rights[id] = shuffled(r, rights)
		}
		again, obsAgain := Compute(other)
		if diff := cmp.Diff(plan, again); diff != "" {
			t.Fatalf("another plan:\n%s", diff)
		}
		if diff := cmp.Diff(len(obs.Linked), len(obsAgain.Linked)); diff != "" {
			t.Fatalf("other links:\n%s", diff)
		}
	})
}

func shuffled[T any](r *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// settle does to the world what PPMS and the ledger do when every change of the plan is applied.
func settle(w *world, plan Plan, obs Observations) {
	for _, link := range obs.Linked {
		w.Memory.Links = slices.DeleteFunc(w.Memory.Links, func(l Link) bool { return l.ID == link.ID })
		w.Memory.Links = append(w.Memory.Links, link)
	}
	w.Memory.Leavers, w.Memory.Grants, w.Memory.Deactivated = obs.Leavers, obs.Grants, obs.Deactivated
	w.Memory.Admins, w.Memory.Rules, w.Memory.Seen = obs.Admins, obs.Rules, obs.Seen
	if obs.Baseline != nil {
		w.Memory.Baseline = *obs.Baseline
	}
	for i := range plan.Changes {
		settleChange(w, &plan.Changes[i])
	}
}

func settleChange(w *world, c *Change) {
	at := slices.IndexFunc(w.PPMS.Accounts, func(a Account) bool { return a.Login == c.Login })
	if c.Kind == NewUser {
		w.PPMS.Accounts = append(w.PPMS.Accounts, Account{Login: c.Login, Active: true})
		at = len(w.PPMS.Accounts) - 1
		w.Memory.Links = append(w.Memory.Links, Link{ID: c.PersonID, Login: c.Login, Key: KeyOf(c.Login), Origin: Created})
	}
	for name, v := range c.Fields {
		if name == ActiveField {
			w.PPMS.Accounts[at].Active = v.To == "true"
			if v.To == "true" {
				delete(w.Memory.Deactivated, KeyOf(c.Login))
			} else {
				w.Memory.Deactivated[KeyOf(c.Login)] = Deactivation{Login: c.Login}
			}
			continue
		}
		f, _ := FieldNamed(name)
		w.PPMS.Accounts[at].Fields[f] = v.To
	}
	if c.Kind != SetRight {
		return
	}
	to, _ := ParseLevel(c.To)
	w.PPMS.Rights[c.System] = slices.DeleteFunc(slices.Clone(w.PPMS.Rights[c.System]), func(r Right) bool { return r.Login == c.Login })
	w.PPMS.Rights[c.System] = append(w.PPMS.Rights[c.System], Right{c.Login, to})
	before := None
	w.Memory.Grants = slices.DeleteFunc(slices.Clone(w.Memory.Grants), func(g Grant) bool {
		if g.Login == c.Login && g.System == c.System {
			before = g.Before
			return true
		}
		return false
	})
	if !c.Removal() || to != Novice {
		w.Memory.Grants = append(w.Memory.Grants, Grant{Login: c.Login, System: c.System, Level: to, Before: before, Rule: c.Rule})
	}
}

func TestPlanIsEmptyAfterTwoApplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range 2 {
			plan, obs := Compute(w.Input)
			settle(w, plan, obs)
			w.Now = w.Now.Add(time.Minute)
		}
		plan, _ := Compute(w.Input)
		// Time passes and reads add up, so a leaver may become due; nothing else may be left.
		for i := range plan.Changes {
			if plan.Changes[i].Guard() != Deactivations {
				t.Fatalf("left to do after two applies: %v", short(plan))
			}
		}
	})
}

func TestOnlyManagedAccountsAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		plan, obs := Compute(w.Input)
		managed := map[Key]bool{}
		for _, link := range append(slices.Clone(w.Memory.Links), obs.Linked...) {
			managed[KeyOf(link.Login)] = true
		}
		exists := map[Key]bool{}
		for _, a := range w.PPMS.Accounts {
			exists[KeyOf(a.Login)] = true
		}
		created := map[string]bool{}
		for _, c := range slices.Concat(plan.Changes, plan.Withheld) {
			key := KeyOf(c.Login)
			created[c.Login] = created[c.Login] || c.Kind == NewUser
			switch {
			case key == "boss" || key == "svc-1":
				t.Fatalf("%s would be written", c.Login)
			case c.Kind == NewUser && exists[key]:
				t.Fatalf("newuser would overwrite %s", c.Login)
			case !managed[key] && !created[c.Login]:
				t.Fatalf("%s is local and would be written: %s", c.Login, shortChange(&c))
			case c.Reason == "":
				t.Fatalf("%s has no reason", shortChange(&c))
			}
		}
	})
}

func TestPoliciesNest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		var smaller map[string]bool
		for _, policy := range Policies() {
			w.Settings.Policy = policy
			plan, _ := Compute(w.Input)
			ids := map[string]bool{}
			for i := range plan.Changes {
				ids[plan.Changes[i].ID()] = true
			}
			for id := range smaller {
				if !ids[id] {
					t.Fatalf("policy %s leaves out what a stricter one does", policy)
				}
			}
			smaller = ids
		}
	})
}

func TestLessInputNeverTakesMoreAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.Settings.Policy = Sync
		full, _ := Compute(w.Input)
		may := map[string]bool{}
		for i := range full.Changes {
			if full.Changes[i].Removal() {
				may[full.Changes[i].ID()] = true
			}
		}
		less := w.Input
		keep := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) > 0 }
		// Two entries of one login hold each other; that the loss of one frees the other is as it should be, so they go together.
		dropped := map[string]bool{}
		less.Directory.People = slices.DeleteFunc(slices.Clone(less.Directory.People), func(p Person) bool {
			if _, drawn := dropped[p.Login]; !drawn {
				dropped[p.Login] = !keep("person")
			}
			return dropped[p.Login]
		})
		less.PPMS.Accounts = slices.DeleteFunc(slices.Clone(less.PPMS.Accounts), func(Account) bool { return !keep("account") })
		less.PPMS.Systems = slices.DeleteFunc(slices.Clone(less.PPMS.Systems), func(System) bool { return !keep("system") })
		less.Directory.Lookups, less.PPMS.Rights = map[string]Lookup{}, map[int][]Right{}
		for id := range len(w.PPMS.Rights) {
			if keep("rights") {
				less.PPMS.Rights[id+1] = slices.DeleteFunc(slices.Clone(w.PPMS.Rights[id+1]), func(Right) bool { return !keep("right") })
			}
		}
		for i := range w.PPMS.Accounts {
			id := "id-" + w.PPMS.Accounts[i].Login
			if l, ok := w.Directory.Lookups[id]; ok && keep("lookup") {
				less.Directory.Lookups[id] = l
			}
		}
		less.Directory.Rules = slices.Clone(less.Directory.Rules)
		for i := range less.Directory.Rules {
			if !keep("rule") {
				less.Directory.Rules[i].Suspect = "not found"
			}
		}
		plan, _ := Compute(less)
		for i := range plan.Changes {
			c := &plan.Changes[i]
			if c.Removal() && !may[c.ID()] {
				t.Fatalf("less input, and yet: %s", shortChange(c))
			}
		}
	})
}
