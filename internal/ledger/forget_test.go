package ledger

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
)

// rememberAnn fills a ledger with all that it can know of somebody called Ann, who was anna before, and with some of bob.
func rememberAnn(t *testing.T) *Ledger {
	t.Helper()
	l := world(t)
	run := begin(t, l, Apply)
	former := activeChange("anna", "false", "true")
	former.PersonID = "1"
	mail := reconcile.Change{
		Kind: reconcile.UpdateUser, Login: "Ann", PersonID: "1", DN: "uid=ann,ou=people", Reason: "the directory has other values",
		Fields: map[string]reconcile.Value{"email": {From: new("ann@old.example.org"), To: "ann@example.org"}},
	}
	for _, c := range []reconcile.Change{former, mail, grantChange("Ann", 7, "", "A"), grantChange("bob", 7, "", "A")} {
		entry := must(l.Intend(t.Context(), run, c, t0))
		ok(t, l.Settle(t.Context(), entry, reconcile.Refused, "ann@example.org is taken", t0))
	}
	ok(t, l.SaveAccounts(t.Context(), []AccountSeen{
		{Account: reconcile.Account{Login: "Ann", Fields: [reconcile.NumFields]string{reconcile.Lname: "Annenberg"}}, VerifiedAt: t0},
		{Account: reconcile.Account{Login: "bob"}, VerifiedAt: t0},
	}))
	ok(t, l.HoldPlan(t.Context(), run, plan("aaaaaaaa"), t0)) // has Ann and bob
	others := plan("bbbbbbbb")
	others.Changes = others.Changes[1:]
	ok(t, l.HoldPlan(t.Context(), run, others, t0))
	ok(t, l.FinishRun(t.Context(), run, RunResult{Finished: t0, Result: Failed, Error: "getusers leaves out Ann, but getuser still knows it"}))
	ok(t, l.FinishRun(t.Context(), begin(t, l, Apply), RunResult{Finished: t0, Result: Failed, Error: "getusers leaves out joann and hann@x"}))
	return l
}

func TestForget(t *testing.T) {
	l := rememberAnn(t)
	spent := len(memory(t, l).Spent)
	ok(t, l.Link(t.Context(), linkTo("1", "Ann"), someone, t0)) // two words of an operator: the link before is cut
	traces := must(l.Traces(t.Context(), "ann"))
	var found []string
	for _, trace := range traces {
		found = append(found, trace.What)
	}
	want := []string{
		"links", "rights that we gave", "deactivations by us", "records of the account", "words of operators", "changes in the journal", "held plans",
		"error messages of runs",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	ok(t, l.Forget(t.Context(), "ann", someone, t0))
	expect(t, l, "1", "Ann", "")
	expect(t, l, "2", "bob", "linked to bob matched; "+everything)
	if left := must(l.Traces(t.Context(), "ann")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if n := len(memory(t, l).Spent); n != spent {
		t.Errorf("the guards have %d people on their account, not %d", n, spent)
	}
	var lines []string
	for _, e := range must(l.Entries(t.Context(), 2)) {
		lines = append(lines, e.Change.Login+" "+string(e.Change.Kind)+" "+e.Change.To+string(e.Outcome))
	}
	nobody := lines[0][:strings.Index(lines[0], ")")+1]
	if diff := cmp.Diff([]string{nobody + " updateuser refused", nobody + " updateuser refused", nobody + " setright Arefused", "bob setright Arefused"}, lines); diff != "" {
		t.Error(diff)
	}
	if plans := must(l.HeldPlans(t.Context())); len(plans) != 1 || plans[0].Plan.Hash != plan("bbbbbbbb").Hash {
		t.Errorf("%d held plans", len(plans))
	}
	for id, want := range map[int64]string{2: "(removed: it named somebody who was forgotten)", 3: "getusers leaves out joann and hann@x"} {
		if r, _, err := l.Run(t.Context(), id); err != nil || r.Error != want {
			t.Errorf("run %d: %q, %v", id, r.Error, err)
		}
	}
	// Neither in a row nor in a page that is free: what is deleted is also overwritten.
	for _, suffix := range []string{"", "-wal"} {
		data := must(os.ReadFile(l.path + suffix))
		for _, word := range []string{"ann@example", "ann@old", "Annenberg", "uid=ann", `"anna"`, `"Ann"`} {
			if bytes.Contains(data, []byte(word)) {
				i := bytes.Index(data, []byte(word))
				t.Errorf("ledger.db%s still has %q: %q", suffix, word, data[max(0, i-100):min(len(data), i+100)])
			}
		}
	}
}

// TestForgetAnotherLogin: who was linked by hand is named by the login of the entry, too.
func TestForgetAnotherLogin(t *testing.T) {
	l := rememberAnn(t)
	link := linkTo("1", "Ann")
	link.Key = "annenberg.a"
	ok(t, l.Link(t.Context(), link, someone, t0))
	run := begin(t, l, Apply)
	ok(t, l.FinishRun(t.Context(), run, RunResult{Finished: t0, Result: Failed, Error: "two entries have the login annenberg.a"}))
	ok(t, l.Forget(t.Context(), "ann", someone, t0))
	if r, _, err := l.Run(t.Context(), run); err != nil || strings.Contains(r.Error, "annenberg") {
		t.Errorf("%q, %v", r.Error, err)
	}
}

func TestForgetIsRefused(t *testing.T) {
	l := rememberAnn(t)
	run := begin(t, l, Apply)
	ok(t, l.Hold(t.Context(), []reconcile.Hold{{Key: "ann", Field: "email", Reason: "r"}}, someone, t0))
	refused := func(want string) {
		t.Helper()
		_, err := l.Traces(t.Context(), "ann")
		for _, err := range []error{err, l.Forget(t.Context(), "ann", someone, t0)} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
	refused("`ppms-syncd release ann` first")
	must(l.Release(t.Context(), "ann", someone, t0))
	entry := must(l.Intend(t.Context(), run, grantChange("Ann", 8, "", "N"), t0))
	refused("of 1 writes to ann nobody knows")
	ok(t, l.Settle(t.Context(), entry, reconcile.InDoubt, "", t0))
	refused("`ppms-syncd apply` settles them first")
	ok(t, l.Settle(t.Context(), entry, reconcile.NotApplied, "", t0))
	ok(t, l.Forget(t.Context(), "ann", someone, t0))
}

// TestForgetBesideAReader: what somebody still reads is not overwritten, and that is said, until it is done.
func TestForgetBesideAReader(t *testing.T) {
	patient := rememberAnn(t)
	ok(t, patient.Close())
	l := must(open(t.Context(), patient.path, must(loadMigrations(migrations)), 10*time.Millisecond))
	defer func() { ok(t, l.Close()) }()
	reader := must(connect(l.path, "ro", 0, 1))
	tx := must(reader.BeginTx(t.Context(), nil))
	must(list(t.Context(), tx, scanRun, selectRuns))
	must(l.Unlink(t.Context(), "bob", someone, t0)) // newer than what is read
	if err := l.Forget(t.Context(), "ann", someone, t0); err == nil || !strings.Contains(err.Error(), "again") {
		t.Errorf("forgotten: %v", err)
	}
	ok(t, errors.Join(tx.Rollback(), reader.Close()))
	if n := len(must(l.Traces(t.Context(), "ann"))); n != 0 {
		t.Errorf("%d traces are left", n)
	}
	ok(t, l.Scrub(t.Context()))
	for _, file := range []string{l.path, l.path + "-wal"} {
		if bytes.Contains(must(os.ReadFile(file)), []byte("Annenberg")) {
			t.Errorf("%s still has the name", file)
		}
	}
}
