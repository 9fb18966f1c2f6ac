package ppmssim

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// orderCells is an order in the order of getorders' columns; how PPMS spells their names is not recorded, and clients go by the
// position. Dates are written as createorder takes them, which is a choice.
func orderCells(o *Order) []cell {
	return append([]cell{number("Core facility ref", o.Facility), number("Order ref", o.Ref)}, orderTail(o)...)
}

func orderTail(o *Order) []cell {
	project := bare("Project ref", "")
	if o.Project != 0 {
		project = number("Project ref", o.Project)
	}
	date := func(name, text string) cell { return textCell(name, cmp.Or(text, "n/a")) }
	return []cell{
		textCell("User", o.Login), textCell("Group", o.Group), project, date("Quoted date", o.Quoted), date("Ordered date", o.Ordered),
		date("Completed date", o.Completed), textCell("Status", o.Status), capital("Invoiced", o.Invoiced),
	}
}

// titled puts a line before the header, as orders and their lines have one.
func titled(title string, a answer) answer {
	a.lines = append([]string{title}, a.lines...)
	a.head++
	return a
}

func getOrders(q *request) answer {
	rows := make([][]cell, len(q.state.orders))
	for i := range q.state.orders {
		rows[i] = q.send(orderCells(&q.state.orders[i]))
	}
	return titled("Orders", table(columns(orderCells(&Order{})), rows...))
}

func getOrderLines(q *request) answer {
	ref, _ := q.number("orderref")
	cells := func(o *Order, l OrderLine) []cell {
		return append([]cell{
			number("Core facility ref", o.Facility), number("Order ref", o.Ref), number("Order id", l.ID), number("Service id", l.Service),
			bare("Quantity", l.Quantity),
		}, orderTail(o)...)
	}
	var rows [][]cell
	for i := range q.state.orders {
		if o := &q.state.orders[i]; o.Ref == ref {
			for _, l := range o.Lines {
				rows = append(rows, q.send(cells(o, l)))
			}
		}
	}
	if rows == nil {
		return none()
	}
	return titled("Order lines", table(columns(cells(&Order{}, OrderLine{})), rows...))
}

// createOrder places an order of one line. "completed" counts only with accepted=true.
func createOrder(q *request) answer {
	if no, lacks := q.lacks("serviceid", "login", "quantity"); lacks {
		return no
	}
	id, _ := q.number("serviceid")
	service := slices.IndexFunc(q.state.services, func(s Service) bool { return s.ID == id })
	user, known := q.state.user(q.value("login"))
	switch {
	case service < 0:
		return refuse("invalid serviceid") // these words, and all below, are a choice
	case !known:
		return refuse("invalid user " + q.wire.escaped(q.value("login")))
	case !regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`).MatchString(q.value("quantity")):
		return refuse("invalid quantity")
	}
	o := Order{
		Facility: q.state.services[service].Facility, Login: user.Login, Group: user.Unitlogin, Ordered: q.now.Format(time.DateTime),
		Status: "Requested", Comments: q.value("comments"), StaffComments: q.value("scomments"), Bcode: q.value("bcode"),
		Lines: []OrderLine{{Service: id, Quantity: q.value("quantity")}},
	}
	o.Project, _ = q.number("projectid")
	if accepted, _ := q.flag("accepted"); accepted {
		o.Status = "Accepted"
		if completed, _ := q.flag("completed"); completed {
			o.Status, o.Completed = "Completed", cmp.Or(q.value("completeddate"), o.Ordered)
		}
	}
	q.putOrder(o)
	return word("OK createorder")
}

func (q *request) putOrder(o Order) {
	if q.idle() {
		return
	}
	for i := range q.state.orders {
		o.Ref = max(o.Ref, q.state.orders[i].Ref)
		for _, l := range q.state.orders[i].Lines {
			o.Lines[0].ID = max(o.Lines[0].ID, l.ID)
		}
	}
	o.Ref++
	o.Lines[0].ID++
	q.state.orders = append(q.state.orders, o)
	cells := orderCells(&o)
	q.note(fmt.Sprintf("order %d", o.Ref), false, make([]cell, len(cells)), cells)
}

// getServices: neither the columns nor their order are recorded, so they are a choice.
func getServices(q *request) answer {
	facility, byFacility := q.number("coreid")
	cells := func(s Service) []cell {
		return []cell{
			number("Core facility ref", s.Facility), number("Service id", s.ID), textCell("Type", s.Type), textCell("Name", s.Name),
			textCell("Unit", s.Unit), bare("Price", s.Price), capital("Active", s.Active),
		}
	}
	var rows [][]cell
	for _, s := range q.state.services {
		if !byFacility || s.Facility == facility {
			rows = append(rows, q.send(cells(s)))
		}
	}
	return table(columns(cells(Service{})), rows...)
}

func getProjects(q *request) answer {
	cells := func(p *Project) []cell {
		return []cell{
			number("Core facility ref.", p.Facility), textCell("Project name", p.Name), number("Phase", p.Phase), capital("Active", p.Active),
			textCell("Bcode", p.Bcode), number("Project ref.", p.Ref), textCell("Affiliation", p.Affiliation), textCell("Project Type", p.Type),
			textCell("Project Group", p.Group), textCell("Descr", p.Descr),
		}
	}
	rows := make([][]cell, len(q.state.projects))
	for i := range q.state.projects {
		rows[i] = q.send(cells(&q.state.projects[i]))
	}
	if strings.EqualFold(q.value("format"), "json") {
		return answer{json: array(rows)} // its members are a choice
	}
	return table(columns(cells(&Project{})), rows...)
}

func getProjectUsers(q *request) answer {
	ref, _ := q.number("projectid")
	for i := range q.state.projects {
		if p := &q.state.projects[i]; p.Ref == ref {
			return q.names(slices.Clone(p.Users))
		}
	}
	return none()
}

func getUserProjects(q *request) answer {
	var refs []string
	for i := range q.state.projects {
		if p := &q.state.projects[i]; slices.Contains(p.Users, q.value("login")) {
			refs = append(refs, strconv.Itoa(p.Ref))
		}
	}
	return answer{lines: refs}
}

// getBcodes was recorded with blanks in the header and with nothing at all between the commas where a value is empty.
func getBcodes(q *request) answer {
	text := func(name, value string) cell { return cell{name, value, value == ""} }
	rows := make([][]cell, len(q.state.bcodes))
	for i, b := range q.state.bcodes {
		project := bare("Project", "")
		if b.Project != 0 {
			project = number("Project", b.Project)
		}
		rows[i] = q.send([]cell{
			text("Bcode", b.Bcode), text("User", b.User), text("Group", b.Group), project, bare("Subsidy", b.Subsidy), bare("Charges", b.Charges),
		})
	}
	return apart(table([]string{"Bcode", "User", "Group", "Project", "Subsidy", "Charges"}, rows...))
}
