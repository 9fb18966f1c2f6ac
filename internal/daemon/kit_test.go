package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

const (
	peopleBase = "ou=people,dc=example,dc=org"
	groupBase  = "ou=groups,dc=example,dc=org"
	readerDN   = "cn=reader,dc=example,dc=org"
	apiKey     = "a-key-that-must-not-show"
	password   = "a-password-that-must-not-show"
)

// update rewrites what the tests hold documents against.
var update = flag.Bool("update", false, "rewrite what tests make in docs")

// authority signs what PPMS shows over TLS: the system's authorities, which alone are trusted there, are this one in these tests.
var authority *ldaptest.Certs

func TestMain(m *testing.M) {
	var err error
	if authority, err = ldaptest.NewCerts(ldaptest.CertOptions{}); err != nil {
		panic(err)
	}
	folder, err := os.MkdirTemp("", "authority")
	if err != nil {
		panic(err)
	}
	file := filepath.Join(folder, "ca.pem")
	if err := errors.Join(os.WriteFile(file, authority.CA, 0o600), os.Setenv("SSL_CERT_FILE", file)); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}

// settings are what a test may choose of its world. What is text goes into the configuration as it is.
type settings struct {
	Policy                            string
	DryRun                            bool
	LDAP, CA, BindDN, PPMS            string
	UsersBase, GroupsBase, UserFilter string
	Create, Authoritative, Protect    string
	Rights, Guards, Leavers           string
	Disabled, Schedule, Web           string
	VerifyEvery                       string
	RunTimeout, ReadTimeout           string
	CallTimeout                       string
	Profile, Login                    string

	Wires   *wires // all connections are in memory; nil: loopback
	Ticks   bool   // time is the machine's; else the test moves it
	Entries []ldaptest.Entry
	Seed    ppmssim.Seed
}

const configuration = `policy: {{.Policy}}
{{with .Schedule}}schedule: "{{.}}"
{{end}}http: {listen: "127.0.0.1:0", web_config_file: "{{.Web}}"}
dry_run: {{.DryRun}}
run_timeout: {{.RunTimeout}}
ldap:
  profile: {{.Profile}}
  urls: ["{{.LDAP}}"]
  tls: {ca_file: "{{.CA}}"}
  bind: {method: simple, dn: "{{.BindDN}}", password_file: ldap-password}
  timeout: {{.ReadTimeout}}
  page_size: 100
  users:
    base: "{{.UsersBase}}"
    {{- with .UserFilter}}
    filter: "{{.}}"
    {{- end}}
    {{- with .Disabled}}
    disabled: {cel: "{{.}}"}
    {{- end}}
  groups: {base: "{{.GroupsBase}}"}
ppms: {url: "{{.PPMS}}", api_key_file: pumapi-key, timeout: {{.CallTimeout}}, requests_per_second: 10000, verify_every: {{.VerifyEvery}}}
accounts:
  create: {{.Create}}
  attributes: {login: {{.Login}}, lname: sn, fname: givenName, email: mail, phone: telephoneNumber, unitlogin: ou}
  authoritative: {{.Authoritative}}
  protect: {{.Protect}}
leavers: { {{.Leavers}} }
rights: {{.Rights}}
guards: { {{.Guards}} }
ledger: {path: "{{.Folder}}/ledger.db"}
`

// world is a directory, a PPMS and a ppms-syncd between them.
type world struct {
	settings
	Folder string

	t     *testing.T
	dir   *ldaptest.Server
	sim   *ppmssim.Sim
	app   *daemon.App
	now   time.Time
	began time.Time // when PPMS was as Seed has it
	out   bytes.Buffer
	logs  safeBuffer
	mu    sync.Mutex
	on    func(action string, form url.Values) // staff's hands: called before PPMS works on a request
	gone  bool                                 // nothing reaches PPMS any more
}

// inMemory is for tests that wait for time to run out: where its timers are those of testing/synctest, no machine is too busy for them.
func inMemory(s *settings) { s.Wires = &wires{} }

