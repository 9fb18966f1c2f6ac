package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// posted is a setright that was sent and waits for its read-back.
type posted struct {
	*reconcile.Change
	entry  int64
	answer error
}

// rights writes rights person by person, so that one getuserrights serves all of somebody's changes, and then reads them back
// system by system.
func (p *pen) rights(ctx context.Context, changes []*reconcile.Change) {
	var out []posted
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && changes[n].Login == changes[0].Login {
			n++
		}
		out = append(out, p.rightsOf(ctx, changes[:n])...)
		changes = changes[n:]
	}
	p.readBack(ctx, out)
}

// rightsOf writes the rights of one person.
func (p *pen) rightsOf(ctx context.Context, changes []*reconcile.Change) (out []posted) {
	login := changes[0].Login
	why := p.stopped(ctx)
	if why == "" && p.missing[login] {
		why = "the account was not created"
	}
	if why != "" {
		for _, c := range changes {
			c.Outcome, c.Detail = reconcile.NotSent, why
		}
		return nil
	}
	ctx, cancel := finish(ctx)
	defer cancel()
	have, err := p.writer.UserRights(ctx, login)
	for _, c := range changes {
		switch {
		case err != nil:
			p.skip(ctx, c, reconcile.NotSent, "the rights could not be read before the write: "+err.Error())
		case p.stopped(ctx) != "":
			c.Outcome, c.Detail = reconcile.NotSent, p.stopped(ctx)
		case staleRight(c, have[c.System]) != "":
			p.skip(ctx, c, reconcile.Stale, staleRight(c, have[c.System]))
		default:
			if sent, ok := p.right(ctx, c); ok {
				out = append(out, sent)
			}
		}
		p.step()
	}
	return out
}

// staleRight says what is no longer as the plan had it. Whether PPMS lists a right that was set to D is not known, so that D
// and none are taken for the same.
func staleRight(c *reconcile.Change, have reconcile.Level) string {
	from, _ := reconcile.ParseLevel(*c.From)
	if have == reconcile.Superuser && from != reconcile.Superuser { // no plan has S, only a person who asks for it
		return "it is S by now"
	}
	if have == from || from == reconcile.Deactivated && have == reconcile.None {
		return ""
	}
	return fmt.Sprintf("it is %s by now, not %s", word(have.String()), word(*c.From))
}

func word(level string) string {
	if level == "" {
		return "none"
	}
	return level
}

// right sends one setright. False means that its outcome is known already.
func (p *pen) right(ctx context.Context, c *reconcile.Change) (posted, bool) {
	entry, ok := p.intend(ctx, c)
	if !ok {
		return posted{}, false
	}
	level, _ := reconcile.ParseLevel(c.To)
	var err error
	if level == reconcile.Superuser { // likewise
		err = p.writer.MakeSuperuser(ctx, c.Login, c.System)
	} else {
		err = p.writer.SetRight(ctx, c.Login, c.System, level)
	}
	if f, undone := notDone(err); undone {
		p.settle(ctx, c, entry, f)
		return posted{}, false
	}
	if err != nil {
		p.failures++
	} else {
		p.failures = 0
	}
	return posted{c, entry, err}, true
}

// readBack finds out what became of the rights that were sent: one getsysrights a system, and where that does not show the
// change, the person's own list before anything is concluded.
func (p *pen) readBack(ctx context.Context, out []posted) {
	if len(out) == 0 {
		return
	}
	systems := map[int]bool{}
	for _, c := range out {
		systems[c.System] = true
	}
	ctx, cancel := finish(ctx)
	defer cancel()
	found := map[int]map[reconcile.Key]reconcile.Level{}
	for _, id := range slices.Sorted(maps.Keys(systems)) {
		rights, err := p.writer.SystemRights(ctx, id)
		if err != nil {
			continue // each person's own list decides
		}
		found[id] = make(map[reconcile.Key]reconcile.Level, len(rights))
		for _, r := range rights {
			found[id][reconcile.KeyOf(r.Login)] = r.Level
		}
	}
	for _, c := range out {
		if p.broken != nil { // the next run finds the intent and settles it
			c.Outcome, c.Detail = reconcile.InDoubt, "the ledger failed before it was read back"
			continue
		}
		if found[c.System][reconcile.KeyOf(c.Login)].String() == c.To {
			p.settle(ctx, c.Change, c.entry, finding{outcome: reconcile.Applied})
			continue
		}
		state, err := rightState(ctx, p.writer.Reader, c.Change)
		if err != nil {
			state = finding{outcome: reconcile.InDoubt, detail: "it could not be read back: " + err.Error()}
		}
		p.settle(ctx, c.Change, c.entry, state.after(c.answer))
	}
}

// rightState asks for the person's own list. Whether PPMS lists a right that was set to D is not known; where neither that list nor
// the system's has one, it is taken for D.
func rightState(ctx context.Context, reader *ppms.Reader, c *reconcile.Change) (finding, error) {
	rights, err := reader.UserRights(ctx, c.Login)
	if err != nil {
		return finding{}, err
	}
	have := rights[c.System]
	if have == reconcile.None && c.To == reconcile.Deactivated.String() {
		listed, err := reader.SystemRights(ctx, c.System)
		if err != nil {
			return finding{}, err
		}
		for _, r := range listed {
			if reconcile.KeyOf(r.Login) == reconcile.KeyOf(c.Login) {
				have = r.Level
			}
		}
		if have == reconcile.None {
			return finding{outcome: reconcile.Applied}, nil
		}
	}
	if have.String() != c.To {
		missed := map[string]string{reconcile.SystemField(c.System): have.String()}
		return finding{reconcile.NotApplied, fmt.Sprintf("PPMS has %s, not %s", word(have.String()), c.To), missed}, nil
	}
	return finding{outcome: reconcile.Applied}, nil
}
