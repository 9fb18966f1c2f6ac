package ppmssim

import (
	"strings"
)

// userCells is an account in the order of getuser's columns.
func userCells(u User) []cell {
	return []cell{
		textCell("login", u.Login), textCell("lname", u.Lname), textCell("fname", u.Fname), textCell("email", u.Email),
		textCell("phone", u.Phone), textCell("bcode", u.Bcode), textCell("affiliation", u.Affiliation),
		textCell("unitlogin", u.Unitlogin), boolCell("mustchpwd", u.Mustchpwd), boolCell("mustchbcode", u.Mustchbcode),
		boolCell("active", u.Active),
	}
}

func columns(row []cell) []string {
	names := make([]string, len(row))
	for i, c := range row {
		names[i] = c.name
	}
	return names
}

func getUsers(q *request) answer {
	active, given := q.flag("active")
	var logins []string
	for _, u := range q.state.users {
		if !given || u.Active == active {
			logins = append(logins, u.Login)
		}
	}
	return q.names(logins)
}

// getUser says nothing about somebody it does not know. JSON is one object; userid is known from there only.
func getUser(q *request) answer {
	u, ok := q.state.user(q.value("login"))
	if !ok {
		return none()
	}
	row := q.send(userCells(u))
	if !strings.EqualFold(q.value("format"), "json") {
		return table(columns(row), row)
	}
	if with, _ := q.flag("withuserid"); with {
		row = append(row, number("userid", u.UserID))
	}
	return answer{json: object(row)}
}

func getAdmins(q *request) answer {
	var logins []string
	for _, u := range q.state.users {
		if u.Admin {
			logins = append(logins, u.Login)
		}
	}
	return q.names(logins)
}

// newUser creates an active account without rights, or updates the one that has the login. It takes no "active".
func newUser(q *request) answer {
	if no, lacks := q.lacks("login", "lname", "fname", "email", "unitlogin"); lacks {
		return no
	}
	u, ok := q.state.user(q.value("login"))
	if !ok {
		u = User{Login: q.value("login"), Active: true}
	}
	q.fill(&u)
	return word("OK newuser")
}

// updUser changes what it is given, or creates the account: a ghost with whatever came along.
func updUser(q *request) answer {
	if no, lacks := q.lacks("login"); lacks {
		return no
	}
	u, ok := q.state.user(q.value("login"))
	if !ok {
		u = User{Login: q.value("login"), Active: true}
	}
	q.setFlag(&u.Active, "active")
	q.fill(&u)
	return word("OK upduser") // all that is known is that OK is in it
}

func (q *request) fill(u *User) {
	q.setText(&u.Lname, "lname")
	q.setText(&u.Fname, "fname")
	q.setText(&u.Email, "email")
	q.setText(&u.Phone, "phone")
	q.setText(&u.Bcode, "bcode")
	q.setText(&u.Affiliation, "affiliation")
	q.setText(&u.Unitlogin, "unitlogin")
	q.setText(&u.Pwd, "pwd")
	q.setFlag(&u.Mustchpwd, "mustchpwd")
	q.setFlag(&u.Mustchbcode, "mustchbcode")
	if q.has("unitlogin") {
		q.needUnit(u.Unitlogin)
	}
	q.putUser(*u)
}
