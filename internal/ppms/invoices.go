package ppms

import (
	"context"
	"net/url"
	"strings"
)

// Invoices lists the ids of all invoices.
func (r *Reader) Invoices(ctx context.Context) ([]string, error) {
	return read(ctx, r, "getinvoicelist", nil, parseList)
}

// Charge is what one account number pays of an invoice.
type Charge struct {
	Account string
	Amount  Decimal
}

// Charges lists what an invoice charges to whom; none if there is no such invoice.
func (r *Reader) Charges(ctx context.Context, invoice string) ([]Charge, error) {
	return read(ctx, r, "getinvoice", url.Values{"invoiceid": {invoice}}, positions[Charge]{
		columns: 2,
		isRow:   func(f []string) bool { return isAmount(f[1]) },
		one: func(f []string) (Charge, error) {
			amount, err := ParseDecimal(f[1])
			return Charge{f[0], amount}, err
		},
	}.parse)
}

// Detail is one line of an invoice: what was used, by whom, and what it costs. Trainings, services and subsidies leave most of it
// empty. What is a string here is as PPMS writes it, dates and durations too, since no public source has recorded their form.
type Detail struct {
	Reference, User, Group, Project, Affiliation string
	SessionType, SystemType, System              string
	Date, StartTime                              string
	DurationBooked, DurationUsed                 string
	UsedByOthers, BookedByOthers                 string
	Cancelled, CancelledDate                     string
	SpecialEnv1, SpecialEnv2                     string
	UserComments, Notes                          string
	Account, AccountSubsidy                      string
	Rebate                                       string
	Fee, Subsidy, FinalAmount                    Decimal
}

// DetailOptions narrow the details of an invoice.
type DetailOptions struct {
	Bcode      string // only what this account number pays
	Assistants bool   // also shows who assisted
}

// Details lists the lines of an invoice; none if there is no such invoice.
func (r *Reader) Details(ctx context.Context, invoice string, o DetailOptions) ([]Detail, error) {
	form := url.Values{"invoiceid": {invoice}}
	if o.Bcode != "" {
		form.Set("bcode", o.Bcode)
	}
	if o.Assistants {
		form.Set("assistant", "show")
	}
	const columns = 26
	return read(ctx, r, "getinvoicedetails", form, positions[Detail]{
		preamble: 3, columns: columns, isRow: func(f []string) bool { return isAmount(f[columns-1]) }, one: detailOf,
		// Whether the header is one of the three lines, or follows them, is recorded both ways.
		isHeader: func(f []string) bool {
			return len(f) >= columns && f[0] != "" && f[columns-1] != "" && !strings.ContainsAny(f[0]+f[columns-1], "0123456789")
		},
	}.parse)
}

func isAmount(text string) bool {
	amount, err := ParseDecimal(text)
	return err == nil && !amount.IsZero()
}

func detailOf(f []string) (d Detail, err error) {
	for i, into := range []*string{
		&d.Reference, &d.User, &d.Group, &d.Project, &d.Affiliation, &d.SessionType, &d.SystemType, &d.System, &d.Date, &d.StartTime,
		&d.DurationBooked, &d.DurationUsed, &d.UsedByOthers, &d.BookedByOthers, &d.Cancelled, &d.CancelledDate, &d.SpecialEnv1,
		&d.SpecialEnv2, &d.UserComments, &d.Notes, &d.Account, &d.AccountSubsidy, &d.Rebate,
	} {
		*into = known(f[i])
	}
	for i, into := range []*Decimal{&d.Fee, &d.Subsidy, &d.FinalAmount} {
		if *into, err = ParseDecimal(known(f[23+i])); err != nil {
			return d, err
		}
	}
	return d, nil
}