// newWorld starts one in which nothing has run yet.
func newWorld(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	w := &world{t: t, Folder: t.TempDir(), now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)}
	w.settings = settings{
		Policy: "sync", BindDN: readerDN, UsersBase: peopleBase, GroupsBase: groupBase, UserFilter: "(objectClass=inetOrgPerson)",
		Create: "true", Authoritative: "[lname, fname, email, phone]", Protect: `["/^svc-/"]`,
		Rights: `[{name: confocal, group: confocal-users, systems: [{type: "Confocal*"}], level: A},
  {name: electron-microscopy, group: em-users, systems: [21], level: N}]`,
		Entries: institute(), Seed: facility(), Disabled: "attr('employeeType') == 'left'", Profile: "openldap", Login: "uid",
		RunTimeout: "10m", ReadTimeout: "1m", CallTimeout: "1m", VerifyEvery: "0s", // for a busy machine
		Schedule: "30 8,9 2 3 *", // at the world's next half hour, and at no other
	}
	for _, f := range change {
		f(&w.settings)
	}
	var err error
	w.dir = ldaptest.New(ldaptest.Options{Entries: w.Entries, BindDN: readerDN, Password: password})
	t.Cleanup(w.dir.Close)
	w.sim, err = ppmssim.New(ppmssim.Options{Key: secret.New(apiKey), Seed: w.Seed, Now: w.clock})
	must(t, err)
	w.start()
	w.install()
	t.Cleanup(w.keepsSecrets)
	return w
}

// install puts a new program, with its configuration and secrets, into the folder. What it knows beside them is in a ledger there.
func (w *world) install() {
	w.t.Helper()
	w.write("pumapi-key", apiKey)
	w.write("ldap-password", password)
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	w.app = &daemon.App{
		Log: zap.New(zapcore.NewCore(encoder, &w.logs, zap.DebugLevel)), Out: &w.out, Version: "test", Now: w.clock,
	}
	if w.Wires != nil {
		w.app.Network = daemon.Network{Dial: w.Wires.Dial, Listen: w.Wires.Listen}
	}
	w.configure()
}

func (w *world) clock() time.Time {
	if w.Ticks {
		return time.Now()
	}
	return w.now
}

// start lets directory and PPMS answer, on loopback or in memory.
func (w *world) start() {
	w.t.Helper()
	if w.Wires != nil {
		w.LDAP, w.PPMS = "ldap://127.0.0.1:389", "http://127.0.0.1:80/pumapi/"
		directory, ppms := w.Wires.listen("127.0.0.1:389"), w.Wires.listen("127.0.0.1:80")
		go func() { _ = w.dir.Serve(directory) }()
		server := &http.Server{Handler: http.HandlerFunc(w.serve)}
		go func() { _ = server.Serve(ppms) }()
		w.t.Cleanup(func() { _ = server.Close() })
		return
	}
	address, err := w.dir.Start()
	must(w.t, err)
	if w.LDAP == "" {
		w.LDAP = address
	}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	w.t.Cleanup(server.Close)
	w.PPMS = server.URL + "/pumapi/"
}

// settled is a world after a first run, a day later.
func settled(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	w := newWorld(t, change...)
	w.apply().exits(daemon.ExitOK)
	w.pass(25 * time.Hour)
	return w
}

// serve lets staff act before PPMS sees a request.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	if form, err := url.ParseQuery(string(body)); err == nil && w.on != nil {
		w.on(form.Get("action"), form)
	}
	gone := w.gone
	w.mu.Unlock()
	if gone {
		panic(http.ErrAbortHandler)
	}
	w.sim.Handler().ServeHTTP(rw, r)
}

// when does something once, just before PPMS works on the n-th request that fits. A parameter is given as "login=ada".
func (w *world) when(n int, action, param string, do func()) {
	name, value, _ := strings.Cut(param, "=")
	seen := 0
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = func(got string, form url.Values) {
		if got == action && (param == "" || form.Get(name) == value) {
			if seen++; seen == n {
				do()
			}
		}
	}
}

// configure writes the configuration, changed, and loads it.
func (w *world) configure(change ...func(*settings)) {
	w.t.Helper()
	for _, f := range change {
		f(&w.settings)
	}
	var text bytes.Buffer
	must(w.t, template.Must(template.New("").Parse(configuration)).Execute(&text, w))
	w.write("config.yaml", text.String())
	var err error
	if w.app.Config, err = config.Load(w.path("config.yaml")); err != nil {
		w.t.Fatalf("%v\n%s", err, text.String())
	}
}

func (w *world) path(name string) string { return filepath.Join(w.Folder, name) }

func (w *world) write(name, content string) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.path(name), []byte(content), 0o600))
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// keepsSecrets holds for every test: neither results nor logs have the key or the password in them.
func (w *world) keepsSecrets() {
	for _, s := range []string{apiKey, password} {
		if strings.Contains(w.logs.String(), s) || strings.Contains(w.out.String(), s) {
			w.t.Errorf("%q is in the logs or the results", s)
		}
	}
}

// text is what has been printed since the last call.
func (w *world) text() string {
	defer w.out.Reset()
	return w.out.String()
}

