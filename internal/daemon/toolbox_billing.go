package daemon

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"ppms-syncd/internal/ppms"
)

// Orders lists orders, or with lines what was ordered, one row each, which is one call an order. A ref other than 0 narrows it to that
// order.
func (b *Toolbox) Orders(ctx context.Context, ref int, lines bool) error {
	orders, err := b.reader.Orders(ctx)
	if err != nil {
		return err
	}
	if ref != 0 {
		orders = slices.DeleteFunc(orders, func(o ppms.Order) bool { return o.Ref != ref })
	}
	const none = "No such orders."
	if !lines {
		s := &sheet{columns: append([]string{"facility", "order"}, orderColumns()...), none: none}
		for i := range orders {
			s.add(append([]any{orders[i].Facility, orders[i].Ref}, orderValues(&orders[i])...)...)
		}
		return b.show(s, nil)
	}
	refs := make([]int, len(orders))
	for i := range orders {
		refs[i] = orders[i].Ref
	}
	all, err := b.reader.AllOrderLines(ctx, refs, b.progress("orders", len(refs)))
	s := &sheet{columns: append([]string{"facility", "order", "line", "service", "quantity"}, orderColumns()...), none: none}
	for n, of := range all {
		if len(of) == 0 {
			s.without("Without lines", strconv.Itoa(refs[n]))
		}
		for i := range of {
			l := &of[i]
			s.add(append([]any{l.Facility, l.Ref, l.ID, l.Service, l.Quantity}, orderValues(&l.Order)...)...)
		}
	}
	return b.show(s, err)
}

func orderColumns() []string {
	return []string{"user", "group", "project", "quoted", "ordered", "completed", "status", "invoiced"}
}

func orderValues(o *ppms.Order) []any {
	return []any{o.User, o.Group, o.Project, o.Quoted, o.Ordered, o.Completed, o.Status, o.Invoiced}
}

// Invoices lists the ids of invoices; with charges what each charges to whom, which is one call an invoice.
func (b *Toolbox) Invoices(ctx context.Context, charges bool) error {
	ids, err := b.reader.Invoices(ctx)
	const none = "No invoices."
	if err != nil || !charges {
		return b.show(list("invoice", ids, none), err)
	}
	s := &sheet{columns: []string{"invoice", "account", "amount"}, none: none}
	step := b.progress("invoices", len(ids))
	for i, id := range ids {
		of, err := b.reader.Charges(ctx, id)
		if err != nil {
			return err
		}
		if len(of) == 0 {
			s.without("Without charges", id)
		}
		for _, c := range of {
			s.add(id, c.Account, c.Amount)
		}
		step(i + 1)
	}
	return b.show(s, nil)
}

// InvoiceOptions say what of an invoice is shown.
type InvoiceOptions struct {
	Details bool // its lines instead of what each account number pays
	ppms.DetailOptions
}

// Invoice shows what an invoice charges to whom, or its lines, and fails if there is none of that id.
func (b *Toolbox) Invoice(ctx context.Context, id string, o InvoiceOptions) error {
	charges, err := b.reader.Charges(ctx, id)
	if err != nil {
		return err
	}
	if len(charges) == 0 {
		return fmt.Errorf("PPMS has no invoice %q; `ppms-syncd ppms invoices` lists them", id)
	}
	if o.Details {
		return b.details(ctx, id, o.DetailOptions)
	}
	s := &sheet{columns: []string{"account", "amount"}}
	amounts := make([]ppms.Decimal, len(charges))
	for i, c := range charges {
		s.add(c.Account, c.Amount)
		amounts[i] = c.Amount
	}
	s.note = "Total " + ppms.Sum(amounts...).String()
	return b.show(s, nil)
}

