package proof

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var full = flag.Bool("full", false, "switch off every guard, not a sample (see make reliability)")

// root is the top of the project.
const root = "../.."

// support is one guard or check. Without it, which is with the new text in the place of the old, the named test fails.
type support struct {
	guard    string
	file     string // below internal; its package's test it is unless test names another: "daemon.TestFaults"
	old, new string
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
		read     = "daemon/readppms.go"
		exchange = "ppms/exchange.go"
		client   = "ppms/client.go"
		tripped  = "Tripped: planned[g] && value > limit"
	)
	return []support{
		{"guard: creations", guards, tripped, "Tripped: g != Creations && planned[g] && value > limit", "TestJudge"},
		{"guard: updates", guards, tripped, "Tripped: g != Updates && planned[g] && value > limit", "daemon.TestGuardHoldsTheWholePlan"},
		{"guard: grants", guards, tripped, "Tripped: g != Grants && planned[g] && value > limit", "daemon.TestGuardHoldsTheWholePlan"},
		{"guard: revocations", guards, tripped, "Tripped: g != Revocations && planned[g] && value > limit", "daemon.TestGuardOfRemovalsHoldsOnlyThose"},
		{"guard: deactivations", guards, tripped, "Tripped: g != Deactivations && planned[g] && value > limit", "TestJudge"},
		{"guard: shrink", guards, "Tripped: lost > limit", "Tripped: false", "TestJudge"},
		{"guard: min_people", guards, "Tripped: people < guards.MinPeople", "Tripped: false", "TestJudge"},
		{"guard: scope", guards, "case c.Unproven:", "case false:", "TestJudge"},
		{"guards count the last 24 hours", guards, "range spent {", "range spent[:0] {", "TestJudge"},
		{"approvals expire", guards, "ok && now.Before(until)", "ok", "TestJudge"},
		{"a removal must have been seen to come about", compute, "if oppositeScope == c.Settings.Scope {", "if true {", "TestScope"},
		{"administrators are never written", compute, "if _, ok := c.admins[key]; ok {", "if _, ok := c.admins[key]; ok && false {", "TestCompute"},
		{"who was an administrator this week still counts", compute, "if in.Now.Sub(at) <= adminMemory {", "if false {", "TestCompute"},
		{"accounts.protect", compute, "if c.Settings.Protected != nil && c.Settings.Protected(key) {", "if false {", "TestCompute"},
		{"an update looks for the untouchable", accounts, `case c.untouchable(KeyOf(c.accountOf(s).Login)) != "":`, "case false:", "TestCompute"},
		{"a deactivation looks for the untouchable", leavers, ` || c.untouchable(key) != "" {`, " {", "TestCompute"},

		{"incomplete: an entry that is not understood", identity, "case len(s.Problems) > 0:", "case false:", "TestCompute"},
		{"bad-login: control characters", identity, "case strings.ContainsFunc(s.Login, unicode.IsControl):", "case false:", "TestCompute"},
		{"bad-login: accounts.login_pattern", identity, "case c.Settings.LoginOK != nil && !c.Settings.LoginOK(s.Login):", "case false:", "TestCompute"},
		{"duplicate-login", identity, "case c.people[s.key] > 1 && !c.chosenByHand(s):", "case false:", "TestCompute"},
		{"duplicate-account", identity, "if c.duplicates[s.key] {", "if false {", "TestCompute"},
		{"identity-mismatch", identity, "if !agree(s.Person, a) {", "if false {", "TestCompute"},
		{"login-reused", identity, "if other := c.linkedTo[s.key]; other != nil {", "if other := c.linkedTo[s.key]; other != nil && false {", "TestCompute"},
		{"renamed: the new account must agree", identity, "\t\tagree(s.Person, &c.PPMS.Accounts[account]) {", "\t\ttrue {", "TestCompute"},

		{"incomplete: what a new account needs", accounts, "if len(lacking) > 0 {", "if len(lacking) > 0 && false {", "TestCompute"},
		{"unknown-unit", accounts, "if !ok {\n\t\t\tc.issue(UnknownUnit", "if !ok && false {\n\t\t\tc.issue(UnknownUnit", "TestCompute"},
		{"email-taken", accounts, `holder != "" {`, `holder != "" && false {`, "TestCompute"},
		{"inactive-by-staff", accounts, "if !ok || ours.Overruled {", "if !ok && false || ours.Overruled {", "TestCompute"},

		{"leavers.confirmations", leavers, "cause.Reads >= l.Confirmations && ", "", "TestCompute"},
		{"leavers.grace", leavers, " && !now.Before(l.End(cause))", "", "TestCompute"},
		{"the second look was made", leavers, `if !known || where.Err != "" {`, `if !known && false || where.Err != "" {`, "TestCompute"},
		{"the second look did not fail", leavers, `if !known || where.Err != "" {`, `if !known {`, "TestCompute"},
		{"whose login is there is no leaver", leavers, "if c.people[KeyOf(link.Login)] > 0 || c.people[link.Key] > 0 {", "if false {", "TestCompute"},
		{"a read that shrank confirms nobody", leavers, "if c.frozen {\n\t\treturn", "if false {\n\t\treturn", "TestCompute"},
		{"reactivated-by-staff", leavers, "if ours, ok := c.deactivated[key]; ok {", "if ours, ok := c.deactivated[key]; ok && false {", "TestCompute"},

		{"right-blocked-by-staff", rights, "case have == Deactivated && (gave == nil || gave.Level != Deactivated):", "case false:", "TestCompute"},
		{"right-lowered-by-staff", rights, "case gave != nil && gave.Level != Deactivated && have < gave.Level:", "case false:", "TestCompute"},
		{"rights of the absent and the disabled stay", rights, "if s.held || s.State != Enabled {", "if s.held {", "TestCompute"},
		{"only a right of the level that we gave is revoked", rights, "if grant.Overruled || levels[s.account] != grant.Level {", "if grant.Overruled {", "TestCompute"},
		{"what staff overruled is not revoked", rights, "if grant.Overruled || levels[s.account] != grant.Level {", "if levels[s.account] != grant.Level {", "TestCompute"},
		{"a suspended rule takes nothing", rights, "g.covered[system] || ", "", "TestCompute"},
		{"a system that PPMS changed keeps its rights", rights, " || c.leftRule(grant, system) {", " {", "TestCompute"},
		{"a revocation goes back to what staff had given", rights, "if grant.Before == Novice {", "if false {", "TestCompute"},
		{"rule-suspended: a group that is not found", rules, "r.suspended = c.Directory.Rules[i].Suspect", "_ = c.Directory.Rules[i].Suspect", "TestCompute"},
		{"rule-suspended: all members gone", rules, `members[i] == 0 && before.Members > 0 {`, `false {`, "TestCompute"},
		{"rule-suspended: a nested group lists nobody", rules, "range c.Directory.Rules[rule].Empty {", "range c.Directory.Rules[rule].Empty[:0] {", "TestCompute"},
		{"rule-suspended: a nested group is hidden", rules, "range c.Directory.Rules[rule].Unread {", "range c.Directory.Rules[rule].Unread[:0] {", "TestCompute"},
		{"policies", "reconcile/policy.go", "return !c.Removal()", "return true", "TestCompute"},
		{"holds", "reconcile/holds.go", `if reason, ok := holds[""]; ok {`, `if reason, ok := holds[""]; ok && false {`, "TestCompute"},

		{"the lists of users agree", read, "if !slices.Equal(all, both) {", "if false {", "TestFaults"},
		{"no list is empty", read, "if list.empty {", "if list.empty && false {", "TestFaults"},
		{"known accounts are listed", read, "if len(found) > 0 {", "if false {", "TestFaults"},
		{"listed accounts are known", read, "if len(gone) > 0 {", "if false {", "TestFaults"},
		{"doubts are settled first", "daemon/run.go", "if err := r.settleDoubts(ctx); err != nil {", "if err := error(nil); err != nil {", "TestInDoubtIsSettledByTheNextApply"},
		{"a record is read again before the write", "daemon/write.go", `if why := staleUser(c, &now, exists); why != "" {`, `if why := staleUser(c, &now, exists); why != "" && false {`, "TestStaleBetweenPlanAndWrite"},
		{"a right is read again before the write", "daemon/writerights.go", `case staleRight(c, have[c.System]) != "":`, "case false:", "TestStaleBetweenPlanAndWrite"},
		{"an S is not overwritten", "daemon/writerights.go", "if have == reconcile.Superuser {", "if false {", "TestStaleBetweenPlanAndWrite"},
		{"no rights for an account that was not made", "daemon/writerights.go", `if why == "" && p.missing[login] {`, "if false {", "TestNoRightsForAnAccountThatWasMadeMeanwhile"},
		{"five failures in a row end the writing", "daemon/write.go", "case p.failures >= tooMany:", "case false:", "TestFiveFailuresInARowEndTheWriting"},
		{"one run at a time", "daemon/apply.go", "unlock, err := a.lockRun()", "unlock, err := func() {}, error(nil)", "TestBusyRunLock"},
		{"a plan file is as it was made", "daemon/planfile.go", "case plan.Hash != reconcile.PlanHash(plan.Policy, plan.Changes):", "case false:", "TestApplyOfASavedPlan"},
		{"a plan file is of this configuration", "daemon/planfile.go", "case plan.ConfigHash != configHash:", "case false:", "TestApplyOfASavedPlan"},

		{"an answer about somebody else", "ppms/users.go", "if reconcile.KeyOf(user.Login) != reconcile.KeyOf(login) {", "if false {", "TestUserThatCannotBeTrusted"},
		{"redirects are not followed", client, "return http.ErrUseLastResponse", "return nil", "TestRedirectsAreNotFollowed"},
		{"a write cannot be sent again", exchange, "req.GetBody = nil", "_ = req.GetBody", "TestRequestCannotBeRewound"},
		{"a write has a connection of its own", client, "fresh: newClient(0)", "fresh: newClient(1)", "TestEachWriteHasAConnectionOfItsOwn"},
		{"an answer says how long it is", exchange, "if !c.write && !framed(resp) {", "if false {", "TestAnswerCutAtEveryByte"},
		{"only status 200 counts", exchange, "case status == http.StatusOK:", "case status > 0:", "TestStatuses"},
		{"a web page is no answer", exchange, `case strings.HasPrefix(text, "<"):`, "case false:", "TestWebPageWithStatus200"},
		{"the key is in no error", exchange, "oneLine(r.scrub(f.said))", "oneLine(f.said)", "TestNothingSaysTheKey"},

		{"the ledger is nobody else's to read", "ledger/open.go", "mode&0o007 != 0 {", "mode&0o007 != 0 && false {", "TestRefusedFiles"},
		{"an intent is on disk before the request", "ledger/open.go", `"synchronous(FULL)"`, `"synchronous(OFF)"`, "TestOpenMakesWhatIsMissing"},
		{"a newer ledger is left alone", "ledger/schema.go", "case version > known:", "case false:", "TestRefusedFiles"},
		{"a secret file is nobody else's to read", "secret/secret.go", "mode&0o007 != 0 {", "mode&0o007 != 0 && false {", "TestFile"},
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

// Without any one of them a test fails: the program is built anew each time, with one guard less.
func TestGuardsAreLoadBearing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program many times")
	}
	all := supports()
	every := 1
	if !*full {
		every = 12
	}
	failed, tried := 0, 0
	var table strings.Builder
	for i := time.Now().UTC().YearDay() % every; i < len(all); i += every {
		s := &all[i]
		tried++
		t.Run(s.guard, func(t *testing.T) {
			s.remove(t)
			failed++
		})
		folder, name := s.where()
		fmt.Fprintf(&table, "| %s | `internal/%s` | `%s.%s` |\n", s.guard, s.file, folder, name)
	}
	t.Logf("%d of %d guards were switched off, and %d times the named test failed", tried, len(all), failed)
	if dir := os.Getenv("RELIABILITY"); dir != "" {
		for name, text := range map[string]string{"guards": fmt.Sprintf("%d of %d\n", failed, tried), "guards.table": table.String()} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// remove builds without the guard and expects its test to fail.
func (s *support) remove(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	file, err := filepath.Abs(filepath.Join(root, "internal", s.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	without := filepath.Join(dir, "without.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: without}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{without: strings.Replace(string(text), s.old, s.new, 1), filepath.Join(dir, "overlay.json"): string(overlay)} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder, name := s.where()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-overlay", filepath.Join(dir, "overlay.json"), "-run", "^"+name+"$", "./internal/"+folder)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "RELIABILITY=")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("nobody misses it: %s of internal/%s passes without %q in %s", name, folder, s.old, s.file)
	} else if !regexp.MustCompile(`(?m)^\s*--- FAIL: ` + name).Match(out) {
		t.Errorf("%s did not fail, but: %v\n%s", name, err, out[:min(len(out), 4000)])
	}
}