// outcome is how a plan or apply ended.
type outcome struct {
	reconcile.Plan
	Run    int64 `json:"run"`
	DryRun bool  `json:"dry_run"`

	err   error
	text  string   // JSON
	wrote []string // what reached PPMS and changed it, as lines
	w     *world
}

func (w *world) outcome(err error) *outcome {
	w.t.Helper()
	o := &outcome{err: err, text: w.text(), w: w}
	if o.text != "" {
		must(w.t, json.Unmarshal([]byte(o.text), o))
		if o.Hash != reconcile.PlanHash(o.Policy, o.Changes) {
			w.t.Errorf("the hash %s is not that of the changes shown: %q", o.Hash, lines(o.Changes))
		}
	}
	return o
}

// plan is ppms-syncd plan --exit-code.
func (w *world) plan() *outcome {
	w.t.Helper()
	return w.planTo("")
}

// planTo also saves the plan.
func (w *world) planTo(file string) *outcome {
	w.t.Helper()
	w.pass(time.Minute)
	before := w.sim.Snapshot()
	err := w.app.Plan(w.t.Context(), daemon.PlanOptions{ExitCode: true, Output: daemon.JSON, File: file})
	o := w.outcome(err)
	w.unchanged(before)
	return o
}

// apply is ppms-syncd apply. It checks what must hold for every run: see writes.
func (w *world) apply(options ...daemon.ApplyOptions) *outcome {
	w.t.Helper()
	w.pass(time.Minute)
	o := daemon.ApplyOptions{Output: daemon.JSON}
	for _, o = range options {
		o.Output = daemon.JSON
	}
	before := len(w.sim.Effects())
	err := w.app.Apply(w.t.Context(), o)
	got := w.outcome(err)
	got.check(w.sim.Effects()[before:])
	return got
}

// check holds the writes that PPMS saw against the plan: each was announced, none came twice, and none touched what is never
// touched.
func (o *outcome) check(effects []ppmssim.Effect) {
	t := o.w.t
	t.Helper()
	announced := map[string]bool{}
	for i := range o.Changes {
		c := &o.Changes[i]
		announced[line(c)] = c.Held == "" && c.Outcome != reconcile.Stale && c.Outcome != reconcile.NotSent
		if (c.Outcome == "") != (o.Run == 0) {
			t.Errorf("%s has the outcome %q in run %d", line(c), c.Outcome, o.Run)
		}
	}
	var wrote []string
	for i := range effects {
		e := &effects[i]
		l := effectLine(e)
		wrote = append(wrote, l)
		if !announced[l] {
			t.Errorf("PPMS was sent %q, which the plan did not announce or which was not to be sent: %q", l, lines(o.Changes))
		}
		announced[l] = false
		for _, c := range e.Changes {
			switch {
			case strings.HasPrefix(c.Object, "unit "):
				t.Errorf("%q made the %s", l, c.Object)
			case c.Field == "level" && c.Before == "S":
				t.Errorf("%q was set over an S", l)
			}
		}
		if e.Changed {
			o.wrote = append(o.wrote, l)
		}
	}
	order := reconcile.Counted()
	rank := func(l string) int {
		i := slices.IndexFunc(o.Changes, func(c reconcile.Change) bool { return line(&c) == l })
		return slices.Index(order[:], o.Changes[max(i, 0)].Guard())
	}
	if len(o.Changes) > 0 && !slices.IsSortedFunc(wrote, func(a, b string) int { return rank(a) - rank(b) }) {
		t.Errorf("the writes came in the order %q", wrote)
	}
}

// exits expects an exit code, and in the error these words.
func (o *outcome) exits(code int, words ...string) *outcome {
	t := o.w.t
	t.Helper()
	if got := daemon.ExitCode(o.err); got != code {
		t.Fatalf("exit code %d (%v), want %d; changes %q; issues %v; guards %v", got, o.err, code, o.results(), o.Issues, o.Guards)
	}
	for _, word := range words {
		if o.err == nil || !strings.Contains(o.err.Error(), word) {
			t.Errorf("the error is %q, without %q", o.err, word)
		}
	}
	return o
}

// has expects exactly these changes.
func (o *outcome) has(want ...string) *outcome {
	o.w.t.Helper()
	same(o.w.t, "changes", lines(o.Changes), want)
	return o
}

// did expects exactly these writes to have changed PPMS.
func (o *outcome) did(want ...string) *outcome {
	o.w.t.Helper()
	same(o.w.t, "writes", o.wrote, want)
	return o
}

