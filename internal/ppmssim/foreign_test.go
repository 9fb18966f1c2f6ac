package ppmssim_test

import (
	"encoding/csv"
	"encoding/json"
	"html"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The clients that we did not write, each read in its own way. These are their habits, not their code: where one of them
// depends on a detail of the wire, a test here says so.

// wholeCSV reads like Python's and Ruby's csv modules: the text at once, rows of any length, quotes strictly.
func wholeCSV(t *testing.T, body string) [][]string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(body))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return rows
}

// PyPPMS, getuser and getgroup: exactly two lines, zipped to the shorter of them.
func TestPyPPMSSingleRecord(t *testing.T) {
	p := start(t)
	for _, call := range []string{"action=getuser login=", "action=getgroup unitlogin="} {
		for _, name := range map[string][]string{
			"action=getuser login=":      lines(p.ask("action=getusers")),
			"action=getgroup unitlogin=": lines(p.ask("action=getgroups")),
		}[call] {
			rows := wholeCSV(t, p.ask(call+name))
			if len(rows) != 2 || len(rows[1]) < len(rows[0]) {
				t.Fatalf("%s%s: %q", call, name, rows)
			}
			record := map[string]string{}
			for i, column := range rows[0] {
				record[column] = strings.Trim(rows[1][i], `"`)
			}
			if record["login"] != name && record["unitlogin"] != name {
				t.Errorf("asked for %s: %v", name, record)
			}
			if record["active"] != "true" && record["active"] != "false" {
				t.Errorf("active is %q, and only small letters are booleans", record["active"])
			}
		}
	}
}

// PyPPMS, getsystems: the line cut at every comma, so the default seed must have none in a system's names.
func TestPyPPMSSystems(t *testing.T) {
	body := lines(start(t).ask("action=getsystems"))
	header := strings.Split(body[0], ",")
	column := slices.Index(header, "System id")
	for _, line := range body[1:] {
		fields := strings.Split(line, ",")
		if len(fields) != len(header) {
			t.Errorf("%d fields under %d names: %s", len(fields), len(header), line)
		}
		if _, err := strconv.Atoi(fields[column]); err != nil {
			t.Errorf("id: %v", err)
		}
	}
}

// PyPPMS, getsysrights: a line cut at its colon must give exactly two parts.
func TestPyPPMSSystemRights(t *testing.T) {
	for _, line := range lines(start(t).ask("action=getsysrights id=12")) {
		if parts := strings.Split(line, ":"); len(parts) != 2 || !strings.Contains("DNAS", parts[0]) {
			t.Errorf("%q", line)
		}
	}
}

// PyPPMS, words: "OK newuser" somewhere, "done" alone, the refusals, and no "error" in a good auth.
func TestPyPPMSWords(t *testing.T) {
	p := start(t)
	for call, fits := range map[string]func(string) bool{
		"action=auth": func(s string) bool { return !strings.Contains(strings.ToLower(s), "error") },
		"action=newuser login=n lname=n fname=n email=n unitlogin=smithlab": func(s string) bool { return strings.Contains(s, "OK newuser") },
		"action=setright id=12 login=jdoe type=A":                           func(s string) bool { return strings.TrimSpace(strings.ToLower(s)) == "done" },
		"action=setright id=12 login=nobody type=A":                         func(s string) bool { return strings.Contains(strings.ToLower(s), "invalid user") },
		"action=getusers apikey=x":                                          func(s string) bool { return strings.Contains(strings.ToLower(s), "request not authorized") },
	} {
		if got := p.ask(call); !fits(got) {
			t.Errorf("%s: %q", call, got)
		}
	}
}

// Imagopole's Java client: columns by name, booleans in any case, lines trimmed, levels and numbers strictly, OK contained.
func TestImagopole(t *testing.T) {
	p := start(t)
	rows := wholeCSV(t, p.ask("action=getsystems format=csv id=21"))
	for _, column := range []string{"Active", "Schedules", "Stats", "Bookable", "Autonomy Required", "Autonomy Required After Hours"} {
		if _, err := strconv.ParseBool(strings.ToLower(rows[1][slices.Index(rows[0], column)])); err != nil {
			t.Error(err)
		}
	}
	for _, separator := range []string{":", ","} {
		format := map[string]string{":": "", ",": " format=csv"}[separator]
		for line := range strings.Lines(p.ask("action=getuserrights login=jdoe" + format)) {
			level, id, _ := strings.Cut(strings.TrimSpace(line), separator)
			if _, err := strconv.ParseInt(id, 10, 64); err != nil || !strings.Contains("DNAS", level) {
				t.Errorf("%q", line)
			}
		}
	}
	if !strings.HasPrefix(p.ask("action=getusers apikey=x"), "error") {
		t.Error("an error does not begin with error")
	}
	if !strings.Contains(p.ask("action=auth login=jdoe pwd=jane"), "OK") {
		t.Error("no OK")
	}
	// seen by its integration tests: nobody's rights are empty, a system that does not exist has admin's line alone
	if p.ask("action=getuserrights login=unknown-ppms-username") != "" {
		t.Error("rights of nobody")
	}
	if got := strings.TrimSpace(p.ask("action=getsysrights id=0 format=csv")); got != `S,"admin"` {
		t.Errorf("%q", got)
	}
}

