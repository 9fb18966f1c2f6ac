package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
	"ppms-syncd/internal/ppmssim"
)

var soakFor = flag.Duration("soak", 10*time.Second, "how long TestSoak lets the daemon run")

// TestSoak lets the program serve on a real slapd, a run a second, while both sides fail at random. Then all is well again: each
// tick is accounted for, metrics and ledger tell the same, the last runs succeed, and nothing has piled up.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	const people, systems = 300, 6
	entries := ldaptest.Generate(ldaptest.GenOptions{People: people, Groups: 10, Nested: 3, Seed: 7})
	slapd := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
	relay := newRelay(t, slapd.URL)
	sim, address := startPPMS(t, facility(peopleOf(entries), 10, systems))
	open := map[string]any{"count": 100000, "percent": 100}
	p := newPost(t, build(t), map[string]string{"LDAP_URL": relay.url, "PPMS_URL": address}, slapd.ReaderPassword, map[string]any{
		"schedule": "@every 1s", "http": map[string]any{"listen": "127.0.0.1:0"},
		"ldap":   map[string]any{"bind": map[string]any{"dn": slapd.ReaderDN}, "timeout": "2s"},
		"ppms":   map[string]any{"requests_per_second": 10000, "concurrency": 8, "timeout": "2s"},
		"rights": rules(groupsOf(entries)[:3], systems),
		"guards": map[string]any{"updates": open, "grants": open},
	})
	started := time.Now()
	d := p.serve(t)
	begin := time.Now()
	calm := d.settle(t, 0)
	logins := peopleOf(entries)
	for time.Since(begin) < *soakFor {
		trouble(t, chance, relay, sim)
		if u, ok := sim.User(logins[chance.IntN(len(logins))].Attrs["uid"][0]); ok {
			u.Phone = strconv.Itoa(chance.IntN(1000)) // staff mistype, so that there is something to write
			sim.PutUser(u)
		}
		time.Sleep(time.Second) // how long a trouble lasts
	}
	relay.set(nil)
	sim.SetFaults(nil)
	end := d.closed(t, d.settle(t, calm.runs["success"]), calm)
	ran, most := time.Since(begin), time.Since(started)
	d.terminate(t)
	later := int((time.Since(started) - most).Seconds()) + 1 // runs that may have ended after the metrics were read

	ticks := 0
	for result, n := range end.runs {
		ticks += n
		t.Logf("%s %d", result, n)
	}
	t.Logf("%s: %d ticks; resident %.0f MiB, then %.0f MiB; %d goroutines, then %d; %d files, then %d", ran.Round(time.Second), ticks,
		calm.values["process_resident_memory_bytes"]/(1<<20), end.values["process_resident_memory_bytes"]/(1<<20),
		int(calm.values["go_goroutines"]), int(end.values["go_goroutines"]),
		int(calm.values["process_open_fds"]), int(end.values["process_open_fds"]))
	if ticks > int(most.Seconds())+1 || ticks < int(ran.Seconds())/2-2 { // a busy machine wakes up late, and cron leaves out what it missed
		t.Errorf("%d ticks in %v", ticks, ran)
	}
	rows := map[string]int{}
	for _, r := range decode[[]struct{ Result string }](t, p.run(t, 0, "history", "--limit", "0", "--output", "json")) {
		rows[r.Result]++
	}
	for result, n := range end.runs {
		if result != "skipped" && (rows[result] < n || rows[result] > n+later) {
			t.Errorf("the ledger has %d runs that were %s, the metrics %d", rows[result], result, n)
		}
	}
	if rss := end.values["process_resident_memory_bytes"]; rss > 2*calm.values["process_resident_memory_bytes"]+(16<<20) {
		t.Errorf("memory grew to %.0f MiB", rss/(1<<20))
	}
}

