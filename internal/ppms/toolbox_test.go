package ppms

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

func decimal(t *testing.T, text string) Decimal {
	t.Helper()
	d, err := ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]string{"12": "12", " -3.50 ": "-3.50", "+1.0": "1.0", "": "", "0": "0", "3434.7531": "3434.7531"} {
		if d := decimal(t, text); d.String() != want || d.IsZero() != (want == "") {
			t.Errorf("%q: %q", text, d)
		}
	}
	for _, text := range []string{"12,50", "1e5", "1.", ".5", "NaN", "12 CHF", "1_0", "--1", "0x1", "1/2"} {
		if d, err := ParseDecimal(text); err == nil {
			t.Errorf("%q was read as %q", text, d)
		}
	}
	if got := Sum(decimal(t, "0.1"), decimal(t, "0.2"), decimal(t, ""), decimal(t, "-0.30")); got.String() != "0.00" {
		t.Errorf("the sum is %q", got)
	}
	if !decimal(t, "2").Equal(decimal(t, "2.00")) || decimal(t, "2").Equal(decimal(t, "")) || decimal(t, "2").Equal(decimal(t, "3")) {
		t.Error("equality")
	}
}

// What the toolbox's actions send.
func TestWhatTheToolboxSends(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 3, 2, 23, 30, 0, 0, zurich)
	order := NewOrder{Service: "302", Login: "jdoe", Quantity: decimal(t, "1.5")}
	whole := order
	whole.Project, whole.Accepted, whole.Completed, whole.CompletedAt = "6", true, true, time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	whole.Comments, whole.StaffComments, whole.Bcode = "a & b", "c", "CC-1"
	for name, test := range map[string]struct {
		call func(l *lab) error
		want string
	}{
		"password":      {func(l *lab) error { return drop(l.CheckPassword(t.Context(), "jdoe", secret.New("x y"))) }, "action=auth&login=jdoe&pwd=x+y"},
		"experience":    {func(l *lab) error { return drop(l.Experiences(t.Context(), "", 0)) }, "action=getuserexp"},
		"experience of": {func(l *lab) error { return drop(l.Experiences(t.Context(), "jdoe", 31)) }, "action=getuserexp&login=jdoe&id=31"},
		"booking":       {func(l *lab) error { return drop(one(l.CurrentBooking(t.Context(), 31))) }, "action=getbooking&id=31"},
		"next booking":  {func(l *lab) error { return drop(one(l.NextBooking(t.Context(), 31))) }, "action=nextbooking&id=31"},
		"running sheet": {func(l *lab) error { return drop(l.RunningSheet(t.Context(), 2, day)) }, "action=getrunningsheet&plateformid=2&day=2026-03-02"},
		"orders":        {func(l *lab) error { return drop(l.Orders(t.Context())) }, "action=getorders"},
		"order lines":   {func(l *lab) error { return drop(l.OrderLines(t.Context(), 7)) }, "action=getorderlines&orderref=7"},
		"invoices":      {func(l *lab) error { return drop(l.Invoices(t.Context())) }, "action=getinvoicelist"},
		"charges":       {func(l *lab) error { return drop(l.Charges(t.Context(), "2026-1")) }, "action=getinvoice&invoiceid=2026-1"},
		"details":       {func(l *lab) error { return drop(l.Details(t.Context(), "2026-1", DetailOptions{})) }, "action=getinvoicedetails&invoiceid=2026-1"},
		"some details": {func(l *lab) error {
			return drop(l.Details(t.Context(), "2026-1", DetailOptions{Bcode: "CC", Assistants: true}))
		}, "action=getinvoicedetails&invoiceid=2026-1&bcode=CC&assistant=show"},
		"services":      {func(l *lab) error { return drop(l.Services(t.Context(), 2)) }, "action=getservices&coreid=2"},
		"projects":      {func(l *lab) error { return drop(l.Projects(t.Context())) }, "action=getprojects"},
		"project users": {func(l *lab) error { return drop(l.ProjectUsers(t.Context(), 6)) }, "action=getprojectusers&projectid=6"},
		"user projects": {func(l *lab) error { return drop(l.UserProjects(t.Context(), "jdoe")) }, "action=getuserprojects&login=jdoe"},
		"bcodes":        {func(l *lab) error { return drop(l.Bcodes(t.Context())) }, "action=getbcodes"},
		"user id":       {func(l *lab) error { return drop(one(l.UserID(t.Context(), "jdoe"))) }, "action=getuser&login=jdoe&format=json&withuserid=true"},
		"superuser":     {func(l *lab) error { return l.MakeSuperuser(t.Context(), "jdoe", 31) }, "action=setright&login=jdoe&id=31&type=S"},
		"new group": {func(l *lab) error {
			return l.NewGroup(t.Context(), "lab", map[string]string{"unitbcode": "CC", "headname": "Ada", "ext": "true"})
		}, "action=newgroup&unitlogin=lab&unitBcode=CC&headname=Ada&ext=true"},
		"update group": {func(l *lab) error {
			return l.UpdateGroup(t.Context(), "lab", map[string]string{"active": "false"})
		}, "action=updgroup&unitlogin=lab&active=false"},
		"order": {func(l *lab) error { return l.CreateOrder(t.Context(), order) }, "action=createorder&serviceid=302&login=jdoe&quantity=1.5"},
		"order with all": {
			func(l *lab) error { return l.CreateOrder(t.Context(), whole) },
			"action=createorder&serviceid=302&login=jdoe&quantity=1.5&projectid=6&accepted=true&completed=true&completeddate=2026-03-01+10:00:00&" +
				"comments=a+%26+b&scomments=c&bcode=CC-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{"newgroup": "OK", "updgroup": "OK", "createorder": "OK", "setright": "done"}
			l := newLab(t, answeringBy(answers), func(o *Options) { o.Zone = zurich })
			if err := test.call(l); err != nil {
				t.Fatal(err)
			}
			want, err := url.ParseQuery(test.want)
			if err != nil {
				t.Fatal(err)
			}
			want.Set("apikey", testKey)
			if diff := cmp.Diff([]url.Values{want}, l.requests()); diff != "" {
				t.Error(diff)
			}
			for _, entry := range l.logs.All() {
				if line := fmt.Sprint(entry.ContextMap()); strings.Contains(line, "x y") {
					t.Errorf("the password is in the log: %s", line)
				}
			}
		})
	}
}