func (b *Toolbox) details(ctx context.Context, id string, o ppms.DetailOptions) error {
	details, err := b.reader.Details(ctx, id, o)
	s := &sheet{columns: []string{
		"reference", "user", "group", "project", "affiliation", "session_type", "system_type", "system", "date", "start_time",
		"duration_booked", "duration_used", "used_by_others", "booked_by_others", "cancelled", "cancelled_date", "special_env_1",
		"special_env_2", "user_comments", "notes", "account", "account_subsidy", "rebate", "fee", "subsidy", "final_amount",
	}, none: "No lines."}
	amounts := make([]ppms.Decimal, len(details))
	for i := range details {
		d := &details[i]
		amounts[i] = d.FinalAmount
		s.add(d.Reference, d.User, d.Group, d.Project, d.Affiliation, d.SessionType, d.SystemType, d.System, d.Date, d.StartTime,
			d.DurationBooked, d.DurationUsed, d.UsedByOthers, d.BookedByOthers, d.Cancelled, d.CancelledDate, d.SpecialEnv1,
			d.SpecialEnv2, d.UserComments, d.Notes, d.Account, d.AccountSubsidy, d.Rebate, d.Fee, d.Subsidy, d.FinalAmount)
	}
	s.note = "Total " + ppms.Sum(amounts...).String()
	return b.show(s, err)
}

// Services lists what a core facility, or with 0 each of them, offers beside its systems, with the columns that PPMS gives it.
func (b *Toolbox) Services(ctx context.Context, facility int) error {
	var systems []ppms.System
	if facility == 0 {
		var err error
		if systems, err = b.reader.Systems(ctx); err != nil {
			return err
		}
	}
	s := &sheet{none: "No services."}
	if facility != 0 {
		s.none = "No services, or no core facility of that number."
	}
	for _, of := range facilities(facility, systems) {
		t, err := b.reader.Services(ctx, of)
		if err != nil {
			return err
		}
		if s.columns == nil {
			s.columns = t.Columns
		}
		if len(t.Rows) > 0 && !slices.Equal(s.columns, t.Columns) {
			return fmt.Errorf("core facility %d has other columns than those before it: ask for each by its number", of)
		}
		for _, row := range t.Rows {
			values := make([]any, len(row))
			for i, v := range row {
				values[i] = v
			}
			s.add(values...)
		}
	}
	return b.show(s, nil)
}

// ProjectFilter narrows a list of projects.
type ProjectFilter struct {
	Login string // those that this user is in
	Users int    // instead: the users of the project with this ref
}

// Projects lists projects, or the users of one.
func (b *Toolbox) Projects(ctx context.Context, f ProjectFilter) error {
	if f.Users != 0 {
		logins, err := b.reader.ProjectUsers(ctx, f.Users)
		return b.show(list("login", logins, "Nobody is in it, or there is no such project."), err)
	}
	projects, err := b.reader.Projects(ctx)
	if err != nil {
		return err
	}
	if f.Login != "" {
		mine, err := b.reader.UserProjects(ctx, f.Login)
		if err != nil {
			return err
		}
		projects = slices.DeleteFunc(projects, func(p ppms.Project) bool { return !slices.Contains(mine, p.Ref) })
	}
	s := &sheet{columns: []string{"ref", "facility", "name", "phase", "active", "bcode", "affiliation", "type", "group", "description"}, none: "No such projects."}
	for i := range projects {
		p := &projects[i]
		s.add(p.Ref, p.Facility, p.Name, p.Phase, p.Active, p.Bcode, p.Affiliation, p.Type, p.Group, p.Description)
	}
	return b.show(s, nil)
}

// Bcodes lists account numbers and what was charged to them.
func (b *Toolbox) Bcodes(ctx context.Context) error {
	codes, err := b.reader.Bcodes(ctx)
	s := &sheet{columns: []string{"bcode", "user", "group", "project", "subsidy", "charges"}, none: "No account numbers."}
	for _, c := range codes {
		s.add(c.Bcode, c.User, c.Group, c.Project, c.Subsidy, c.Charges)
	}
	return b.show(s, err)
}