// CRUK-CI's Ruby wrapper: logins apart by white space, records indexed by a column, JSON of getuser as a hash of strings with
// entities, the refusal compared whole.
func TestRuby(t *testing.T) {
	p := start(t)
	if len(strings.Fields(p.ask("action=getusers"))) != len(p.Snapshot().Users) {
		t.Error("a login with white space")
	}
	systems := map[string][]string{}
	rows := wholeCSV(t, p.ask("action=getsystems"))
	for _, row := range rows[1:] {
		systems[row[slices.Index(rows[0], "System id")]] = row
	}
	if len(systems) != len(p.Snapshot().Systems) {
		t.Errorf("%d systems", len(systems))
	}
	var user map[string]any
	if err := json.Unmarshal([]byte(p.ask("action=getuser login=lchen format=json")), &user); err != nil {
		t.Fatal(err)
	}
	if html.UnescapeString(user["fname"].(string)) != `Li "Leo"` {
		t.Errorf("%v", user)
	}
	if json.Valid([]byte(p.ask("action=getuser login=nobody format=json"))) {
		t.Error("nobody must be no JSON: that is how it finds out")
	}
	if strings.TrimSpace(p.ask("action=getusers apikey=x")) != "error: request not authorized" {
		t.Error("refusal")
	}
	for line := range strings.FieldsSeq(p.ask("action=getsysrights id=57")) {
		if len(strings.Split(line, ":")) < 2 {
			t.Errorf("%q", line)
		}
	}
}

