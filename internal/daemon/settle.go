package daemon

import (
	"cmp"
	"context"
	"fmt"

	"go.uber.org/zap"

	"ppms-syncd/internal/ledger"
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
		if err := r.settleDoubt(ctx, &pending[i]); err != nil {
			return err
		}
	}
	return nil
}

// settleDoubt settles one write. Where PPMS answers, but not about this one, the person is left alone in this run; where it does not
// answer at all, the run ends.
func (r *run) settleDoubt(ctx context.Context, e *ledger.Entry) error {
	c := &e.Change
	log := r.Log.With(zap.String("kind", string(c.Kind)), zap.String("login", c.Login), zap.Int64("run", e.Run))
	found, err := r.stateOf(ctx, c)
	switch kind := ppms.KindOf(err); {
	case kind == ppms.Refused || kind == ppms.Malformed:
		log.Warn("write still in doubt", zap.Error(err))
		r.doubts = append(r.doubts, reconcile.Hold{
			Key: reconcile.KeyOf(c.Login), Reason: fmt.Sprintf("the %s by run %d is in doubt, and PPMS says nothing of use about it: %v", c.Kind, e.Run, err),
		})
		return nil
	case err != nil:
		return fmt.Errorf("the %s of %s by run %d is in doubt and could not be settled: %w", c.Kind, c.Login, e.Run, err)
	}
	found.detail = cmp.Or(found.detail, "settled by a later run")
	log.Warn("write in doubt settled", zap.String("outcome", string(found.outcome)), zap.String("detail", found.detail))
	return r.ledger.Settle(ctx, e.ID, found.outcome, found.detail, r.Now())
}

// stateOf compares a change with what PPMS has now. An error means that PPMS did not say.
func (r *run) stateOf(ctx context.Context, c *reconcile.Change) (found finding, err error) {
	switch c.Kind {
	case reconcile.SetRight:
		found, err = rightState(ctx, r.reader, c)
	case reconcile.NewGroup:
		found, err = groupState(ctx, r.reader, c)
	case reconcile.CreateOrder:
		found, err = orderState(ctx, r.reader, c)
	case reconcile.NewUser, reconcile.UpdateUser:
		var now ppms.User
		var exists bool
		if now, exists, err = r.reader.User(ctx, c.Login); err == nil {
			found = userState(c, &now, exists)
		}
	}
	return found, err
}
