package ledger

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
)

func TestAccounts(t *testing.T) {
	l := newLedger(t)
	full := AccountSeen{Account: reconcile.Account{Login: "Ann", Active: true}, VerifiedAt: t0}
	for f := range reconcile.Field(reconcile.NumFields) {
		full.Fields[f] = "the " + f.String()
	}
	twin, never := full, full
	twin.Login, twin.Fields[reconcile.Email] = "ann", "" // PPMS has both
	never.Login, never.VerifiedAt, never.Active = "bob", time.Time{}, false
	ok(t, l.SaveAccounts(t.Context(), []AccountSeen{full, twin, never}))
	if diff := cmp.Diff([]AccountSeen{full, twin, never}, must(l.Accounts(t.Context()))); diff != "" {
		t.Error(diff)
	}
	if all := must(l.Accounts(t.Context())); !all[2].VerifiedAt.IsZero() {
		t.Errorf("never verified became %v", all[2].VerifiedAt)
	}

	never.VerifiedAt, never.Active, never.Fields[reconcile.Unit] = t0, true, "lab"
	ok(t, l.SaveAccounts(t.Context(), []AccountSeen{never}))
	if diff := cmp.Diff([]AccountSeen{full, twin, never}, must(l.Unmatched(t.Context()))); diff != "" {
		t.Error(diff)
	}
	ok(t, l.Link(t.Context(), linkTo("1", "ann"), someone, t0))
	if diff := cmp.Diff([]AccountSeen{never}, must(l.Unmatched(t.Context()))); diff != "" {
		t.Error(diff)
	}
	ok(t, l.DropAccounts(t.Context(), []string{full.Login, twin.Login, "nobody"}))
	if diff := cmp.Diff([]AccountSeen{never}, must(l.Accounts(t.Context()))); diff != "" {
		t.Error(diff)
	}
	ok(t, l.SaveAccounts(t.Context(), nil))
	ok(t, l.DropAccounts(t.Context(), nil))
}

func TestView(t *testing.T) {
	l := newLedger(t)
	if _, found, err := l.View(t.Context()); found || err != nil {
		t.Errorf("found %v, error %v", found, err)
	}
	var v View
	fill(reflect.ValueOf(&v).Elem())
	run := begin(t, l, Apply)
	ok(t, l.SaveView(t.Context(), run, View{At: t0.Add(-1)}))
	ok(t, l.SaveView(t.Context(), run, v))
	got, found, err := l.View(t.Context())
	if diff := cmp.Diff(v, got); diff != "" || !found || err != nil {
		t.Error(diff, found, err)
	}
}
