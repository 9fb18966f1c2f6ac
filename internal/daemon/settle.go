package daemon

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// settleDoubts reads back the writes of earlier runs of which nobody knows whether they happened. Nothing else is done before
// that is known.
func (r *run) settleDoubts(ctx context.Context) error {
	if r.ledger == nil {
		return nil
	}
	pending, err := r.ledger.Pending(ctx)
	if err != nil {
		return err
	}
	if r.writer == nil {
		if len(pending) > 0 {
			r.Log.Warn("writes of earlier runs are in doubt; the next apply settles them", zap.Int("writes", len(pending)))
		}
		return nil
	}
	for i := range pending {
		c := &pending[i].Change
		outcome, detail, err := r.stateOf(ctx, c)
		if err != nil {
			return fmt.Errorf("the %s of %s by run %d is in doubt and could not be settled: %w", c.Kind, c.Login, pending[i].Run, err)
		}
		if err := r.ledger.Settle(ctx, pending[i].ID, outcome, detail, r.Now()); err != nil {
			return err
		}
		r.Log.Warn("write in doubt settled", zap.String("kind", string(c.Kind)), zap.String("login", c.Login),
			zap.Int64("run", pending[i].Run), zap.String("outcome", string(outcome)), zap.String("detail", detail))
	}
	return nil
}

// stateOf compares a change with what PPMS has now. An error means that PPMS could not be asked; what PPMS refuses to show was
// not applied as far as anybody can tell.
func (r *run) stateOf(ctx context.Context, c *reconcile.Change) (reconcile.Outcome, string, error) {
	const settled = "settled by a later run"
	if c.Kind == reconcile.SetRight {
		have, err := r.reader.UserRights(ctx, c.Login)
		switch {
		case ppms.KindOf(err) == ppms.Refused:
			return reconcile.NotApplied, err.Error(), nil
		case err != nil:
			return "", "", err
		case isSet(c, have[c.System]):
			return reconcile.Applied, settled, nil
		}
		return reconcile.NotApplied, fmt.Sprintf("PPMS has %s, not %s", word(have[c.System].String()), c.To), nil
	}
	now, exists, err := r.reader.User(ctx, c.Login)
	switch {
	case ppms.KindOf(err) == ppms.Refused:
		return reconcile.NotApplied, err.Error(), nil
	case err != nil:
		return "", "", err
	}
	outcome, detail := userState(c, &now, exists)
	if detail == "" {
		detail = settled
	}
	return outcome, detail, nil
}
