package ppms

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

func TestWhatIsSent(t *testing.T) {
	fields := map[string]string{"lname": "Doe", "fname": "J & K", "email": "j@x", "unitlogin": "lab", "phone": "+41=1"}
	for name, test := range map[string]struct {
		call func(l *lab) error
		want url.Values
	}{
		"auth":        {func(l *lab) error { return l.Auth(t.Context()) }, url.Values{"action": {"auth"}}},
		"all users":   {func(l *lab) error { return drop(l.Users(t.Context(), Any)) }, url.Values{"action": {"getusers"}}},
		"active":      {func(l *lab) error { return drop(l.Users(t.Context(), OnlyActive)) }, url.Values{"action": {"getusers"}, "active": {"true"}}},
		"inactive":    {func(l *lab) error { return drop(l.Users(t.Context(), OnlyInactive)) }, url.Values{"action": {"getusers"}, "active": {"false"}}},
		"user":        {func(l *lab) error { return drop(one(l.User(t.Context(), "a&b"))) }, url.Values{"action": {"getuser"}, "login": {"a&b"}}},
		"groups":      {func(l *lab) error { return drop(l.Groups(t.Context(), OnlyActive)) }, url.Values{"action": {"getgroups"}, "active": {"true"}}},
		"group":       {func(l *lab) error { return drop(one(l.Group(t.Context(), "lab"))) }, url.Values{"action": {"getgroup"}, "unitlogin": {"lab"}}},
		"group users": {func(l *lab) error { return drop(l.GroupUsers(t.Context(), "lab", OnlyActive)) }, url.Values{"action": {"getgroupusers"}, "unitlogin": {"lab"}, "active": {"true"}}},
		"admins":      {func(l *lab) error { return drop(l.Admins(t.Context())) }, url.Values{"action": {"getadmins"}}},
		"systems":     {func(l *lab) error { return drop(l.Systems(t.Context())) }, url.Values{"action": {"getsystems"}}},
		"sys rights":  {func(l *lab) error { return drop(l.SystemRights(t.Context(), 31)) }, url.Values{"action": {"getsysrights"}, "id": {"31"}}},
		"user rights": {func(l *lab) error { return drop(l.UserRights(t.Context(), "jdoe")) }, url.Values{"action": {"getuserrights"}, "login": {"jdoe"}}},
		"new user":    {func(l *lab) error { return l.NewUser(t.Context(), "jdoe", fields) }, url.Values{"action": {"newuser"}, "login": {"jdoe"}, "lname": {"Doe"}, "fname": {"J & K"}, "email": {"j@x"}, "unitlogin": {"lab"}, "phone": {"+41=1"}}},
		"update user": {func(l *lab) error {
			return l.UpdateUser(t.Context(), "jdoe", map[string]string{"active": "false", "phone": ""})
		}, url.Values{"action": {"upduser"}, "login": {"jdoe"}, "active": {"false"}, "phone": {""}}},
		"set right":    {func(l *lab) error { return l.SetRight(t.Context(), "jdoe", 31, reconcile.Novice) }, url.Values{"action": {"setright"}, "login": {"jdoe"}, "id": {"31"}, "type": {"N"}}},
		"revoke right": {func(l *lab) error { return l.SetRight(t.Context(), "jdoe", 31, reconcile.Deactivated) }, url.Values{"action": {"setright"}, "login": {"jdoe"}, "id": {"31"}, "type": {"D"}}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(w http.ResponseWriter, req *http.Request) {
				if req.Method != http.MethodPost || req.URL.String() != "/lab/pumapi/" || req.ProtoMinor != 1 {
					t.Error(req.Method, req.URL, req.Proto)
				}
				if got := req.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
					t.Error(got)
				}
				if got := req.Header.Get("User-Agent"); got != "ppms-syncd/1.0 (test)" {
					t.Error(got)
				}
				switch req.PostFormValue("action") {
				case "newuser", "upduser", "setright":
					fmt.Fprint(w, "OK")
				}
			}, func(o *Options) { o.UserAgent = "ppms-syncd/1.0 (test)" })
			if err := test.call(l); err != nil {
				t.Fatal(err)
			}
			test.want.Set("apikey", testKey)
			if diff := cmp.Diff([]url.Values{test.want}, l.requests()); diff != "" {
				t.Error(diff)
			}
			if l.Requests() != 1 {
				t.Error(l.Requests())
			}
		})
	}
}

func drop(_ any, err error) error { return err }

func TestURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://ppms.example.org/lab/pumapi/": "https://ppms.example.org/lab/pumapi/",
		"https://ppms.example.org/lab/pumapi":  "https://ppms.example.org/lab/pumapi/",
		"http://127.0.0.1:8081":                "http://127.0.0.1:8081/",
		"https://ppms.example.org/a%2Fb/x":     "https://ppms.example.org/a%2Fb/x/",
		"":                                     "",
		"ppms.example.org/pumapi/":             "",
		"ftp://ppms.example.org/":              "",
		"https://u:hunter2@ppms.example.org/":  "",
		"https://ppms.example.org/?x=1":        "",
		"https:///pumapi/":                     "",
		"https://h\x7f/":                       "",
	} {
		r, err := NewReader(Options{URL: raw, Key: secret.New("k")})
		switch {
		case want == "" && err == nil:
			t.Errorf("%q was accepted", raw)
		case want != "" && (err != nil || r.url != want):
			t.Errorf("%q: %v %v", raw, r, err)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Error(err)
		}
	}
	if _, err := NewReader(Options{URL: "https://ppms.example.org/"}); err == nil {
		t.Error("no key was accepted")
	}
}

