package proof

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the top of the project.
const root = "../.."

// support is one guard or check, and the test that misses it.
type support struct {
	guard    string
	file     string // below internal; its package's test it is unless test names another: "daemon.TestFaults"
	old, new string // the text, and the same with a switch: ON is true unless this guard is switched off
	test     string
}

// supports lists all that stands between a wrong read and somebody's access. There is no switch for any of them in the program: the
// compiler is given another text.
func supports() []support {
	const (
		identity = "reconcile/identity.go"
		accounts = "reconcile/accounts.go"
		leavers  = "reconcile/leavers.go"
		rights   = "reconcile/rights.go"
		rules    = "reconcile/rules.go"
		guards   = "reconcile/guards.go"
		compute  = "reconcile/compute.go"
		search   = "ldapsrc/search.go"
		read     = "daemon/readppms.go"
		exchange = "ppms/exchange.go"
		client   = "ppms/client.go"
		tripped  = "planned[g] && value > limit"
	)
	return []support{
		{"guard: creations", guards, tripped, tripped + " && (g != Creations || ON)", "TestJudge"},
		{"guard: updates", guards, tripped, tripped + " && (g != Updates || ON)", "daemon.TestGuardHoldsTheWholePlan"},
		{"guard: grants", guards, tripped, tripped + " && (g != Grants || ON)", "daemon.TestGuardHoldsTheWholePlan"},
		{"guard: revocations", guards, tripped, tripped + " && (g != Revocations || ON)", "daemon.TestGuardOfRemovalsHoldsOnlyThose"},
		{"guard: deactivations", guards, tripped, tripped + " && (g != Deactivations || ON)", "TestJudge"},
		{"guard: shrink", guards, "Tripped: lost > limit", "Tripped: lost > limit && ON", "TestJudge"},
		{"guard: min_people", guards, "Tripped: people < guards.MinPeople", "Tripped: people < guards.MinPeople && ON", "TestJudge"},
		{"guard: scope", guards, "case c.Unproven:", "case c.Unproven && ON:", "TestJudge"},
		{"guards count the last 24 hours", guards, "range spent {", "range guardOnly(spent, ON) {", "TestJudge"},
		{"approvals expire", guards, "ok && now.Before(until)", "ok && (now.Before(until) || !ON)", "TestJudge"},
		{"a removal must have been seen to come about", compute, "if oppositeScope == c.Settings.Scope {", "if oppositeScope == c.Settings.Scope || !ON {", "TestScope"},
		{"administrators are never written", compute, "if _, ok := c.admins[key]; ok {", "if _, ok := c.admins[key]; ok && ON {", "TestCompute"},
		{"who was an administrator this week still counts", compute, "if in.Now.Sub(at) <= adminMemory {", "if in.Now.Sub(at) <= adminMemory && ON {", "TestCompute"},
		{"accounts.protect", compute, "if c.Settings.Protected != nil && c.Settings.Protected(key) {", "if c.Settings.Protected != nil && c.Settings.Protected(key) && ON {", "TestCompute"},
		{"an update looks for the untouchable", accounts, `case c.untouchable(KeyOf(c.accountOf(s).Login)) != "":`, `case c.untouchable(KeyOf(c.accountOf(s).Login)) != "" && ON:`, "TestCompute"},
		{"a deactivation looks for the untouchable", leavers, ` || c.untouchable(key) != "" {`, ` || c.untouchable(key) != "" && ON {`, "TestCompute"},

		{"incomplete: an entry that is not understood", identity, "case len(s.Problems) > 0:", "case len(s.Problems) > 0 && ON:", "TestCompute"},
		{"bad-login: control characters", identity, "case strings.ContainsFunc(s.Login, unicode.IsControl):", "case strings.ContainsFunc(s.Login, unicode.IsControl) && ON:", "TestCompute"},
		{"bad-login: accounts.login_pattern", identity, "case c.Settings.LoginOK != nil && !c.Settings.LoginOK(s.Login):", "case c.Settings.LoginOK != nil && !c.Settings.LoginOK(s.Login) && ON:", "TestCompute"},
		{"duplicate-login", identity, "case c.people[s.key] > 1 && !c.chosenByHand(s):", "case c.people[s.key] > 1 && !c.chosenByHand(s) && ON:", "TestCompute"},
		{"duplicate-account", identity, "if c.duplicates[s.key] {", "if c.duplicates[s.key] && ON {", "TestCompute"},
		{"identity-mismatch", identity, "if !agree(s.Person, a) {", "if !agree(s.Person, a) && ON {", "TestCompute"},
		{"an account that is there again must agree", identity, "if c.doubtful(link) && !c.isTheirs(s, account) {", "if c.doubtful(link) && ON && !c.isTheirs(s, account) {", "daemon.TestAccountThatIsBackIsAnother"},
		{"login-reused", identity, "if other := c.linkedTo[s.key]; other != nil {", "if other := c.linkedTo[s.key]; other != nil && ON {", "TestCompute"},
		{"renamed: the new account must agree", identity, "\t\tagree(s.Person, &c.PPMS.Accounts[account]) {", "\t\t(agree(s.Person, &c.PPMS.Accounts[account]) || !ON) {", "TestCompute"},

		{"incomplete: what a new account needs", accounts, "if len(lacking) > 0 {", "if len(lacking) > 0 && ON {", "TestCompute"},
		{"unknown-unit", accounts, "if !ok {\n\t\t\tc.issue(UnknownUnit", "if !ok && ON {\n\t\t\tc.issue(UnknownUnit", "TestCompute"},
		{"a field of groups that are not seen is left alone", accounts, "|| c.unseen[f] || ", "|| c.unseen[f] && ON || ", "daemon.TestHiddenGroupChangesNoField"},
		{"email-taken", accounts, `holder != "" {`, `holder != "" && ON {`, "TestCompute"},
		{"inactive-by-staff", accounts, "if !ok || ours.Overruled {", "if !ok && ON || ours.Overruled {", "TestCompute"},

		{"leavers.confirmations", leavers, "cause.Reads >= l.Confirmations && ", "(cause.Reads >= l.Confirmations || !ON) && ", "TestCompute"},
		{"leavers.grace", leavers, " && !now.Before(l.End(cause))", " && (!now.Before(l.End(cause)) || !ON)", "TestCompute"},
		{"the second look was made", leavers, `if !known || `, `if !known && ON || `, "TestCompute"},
		{"the second look did not fail", leavers, `where.Err != "" {`, `where.Err != "" && ON {`, "TestCompute"},
		{"what decides who is disabled was seen", leavers, `known || why == "" {`, `known || why == "" || !ON {`, "daemon.TestHiddenGroupDisablesNobody"},
		{"an account that is there again is no leaver's", leavers, "there && c.doubtful(link) {", "there && c.doubtful(link) && ON {", "daemon.TestAccountThatIsBackIsAnother"},
		{"whose login is there is no leaver", leavers, "if c.people[KeyOf(link.Login)] > 0 || c.people[link.Key] > 0 {", "if (c.people[KeyOf(link.Login)] > 0 || c.people[link.Key] > 0) && ON {", "TestCompute"},
		{"a read that shrank confirms nobody", leavers, "if c.frozen {\n\t\treturn", "if c.frozen && ON {\n\t\treturn", "TestCompute"},
		{"reactivated-by-staff", leavers, "if ours, ok := c.deactivated[key]; ok {", "if ours, ok := c.deactivated[key]; ok && ON {", "TestCompute"},

		{"a group that lists the former DN proves nothing", rights, "if former[KeyOf(grant.Login)] || ", "if former[KeyOf(grant.Login)] && ON || ", "daemon.TestMovedEntryThatGroupsDoNotFollow"},
		{"another group of the name proves nothing", rights, "|| c.anotherGroup(grant.System) {", "|| c.anotherGroup(grant.System) && ON {", "daemon.TestAnotherGroupOfTheName"},
		{"right-blocked-by-staff", rights, "case have == Deactivated && (gave == nil || gave.Level != Deactivated):", "case (have == Deactivated && (gave == nil || gave.Level != Deactivated)) && ON:", "TestCompute"},
		{"right-lowered-by-staff", rights, "case gave != nil && gave.Level != Deactivated && have < gave.Level:", "case gave != nil && gave.Level != Deactivated && have < gave.Level && ON:", "TestCompute"},
		{"rights of the absent and the disabled stay", rights, "if s.held || s.State != Enabled {", "if s.held || s.State != Enabled && ON {", "TestCompute"},
		{"only a right of the level that we gave is revoked", rights, "|| levels[s.account] != grant.Level {", "|| levels[s.account] != grant.Level && ON {", "TestCompute"},
		{"what staff overruled is not revoked", rights, "if grant.Overruled || ", "if grant.Overruled && ON || ", "TestCompute"},
		{"a suspended rule takes nothing", rights, "g.covered[system] || ", "g.covered[system] && ON || ", "TestCompute"},
		{"a system that PPMS changed keeps its rights", rights, " || c.leftRule(grant, system) {", " || c.leftRule(grant, system) && ON {", "TestCompute"},
		{"a revocation goes back to what staff had given", rights, "if grant.Before == Novice {", "if grant.Before == Novice && ON {", "TestCompute"},
		{"rule-suspended: a group that is not found", rules, "r.suspended = r.read.Suspect", "if ON {\n r.suspended = r.read.Suspect\n}", "TestCompute"},
		{"rule-suspended: all members gone", rules, `members[i] == 0 && before.Members > 0 {`, `members[i] == 0 && before.Members > 0 && ON {`, "TestCompute"},
		{"rule-suspended: a nested group lists nobody", rules, "range r.Empty {", "range guardOnly(r.Empty, ON) {", "TestCompute"},
		{"rule-suspended: a nested group is hidden", rules, "range r.Unread {", "range guardOnly(r.Unread, ON) {", "TestCompute"},
		{"policies", "reconcile/policy.go", "return !c.Removal()", "return !c.Removal() || !ON", "TestCompute"},
		{"holds", "reconcile/holds.go", `h, ok := holds[""]`, "h, ok := holds[\"\"]\nok = ok && ON", "TestCompute"},

		{"a page has one paging control", search, "n > 1 {", "n > 1 && ON {", "TestIncompleteReads"},
		{"a server that knows the paging control answers with it", search, "slices.Contains(known, ldap.ControlTypePaging) {", "slices.Contains(known, ldap.ControlTypePaging) && ON {", "TestIncompleteReads"},
		{"an entry is where we looked", search, "err == nil && !below(key, base) || q.one && key != base {", "(err == nil && !below(key, base) || q.one && key != base) && ON {", "TestIncompleteReads"},
		{"whom groups cannot list is held", "ldapsrc/groups.go", "if !known && bad == nil {", "if !known && bad == nil && ON {", "TestSlapdPosixHidden"},
		{"people of a primary group do not hide a list that is withheld", "ldapsrc/rules.go", `case g.primary.Group == "":`, `case g.primary.Group == "" || !ON:`, "TestSlapdPosixHidden"},
		{"one of all groups is gone", rules, "if !r.Any {", "if !r.Any || !ON {", "daemon.TestGroupOfAnyThatIsNotSeen"},
		{"a list that is withheld takes nothing", rules, "if !had[dn] {", "if !had[dn] || strings.HasPrefix(dn, ListMark) && !ON {", "TestCompute"},
		{"members under an option are members", "ldapsrc/entry.go", "options && strings.EqualFold(base, name) {", "options && strings.EqualFold(base, name) && ON {", "TestSlapdMembersAsTheServerTakesThem"},
		{"an expression takes no name for a DN", "ldapsrc/trust.go", "case dn && name:", "case dn && name && !ON:\nreturn \"\"\ncase dn && name:", "TestDoubt"},
		{"a field of an attribute that is not seen is left alone", "ldapsrc/source.go", "m.seen(v.expr.attributes, len(people), &r.Directory.Fields[f])", "if ON {\nm.seen(v.expr.attributes, len(people), &r.Directory.Fields[f])\n}", "daemon.TestHiddenAttributeChangesNoField"},

		{"the lists of users agree", read, "if !slices.Equal(all, both) {", "if !slices.Equal(all, both) && ON {", "TestFaults"},
		{"no list is empty", read, "if list.empty {", "if list.empty && ON {", "TestFaults"},
		{"known accounts are listed", read, "if len(found) > 0 {", "if len(found) > 0 && ON {", "TestFaults"},
		{"listed accounts are known", "daemon/records.go", "if len(gone) > 0 {", "if len(gone) > 0 && ON {", "TestFaults"},
		{"doubts are settled before a write by hand", "daemon/toolbox_write.go", "if !a.Config.DryRun { //", "if !a.Config.DryRun && ON { //", "TestRightByHandWhileOneIsInDoubt"},
		{"who was linked or unlinked meanwhile is not written", "ledger/journal.go", `if said.keys[`, `if ON && said.keys[`, "daemon.TestWordInTheMiddleOfARun"},
		{"a backup proves nothing", "ledger/upkeep.go", "if err := unprove(ctx, file); err != nil {", "if !ON {\nreturn nil\n}\nif err := unprove(ctx, file); err != nil {", "daemon.TestRestoredBackupTakesNothingAway"},
		{"another PPMS has other accounts", "daemon/run.go", `if view.PPMS != "" && `, `if ON && view.PPMS != "" && `, "TestAnotherPPMSOwesUsNothing"},
		{"doubts are settled first", "daemon/run.go", "if err := r.settleDoubts(ctx); err != nil {", "if err := func() error {\n if ON {\n return r.settleDoubts(ctx)\n}\nreturn nil\n}(); err != nil {", "TestInDoubtIsSettledByTheNextApply"},
		{"a record is read again before the write", "daemon/write.go", `if why := staleUser(c, &now, exists); why != "" {`, `if why := staleUser(c, &now, exists); why != "" && ON {`, "TestStaleBetweenPlanAndWrite"},
		{"a right is read again before the write", "daemon/writerights.go", `case staleRight(c, have[c.System]) != "":`, `case staleRight(c, have[c.System]) != "" && ON:`, "TestStaleBetweenPlanAndWrite"},
		{"no rights for an account that was not made", "daemon/writerights.go", `if why == "" && p.missing[login] {`, `if why == "" && p.missing[login] && ON {`, "TestNoRightsForAnAccountThatWasMadeMeanwhile"},
		{"five failures in a row end the writing", "daemon/write.go", "case p.failures >= tooMany:", "case p.failures >= tooMany && ON:", "TestFiveFailuresInARowEndTheWriting"},
		{"one run at a time", "daemon/apply.go", "unlock, err := a.lockRun()", "unlock, err := a.lockRun()\nif !ON {\nunlock, err = func() {}, nil\n}", "TestBusyRunLock"},
		{"who reloads into dry_run means the run under way", "daemon/serve.go", "if next.DryRun && !app.Config.DryRun", "if ON && next.DryRun && !app.Config.DryRun", "TestReloadIntoDryRunStopsTheRun"},
		{"a plan file is as it was made", "daemon/planfile.go", "case plan.Hash != reconcile.PlanHash(plan.Policy, plan.Changes):", "case plan.Hash != reconcile.PlanHash(plan.Policy, plan.Changes) && ON:", "TestApplyOfASavedPlan"},
		{"a plan file is of this configuration", "daemon/planfile.go", "case plan.ConfigHash != configHash:", "case plan.ConfigHash != configHash && ON:", "TestApplyOfASavedPlan"},

		{"an answer about somebody else", "ppms/users.go", "if reconcile.KeyOf(user.Login) != reconcile.KeyOf(login) {", "if reconcile.KeyOf(user.Login) != reconcile.KeyOf(login) && ON {", "TestUserThatCannotBeTrusted"},
		{"no text passes for an empty list", "ppms/positions.go", `if text != "" && len(all) == 0 && !header {`, `if text != "" && len(all) == 0 && !header && ON {`, "TestTextsThatAreNoEmptyList"},
		{"a group is looked for again before it is made", "daemon/toolbox_write.go", "case exists:", "case exists && ON:", "TestNewGroupIsNew"},
		{"a list of orders that was cut", "daemon/toolbox_order.go", "for range 2 {", "for range map[bool]int{false: 1, true: 2}[ON] {", "TestOrderThatIsLost"},
		{"redirects are not followed", client, "return http.ErrUseLastResponse", "if !ON {\n return nil\n}\nreturn http.ErrUseLastResponse", "TestRedirectsAreNotFollowed"},
		{"a write cannot be sent again", exchange, "req.GetBody = nil", "if ON {\nreq.GetBody = nil\n}", "TestRequestCannotBeRewound"},
		{"a write has a connection of its own", client, "fresh: r.newClient(0)", "fresh: r.newClient(map[bool]int{false: 1}[ON])", "TestEachWriteHasAConnectionOfItsOwn"},
		{"an answer says how long it is", exchange, "if !c.write && !framed(resp) {", "if !c.write && !framed(resp) && ON {", "TestAnswerCutAtEveryByte"},
		{"only status 200 counts", exchange, "case status == http.StatusOK:", "case status == http.StatusOK || !ON:", "TestStatuses"},
		{"a web page is no answer", exchange, `case strings.HasPrefix(text, "<"):`, `case strings.HasPrefix(text, "<") && ON:`, "TestWebPageWithStatus200"},
		{"the key is in no error", exchange, "cut(clean(f.said), maxExcerpt)", "cut(map[bool]string{true: clean(f.said), false: f.said}[ON], maxExcerpt)", "TestNothingSaysTheKey"},
		{"a user's password is in no error", exchange, `secret.New(c.form.Get("pwd"))`, `secret.New(map[bool]string{true: c.form.Get("pwd")}[ON])`, "TestNothingSaysAUsersPassword"},

		{"the ledger is nobody else's to read", "ledger/open.go", "mode&0o007 != 0 {", "mode&0o007 != 0 && ON {", "TestRefusedFiles"},
		{"an intent is on disk before the request", "ledger/open.go", `"synchronous(FULL)"`, `"synchronous(" + map[bool]string{true: "FULL", false: "OFF"}[ON] + ")"`, "TestOpenMakesWhatIsMissing"},
		{"a newer ledger is left alone", "ledger/schema.go", "case version > known:", "case version > known && ON:", "TestRefusedFiles"},
		{"a secret file is nobody else's to read", "secret/secret.go", "mode&0o007 != 0 {", "mode&0o007 != 0 && ON {", "TestFile"},
	}
}

