// Package proof holds what happened against what was promised. It is for tests: after runs that were killed, starved, lied to or
// left alone it reads the simulator's log of effects and the ledger's journal, and says which promise was broken.
//
// [Check] is a pure function. It knows nothing of how ppms-syncd works, only what must never be seen.
package proof

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// Case is what is known of one world once everything has happened.
type Case struct {
	Before  ppmssim.Seed     // PPMS at first
	Effects []ppmssim.Effect // all writes that reached it, in order
	Journal []ledger.Entry   // of all runs, in order
	Managed []string         // logins of the accounts that were ever linked

	// Protected says who else than administrators is never written; nil: nobody.
	Protected func(login string) bool
	// Enabled says when a complete read last showed somebody enabled before that time; zero: never. nil: it is not looked at.
	Enabled func(key reconcile.Key, before time.Time) time.Time
	// Grace is how long nobody may be deactivated after that.
	Grace time.Duration
}

// Check lists the promises that were broken.
func Check(c Case) []string {
	k := &check{Case: c, intents: map[string][]*ledger.Entry{}, exists: map[reconcile.Key]bool{}, admin: map[reconcile.Key]bool{}, managed: map[reconcile.Key]bool{}}
	for _, u := range c.Before.Users {
		k.exists[reconcile.KeyOf(u.Login)] = true
		k.admin[reconcile.KeyOf(u.Login)] = u.Admin
	}
	for _, login := range c.Managed {
		k.managed[reconcile.KeyOf(login)] = true
	}
	for i := range c.Journal {
		e := &c.Journal[i]
		if e.Outcome != reconcile.Stale && e.Outcome != reconcile.NotSent { // of which nothing may arrive
			k.intents[Line(&e.Change)] = append(k.intents[Line(&e.Change)], e)
		}
		if e.Change.Kind == reconcile.NewUser {
			k.managed[reconcile.KeyOf(e.Change.Login)] = true
		}
	}
	for i := range c.Effects {
		k.effect(&c.Effects[i])
	}
	return k.broken
}

type check struct {
	Case

	intents map[string][]*ledger.Entry // by request, those that no effect was found for yet
	exists  map[reconcile.Key]bool
	admin   map[reconcile.Key]bool
	managed map[reconcile.Key]bool
	broken  []string
}

func (k *check) say(e *ppmssim.Effect, format string, args ...any) {
	k.broken = append(k.broken, fmt.Sprintf("effect %d, %s: ", e.Seq, EffectLine(e))+fmt.Sprintf(format, args...))
}

// effect holds one write against everything before it.
func (k *check) effect(e *ppmssim.Effect) {
	intent := k.intent(e)
	k.account(e, reconcile.KeyOf(e.Params["login"]))
	for _, c := range e.Changes {
		switch c.Field {
		case "exists":
			if login, ok := strings.CutPrefix(c.Object, "user "); ok {
				k.exists[reconcile.KeyOf(login)] = true
			} else {
				k.say(e, "it made the %s", c.Object)
			}
		case "level":
			k.level(e, intent, c.Before)
		case reconcile.ActiveField:
			if c.After == "false" {
				k.deactivated(e, reconcile.KeyOf(e.Params["login"]))
			}
		}
	}
}

// account checks whether the account may be written at all.
func (k *check) account(e *ppmssim.Effect, key reconcile.Key) {
	if k.admin[key] || k.Protected != nil && k.Protected(e.Params["login"]) {
		k.say(e, "the account is an administrator's or protected")
	}
	if !k.managed[key] {
		k.say(e, "the account is local: nothing links it")
	}
	switch {
	case e.Action == "newuser" && k.exists[key]:
		k.say(e, "the account exists already")
	case e.Action != "newuser" && !k.exists[key]:
		k.say(e, "there is no such account")
	}
}

func (k *check) level(e *ppmssim.Effect, intent *ledger.Entry, before string) {
	if before == "S" {
		k.say(e, "it was set over an S")
	} else if intent != nil && !startsFrom(&intent.Change, before) {
		k.say(e, "it replaced %q, which the journal does not say", before)
	}
}

// intent finds the journal's entry for a write: each intent allows one request, sent after it was on disk. It is the last one before the
// write. Of the earlier ones nothing arrived, such as when the power was cut, and nothing may arrive any more.
func (k *check) intent(e *ppmssim.Effect) *ledger.Entry {
	line := EffectLine(e)
	all := k.intents[line]
	if len(all) == 0 {
		k.say(e, "no intent was journalled for it, or it was sent twice")
		return nil
	}
	if all[0].At.After(e.Time) {
		k.say(e, "its intent was journalled at %s, after it", all[0].At.Format(time.StampMilli))
		k.intents[line] = all[1:]
		return all[0]
	}
	n := 1
	for n < len(all) && !all[n].At.After(e.Time) {
		n++
	}
	k.intents[line] = all[n:]
	if all[n-1].Outcome == reconcile.Refused && e.Changed {
		k.say(e, "the journal says that it was refused")
	}
	return all[n-1]
}

func startsFrom(c *reconcile.Change, before string) bool {
	nothing := func(level string) bool { return level == "" || level == "D" }
	return c.From == nil || *c.From == before || nothing(*c.From) && nothing(before)
}

func (k *check) deactivated(e *ppmssim.Effect, key reconcile.Key) {
	if k.Enabled == nil {
		return
	}
	seen := k.Enabled(key, e.Time)
	if since := e.Time.Sub(seen); since < k.Grace {
		k.say(e, "a complete read showed the person %s before, and the grace is %s", since, k.Grace)
	}
}

// Line spells the request that a change stands for; EffectLine spells the one that arrived in the same way.
func Line(c *reconcile.Change) string {
	if c.Kind == reconcile.SetRight {
		return spell("setright", map[string]string{"login": c.Login, "id": strconv.Itoa(c.System), "type": c.To})
	}
	params := map[string]string{"login": c.Login}
	for name, v := range c.Fields {
		params[name] = v.To
	}
	action := "upduser"
	if c.Kind == reconcile.NewUser {
		action = "newuser"
	}
	return spell(action, params)
}

// EffectLine spells a request that arrived.
func EffectLine(e *ppmssim.Effect) string { return spell(e.Action, e.Params) }

func spell(action string, params map[string]string) string {
	words := []string{action}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		words = append(words, fmt.Sprintf("%s=%q", name, params[name]))
	}
	return strings.Join(words, " ")
}