// The PowerShell of a facility at the University of Queensland, and its portal in Python: userid in JSON, "True" with a
// capital, rows cut at LF alone, ids stripped of what is left, format=json where it means nothing.
func TestQueensland(t *testing.T) {
	p := start(t)
	var user struct {
		Unitlogin, Email string
		UserID           int `json:"userid"`
	}
	if err := json.Unmarshal([]byte(p.ask("action=getuser login=jdoe withuserid=true format=json")), &user); err != nil || user.UserID == 0 || user.Unitlogin == "" {
		t.Errorf("%v %+v", err, user)
	}
	active := strings.Split(strings.TrimSpace(p.ask("action=getusers active=True format=json")), "\r\n")
	if len(active) != len(lines(p.ask("action=getusers active=true"))) {
		t.Error("True is not true")
	}
	for i, row := range strings.Split(p.ask("action=getsystems"), "\n") {
		fields := strings.Split(row, ",")
		if i == 0 || len(fields) <= 3 {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			t.Error(err)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(p.ask("action=getuserrights login=jdoe format=json")), "\n") {
		if _, err := strconv.Atoi(strings.TrimSpace(strings.Split(line, ":")[1])); err != nil {
			t.Error(err)
		}
	}
}

// UC Davis's registration form: a group exists if its answer has more than one line. King's College's invoices: all but what
// follows the last line end, so that without it the last value is lost. A shell loop over curl loses it, too.
func TestLastLineEnd(t *testing.T) {
	p := start(t)
	if len(strings.Split(p.ask("action=getgroup unitlogin=smithlab"), "\n")) < 2 || len(strings.Split(p.ask("action=getgroup unitlogin=x"), "\n")) > 1 {
		t.Error("existence")
	}
	cut := strings.Split(p.ask("action=getgroups"), "\r")
	if len(cut)-1 != len(p.Snapshot().Units) {
		t.Errorf("%q", cut)
	}
}

// A script that takes no headers.
func TestNoHeaders(t *testing.T) {
	p := start(t)
	for call, first := range map[string]string{
		"action=getuser login=jdoe":          `"jdoe"`,
		"action=getgroup unitlogin=acme-bio": `"acme-bio"`,
		"action=getsystems":                  "1",
	} {
		if got := p.ask(call + " noheaders=true"); !strings.HasPrefix(got, first+",") {
			t.Errorf("%s: %q", call, got)
		}
	}
	p.want("action=getuser login=nobody noheaders=true", "")
	p.want("action=getadmins noheaders=true", "admin\r\nmkeller\r\n")
}

// PyPPMS, bookings: the answer cut at its line ends is a login, minutes and a session; the running sheet's header is cut at each
// comma and its names stripped, and every row has as many values; an answer without bookings has no line.
func TestPyPPMSBookings(t *testing.T) {
	p := start(t)
	for _, call := range []string{"action=getbooking id=12", "action=nextbooking id=12"} {
		booking := lines(p.ask(call))
		if _, err := strconv.Atoi(booking[1]); err != nil || len(booking) != 3 {
			t.Errorf("%s: %q", call, booking)
		}
	}
	rows := wholeCSV(t, p.ask("action=getrunningsheet plateformid=1 day=2026-03-02"))
	names := map[string]int{}
	for i, name := range rows[0] {
		names[strings.TrimSpace(name)] = i
	}
	for _, row := range rows[1:] {
		if len(row) != len(rows[0]) || row[names["User"]] == "" || row[names["Object"]] == "" {
			t.Errorf("%q", row)
		}
		for _, clock := range []string{row[names["Start time"]], row[names["End time"]]} {
			if hour, minute, ok := strings.Cut(clock, ":"); !ok || len(hour) != 2 || len(minute) != 2 {
				t.Errorf("time %q", clock)
			}
		}
	}
	if p.ask("action=getrunningsheet plateformid=1 day=2026-03-02") == p.ask("action=getrunningsheet plateformid=2 day=2026-03-02") {
		t.Error("the facility makes no difference")
	}
}

// PyPPMS, experience, projects and account numbers: whole CSV with as many values as names, ids that are numbers, members as logins.
func TestPyPPMSProjects(t *testing.T) {
	p := start(t)
	for _, call := range []string{"action=getuserexp", "action=getprojects", "action=getbcodes"} {
		rows := wholeCSV(t, p.ask(call))
		for _, row := range rows[1:] {
			if len(row) != len(rows[0]) {
				t.Errorf("%s: %q under %q", call, row, rows[0])
			}
		}
	}
	projects := wholeCSV(t, p.ask("action=getprojects"))
	ref := slices.Index(projects[0], "Project ref.")
	for _, row := range projects[1:] {
		if _, err := strconv.Atoi(row[ref]); err != nil {
			t.Error(err)
		}
	}
	for _, login := range lines(p.ask("action=getprojectusers projectid=6")) {
		if _, ok := p.User(login); !ok {
			t.Errorf("%q is nobody", login)
		}
		if !slices.Contains(lines(p.ask("action=getuserprojects login="+login)), "6") {
			t.Errorf("%q is not in the project", login)
		}
	}
}

// UC Davis's orders and invoices: rows from the third line on for orders and their lines, from the fourth on for details, by position; a
// charge is a line cut at its comma.
func TestUCDavis(t *testing.T) {
	p := start(t)
	after := func(call string, skipped, values int) [][]string {
		var rows [][]string
		for i, line := range lines(p.ask(call)) {
			if i < skipped {
				continue
			}
			row := wholeCSV(t, line)[0]
			if len(row) != values {
				t.Errorf("%s: %d values in %q", call, len(row), row)
			}
			rows = append(rows, row)
		}
		return rows
	}
	for _, order := range after("action=getorders", 2, 10) {
		if got := after("action=getorderlines orderref="+order[1], 2, 13); len(got) == 0 || got[0][1] != order[1] || got[0][5] != order[2] {
			t.Errorf("lines of %q: %q", order, got)
		}
	}
	for _, id := range lines(p.ask("action=getinvoicelist")) {
		for _, charge := range lines(p.ask("action=getinvoice invoiceid=" + id)) {
			values := strings.Split(charge, ",")
			if _, err := strconv.ParseFloat(values[1], 64); err != nil || len(values) != 2 {
				t.Errorf("%q: %v", charge, err)
			}
		}
	}
	if details := after("action=getinvoicedetails invoiceid=2026-02-01", 3, 26); len(details) != 3 || details[2][25] != "-10.00" {
		t.Errorf("%q", details)
	}
	p.ask("action=createorder serviceid=401 login=jdoe quantity=2 accepted=true comments=soon scomments=ok bcode=CC-1001 projectid=6")
	orders := after("action=getorders", 2, 10)
	if last := orders[len(orders)-1]; last[1] != "1003" || last[2] != "jdoe" || last[4] != "6" || last[8] != "Accepted" {
		t.Errorf("%q", last)
	}
}
