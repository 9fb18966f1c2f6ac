package ppms

import (
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ppms-syncd/internal/reconcile"
)

// lineEnds are the ways in which PPMS was seen to end lines, or might.
func lineEnds(t *testing.T) map[string]func(string) string {
	t.Helper()
	perLine := func(end string) func(string) string {
		return func(text string) string { return strings.ReplaceAll(text, "\n", end) }
	}
	return map[string]func(string) string{
		"LF":                    perLine("\n"),
		"CRLF":                  perLine("\r\n"),
		"no last line end":      func(text string) string { return strings.TrimSuffix(text, "\n") },
		"blanks after":          perLine(" \t\r\n"),
		"blanks before":         func(text string) string { return regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(text, "  $1") },
		"blank lines":           perLine("\r\n\r\n"),
		"byte order mark":       func(text string) string { return "\ufeff" + text },
		"byte order mark, CRLF": func(text string) string { return "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n") },
	}
}

func TestFormatsWithAnyLineEnd(t *testing.T) {
	anna := User{MustChangeBcode: true, Account: reconcile.Account{
		Login: "mueller.anna", Active: true,
		Fields: [...]string{"Müller", "Anna", "anna.mueller@imaging.example", "+41 (61) 555 01 23", "BC-4711", "", "muellerlab"},
	}}
	rights := []reconcile.Right{
		{Login: "admin", Level: reconcile.Superuser},
		{Login: "kweber", Level: reconcile.Deactivated},
		{Login: "mueller.anna", Level: reconcile.Superuser},
		{Login: "o:brien", Level: reconcile.Novice},
		{Login: "Weber, Kurt", Level: reconcile.Autonomous},
	}
	levels := map[int]reconcile.Level{
		31: reconcile.Autonomous, 40: reconcile.Deactivated, 53: reconcile.Novice, 126: reconcile.Superuser,
	}
	for _, test := range []struct {
		file string
		call func(l *lab) (any, error)
		want any
	}{
		{
			"getusers.txt", func(l *lab) (any, error) { return l.Users(t.Context(), Any) },
			[]string{"admin", "mueller.anna", "o'brien", "svc-backup", "Weber, Kurt"},
		},
		{"getgroups.txt", func(l *lab) (any, error) { return l.Groups(t.Context(), Any) }, []string{"muellerlab", "obrien lab"}},
		{
			"getgroupusers.txt", func(l *lab) (any, error) { return l.GroupUsers(t.Context(), "muellerlab", Any) },
			[]string{"mueller.anna", "kweber"},
		},
		{"getadmins.txt", func(l *lab) (any, error) { return l.Admins(t.Context()) }, []string{"admin"}},
		{"getuser.csv", func(l *lab) (any, error) { return one(l.User(t.Context(), "mueller.anna")) }, anna},
		{
			"getuser-inactive.csv", func(l *lab) (any, error) { return one(l.User(t.Context(), "kweber")) },
			User{Account: reconcile.Account{
				Login: "kweber", Fields: [...]string{"Weber", "Kurt (left)", "kurt.weber@imaging.example", "", "", "", "muellerlab"},
			}},
		},
		{
			"getuser-quoting.csv", func(l *lab) (any, error) { return one(l.User(t.Context(), "obrien")) },
			User{Account: reconcile.Account{
				Login: "obrien", Active: true,
				Fields: [...]string{`O"Brien, Jr.`, "Séan", "obrien@imaging.example", "", "", `Dept. 5, Room "B"`, "obrien lab"},
			}},
		},
		{
			"getgroup.csv", func(l *lab) (any, error) { return one(l.Group(t.Context(), "muellerlab")) },
			Group{
				Login: "muellerlab", Name: "Müller Lab, Cell Biology", HeadName: "Anna Müller",
				HeadEmail: "anna.mueller@imaging.example", Bcode: "BC-4711", Department: "Cell Biology",
				Institution: "Institute of Examples", Active: true, Created: "2022/04/05",
			},
		},
		{"getsystems.csv", func(l *lab) (any, error) { return l.Systems(t.Context()) }, []System{
			{
				System:   reconcile.System{ID: 31, Facility: 2, Type: "Confocal", Name: "SP8, inverted", Active: true},
				Location: "Building A, room 12", Schedules: true, Stats: true, Bookable: true, AutonomyRequired: true,
			},
			{
				System:   reconcile.System{ID: 32, Facility: 2, Type: "Confocal", Name: `Unquoted 63" lens`, Active: true},
				Location: "Building A", Schedules: true, Bookable: true,
			},
			{System: reconcile.System{ID: 40, Facility: 1, Type: "Sequencer", Name: `Old "Max" sequencer`}, Stats: true},
		}},
		{"getsysrights.txt", func(l *lab) (any, error) { return l.SystemRights(t.Context(), 31) }, rights},
		{"getsysrights-csv.txt", func(l *lab) (any, error) { return l.SystemRights(t.Context(), 31) }, rights},
		{"getuserrights.txt", func(l *lab) (any, error) { return l.UserRights(t.Context(), "kweber") }, levels},
		{"getuserrights-csv.txt", func(l *lab) (any, error) { return l.UserRights(t.Context(), "kweber") }, levels},
	} {
		for name, ends := range lineEnds(t) {
			t.Run(test.file+"/"+name, func(t *testing.T) {
				l := newLab(t, answering(ends(fixture(t, test.file))))
				got, err := test.call(l)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func one[T any](value T, found bool, err error) (any, error) {
	if !found && err == nil {
		return "not found", nil
	}
	return value, err
}

func TestTableTraps(t *testing.T) {
	t.Run("header names with blanks after the comma and in any case", func(t *testing.T) {
		table, err := parseTable("Location, Start Time,  \"End time\" \n lab , 09:00 ,10:00", "location", "start time", "end time")
		if err != nil {
			t.Fatal(err)
		}
		row := table.rows[0]
		if got := table.get(row, "location") + table.get(row, "start time") + table.get(row, "end time"); got != "lab09:0010:00" {
			t.Error(got)
		}
	})
	t.Run("columns in another order", func(t *testing.T) {
		user, err := parseUser("active,unitlogin,x,affiliation,bcode,phone,email,fname,lname,login\n"+
			"True,unit,?,aff,bc,ph,e@x,First,Last,jdoe", "jdoe")
		if err != nil {
			t.Fatal(err)
		}
		want := reconcile.Account{Login: "jdoe", Active: true, Fields: [...]string{"Last", "First", "e@x", "ph", "bc", "aff", "unit"}}
		if diff := cmp.Diff(want, user.Account); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("line breaks, commas and doubled quotes inside quotes", func(t *testing.T) {
		table, err := parseTable("a,b\r\n\"one\r\ntwo\",\"x,\"\"y\"\"\"\r\n3,4\r\n")
		if err != nil {
			t.Fatal(err)
		}
		var got [][]string
		for _, row := range table.rows {
			got = append(got, row.fields)
		}
		if diff := cmp.Diff([][]string{{"one\ntwo", `x,"y"`}, {"3", "4"}}, got); diff != "" {
			t.Error(diff)
		}
		if table.rows[1].line != 4 {
			t.Errorf("the last row is said to be on line %d", table.rows[1].line)
		}
	})
	t.Run("a broken row among good ones", func(t *testing.T) {
		table, err := parseTable("a,b\n1,\"x\"y\n2,ok\n3,\"open\n4,ok\n", "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range table.rows {
			got = append(got, strings.Join(row.fields, " ")+row.problem)
		}
		broken := "its quotes do not match"
		if diff := cmp.Diff([]string{broken, "2 ok", broken, "4 ok"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a row longer than its header, by empty values", func(t *testing.T) {
		table, err := parseTable("a,b\n1,2,\"\",")
		if err != nil || table.rows[0].problem != "" {
			t.Error(err, table.rows)
		}
	})
	for name, text := range map[string]string{
		"a row longer than its header, by values": "a,b\n1,moved,2",
		"a row that ends before a needed column":  "a,b\n1",
	} {
		t.Run(name, func(t *testing.T) {
			table, err := parseTable(text, "b")
			if err != nil || table.rows[0].problem == "" || table.rows[0].fields != nil {
				t.Error(err, table)
			}
		})
	}
	t.Run("missing columns are all named", func(t *testing.T) {
		_, err := parseTable("login,lname\nx,y", "login", "fname", "active")
		if err == nil || !strings.Contains(err.Error(), `"fname", "active"`) {
			t.Error(err)
		}
	})
}

// Any table that a careful writer makes is read as it was written.
func TestTableReadsWhatCSVWrites(t *testing.T) {
	value := rapid.StringMatching("[a-zé\"',:;\n #<]{0,8}")
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 5).Draw(t, "width")
		header := []string{"a", "b", "c", "d", "e"}[:width]
		rows := rapid.SliceOf(rapid.SliceOfN(value, width, width)).Draw(t, "rows")
		var text strings.Builder
		w := csv.NewWriter(&text)
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		_ = w.Write(header)
		var want [][]string
		for _, row := range rows {
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			if strings.Join(row, "") == "" {
				continue // one empty value is an empty line
			}
			_ = w.Write(row)
			want = append(want, row)
		}
		w.Flush()
		table, err := parseTable(text.String(), header...)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]string
		for _, row := range table.rows {
			got = append(got, row.fields)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", text.String(), diff)
		}
	})
}

func TestUserThatCannotBeTrusted(t *testing.T) {
	const header = "login,lname,fname,email,phone,bcode,affiliation,unitlogin,mustchpwd,mustchbcode,active\n"
	for name, test := range map[string]struct{ body, want string }{
		"another login":          {header + "jdoe2,Doe,J,e@x,,,,u,false,false,true", "answered about another"},
		"no row":                 {header, "0 rows instead of one"},
		"two rows":               {header + "jdoe,Doe,J,e@x,,,,u,false,false,true\njdoe,Doe,J,e@x,,,,u,false,false,true", "2 rows"},
		"a comma moved all":      {header + "jdoe,Doe, Jr.,J,e@x,,,,u,false,false,true", "a comma without quotes?"},
		"cut after the unit":     {header + "jdoe,Doe,J,e@x,,,,u", "it has 8 values where the header has 11"},
		"cut inside a value":     {header + "jdoe,Doe,J,\"e@", "quotes do not match"},
		"active is empty":        {header + "jdoe,Doe,J,e@x,,,,u,false,false,", "active is neither true nor false"},
		"active is yes":          {header + "jdoe,Doe,J,e@x,,,,u,false,false,yes", `active is neither true nor false: "yes"`},
		"no active column":       {"login,lname,fname,email,phone,bcode,affiliation,unitlogin\njdoe,Doe,J,e@x,,,,u", `no column "active"`},
		"a list, not a table":    {"jdoe\nasmith", `no column "login"`},
		"mustchpwd is something": {header + "jdoe,Doe,J,e@x,,,,u,maybe,false,true", "mustchpwd is neither"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, answering(test.body))
			_, found, err := l.User(t.Context(), "jdoe")
			wantKind(t, err, Malformed)
			if found || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
			if len(l.requests()) != 1 {
				t.Errorf("asked %d times", len(l.requests()))
			}
		})
	}
}

func TestUserInAnotherCaseIsTheSame(t *testing.T) {
	l := newLab(t, answering(fixture(t, "getuser.csv")))
	user, found, err := l.User(t.Context(), " MUELLER.Anna")
	if err != nil || !found || user.Login != "mueller.anna" {
		t.Error(user, found, err)
	}
}

func TestEmptyBodyIsNobody(t *testing.T) {
	for _, body := range []string{"", "\r\n", " \n\t\n", "\ufeff"} {
		l := newLab(t, answering(body))
		if _, found, err := l.User(t.Context(), "jdoe"); found || err != nil {
			t.Errorf("user: %v %v", found, err)
		}
		if _, found, err := l.Group(t.Context(), "lab"); found || err != nil {
			t.Errorf("group: %v %v", found, err)
		}
	}
}

func TestEmptyBodyIsAnEmptyList(t *testing.T) {
	l := newLab(t, answering("\r\n"))
	users, err1 := l.Users(t.Context(), OnlyActive)
	systems, err2 := l.Systems(t.Context())
	rights, err3 := l.SystemRights(t.Context(), 1)
	levels, err4 := l.UserRights(t.Context(), "jdoe")
	if len(users)+len(systems)+len(rights)+len(levels) != 0 || err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		t.Error(users, systems, rights, levels, err1, err2, err3, err4)
	}
}

func TestGroupOfAnotherName(t *testing.T) {
	l := newLab(t, answering(fixture(t, "getgroup.csv")))
	_, found, err := l.Group(t.Context(), "weberlab")
	wantKind(t, err, Malformed)
	if found {
		t.Error("found")
	}
}

func TestBrokenSystemsAreLeftOutWithAWarning(t *testing.T) {
	text := fixture(t, "getsystems.csv") + "2,31,Again,Same id,,True,,,,,\n2,50,Odd,Unknown state,,maybe,,,,,\nx,51,Odd,No facility,,True,,,,,\n"
	l := newLab(t, answering(text))
	systems, err := l.Systems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, s := range systems {
		ids = append(ids, s.ID)
	}
	if !slices.Equal(ids, []int{31, 32, 40}) {
		t.Error(ids)
	}
	warnings := l.logs.FilterMessage("system left out").All()
	if len(warnings) != 4 {
		t.Fatalf("%d warnings", len(warnings))
	}
	if got := warnings[0].ContextMap()["error"]; got != `ppms getsystems: line 3: system id is no number: "no-number"` {
		t.Error(got)
	}
}

func TestNoSystemCanBeRead(t *testing.T) {
	header, _, _ := strings.Cut(fixture(t, "getsystems.csv"), "\n")
	l := newLab(t, answering(header+"\n2,x,Broken,Broken,,True,,,,,\n"))
	_, err := l.Systems(t.Context())
	wantKind(t, err, Malformed)
}

func TestListsThatAreNone(t *testing.T) {
	for name, body := range map[string]string{
		"a control character":      "jdoe\nas\x00mith\n",
		"a tab inside":             "jdoe\tDoe\n",
		"HTML after some lines":    "jdoe\n<html><body>timeout</body></html>",
		"HTML inside a line":       "jdoe\nServer Error in '/' <b>Application</b>",
		"an error after the start": "jdoe\nasmith\nError: timeout expired",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, answering(body))
			users, err := l.Users(t.Context(), Any)
			wantKind(t, err, Malformed)
			if users != nil {
				t.Error(users)
			}
		})
	}
}

