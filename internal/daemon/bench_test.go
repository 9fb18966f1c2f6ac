package daemon

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// BenchmarkReadPPMS reads 2,000 accounts and 12 ruled systems from a simulated PPMS that takes 20 ms an answer: with a plain loop of
// getuser calls, with ours by concurrency, and once more as a run half an hour later does it. The metric ideal-ratio is the time over
// accounts × latency ÷ concurrency, which nobody can beat.
func BenchmarkReadPPMS(b *testing.B) {
	const accounts, latency = 2000, 20 * time.Millisecond
	url := benchPPMS(b, accounts, latency)
	b.Run("loop", func(b *testing.B) {
		for b.Loop() {
			reader := benchReader(b, url, 1, 0)
			logins, err := reader.Users(b.Context(), ppms.Any)
			for _, login := range logins {
				if _, _, e := reader.User(b.Context(), login); e != nil {
					err = e
				}
			}
			if err != nil || len(logins) != accounts {
				b.Fatal(len(logins), err)
			}
			b.ReportMetric(float64(reader.Requests()), "requests/op")
		}
	})
	for _, concurrency := range []int{1, 4, 8, 16} {
		b.Run(fmt.Sprintf("first/concurrency=%d", concurrency), func(b *testing.B) {
			benchRead(b, url, concurrency, 0, nil)
			ideal := accounts * latency / time.Duration(concurrency)
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(ideal), "ideal-ratio")
		})
	}
	seen := benchRead(b, url, 16, 0, nil)
	b.Run("steady/concurrency=4", func(b *testing.B) { benchRead(b, url, 4, 0, seen) })
	b.Run("steady/defaults", func(b *testing.B) { benchRead(b, url, 4, 20, seen) })
}

// BenchmarkReadPPMSGrows reads ever more accounts without any wait. Time of the processor, time, allocations and bytes by account are
// those of both sides, since PPMS is in the same process.
func BenchmarkReadPPMSGrows(b *testing.B) {
	for _, accounts := range []int{1000, 10000, 50000} {
		url := benchPPMS(b, accounts, 0)
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			spent := expenses(b)
			benchRead(b, url, 4, 0, nil)
			all := float64(b.N * accounts)
			for unit, value := range expenses(b) {
				b.ReportMetric((value-spent[unit])/all, unit)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/all, "µs/account")
		})
	}
}

// expenses are what the process has used up so far.
func expenses(b *testing.B) map[string]float64 {
	b.Helper()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return map[string]float64{
		"cpu-µs/account": float64(cpu.Microseconds()), "allocs/account": float64(memory.Mallocs), "B/account": float64(memory.TotalAlloc),
	}
}

// benchPPMS serves a PPMS of that many accounts and 12 systems, and gives its address.
func benchPPMS(b *testing.B, accounts int, latency time.Duration) string {
	b.Helper()
	seed := ppmssim.Seed{Units: []ppmssim.Unit{{Unitlogin: "lab", Active: true}}}
	for i := range accounts {
		login := fmt.Sprintf("u%05d", i)
		seed.Users = append(seed.Users, ppmssim.User{
			Login: login, Lname: "L", Fname: "F", Email: login + "@example.org", Unitlogin: "lab", Active: i%20 != 0, Admin: i == 1,
		})
	}
	for i := range 12 {
		seed.Systems = append(seed.Systems, ppmssim.System{ID: i + 1, Facility: 1, Type: "Confocal", Name: fmt.Sprintf("S%d", i), Active: true})
	}
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New("key"), Seed: seed, Latency: latency})
	if err != nil {
		b.Fatal(err)
	}
	url, stop, err := sim.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(stop)
	return url
}

func benchReader(b *testing.B, url string, concurrency int, rate float64) *ppms.Reader {
	b.Helper()
	reader, err := ppms.NewReader(ppms.Options{URL: url, Key: secret.New("key"), Concurrency: concurrency, RequestsPerSecond: rate})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(reader.Close)
	return reader
}

// benchRead reads PPMS as a run does that remembers this much, and returns what the next one would remember. Given a benchmark
// without rounds of its own, it reads once.
func benchRead(b *testing.B, url string, concurrency int, rate float64, known []ledger.AccountSeen) (seen []ledger.AccountSeen) {
	b.Helper()
	read := func() {
		reader := benchReader(b, url, concurrency, rate)
		r := &run{App: benchApp(b, url, concurrency), reader: reader, known: known}
		side, err := r.readPPMS(b.Context(), &ldapsrc.Result{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(reader.Requests()), "requests/op")
		seen = seen[:0]
		for i := range side.Accounts { // as if they had been read one after another over a day, the last half an hour ago
			ago := 30*time.Minute + time.Duration(len(side.Accounts)-i)*24*time.Hour/time.Duration(len(side.Accounts))
			seen = append(seen, ledger.AccountSeen{Account: side.Accounts[i], VerifiedAt: time.Now().Add(-ago)})
		}
	}
	if strings.Contains(b.Name(), "/") {
		for b.Loop() {
			read()
		}
	} else {
		read()
	}
	return seen
}

func benchApp(b *testing.B, url string, concurrency int) *App {
	b.Helper()
	text := fmt.Sprintf(`
policy: sync
ldap:
  urls: [ldap://127.0.0.1]
  bind: {method: anonymous}
  users: {base: "ou=people,dc=example,dc=org"}
  groups: {base: "ou=groups,dc=example,dc=org"}
ppms: {url: %q, api_key_file: key, concurrency: %d}
accounts: {attributes: {login: uid, lname: sn, fname: givenName, email: mail, unitlogin: ou}}
rights: [{name: all, group: all, systems: [{type: "*"}], level: A}]
`, url, concurrency)
	cfg, err := config.Parse("bench.yaml", []byte(text), nil)
	if err != nil {
		b.Fatal(err)
	}
	return &App{Config: cfg, Log: zap.NewNop(), Out: io.Discard, Now: time.Now}
}
