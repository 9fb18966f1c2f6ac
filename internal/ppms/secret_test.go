package ppms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// spellings of the key that a server may send back.
func spellings(t *testing.T) []string {
	t.Helper()
	form := url.Values{"apikey": {testKey}}
	return []string{testKey, form.Encode(), url.PathEscape(testKey), html.EscapeString(testKey), strings.Repeat("x", maxExcerpt-10) + testKey}
}

// echoes are servers that repeat what they were sent wherever a server can.
func echoes(t *testing.T, said string) map[string]http.HandlerFunc {
	t.Helper()
	text := func(format string) http.HandlerFunc { return answering(fmt.Sprintf(format, said)) }
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprint(conn, answer)
			_ = conn.(*net.TCPConn).Close()
		}
	}
	oneLine := strings.ReplaceAll(said, "\n", " ")
	return map[string]http.HandlerFunc{
		"refusal":      text("error: bad parameters %s"),
		"unauthorised": text("error: request not authorized for key %s"),
		"web page":     text("<html>%s</html>"),
		"list":         text("jdoe\n\x01%s"),
		"pair":         text("A:jdoe\nnothing %s"),
		"level":        text("%s:jdoe"),
		"table":        text("login,lname\n%s,x"),
		"header":       text("%s,x\n1,2"),
		"no status":    text("what is %s?"),
		"another":      text("login,lname,fname,email,phone,bcode,affiliation,unitlogin,mustchpwd,mustchbcode,active\n%q,a,b,c,d,e,f,g,false,false,true"),
		"system":       text("Core facility ref,System id,Type,Name,Localisation,Active\n1,%s,a,b,c,True\n1,2,a,b,c,True"),
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/?"+oneLine)
			w.WriteHeader(http.StatusFound)
		},
		"bad redirect": raw("HTTP/1.1 302 Found\r\nLocation: ://" + oneLine + "\r\nContent-Length: 0\r\n\r\n"),
		"status":       raw("HTTP/1.1 500 " + oneLine + "\r\nContent-Length: 0\r\n\r\n"),
		"bad status":   raw("HTTP/1.1 " + oneLine + "\r\n\r\n"),
		"no HTTP":      raw(oneLine + "\r\n\r\n"),
		"bad header":   raw("HTTP/1.1 200 OK\r\n" + oneLine + "\r\n\r\n"),
		"bad length":   raw("HTTP/1.1 200 OK\r\nContent-Length: " + oneLine + "\r\n\r\n"),
		"bad coding":   raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + oneLine + "\r\n\r\n"),
		"bad chunk":    raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + oneLine + "\r\n\r\n"),
	}
}

// TestNothingSaysTheKey makes servers repeat the key in every way and looks at all that comes out: errors in each format, what
// they wrap, logs in both encodings, and what net/http says by itself.
func TestNothingSaysTheKey(t *testing.T) {
	var out bytes.Buffer
	before := log.Writer()
	log.SetOutput(&out)
	t.Cleanup(func() { log.SetOutput(before) })
	sink := zapcore.AddSync(&out)
	logger := zap.New(zapcore.NewTee(
		zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), sink, zap.DebugLevel),
		zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), sink, zap.DebugLevel),
	))
	calls := 0
	for _, said := range spellings(t) {
		for name, handler := range echoes(t, said) {
			l := newLab(t, handler, func(o *Options) { o.Log = logger })
			ctx := t.Context()
			person := map[string]string{"lname": "Doe", "fname": "J", "email": "j@x", "unitlogin": "lab", "pwd": "hunter2"}
			for _, err := range []error{
				l.Auth(ctx), drop(l.Users(ctx, Any)), drop(one(l.User(ctx, "jdoe"))), drop(one(l.Group(ctx, "lab"))), drop(l.Systems(ctx)),
				drop(l.SystemRights(ctx, 1)), drop(l.UserRights(ctx, "jdoe")),
				l.NewUser(ctx, "jdoe", person), l.UpdateUser(ctx, "jdoe", person), l.SetRight(ctx, "jdoe", 1, reconcile.Novice),
			} {
				calls++
				text, _ := json.Marshal(err)
				fmt.Fprintf(&out, "%s: %v %+v %#v %q %s %s\n", name, err, err, err, err, text, l.observed())
				if failure, ok := err.(*Error); ok && failure.Err != nil { //nolint:errorlint // all errors are of this type
					fmt.Fprintf(&out, "%v %#v\n", failure.Err, failure.Err)
				}
				logger.Error("failed", zap.Error(err), zap.Any("any", err))
			}
			fmt.Fprintf(&out, "%+v %#v\n", l.Reader, l.Reader)
		}
	}
	if out.Len() < 1000*calls/10 {
		t.Fatalf("%d bytes of %d calls", out.Len(), calls)
	}
	secrets := append(spellings(t), strconv.Quote(testKey)[1:10], "Tr0ub4dor", "hunter2")
	for line := range strings.Lines(out.String()) {
		for _, hidden := range secrets {
			if strings.Contains(line, hidden) {
				t.Fatalf("said %q in %s", hidden, line)
			}
		}
	}
}

func TestRequestsAreLoggedAsALineToPaste(t *testing.T) {
	l := newLab(t, answering("OK"))
	err := l.UpdateUser(t.Context(), "o'brien", map[string]string{"lname": `O"Brien & $HOME`, "pwd": "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	entries := l.logs.FilterMessage("pumapi request").All()
	if len(entries) != 1 || entries[0].ContextMap()["action"] != "updateuser" {
		t.Fatal(entries)
	}
	want := `curl --data-urlencode "apikey=$KEY" --data-urlencode 'action=upduser' --data-urlencode 'lname=O"Brien & $HOME'` +
		` --data-urlencode 'login=o'\''brien' --data-urlencode "pwd=$PASSWORD" '` + l.server.URL + `/lab/pumapi/'`
	if got := entries[0].ContextMap()["curl"]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A server that says what it has against a password must not put it into logs and the journal.
func TestNothingSaysAUsersPassword(t *testing.T) {
	const password = `p&"w` + "\u00fc rd"
	for _, said := range []string{password, url.QueryEscape(password), html.EscapeString(password), strings.Repeat("x", maxExcerpt-4) + password} {
		for name, handler := range echoes(t, said) {
			l := newLab(t, handler)
			person := map[string]string{"lname": "Doe", "fname": "J", "email": "j@x", "unitlogin": "lab", "pwd": password}
			for _, err := range []error{
				l.NewUser(t.Context(), "jdoe", person), l.UpdateUser(t.Context(), "jdoe", person), drop(l.CheckPassword(t.Context(), "jdoe", secret.New(password))),
			} {
				if text := fmt.Sprint(err); strings.Contains(text, `p&`) || strings.Contains(text, "p%26") {
					t.Errorf("%s: %s", name, text)
				}
			}
		}
	}
}