func TestPairsThatAreNone(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"an unknown level":    {"A:jdoe\nX:asmith", `a level that is not known: "X:asmith"`},
		"a long level":        {"Autonomous:jdoe", `not known: "Autonomous:jdoe"`},
		"no separator":        {"A:jdoe\nmalformed-entry", "no LEVEL:value"},
		"no login":            {"A:", "empty"},
		"an empty level":      {":jdoe", `not known: ":jdoe"`},
		"an open quote":       {`A,"jdoe`, "quotes do not match"},
		"text after a quote":  {`A,"jdoe"x`, "quotes do not match"},
		"a control character": {"A:j\x01doe", "control characters"},
		"an error at the end": {"A:jdoe\nerror: timeout", "is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, answering(test.body))
			rights, err := l.SystemRights(t.Context(), 1)
			wantKind(t, err, Malformed)
			if rights != nil || !strings.Contains(err.Error(), test.want) {
				t.Error(rights, err)
			}
		})
	}
	t.Run("a system id that is no number", func(t *testing.T) {
		_, err := newLab(t, answering("A:31\nA:jdoe")).UserRights(t.Context(), "x")
		wantKind(t, err, Malformed)
	})
}

func TestSameLoginTwiceHighestCounts(t *testing.T) {
	for _, body := range []string{"A:jdoe\nS:JDoe\n", "S:jdoe\nA:jdoe\nD:jdoe\n"} {
		rights, err := parseSystemRights(body)
		if err != nil || len(rights) != 1 || rights[0] != (reconcile.Right{Login: "jdoe", Level: reconcile.Superuser}) {
			t.Error(rights, err)
		}
	}
	if levels, err := parseUserRights("S:7\nN:7"); err != nil || levels[7] != reconcile.Superuser {
		t.Error(levels, err)
	}
}

