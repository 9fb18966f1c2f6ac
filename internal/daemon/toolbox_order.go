package daemon

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// OrderOptions are what an order is made of.
type OrderOptions struct {
	Service, Login, Quantity string
	Project                  string
	Accepted, Completed      bool
	CompletedAt              string // YYYY-MM-DD hh:mm:ss in the facility's time zone
	Comments, StaffComments  string
	Bcode                    string
	WriteOptions
}

func (o *OrderOptions) order(zone *time.Location) (ppms.NewOrder, error) {
	quantity, err := ppms.ParseDecimal(o.Quantity)
	if err != nil {
		return ppms.NewOrder{}, usage("--quantity: %w", err)
	}
	if !quantity.Positive() {
		return ppms.NewOrder{}, usage("--quantity %s is not above 0", quantity)
	}
	order := ppms.NewOrder{
		Service: o.Service, Login: o.Login, Quantity: quantity, Project: o.Project, Accepted: o.Accepted, Completed: o.Completed,
		Comments: o.Comments, StaffComments: o.StaffComments, Bcode: o.Bcode,
	}
	if o.CompletedAt != "" {
		if order.CompletedAt, err = time.ParseInLocation(time.DateTime, o.CompletedAt, zone); err != nil {
			return order, usage("--completed-at %q is not of the form 2026-03-31 17:00:00", o.CompletedAt)
		}
	}
	if o.Completed && !o.Accepted || order.CompletedAt != (time.Time{}) && !o.Completed {
		return order, usage("PPMS completes only an order that is accepted: give --accepted with --completed, and both with --completed-at")
	}
	return order, nil
}

// words show all that is ordered.
func (o *OrderOptions) words() string {
	more := map[string]reconcile.Value{}
	for name, value := range map[string]string{
		"project": o.Project, "bcode": o.Bcode, "comments": o.Comments, "staff comments": o.StaffComments, "completed at": o.CompletedAt,
	} {
		if value != "" {
			more[name] = reconcile.Value{To: value}
		}
	}
	for name, is := range map[string]bool{"accepted": o.Accepted, "completed": o.Completed} {
		if is {
			more[name] = reconcile.Value{To: "true"}
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("New order for %s: %s of service %s; %s", o.Login, o.Quantity, o.Service, fieldsWord(more)), "; ")
}

// CreateOrder places an order. What createorder answers is recorded nowhere, so that the orders are read before and after.
func (a *App) CreateOrder(ctx context.Context, o OrderOptions) error {
	order, err := o.order(a.Config.Pumapi().Location)
	if err != nil {
		return err
	}
	return a.withPen(ctx, func(ctx context.Context, m *manual) error {
		_, exists, err := m.reader.User(ctx, o.Login)
		if err != nil {
			return err
		}
		if !exists {
			return fmt.Errorf("PPMS has no user %q", o.Login)
		}
		c := &reconcile.Change{Kind: reconcile.CreateOrder, Login: o.Login, Fields: map[string]reconcile.Value{
			"serviceid": {To: o.Service}, "quantity": {To: o.Quantity},
		}}
		return m.do(ctx, o.WriteOptions, o.words(), c, func(ctx context.Context, c *reconcile.Change) { m.newOrder(ctx, c, order) })
	})
}

// newOrder looks which order is the last when it is sent, and not when somebody began to think about the question.
func (m *manual) newOrder(ctx context.Context, c *reconcile.Change, order ppms.NewOrder) {
	before, err := ordersAfter(ctx, m.reader, 0)
	if err != nil {
		m.skip(ctx, c, reconcile.NotSent, "the orders could not be read before the write: "+err.Error())
		return
	}
	last := 0
	if len(before) > 0 {
		last = slices.Max(before)
	}
	c.Fields[afterOrder] = reconcile.Value{To: strconv.Itoa(last)}
	m.send(ctx, c, func(ctx context.Context) error { return m.writer.CreateOrder(ctx, order) })
}

// afterOrder is what the journal keeps of a createorder so that it can be found later: the highest ref there was before.
const afterOrder = "after_order"

// ordersAfter lists the refs above one. It asks twice, for a list may be cut: an older order would pass for the new one, or the new one for
// none, and be placed again.
func ordersAfter(ctx context.Context, reader *ppms.Reader, after int) (refs []int, err error) {
	for range 2 {
		orders, err := reader.Orders(ctx)
		if err != nil {
			return nil, err
		}
		for i := range orders {
			if orders[i].Ref > after {
				refs = append(refs, orders[i].Ref)
			}
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}

// orderState looks for an order that came after those before, of this service and quantity. Whether PPMS names the user by login or by
// name is not known, so that it cannot tell two people apart who ordered the same in this moment.
func orderState(ctx context.Context, reader *ppms.Reader, c *reconcile.Change) (finding, error) {
	after, err := strconv.Atoi(c.Fields[afterOrder].To)
	if err != nil {
		return finding{}, err
	}
	quantity, err := ppms.ParseDecimal(c.Fields["quantity"].To)
	if err != nil {
		return finding{}, err
	}
	refs, err := ordersAfter(ctx, reader, after)
	if err != nil {
		return finding{}, err
	}
	for _, ref := range refs {
		lines, err := reader.OrderLines(ctx, ref)
		if err != nil {
			return finding{}, err
		}
		for j := range lines {
			if sameNumber(lines[j].Service, c.Fields["serviceid"].To) && lines[j].Quantity.Equal(quantity) {
				return finding{outcome: reconcile.Applied, detail: fmt.Sprintf("order %d", ref)}, nil
			}
		}
	}
	detail := "PPMS lists no such order"
	if len(refs) > 0 { // of another quantity than was sent, perhaps
		detail += fmt.Sprintf("; look at the new ones before you place it again: %v", refs)
	}
	return finding{outcome: reconcile.NotApplied, detail: detail}, nil
}

// sameNumber compares ids, where 0302 is 302.
func sameNumber(a, b string) bool {
	x, err := ppms.ParseDecimal(a)
	y, other := ppms.ParseDecimal(b)
	if err != nil || other != nil {
		return strings.TrimSpace(a) == strings.TrimSpace(b)
	}
	return x.Equal(y)
}
