package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// build makes the program as it is shipped, once, and returns its path.
func build(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(workshopVar), "ppms-syncd")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-o", path, ".") // TAGS of the Makefile
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, os.Chmod(path, 0o755) // whatever the umask: see TestSecretsStay
})

// post is a place from which the program is run: a folder with configuration, secrets and ledger.
type post struct {
	program, dir string
}

// newPost writes what the program needs; more lies over the shared configuration.
func newPost(t *testing.T, program string, addresses map[string]string, password string, more map[string]any) *post {
	t.Helper()
	p := &post{program, t.TempDir()}
	addresses["WORK"] = p.dir
	text, err := os.ReadFile(filepath.Join(testdata, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := yaml.Unmarshal([]byte(os.Expand(string(text), func(name string) string { return addresses[name] })), &config); err != nil {
		t.Fatal(err)
	}
	overlay(config, more)
	data, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"config.yaml": string(data), "ldap-password": password, "pumapi-key": pumapiKey} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// command is a call of the program; what it says on stderr goes into log.
func (p *post) command(t *testing.T, log *bytes.Buffer, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.program, append([]string{"--config", "config.yaml"}, args...)...)
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = p.dir, log, time.Minute
	return cmd
}

// run calls the program, wants it to end with this code, and returns what it prints.
func (p *post) run(t *testing.T, code int, args ...string) []byte {
	t.Helper()
	var log, out bytes.Buffer
	cmd := p.command(t, &log, args...)
	cmd.Stdout = &out
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("ppms-syncd %s ends with %d, want %d (%v)\n%s%s", strings.Join(args, " "), got, code, ended, last(out.Bytes()), last(log.Bytes()))
	}
	return out.Bytes()
}

// last is the end of a long text.
func last(text []byte) []byte { return text[max(0, len(text)-4000):] }

// planned is a plan, or a run of history, as another program sees it.
type planned struct {
	Hash    string
	Run     int64
	Changes []change
	Issues  []struct{ Kind string }
	Guards  []struct {
		Name         string
		Value, Limit int
		Tripped      bool
	}
	Directory struct{ People, Groups int }
	PPMS      struct{ Accounts, Active, Managed, Unmatched int }
	Summary   map[string]int
}

type change struct {
	Kind, Login string
	Fields      map[string]struct{ From, To string }
	System      int
	From, To    string
	Reason      string
	Outcome     string
	Held        string
	Approval    bool `json:"needs_approval"`
}

func decode[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, last(data))
	}
	return v
}

// requestOf is the write request that a change announces, spelled as effectOf does.
func requestOf(c change) string {
	if c.Kind == "setright" {
		return spell("setright", map[string]string{"login": c.Login, "id": strconv.Itoa(c.System), "type": c.To})
	}
	params := map[string]string{"login": c.Login}
	for name, v := range c.Fields {
		params[name] = v.To
	}
	return spell(map[string]string{"newuser": "newuser", "updateuser": "upduser"}[c.Kind], params)
}

func effectOf(e ppmssim.Effect) string { return spell(e.Action, e.Params) }

func spell(action string, params map[string]string) string {
	words := []string{action}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		words = append(words, fmt.Sprintf("%s=%q", name, params[name]))
	}
	return strings.Join(words, " ")
}

// sorted maps and sorts, so that two lists can be compared.
func sorted[T any](list []T, f func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	slices.Sort(out)
	return out
}

// peopleOf and groupsOf pick entries of a generated directory.
func peopleOf(entries []ldaptest.Entry) []ldaptest.Entry { return withClass(entries, "inetOrgPerson") }

func groupsOf(entries []ldaptest.Entry) []ldaptest.Entry { return withClass(entries, "groupOfNames") }

func withClass(entries []ldaptest.Entry, class string) (out []ldaptest.Entry) {
	for _, e := range entries {
		if slices.Contains(e.Attrs["objectClass"], class) {
			out = append(out, e)
		}
	}
	return out
}

// startPPMS simulates a PPMS until the test ends.
func startPPMS(t *testing.T, seed ppmssim.Seed) (sim *ppmssim.Sim, url string) {
	t.Helper()
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(pumapiKey), Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := sim.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return sim, url
}

// callers are the connections of a server, whose ConnState is state.
type callers struct {
	mu   sync.Mutex
	open int
}

func (c *callers) state(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open++
	case http.StateClosed, http.StateHijacked:
		c.open--
	case http.StateActive, http.StateIdle:
	}
}

// settle waits until the server has read all that a dead process had sent. Connections are accepted in their order, so that none of them
// is still to come when one that is made now has been answered; and each ends when there is nothing more to read.
func (c *callers) settle(t *testing.T, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		open := c.open
		c.mu.Unlock()
		if open == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections of a dead process are still open", open)
		}
	}
}

// facility is a PPMS that knows the first of the people: most as the directory has them, some with other values, some
// deactivated by staff, some administrators; beside them it has local accounts, and rights of old.
func facility(people []ldaptest.Entry, locals, systems int) ppmssim.Seed {
	var s ppmssim.Seed
	for i := range 12 {
		lab := fmt.Sprintf("lab%02d", i+1)
		s.Units = append(s.Units, ppmssim.Unit{Unitlogin: lab, Unitname: "Lab " + lab, Active: true})
	}
	for i := range systems {
		s.Systems = append(s.Systems, ppmssim.System{
			ID: 10 + i, Facility: 1 + i%3, Type: "Kind " + strconv.Itoa(i%4), Name: "System, number " + strconv.Itoa(i), Active: true, Bookable: true,
		})
	}
	for i, e := range people {
		u := ppmssim.User{
			Login: e.Attrs["uid"][0], Lname: e.Attrs["sn"][0], Fname: e.Attrs["givenName"][0], Email: e.Attrs["mail"][0],
			Unitlogin: e.Attrs["ou"][0], Active: i%40 != 7, Admin: i%200 == 3,
		}
		if phone := e.Attrs["telephoneNumber"]; phone != nil {
			u.Phone = phone[0]
		}
		switch {
		case i%10 == 1:
			u.Phone = "+41 61 000 0000"
		case i%25 == 2:
			u.Email = "old-" + u.Email
		case i%60 == 4:
			u.Fname = "X. " + u.Fname
		}
		s.Users = append(s.Users, u)
		if i%3 == 0 && systems > 0 {
			s.Rights = append(s.Rights, ppmssim.Right{Login: u.Login, System: 10 + i%systems, Level: string("NNNAASD"[i%7])})
		}
	}
	for i := range locals {
		login := fmt.Sprintf("visitor%d", i+1)
		s.Users = append(s.Users, ppmssim.User{Login: login, Lname: "Visitor", Fname: strconv.Itoa(i), Email: login + "@example.com", Unitlogin: "lab01", Active: true, Admin: i == 0})
	}
	return s
}

// rules gives each group a system or two.
func rules(groups []ldaptest.Entry, systems int) (list []any) {
	for i, g := range groups {
		list = append(list, map[string]any{
			"name": "rule-" + strconv.Itoa(i), "group": g.Attrs["cn"][0], "systems": []any{10 + i%systems, 10 + (i*5+1)%systems}, "level": string("AN"[i%2]),
		})
	}
	return list
}
