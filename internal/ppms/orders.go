package ppms

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Order is one row of getorders. How PPMS writes its dates is not recorded, so they are as it wrote them; "" is none.
type Order struct {
	Facility                   int // core facility ref
	Ref                        int
	User, Group                string // whether the user is a login or a name is not recorded
	Project                    string // ref
	Quoted, Ordered, Completed string // dates
	Status, Invoiced           string
}

// OrderLine is one service of an order.
type OrderLine struct {
	Order
	ID       string
	Service  string // id
	Quantity Decimal
}

// Orders lists all orders.
func (r *Reader) Orders(ctx context.Context) ([]Order, error) {
	return read(ctx, r, "getorders", nil, positions[Order]{
		preamble: 2, columns: 10, isRow: isOrder, one: func(f []string) (Order, error) { return orderOf(f), nil },
	}.parse)
}

// OrderLines lists the lines of one order; none if there is no such order.
func (r *Reader) OrderLines(ctx context.Context, ref int) ([]OrderLine, error) {
	one := func(f []string) (OrderLine, error) {
		quantity, err := ParseDecimal(f[4])
		order := orderOf(append([]string{f[0], f[1]}, f[5:]...))
		return OrderLine{Order: order, ID: f[2], Service: f[3], Quantity: quantity}, err
	}
	shape := positions[OrderLine]{preamble: 2, columns: 13, isRow: isOrder, one: one}
	return read(ctx, r, "getorderlines", url.Values{"orderref": {strconv.Itoa(ref)}}, shape.parse)
}

// AllOrderLines reads the lines of many orders, some at a time, in their order, and calls progress (which may be nil) after each.
func (r *Reader) AllOrderLines(ctx context.Context, refs []int, progress func(done int)) ([][]OrderLine, error) {
	lines := make([][]OrderLine, len(refs))
	err := r.each(ctx, len(refs), progress, func(ctx context.Context, i int) (err error) {
		lines[i], err = r.OrderLines(ctx, refs[i])
		return err
	})
	return lines, err
}

// isOrder knows a row of orders, or of their lines, from what stands before them: it begins with two numbers.
func isOrder(fields []string) bool {
	_, facility := strconv.Atoi(fields[0])
	_, ref := strconv.Atoi(fields[1])
	return facility == nil && ref == nil
}

func orderOf(f []string) Order {
	facility, _ := strconv.Atoi(f[0]) // isOrder has seen it
	ref, _ := strconv.Atoi(f[1])
	return Order{
		Facility: facility, Ref: ref, User: f[2], Group: f[3], Project: f[4],
		Quoted: known(f[5]), Ordered: known(f[6]), Completed: known(f[7]), Status: f[8], Invoiced: f[9],
	}
}

// NewOrder is what createorder is told. Service, login and quantity are mandatory.
type NewOrder struct {
	Service, Login string
	Quantity       Decimal
	Project        string
	Accepted       bool      // accepts the order at once
	Completed      bool      // completes it at once; PPMS takes it only of an accepted order
	CompletedAt    time.Time // in the facility's time zone; zero for none
	Comments       string    // of the user
	StaffComments  string
	Bcode          string
}

// CreateOrder places an order. Its answer is not recorded: read the orders before and after.
func (w *Writer) CreateOrder(ctx context.Context, o NewOrder) error {
	c := call{action: "createorder"}
	switch {
	case strings.TrimSpace(o.Service) == "" || strings.TrimSpace(o.Login) == "":
		return w.refuse(c, fmt.Errorf("an order needs a service and a login"))
	case !o.Quantity.Positive():
		return w.refuse(c, fmt.Errorf("an order needs a quantity above 0, not %q", o.Quantity))
	case o.Completed && !o.Accepted:
		return w.refuse(c, fmt.Errorf("PPMS completes only an order that is accepted, too"))
	case !o.CompletedAt.IsZero() && !o.Completed:
		return w.refuse(c, fmt.Errorf("an order that is not completed has no date of completion"))
	}
	c.form = url.Values{"serviceid": {o.Service}, "login": {o.Login}, "quantity": {o.Quantity.String()}}
	for name, value := range map[string]string{
		"projectid": o.Project, "comments": o.Comments, "scomments": o.StaffComments, "bcode": o.Bcode,
		"accepted": yes(o.Accepted), "completed": yes(o.Completed), "completeddate": stamp(o.CompletedAt, w.zone),
	} {
		if value != "" {
			c.form.Set(name, value)
		}
	}
	return w.write(ctx, c)
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func stamp(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(time.DateTime)
}