// where is the folder and the name of the test that fails.
func (s *support) where() (folder, name string) {
	folder, _, _ = strings.Cut(s.file, "/")
	name = s.test
	if other, test, ok := strings.Cut(s.test, "."); ok {
		folder, name = other, test
	}
	return folder, name
}

// Every guard is where the table says, and so is its test; whether the test would miss it is for TestGuardsAreLoadBearing.
func TestGuardsAreThere(t *testing.T) {
	for _, s := range supports() {
		text, err := os.ReadFile(filepath.Join(root, "internal", s.file))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := strings.Count(string(text), s.old); n != 1 {
			t.Errorf("%s: %s has %q %d times", s.guard, s.file, s.old, n)
		}
		folder, name := s.where()
		if !hasTest(t, filepath.Join(root, "internal", folder), name) {
			t.Errorf("%s: internal/%s has no %s", s.guard, folder, name)
		}
	}
}

func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

// Without any one of them a test fails. Each package is built once, with a switch in front of each of its guards and of those of the
// package that decides; then the tests run with one guard less each time.
func TestGuardsAreLoadBearing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests of five packages")
	}
	overlay := switches(t)
	all := supports()
	binaries := map[string]string{}
	for i := range all {
		if folder, _ := all[i].where(); binaries[folder] == "" {
			binaries[folder] = build(t, overlay, folder)
		}
	}
	passes := map[string]bool{}
	missed := 0
	var table strings.Builder
	for i := range all {
		s := &all[i]
		folder, name := s.where()
		t.Run(s.guard, func(t *testing.T) {
			if !passes[folder+name] { // or its failure would say nothing
				if out, err := s.run(t, binaries[folder], ""); err != nil {
					t.Fatalf("%s fails with all guards on: %v\n%s", name, err, out[:min(len(out), 4000)])
				}
				passes[folder+name] = true
			}
			out, err := s.run(t, binaries[folder], s.guard)
			switch {
			case err == nil:
				t.Errorf("nobody misses it: %s of internal/%s passes without it", name, folder)
			case !regexp.MustCompile(`(?m)^\s*--- FAIL: ` + name).Match(out):
				t.Errorf("%s did not fail, but: %v\n%s", name, err, out[:min(len(out), 4000)])
			default:
				missed++
			}
		})
		fmt.Fprintf(&table, "| %s | `internal/%s` | `%s.%s` |\n", s.guard, s.file, folder, name)
	}
	t.Logf("%d guards were switched off, and %d times the named test failed", len(all), missed)
	if dir := os.Getenv("RELIABILITY"); dir != "" {
		save(t, filepath.Join(dir, "guards"), fmt.Sprintln(missed))
		save(t, filepath.Join(dir, "guards.table"), table.String())
	}
}

