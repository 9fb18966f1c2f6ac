package ppms

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

// Project is one row of getprojects.
type Project struct {
	Facility    int // core facility ref
	Ref         int
	Name        string
	Phase       int
	Active      bool
	Bcode       string
	Affiliation string
	Type, Group string
	Description string // PPMS writes its line ends as "|"
}

// Projects lists all projects.
func (r *Reader) Projects(ctx context.Context) ([]Project, error) {
	return read(ctx, r, "getprojects", nil, func(text string) ([]Project, error) {
		return rowsOf(text, projectOf, "core facility ref.", "project name", "phase", "active", "project ref.")
	})
}

func projectOf(t *table, row row) (p Project, err error) {
	get := func(column string) string { return t.get(row, column) }
	p = Project{
		Name: get("project name"), Bcode: get("bcode"), Affiliation: get("affiliation"), Type: get("project type"),
		Group: get("project group"), Description: get("descr"),
	}
	if p.Facility, err = t.number(row, "core facility ref."); err != nil {
		return p, err
	}
	if p.Ref, err = t.number(row, "project ref."); err != nil {
		return p, err
	}
	if p.Phase, err = t.number(row, "phase"); err != nil {
		return p, err
	}
	p.Active, err = t.truth(row, "active")
	return p, err
}

// ProjectUsers lists the logins of a project's users; empty also if there is no such project.
func (r *Reader) ProjectUsers(ctx context.Context, project int) ([]string, error) {
	return read(ctx, r, "getprojectusers", url.Values{"projectid": {strconv.Itoa(project)}}, parseList)
}

// UserProjects lists the refs of the projects that somebody is in.
func (r *Reader) UserProjects(ctx context.Context, login string) ([]int, error) {
	return read(ctx, r, "getuserprojects", url.Values{"login": {login}}, func(text string) ([]int, error) {
		list, err := parseList(text)
		if err != nil {
			return nil, err
		}
		refs := make([]int, len(list))
		for i, item := range list {
			if refs[i], err = strconv.Atoi(item); err != nil {
				return nil, malformed(item, "a project's ref is no number")
			}
		}
		return refs, nil
	})
}

// Bcode is one account number: whose it is, and what was charged to it.
type Bcode struct {
	Bcode                string
	User, Group, Project string // one of them: whose it is
	Subsidy              string
	Charges              Decimal
}

// Bcodes lists all account numbers.
func (r *Reader) Bcodes(ctx context.Context) ([]Bcode, error) {
	return read(ctx, r, "getbcodes", nil, func(text string) ([]Bcode, error) {
		return rowsOf(text, func(t *table, row row) (b Bcode, err error) {
			get := func(column string) string { return t.get(row, column) }
			b = Bcode{Bcode: get("bcode"), User: get("user"), Group: get("group"), Project: get("project"), Subsidy: get("subsidy")}
			b.Charges, err = t.decimal(row, "charges")
			return b, err
		}, "bcode", "charges")
	})
}

// Table is an answer of which no public source has recorded the columns: as PPMS names and orders them.
type Table struct {
	Columns []string
	Rows    [][]string
}

// Services lists what a core facility offers beside its systems.
func (r *Reader) Services(ctx context.Context, facility int) (Table, error) {
	return read(ctx, r, "getservices", url.Values{"coreid": {strconv.Itoa(facility)}}, func(text string) (Table, error) {
		if text == "" {
			return Table{}, nil
		}
		columns, _, ok := record(text)
		if ok && len(columns) < 2 {
			return Table{}, malformed(text, "the answer has no header")
		}
		rows, err := rowsOf(text, func(_ *table, row row) ([]string, error) {
			values := make([]string, len(columns))
			for i := range columns {
				if i < len(row.fields) {
					values[i] = known(strings.TrimSpace(unescape(row.fields[i])))
				}
			}
			return values, nil
		})
		return Table{columns, rows}, err
	})
}