// What must not be sent is not.
func TestRefusedByTheToolbox(t *testing.T) {
	l := newLab(t, answering("OK"))
	good := NewOrder{Service: "1", Login: "jdoe", Quantity: decimal(t, "1")}
	broken := func(change func(*NewOrder)) error {
		o := good
		change(&o)
		return l.CreateOrder(t.Context(), o)
	}
	for name, err := range map[string]error{
		"no service":         broken(func(o *NewOrder) { o.Service = " " }),
		"no login":           broken(func(o *NewOrder) { o.Login = "" }),
		"no quantity":        broken(func(o *NewOrder) { o.Quantity = Decimal{} }),
		"nothing":            broken(func(o *NewOrder) { o.Quantity = decimal(t, "0.00") }),
		"less than nothing":  broken(func(o *NewOrder) { o.Quantity = decimal(t, "-1") }),
		"completed only":     broken(func(o *NewOrder) { o.Completed = true }),
		"date of nothing":    broken(func(o *NewOrder) { o.CompletedAt = time.Now() }),
		"no unitlogin":       l.NewGroup(t.Context(), " ", nil),
		"active new group":   l.NewGroup(t.Context(), "lab", map[string]string{"active": "true"}),
		"unknown field":      l.NewGroup(t.Context(), "lab", map[string]string{"apikey": "x"}),
		"flag that is none":  l.NewGroup(t.Context(), "lab", map[string]string{"ext": "maybe"}),
		"nothing to update":  l.UpdateGroup(t.Context(), "lab", nil),
		"superuser of none":  l.MakeSuperuser(t.Context(), "jdoe", 0),
		"superuser by right": l.SetRight(t.Context(), "jdoe", 31, reconcile.Superuser),
	} {
		if FateOf(err) != NeverSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := l.requests(); len(got) > 0 {
		t.Errorf("sent %v", got)
	}
}

func TestBooking(t *testing.T) {
	zurich, _ := time.LoadLocation("Europe/Zurich")
	asked := time.Date(2026, 3, 28, 23, 30, 42, 0, time.UTC) // half an hour after midnight in Zurich, two before summer time begins
	for body, want := range map[string]string{
		"jdoe\r\n45\r\n158456\r\n": "jdoe 2026-03-29T01:15:00+01:00 158456",
		"jdoe\n120\n158456":        "jdoe 2026-03-29T03:30:00+02:00 158456",
		" jdoe \n 0 \n":            "jdoe 2026-03-29T00:30:00+01:00 ",
		"":                         " ",
		"\r\n":                     " ",
		"jdoe":                     "malformed",
		"jdoe\nsoon\n1":            "malformed",
		"jdoe\n-5\n1":              "malformed",
		"jdoe\n99999999999\n1":     "malformed",
		"jdoe\n5\n1\n2":            "malformed",
		"<html>":                   "not-pumapi",
	} {
		l := newLab(t, answering(body), func(o *Options) { o.Zone, o.Now = zurich, func() time.Time { return asked } })
		for name, ask := range map[string]func() (Booking, bool, error){
			"now":  func() (Booking, bool, error) { return l.CurrentBooking(t.Context(), 12) },
			"next": func() (Booking, bool, error) { return l.NextBooking(t.Context(), 12) },
		} {
			b, found, err := ask()
			at, other := b.Until, b.From
			if name == "next" {
				at, other = other, at
			}
			got := fmt.Sprintf("%s %s %s", b.Login, at.Format(time.RFC3339), b.Session)
			switch {
			case err != nil:
				got = KindOf(err).String()
			case !found:
				got = b.Login + " "
			}
			if got != want || !other.IsZero() {
				t.Errorf("%s %q: %s, want %s", name, body, got, want)
			}
		}
	}
}

func TestRunningSheet(t *testing.T) {
	const header = "Location, Start time, End time, Object, User, Training, Assisted\n"
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for body, want := range map[string]string{
		"":     "[]",
		header: "[]",
		header + `"Room 1","09:00","10:00","SP8, upright","Doe Jane","",""`:              "[{Room 1 SP8, upright Doe Jane 02 09:00 02 10:00}]",
		header + `"","22:00","00:00","SP8","Doe Jane","",""`:                             "[{ SP8 Doe Jane 02 22:00 03 00:00}]",
		header + `"","22:00","24:00","SP8","Doe Jane","",""`:                             "[{ SP8 Doe Jane 02 22:00 03 00:00}]",
		header + `"","00:00","00:00","SP8","Doe Jane","",""`:                             "[{ SP8 Doe Jane 02 00:00 03 00:00}]",
		strings.ReplaceAll(header, ", ", ",") + `"",09:00:30,10:00:00,SP8,Doe Jane,,`:    "[{ SP8 Doe Jane 02 09:00 02 10:00}]",
		header + `"","soon","10:00","SP8","Doe Jane","",""`:                              "malformed",
		header + `"","09:00","","SP8","Doe Jane","",""`:                                  "malformed",
		header + `"","09:00","10:00","SP8, upright,Doe Jane,"",""` + "\n":                "malformed",
		"Location,StarttimeEndtimeObjectUser\nRoom09:0010:00SP8Doe\n":                    "malformed",
		"Location,Start time,End time,User,Training\n\"\",\"09:00\",\"10:00\",\"Doe\",1": "malformed",
	} {
		sheet, err := newLab(t, answering(body)).RunningSheet(t.Context(), 1, day)
		var parts []string
		for _, s := range sheet {
			parts = append(parts, fmt.Sprintf("{%s %s %s %s %s}", s.Location, s.System, s.User, s.Start.Format("02 15:04"), s.End.Format("02 15:04")))
		}
		got := "[" + strings.Join(parts, " ") + "]"
		if err != nil {
			got = KindOf(err).String()
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", body, got, err, want)
		}
	}
}

// Clocks that are put on leave out an hour: a booking that ends with it, lies in it, or begins a day that has no midnight, stays where it is.
func TestRunningSheetWhenClocksArePutOn(t *testing.T) {
	for _, c := range []struct{ zone, day, start, end, want string }{
		{"Europe/Zurich", "2026-03-29", "01:00", "02:00", "2026-03-29T01:00:00+01:00 1h0m0s"},
		{"Europe/Zurich", "2026-03-29", "02:00", "03:00", "2026-03-29T03:00:00+02:00 0s"},
		{"Europe/Zurich", "2026-03-29", "02:30", "03:00", "2026-03-29T03:30:00+02:00 0s"},
		{"Europe/Zurich", "2026-10-25", "01:00", "04:00", "2026-10-25T01:00:00+02:00 4h0m0s"},
		{"America/New_York", "2026-03-08", "01:00", "02:00", "2026-03-08T01:00:00-05:00 1h0m0s"},
		{"America/New_York", "2026-03-08", "01:30", "02:30", "2026-03-08T01:30:00-05:00 1h0m0s"},
		{"America/Santiago", "2026-09-05", "22:00", "00:00", "2026-09-05T22:00:00-04:00 2h0m0s"},
		{"America/Santiago", "2026-09-05", "23:00", "24:00", "2026-09-05T23:00:00-04:00 1h0m0s"},
		{"America/Santiago", "2026-09-06", "00:00", "02:00", "2026-09-06T01:00:00-03:00 1h0m0s"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		l := newLab(t, answering("Start time,End time,Object,User\n"+c.start+","+c.end+",SP8,Doe Jane"), func(o *Options) { o.Zone = zone })
		sheet, err := l.RunningSheet(t.Context(), 1, day)
		if err != nil || len(sheet) != 1 {
			t.Fatalf("%v: %v %v", c, sheet, err)
		}
		if got := fmt.Sprint(sheet[0].Start.Format(time.RFC3339), " ", sheet[0].End.Sub(sheet[0].Start)); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

// A booking that only a later try could read ends so many minutes after that.
func TestBookingAfterRetries(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
		if now = now.Add(2 * time.Minute); now.Minute() < 6 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "jdoe\n45\n1")
	}, func(o *Options) { o.Now = func() time.Time { return now } })
	if b, _, err := l.CurrentBooking(t.Context(), 1); err != nil || b.Until.Format("15:04") != "09:51" {
		t.Errorf("%v %v", b, err)
	}
}

// A text of another kind is no empty list: what is not there may be ordered twice, or taken for free.
func TestTextsThatAreNoEmptyList(t *testing.T) {
	for _, body := range []string{"Service temporarily unavailable", "Timeout expired.\r\nPlease try later.", "Orders", "\x1f\x8b\x08 \x80"} {
		l := newLab(t, answering(body))
		for name, err := range map[string]error{
			"orders": drop(l.Orders(t.Context())), "order lines": drop(l.OrderLines(t.Context(), 1)), "charges": drop(l.Charges(t.Context(), "1")),
			"details":  drop(l.Details(t.Context(), "1", DetailOptions{})),
			"services": drop(l.Services(t.Context(), 1)), "projects": drop(l.Projects(t.Context())), "bcodes": drop(l.Bcodes(t.Context())),
			"experience": drop(l.Experiences(t.Context(), "", 0)), "booking": drop(one(l.CurrentBooking(t.Context(), 1))),
			"running sheet": drop(l.RunningSheet(t.Context(), 1, time.Now())),
		} {
			if KindOf(err) != Malformed {
				t.Errorf("%s, %q: %v", name, body, err)
			}
		}
	}
}

// What a large facility has of experience and orders is read in no time: neither the lines before a row are counted for each row, nor
// is there anything else to do for each but to read it.
func TestLongAnswers(t *testing.T) {
	const rows = 200_000
	experience := "login,id,booked_hours,used_hours,last_res,last_train\r\n" + strings.Repeat("\"jdoe\",31,29.5,0,2019/06/02,n/a\r\n", rows)
	orders := strings.Repeat("1,1001,\"jdoe\",\"lab\",,n/a,2026-02-10,n/a,Accepted,False\r\n", rows)
	start := time.Now()
	if all, err := newLab(t, answering(experience)).Experiences(t.Context(), "", 0); err != nil || len(all) != rows {
		t.Error(len(all), err)
	}
	if all, err := newLab(t, answering(orders)).Orders(t.Context()); err != nil || len(all) != rows {
		t.Error(len(all), err)
	}
	if took := time.Since(start); took > 20*time.Second { // a hundredth of that on a machine with nothing else to do
		t.Errorf("it took %v", took)
	}
}

func TestNames(t *testing.T) {
	account := func(login, lname, fname string) reconcile.Account {
		a := reconcile.Account{Login: login}
		a.Fields[reconcile.Lname], a.Fields[reconcile.Fname] = lname, fname
		return a
	}
	names := NewNames([]reconcile.Account{
		account("jdoe", "Doe", "Jane"), account("jm1", "Mu\u0308ller", "Jörg"), account("jm2", "Müller ", "Jörg"), account("x", "van  der Berg", "Jo"),
	})
	for name, want := range map[string]string{
		"Doe Jane": "[jdoe]", "DOE  JANE": "[jdoe]", "Jane Doe": "[]", "Müller Jörg": "[jm1 jm2]", "Van der Berg Jo": "[x]", "": "[]",
	} {
		if got := fmt.Sprint(names.Logins(name)); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestExperience(t *testing.T) {
	const header = "login,id,booked_hours,used_hours,last_res,last_train\r\n"
	l := newLab(t, answering(header+"\"jdoe\",31,29.5,0,2019/06/02,n/a\r\n\"asmith\",31,0,0,,\r\n"))
	got, err := l.Experiences(t.Context(), "", 31)
	want := []Experience{
		{Login: "jdoe", System: 31, Booked: decimal(t, "29.5"), Used: decimal(t, "0"), LastBooking: time.Date(2019, 6, 2, 0, 0, 0, 0, time.UTC)},
		{Login: "asmith", System: 31, Booked: decimal(t, "0"), Used: decimal(t, "0")},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Decimal{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	havana, err := time.LoadLocation("America/Havana") // where summer time begins at midnight
	if err != nil {
		t.Fatal(err)
	}
	l = newLab(t, answering(header+"jdoe,31,0,0,2026-03-08,n/a"), func(o *Options) { o.Zone = havana })
	if got, err = l.Experiences(t.Context(), "", 31); err != nil || got[0].LastBooking.Format(time.DateOnly) != "2026-03-08" {
		t.Errorf("%v %v", got, err)
	}
	for row, ask := range map[string]func(l *lab) error{
		"asmith,31,0,0,n/a,n/a": func(l *lab) error { return drop(l.Experiences(t.Context(), "jdoe", 0)) },
		"jdoe,32,0,0,n/a,n/a":   func(l *lab) error { return drop(l.Experiences(t.Context(), "", 31)) },
	} { // about somebody or something else
		wantKind(t, ask(newLab(t, answering(header+row))), Malformed)
	}
	for _, row := range []string{"jdoe,x,0,0,n/a,n/a", "jdoe,31,much,0,n/a,n/a", "jdoe,31,0,0,yesterday,n/a", "jdoe,31,0"} {
		_, err := newLab(t, answering(header+row)).Experiences(t.Context(), "", 0)
		wantKind(t, err, Malformed)
	}
}

func TestOrders(t *testing.T) {
	const before = "Orders of 2026, all facilities\r\nCore,Ref,\"User\",Group,Project,Quoted,Ordered,Completed,Status,Invoiced\r\n"
	const row = "1,1001,\"jdoe\",\"lab\",,n/a,2026-02-10,\"n/a\",\"In, progress\",False\r\n"
	want := []Order{{Facility: 1, Ref: 1001, User: "jdoe", Group: "lab", Ordered: "2026-02-10", Status: "In, progress", Invoiced: "False"}}
	for _, body := range []string{before + row, row, before + row + "\r\n", "Orders \"today\r\n" + row} {
		got, err := newLab(t, answering(body)).Orders(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %s %v", body, diff, err)
		}
	}
	for body, rows := range map[string]int{"": 0, before: 0, before + row + "1,2,3\r\n": -1, before + "x\r\n" + row: -1, before + strings.Replace(row, "False", "False,more", 1): -1} {
		got, err := newLab(t, answering(body)).Orders(t.Context())
		if rows < 0 {
			wantKind(t, err, Malformed)
		} else if len(got) != rows || err != nil {
			t.Errorf("%q: %v %v", body, got, err)
		}
	}
	lines, err := newLab(t, answering("Lines\nnames\n1,1001,5001,302,1.5,jdoe,lab,6,n/a,2026-02-10,n/a,Accepted,True\n")).OrderLines(t.Context(), 1001)
	line := OrderLine{ID: "5001", Service: "302", Quantity: decimal(t, "1.5"), Order: want[0]}
	line.Project, line.Status, line.Invoiced = "6", "Accepted", "True"
	if diff := cmp.Diff([]OrderLine{line}, lines, cmp.AllowUnexported(Decimal{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	_, err = newLab(t, answering("1,1001,5001,302,some,jdoe,lab,6,n/a,2026-02-10,n/a,Accepted,True\n")).OrderLines(t.Context(), 1001)
	wantKind(t, err, Malformed)
}

func TestInvoices(t *testing.T) {
	got, err := newLab(t, answering("\"CC-1\",113.40\r\n\"A, B\",-10\r\n")).Charges(t.Context(), "1")
	want := []Charge{{"CC-1", decimal(t, "113.40")}, {"A, B", decimal(t, "-10")}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Decimal{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, body := range []string{"CC-1,12,50\n", "CC-1\n", "CC-1,113.40\nCC-2,much\n"} { // no amount is left out, the first neither
		_, err := newLab(t, answering(body)).Charges(t.Context(), "1")
		wantKind(t, err, Malformed)
	}
	const session = `S1,Doe Jane,lab,,Internal,Auto,Confocal,SP8,2026-02-03,09:00,2,1.8,,,,n/a,,,"two, small",,CC-1,,10%,54,5.40,88.40` + "\n"
	const subsidy = `C1,,,,,Subsidy,,,,,,,,,,,,,,,CC-1,,,,,-10.00` + "\n"
	details, err := newLab(t, answering("Invoice 1\nDetails\nreference,…\n"+session+subsidy)).Details(t.Context(), "1", DetailOptions{})
	if err != nil || len(details) != 2 || details[0].UserComments != "two, small" || details[0].Rebate != "10%" || details[0].CancelledDate != "" ||
		details[0].Fee.String() != "54" || details[0].FinalAmount.String() != "88.40" || details[1].SessionType != "Subsidy" || details[1].Account != "CC-1" {
		t.Errorf("%v %+v", err, details)
	}
	header := "Reference" + strings.Repeat(",", 25) + "Final amount\n"
	details, err = newLab(t, answering("Invoice 1\nDetails\n\"of: Feb\"\n"+header+subsidy)).Details(t.Context(), "1", DetailOptions{})
	if err != nil || len(details) != 1 {
		t.Errorf("header after three lines: %v %+v", err, details)
	}
	for _, body := range []string{session + "half a row\n", "1\n2\n3\n" + strings.Replace(session, "88.40", "much", 1) + subsidy, "1\n2\n3\n4\n" + session, session + strings.Replace(subsidy, "-10.00", "ten", 1)} {
		_, err := newLab(t, answering(body)).Details(t.Context(), "1", DetailOptions{})
		wantKind(t, err, Malformed)
	}
}

func TestProjectsAndBcodes(t *testing.T) {
	const projects = "Core facility ref.,Project name,Phase,Active,Bcode,Project ref.,Affiliation,Project Type,Project Group,Descr\n" +
		`2,"Fish, all",15,False,"P6",6,"","Default","lab","Hello,| |there"` + "\n"
	got, err := newLab(t, answering(projects)).Projects(t.Context())
	want := []Project{{Facility: 2, Ref: 6, Name: "Fish, all", Phase: 15, Bcode: "P6", Type: "Default", Group: "lab", Description: "Hello,| |there"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	codes, err := newLab(t, answering("Bcode, User, Group, Project, Subsidy, Charges\n\"CC\",,\"lab\",,,3434.7531\n\"P6\",,,6,,\n")).Bcodes(t.Context())
	if diff := cmp.Diff([]Bcode{{Bcode: "CC", Group: "lab", Charges: decimal(t, "3434.7531")}, {Bcode: "P6", Project: "6"}}, codes,
		cmp.AllowUnexported(Decimal{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	services, err := newLab(t, answering("Id, Name, Price\n1,\"Oil, 1 l\",n/a\n2,Dye\n")).Services(t.Context(), 1)
	if diff := cmp.Diff(Table{[]string{"Id", "Name", "Price"}, [][]string{{"1", "Oil, 1 l", ""}, {"2", "Dye", ""}}}, services); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for body, want := range map[string]string{"5\n6\n": "[5 6]", "": "[]", "x": "malformed"} {
		refs, err := newLab(t, answering(body)).UserProjects(t.Context(), "jdoe")
		got := fmt.Sprint(refs)
		if err != nil {
			got = KindOf(err).String()
		}
		if got != want {
			t.Errorf("%q: %s", body, got)
		}
	}
}

func TestUserID(t *testing.T) {
	for body, want := range map[string]int{
		`{"login":"jdoe","userid":17}`: 17, `{"login":"JDOE","userid":"17"}`: 17, "": 0,
		`{"login":"other","userid":17}`: -1, `{"login":"jdoe"}`: -1, `{"login":"jdoe","userid":0}`: -1, "jdoe": -1,
	} {
		id, found, err := newLab(t, answering(body)).UserID(t.Context(), "jdoe")
		if want < 0 {
			wantKind(t, err, Malformed)
		} else if id != want || found != (want != 0) || err != nil {
			t.Errorf("%q: %d %v %v", body, id, found, err)
		}
	}
}