func TestCharacterSets(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"UTF-8":        {"müller\n", "müller"},
		"Windows-1252": {"m\xfcller\n", "müller"},
		"a mark":       {"\xef\xbb\xbfmüller", "müller"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newLab(t, answering(test.body)).Users(t.Context(), Any)
			if err != nil || len(got) != 1 || got[0] != test.want {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	t.Run("neither", func(t *testing.T) {
		_, err := newLab(t, answering("m\x81ller")).Users(t.Context(), Any)
		wantKind(t, err, Malformed)
	})
	t.Run("UTF-16", func(t *testing.T) {
		_, err := newLab(t, answering("\xff\xfej\x00d\x00")).Users(t.Context(), Any)
		wantKind(t, err, Malformed)
	})
}

func TestEntities(t *testing.T) {
	for value, want := range map[string]string{
		"o&#39;brien": "o'brien", "M&#252;ller &amp; S&ouml;hne": "Müller & S&ouml;hne", "&quot;a&quot; &lt;b&gt;": `"a" <b>`,
		"&#xFC;&#x1F600;&apos;": "ü😀'", "R&D; AT&T": "R&D; AT&T", "&amp;amp;": "&amp;", "&": "&", "&;": "&;", "&#;": "&#;",
		"&#0;&#-5;&#x;": "&#0;&#-5;&#x;", "&copy": "&copy", "a&#39": "a&#39", "&#999999999;": "&#999999999;",
	} {
		if got := unescape(value); got != want {
			t.Errorf("%q became %q, want %q", value, got, want)
		}
	}
	users, err := newLab(t, answering("o&#39;brien\r\n")).Users(t.Context(), Any)
	if err != nil || len(users) != 1 || users[0] != "o'brien" {
		t.Error(users, err)
	}
	_, err = newLab(t, answering("a&#10;b")).Users(t.Context(), Any)
	wantKind(t, err, Malformed)
	rights, err := newLab(t, answering("A:o&#39;brien\nN:o'brien")).SystemRights(t.Context(), 1)
	if err != nil || len(rights) != 1 || rights[0].Login != "o'brien" {
		t.Error(rights, err)
	}
	user, found, err := newLab(t, answering("login,lname,fname,email,phone,bcode,affiliation,unitlogin,mustchpwd,mustchbcode,active\n"+
		"o&#39;brien,O&#39;Brien,S&#233;an,e@x,,,,u,false,false,true")).User(t.Context(), "O'Brien")
	if err != nil || !found || user.Fields[reconcile.Lname] != "O'Brien" || user.Fields[reconcile.Fname] != "Séan" {
		t.Error(user, found, err)
	}
}