// results are the changes with their outcomes.
func (o *outcome) results() []string {
	var all []string
	for i := range o.Changes {
		c := &o.Changes[i]
		all = append(all, fmt.Sprintf("%s: %s%s %s", line(c), c.Outcome, c.Held, c.Detail))
	}
	return all
}

// issues are the issues as "kind login".
func (o *outcome) issues(want ...string) *outcome {
	o.w.t.Helper()
	var got []string
	for _, i := range o.Issues {
		got = append(got, strings.TrimSpace(string(i.Kind)+" "+i.Login))
	}
	same(o.w.t, "issues", got, want)
	return o
}

// says expects an issue of the kind whose detail has these words.
func (o *outcome) says(kind reconcile.IssueKind, words ...string) *outcome {
	o.w.t.Helper()
	for _, i := range o.Issues {
		if i.Kind == kind && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(i.Detail, w) }) {
			return o
		}
	}
	o.w.t.Errorf("no issue %s says %q: %v", kind, words, o.Issues)
	return o
}

// outcomes expects these outcomes, by line.
func (o *outcome) outcomes(want map[string]reconcile.Outcome) *outcome {
	o.w.t.Helper()
	got := map[string]reconcile.Outcome{}
	for i := range o.Changes {
		got[line(&o.Changes[i])] = o.Changes[i].Outcome
	}
	if diff := cmp.Diff(want, got); diff != "" {
		o.w.t.Errorf("outcomes (-want +got):\n%s%q", diff, o.results())
	}
	return o
}

// change finds a change by its line.
func (o *outcome) change(l string) *reconcile.Change {
	o.w.t.Helper()
	for i := range o.Changes {
		if line(&o.Changes[i]) == l {
			return &o.Changes[i]
		}
	}
	o.w.t.Fatalf("no change %q among %q (%v)", l, lines(o.Changes), o.err)
	return nil
}

// line is a change in a few words: "newuser ada", "updateuser carl email=new", "setright carl 12 A".
func line(c *reconcile.Change) string {
	if c.Kind == reconcile.SetRight {
		return fmt.Sprintf("setright %s %d %s", c.Login, c.System, c.To)
	}
	text := string(c.Kind) + " " + c.Login
	if c.Kind == reconcile.NewUser {
		return text
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		text += " " + name + "=" + c.Fields[name].To
	}
	return text
}

func lines(changes []reconcile.Change) []string {
	var all []string
	for i := range changes {
		all = append(all, line(&changes[i]))
	}
	return all
}

// effectLine is the same for what reached PPMS.
func effectLine(e *ppmssim.Effect) string {
	c := reconcile.Change{Login: e.Params["login"], Fields: map[string]reconcile.Value{}}
	switch e.Action {
	case "newuser":
		c.Kind = reconcile.NewUser
	case "upduser":
		c.Kind = reconcile.UpdateUser
		for name, value := range e.Params {
			if name != "login" {
				c.Fields[name] = reconcile.Value{To: value}
			}
		}
	case "setright":
		return fmt.Sprintf("setright %s %s %s", c.Login, e.Params["id"], e.Params["type"])
	default:
		return e.Action
	}
	return line(&c)
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" && len(got)+len(want) > 0 {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unchanged expects PPMS to be as it was.
func (w *world) unchanged(before ppmssim.Seed) {
	w.t.Helper()
	if diff := cmp.Diff(before, w.sim.Snapshot()); diff != "" {
		w.t.Errorf("PPMS changed (-before +after):\n%s", diff)
	}
}

// look reads something of the ledger.
func look[T any](w *world, read func(*ledger.Ledger) (T, error)) T {
	w.t.Helper()
	l, err := ledger.OpenReadOnly(w.t.Context(), w.path("ledger.db"))
	must(w.t, err)
	defer func() { must(w.t, l.Close()) }()
	v, err := read(l)
	must(w.t, err)
	return v
}

// memory is what the ledger knows.
func (w *world) memory() reconcile.Memory {
	w.t.Helper()
	return look(w, func(l *ledger.Ledger) (reconcile.Memory, error) { return l.Memory(w.t.Context(), w.now) })
}

// runs are those that the ledger has, the latest first.
func (w *world) runs() []ledger.Run {
	w.t.Helper()
	return look(w, func(l *ledger.Ledger) ([]ledger.Run, error) { return l.Runs(w.t.Context(), 0) })
}

// safeBuffer may be written to from several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func (b *safeBuffer) Sync() error { return nil }

// mode changes who may touch a file.
func (w *world) mode(name string, mode os.FileMode) {
	w.t.Helper()
	must(w.t, os.Chmod(w.path(name), mode))
}
