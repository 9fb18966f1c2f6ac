package ppmssim

import "slices"

func getInvoiceList(q *request) answer {
	var ids []string
	for i := range q.state.invoices {
		ids = append(ids, q.state.invoices[i].ID)
	}
	return q.names(ids)
}

func (q *request) invoice() (*Invoice, bool) {
	i := slices.IndexFunc(q.state.invoices, func(x Invoice) bool { return x.ID == q.value("invoiceid") })
	if i < 0 {
		return nil, false
	}
	return &q.state.invoices[i], true
}

// getInvoice has rows and no header: account number, amount.
func getInvoice(q *request) answer {
	invoice, ok := q.invoice()
	if !ok {
		return none()
	}
	var lines []string
	for _, c := range invoice.Charges {
		lines = append(lines, csvLine(q.send([]cell{textCell("account", c.Account), bare("amount", c.Amount)})))
	}
	return answer{lines: lines}
}

// detailColumns are those of getinvoicedetails, which clients know by their position.
func detailColumns() []string {
	return []string{
		"reference", "user", "group", "project", "affiliation", "session type", "system type", "system", "date", "start time",
		"duration (booked)", "duration (used)", "used by others", "booked by others", "cancelled", "cancelled date", "special env. 1",
		"special env. 2", "user comments", "notes", "account number", "account number (subsidy)", "rebate", "fee", "subsidy", "final amount",
	}
}

// getInvoiceDetails has three lines before its rows; what is in them is a choice. What assistant=show adds is recorded nowhere, so that it
// adds nothing.
func getInvoiceDetails(q *request) answer {
	invoice, ok := q.invoice()
	if !ok {
		return none()
	}
	names := detailColumns()
	account := slices.Index(names, "account number")
	var rows [][]cell
	for _, values := range invoice.Details {
		row := make([]cell, len(names))
		for i, name := range names {
			row[i] = textCell(name, values[name])
		}
		if !q.has("bcode") || row[account].text == q.value("bcode") {
			rows = append(rows, q.send(row))
		}
	}
	return titled("Invoice "+invoice.ID, titled("Details", table(names, rows...)))
}