func TestAuth(t *testing.T) {
	for body, want := range map[string]Kind{
		"": 0, "\r\n": 0, "OK": 0,
		"error: request not authorized":  Unauthorised,
		"ERROR: Request not authorized.": Unauthorised,
		"Error: something else":          Refused,
		"some mock with error: in it":    Unconfirmed,
		"hello":                          Unconfirmed,
		"<html>":                         NotPUMAPI,
	} {
		err := newLab(t, answering(body)).Auth(t.Context())
		if KindOf(err) != want || (want == 0) != (err == nil) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// directory answers getuser for logins user0 … and nobody else.
func directory(exists func(i int) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var i int
		login := req.PostFormValue("login")
		if _, err := fmt.Sscanf(login, "user%d", &i); err != nil || !exists(i) {
			return
		}
		fmt.Fprintf(w, "login,lname,fname,email,phone,bcode,affiliation,unitlogin,mustchpwd,mustchbcode,active\r\n"+
			"\"%s\",\"Doe\",\"J\",\"j@x\",\"\",\"\",\"\",\"lab\",false,false,true\r\n", login)
	}
}

func logins(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("user%d", i)
	}
	return all
}

func TestRecordsKeepOrderAndTellWhoIsGone(t *testing.T) {
	l := newLab(t, directory(func(i int) bool { return i%10 != 3 }), func(o *Options) { o.Concurrency = 7 })
	var progress []int
	users, gone, err := l.Records(t.Context(), logins(50), func(done int) { progress = append(progress, done) })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range users {
		got = append(got, u.Login)
	}
	want := slices.DeleteFunc(logins(50), func(s string) bool { return strings.HasSuffix(s, "3") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"user3", "user13", "user23", "user33", "user43"}, gone); diff != "" {
		t.Error(diff)
	}
	if len(progress) != 50 || !slices.IsSorted(progress) || progress[49] != 50 {
		t.Error(progress)
	}
	if l.Requests() != 50 {
		t.Error(l.Requests())
	}
}

func TestRecordsAreAllOrNothing(t *testing.T) {
	good := directory(func(int) bool { return true })
	l := newLab(t, func(w http.ResponseWriter, req *http.Request) {
		if req.PostFormValue("login") == "user17" {
			fmt.Fprint(w, "error: something")
			return
		}
		good(w, req)
	}, func(o *Options) { o.Concurrency = 4 })
	users, gone, err := l.Records(t.Context(), logins(1000), nil)
	wantKind(t, err, Refused)
	if users != nil || gone != nil {
		t.Error("a part was returned")
	}
	if l.Requests() > 100 {
		t.Errorf("went on for %d requests", l.Requests())
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	var now, most atomic.Int64
	full := make(chan struct{})
	l := newLab(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 3 {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full // nobody leaves before three are in
	}, func(o *Options) { o.Concurrency = 3 })
	if _, err := l.AllSystemRights(t.Context(), make([]int, 30), nil); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 3 {
		t.Errorf("%d at a time", most.Load())
	}
}

func TestAllSystemRights(t *testing.T) {
	l := newLab(t, func(w http.ResponseWriter, req *http.Request) {
		if id := req.PostFormValue("id"); id != "3" {
			fmt.Fprintf(w, "A:user%s\n", id)
		}
	}, func(o *Options) { o.Concurrency = 2 })
	got, err := l.AllSystemRights(t.Context(), []int{1, 2, 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][]reconcile.Right{
		1: {{Login: "user1", Level: reconcile.Autonomous}}, 2: {{Login: "user2", Level: reconcile.Autonomous}}, 3: {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	reads := map[string]bool{}
	for method := range reflect.TypeFor[*Reader]().Methods() {
		reads[method.Name] = true
	}
	var more []string
	for method := range reflect.TypeFor[*Writer]().Methods() {
		if !reads[method.Name] {
			more = append(more, method.Name)
		}
	}
	if diff := cmp.Diff([]string{"CreateOrder", "MakeSuperuser", "NewGroup", "NewUser", "SetRight", "UpdateGroup", "UpdateUser"}, more); diff != "" {
		t.Error(diff)
	}
}

func TestObserverHearsOfEachRequest(t *testing.T) {
	l := newLab(t, answeringBy(map[string]string{"upduser": "OK upduser", "getusers": "jdoe", "getuser": "jdoe", "getadmins": "error: no"}))
	_, _ = l.Users(t.Context(), Any)
	_, _, _ = l.User(t.Context(), "jdoe")
	_, _ = l.Admins(t.Context())
	_ = l.UpdateUser(t.Context(), "jdoe", map[string]string{"phone": "1"})
	if want := "getusers ok, getuser malformed, getadmins refused, updateuser ok"; l.observed() != want {
		t.Error(l.observed())
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for body, want := range map[string]string{
		"error: request not authorized": `ppms getadmins: PPMS does not accept the key: "error: request not authorized"; ` +
			`the key is wrong or its scope lacks this action: a PPMS super-administrator can check both`,
		"Error: out\r\nof \x07luck": `ppms getadmins: PPMS refused: "Error: out of luck"`,
		"<html>":                    `ppms getadmins: a web page answered: "<html>"; ppms.url must be https://HOST/INSTANCE/pumapi/ and PPMS must not be in maintenance`,
	} {
		_, err := newLab(t, answering(body)).Admins(t.Context())
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v", body, err)
		}
	}
	if !errors.Is(&Error{Err: http.ErrServerClosed}, http.ErrServerClosed) {
		t.Error("does not unwrap")
	}
}
