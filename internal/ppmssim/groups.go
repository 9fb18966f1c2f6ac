package ppmssim

// unitCells is a group in the order of getgroup's columns.
func unitCells(u Unit) []cell {
	return []cell{
		textCell("unitlogin", u.Unitlogin), textCell("unitname", u.Unitname), textCell("headname", u.Headname),
		textCell("heademail", u.Heademail), textCell("unitbcode", u.Unitbcode), textCell("department", u.Department),
		textCell("institution", u.Institution), textCell("address", u.Address), textCell("affiliation", u.Affiliation),
		boolCell("ext", u.Ext), boolCell("active", u.Active), textCell("admname", u.Admname),
		textCell("admemail", u.Admemail), textCell("creationdate", u.Creationdate),
	}
}

func getGroups(q *request) answer {
	active, given := q.flag("active")
	var logins []string
	for _, u := range q.state.units {
		if !given || u.Active == active {
			logins = append(logins, u.Unitlogin)
		}
	}
	return q.names(logins)
}

// getGroup sends two fields more than its header names, both empty and only one of them quoted, as in PyPPMS's recording.
func getGroup(q *request) answer {
	u, ok := q.state.unit(q.value("unitlogin"))
	if !ok {
		return none()
	}
	row := q.send(unitCells(u))
	return table(columns(row), append(row, textCell("", ""), cell{bare: true}))
}

func getGroupUsers(q *request) answer {
	active, given := q.flag("active")
	var logins []string
	for _, u := range q.state.users {
		if u.Unitlogin == q.value("unitlogin") && u.Unitlogin != "" && (!given || u.Active == active) {
			logins = append(logins, u.Login)
		}
	}
	return q.names(logins)
}

// newGroup creates a unit, or updates the one that has the name. It takes no "active".
func newGroup(q *request) answer { return q.writeGroup("OK newgroup") }

// updGroup changes what it is given, or creates the unit.
func updGroup(q *request) answer { return q.writeGroup("OK updgroup") }

func (q *request) writeGroup(done string) answer {
	login := q.value("unitlogin")
	if no, lacks := q.lacks("unitlogin"); lacks {
		return no
	}
	u, ok := q.state.unit(login)
	if !ok {
		u = Unit{Unitlogin: login, Unitname: login, Active: true, Creationdate: q.today()}
	}
	q.setText(&u.Unitname, "unitname")
	q.setText(&u.Headname, "headname")
	q.setText(&u.Heademail, "heademail")
	q.setText(&u.Unitbcode, "unitbcode")
	q.setText(&u.Unitbcode, "unitBcode") // the vendor's spelling, in this one place
	q.setText(&u.Department, "department")
	q.setText(&u.Institution, "institution")
	q.setText(&u.Address, "address")
	q.setText(&u.Affiliation, "affiliation")
	q.setFlag(&u.Ext, "ext")
	if q.name == "updgroup" {
		q.setFlag(&u.Active, "active")
	}
	q.putUnit(u)
	return word(done) // these words are a choice
}