// trouble is what is wrong for the next second.
func trouble(t *testing.T, chance *rand.Rand, relay *relay, sim *ppmssim.Sim) {
	t.Helper()
	var way func(server, client net.Conn)
	specs := []string{}
	switch chance.IntN(14) {
	case 0:
		way = func(net.Conn, net.Conn) {} // hangs up
	case 1:
		n := int64(chance.IntN(100_000))
		way = func(server, client net.Conn) { _, _ = io.CopyN(client, server, n) } // cuts
	case 2:
		way = func(server, client net.Conn) { _, _ = io.Copy(io.Discard, server) } // swallows
	case 3:
		specs = []string{"*:hang"}
	case 4:
		specs = []string{"*:status=503"}
	case 5:
		specs = []string{"reads:html"}
	case 6:
		specs = []string{"writes:reset-after"}
	case 7:
		specs = []string{"writes:nothing"}
	case 8:
		specs = []string{fmt.Sprintf("*:reset-before@%d-", 1+chance.IntN(200))}
	case 9:
		specs = []string{"getusers:cut-half@2"}
	}
	relay.set(way)
	var faults []ppmssim.Fault
	for _, spec := range specs {
		f, err := ppmssim.ParseFault(spec)
		if err != nil {
			t.Fatal(err)
		}
		faults = append(faults, f)
	}
	sim.SetFaults(faults)
}

// relay stands before a directory and answers for it as it likes.
type relay struct {
	url string
	mu  sync.Mutex
	way func(server, client net.Conn) // nil: faithfully
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{url: "ldap://" + l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.pass(client, target.Host) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return r
}

func (r *relay) set(way func(server, client net.Conn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way = way
}

func (r *relay) pass(client net.Conn, target string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	r.mu.Lock()
	way := r.way
	r.mu.Unlock()
	if way == nil {
		way = func(server, client net.Conn) { _, _ = io.Copy(client, server) }
	}
	way(server, client)
}

// served is the program as a daemon.
type served struct {
	url  string
	log  *lockedBuffer
	stop func() error
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serve starts the daemon and waits until it says where it listens.
func (p *post) serve(t *testing.T) *served {
	t.Helper()
	s := &served{log: &lockedBuffer{}}
	cmd := p.command(t, nil, "serve")
	cmd.Stderr = s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.stop = sync.OnceValue(func() error {
		return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
	})
	t.Cleanup(func() { _ = s.stop() })
	listening := regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if m := listening.FindStringSubmatch(s.log.String()); m != nil {
			s.url = "http://" + m[1]
			return s
		}
	}
	t.Fatalf("the daemon does not serve:\n%s", last([]byte(s.log.String())))
	return nil
}

func (s *served) terminate(t *testing.T) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Errorf("serve ended with %v\n%s", err, last([]byte(s.log.String())))
	}
}

// opened are the metrics that a leak raises from run to run.
var opened = []string{"go_goroutines", "process_open_fds"}

// gauges are the metrics at one time.
type gauges struct {
	runs   map[string]int
	values map[string]float64
}

// closed looks again until no more is open than at first. In the middle of a run more is, and on a busy machine one follows the other.
func (s *served) closed(t *testing.T, g, calm gauges) gauges {
	t.Helper()
	const some = 8
	more := func(name string) bool { return g.values[name] > calm.values[name]+some }
	for end := time.Now().Add(time.Minute); slices.ContainsFunc(opened, more); time.Sleep(70 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("more and more is open: %v and %v", calm.values, g.values)
		}
		g = s.least(t, g)
	}
	return g
}

// least is the metrics now; of what is open, the least of now and before.
func (s *served) least(t *testing.T, before gauges) gauges {
	t.Helper()
	now := s.scrape(t)
	for _, name := range opened {
		now.values[name] = min(now.values[name], before.values[name])
	}
	return now
}

// settle waits for three more runs that succeed. What is open is the least of some seconds, as between two runs.
func (s *served) settle(t *testing.T, before int) gauges {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		g := s.scrape(t)
		if g.runs["success"] < before+3 {
			continue
		}
		for range 40 {
			time.Sleep(70 * time.Millisecond)
			g = s.least(t, g)
		}
		return g
	}
	t.Fatalf("no runs succeed:\n%s", last([]byte(s.log.String())))
	return gauges{}
}

func (s *served) scrape(t *testing.T) gauges {
	t.Helper()
	resp, err := http.Get(s.url + "/metrics") //nolint:noctx // the test's time limit
	if err != nil {
		t.Fatalf("%v\n%s", err, last([]byte(s.log.String())))
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	g := gauges{map[string]int{}, map[string]float64{}}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		if result, ok := strings.CutPrefix(name, `ppms_syncd_runs_total{result="`); ok {
			g.runs[strings.TrimSuffix(result, `"}`)] = int(number)
		}
		g.values[name] = number
	}
	return g
}
