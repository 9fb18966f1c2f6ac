package ppmssim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// builtin is the administrator that every PPMS has: its line comes first in getsysrights, and it is the only line of a
// system that does not exist. Both were seen by public clients.
const builtin = "admin"

// systemCells is a system in the order of getsystems' columns: numbers bare, texts quoted, booleans with a capital.
func systemCells(s System) []cell {
	return []cell{
		number("Core facility ref", s.Facility), bare("System id", cmp.Or(s.RawID, strconv.Itoa(s.ID))),
		textCell("Type", s.Type), textCell("Name", s.Name), textCell("Localisation", s.Localisation),
		capital("Active", s.Active), capital("Schedules", s.Schedules), capital("Stats", s.Stats),
		capital("Bookable", s.Bookable), capital("Autonomy Required", s.AutonomyRequired),
		capital("Autonomy Required After Hours", s.AutonomyRequiredAfterHours),
	}
}

// getSystems lists all systems, the inactive ones too; with an id above 0 only that one. The shape of its JSON is a choice.
func getSystems(q *request) answer {
	only, _ := q.number("id")
	var rows [][]cell
	for _, s := range q.state.systems {
		if only <= 0 || s.ID == only {
			rows = append(rows, q.send(systemCells(s)))
		}
	}
	if strings.EqualFold(q.value("format"), "json") {
		return answer{json: array(rows)}
	}
	return table(columns(systemCells(System{})), rows...)
}

func array(rows [][]cell) []byte {
	all := make([]string, len(rows))
	for i, row := range rows {
		if _, err := strconv.Atoi(row[1].text); err != nil {
			row[1].bare = false // a RawID
		}
		all[i] = string(object(row))
	}
	return []byte("[" + strings.Join(all, ",") + "]")
}

// getSysRights lists rights by login, those of inactive accounts too. Administrators have an S line of their own after them,
// beside their own right.
func getSysRights(q *request) answer {
	id, ok := q.number("id")
	if !ok {
		return refuse("invalid id") // seen for setright; here a choice
	}
	var lines, administrators []string
	for _, u := range q.state.users {
		switch {
		case !u.Admin:
		case u.Login == builtin:
			lines = append(lines, q.pair("S", u.Login))
		default:
			administrators = append(administrators, u.Login)
		}
	}
	if _, ok := q.state.system(id); !ok {
		return answer{lines: lines}
	}
	for _, r := range q.state.rightsOn(id) {
		lines = append(lines, q.pair(r.Level, r.Login))
	}
	slices.Sort(administrators)
	for _, login := range administrators {
		lines = append(lines, q.pair("S", login))
	}
	return answer{lines: lines}
}

// getUserRights lists an account's own rights by system; an administrator's S lines are not among them. Nobody's are empty.
func getUserRights(q *request) answer {
	var lines []string
	for _, system := range slices.Sorted(maps.Keys(q.state.rights)) {
		level := q.state.right(q.value("login"), system)
		switch {
		case level == "":
		case strings.EqualFold(q.value("format"), "csv"):
			lines = append(lines, level+","+strconv.Itoa(system)) // a number, so bare, as in Imagopole's sample
		default:
			lines = append(lines, level+":"+strconv.Itoa(system))
		}
	}
	return answer{lines: lines}
}

func (q *request) pair(level, login string) string {
	login = q.wire.escaped(login)
	if strings.EqualFold(q.value("format"), "csv") {
		return level + "," + quoted(login)
	}
	return level + ":" + login
}

// setRight answers "done" for any level, and does nothing for one that does not exist. It asks neither whether account and
// system are active nor what was there: an S is overwritten like the rest.
func setRight(q *request) answer {
	id, ok := q.number("id")
	system, known := q.state.system(id)
	if !ok || !known {
		return refuse("invalid id")
	}
	u, ok := q.state.user(q.value("login"))
	if !ok {
		return refuse("invalid user " + q.wire.escaped(q.value("login")))
	}
	if !q.scope.mayUse(system.Facility) {
		return refuse("system right not authorized")
	}
	level := "A"
	if q.has("type") {
		level = q.value("type")
	}
	if isLevel(level) {
		q.putRight(u.Login, id, level)
	}
	return word("done")
}