// switches writes every file that has a guard anew, with a switch in front of it.
func switches(t *testing.T) (overlay string) {
	t.Helper()
	dir, texts := t.TempDir(), map[string]string{}
	for _, s := range supports() {
		file := absolute(t, s.file)
		if texts[file] == "" {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(text)
			pkg := filepath.Dir(file)
			texts[filepath.Join(pkg, "switches_of_guards.go")] = fmt.Sprintf(switchCode, filepath.Base(pkg))
		}
		if !strings.Contains(texts[file], s.old) {
			t.Fatalf("%s: another switch has changed %q in %s", s.guard, s.old, s.file)
		}
		texts[file] = strings.Replace(texts[file], s.old, strings.ReplaceAll(s.new, "ON", fmt.Sprintf("guardIsOn(%q)", s.guard)), 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		save(t, replace[file], text)
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	save(t, overlay, string(data))
	return overlay
}

const switchCode = `package %s

import "os"

func guardIsOn(name string) bool { return os.Getenv("WITHOUT_GUARD") != name }

func guardOnly[T any](list []T, on bool) []T {
	if on {
		return list
	}
	return nil
}

var _ = guardOnly[int]
`

func absolute(t *testing.T, below string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "internal", below))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// build makes the test binary of a package with the switches.
func build(t *testing.T, overlay, folder string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), folder+".test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./internal/"+folder)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run runs the test without a guard; "" leaves all on.
func (s *support) run(t *testing.T, binary, without string) ([]byte, error) {
	t.Helper()
	folder, name := s.where()
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^"+name+"$")
	cmd.Dir, cmd.Env = absolute(t, folder), append(os.Environ(), "WITHOUT_GUARD="+without, "RELIABILITY=")
	return cmd.CombinedOutput()
}
