package daemon

import (
	"fmt"
	"io"
	"testing"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// BenchmarkReadPPMS is the whole read of 1,500 accounts and 12 ruled systems from a simulated PPMS that takes 50 ms an answer. The
// ideal is that of the records alone, with as many at a time as may be: accounts × latency ÷ concurrency.
func BenchmarkReadPPMS(b *testing.B) {
	const accounts, systems, latency = 1500, 12, 50 * time.Millisecond
	seed := ppmssim.Seed{Units: []ppmssim.Unit{{Unitlogin: "lab", Active: true}}}
	for i := range accounts {
		login := fmt.Sprintf("u%04d", i)
		seed.Users = append(seed.Users, ppmssim.User{
			Login: login, Lname: "L", Fname: "F", Email: login + "@example.org", Unitlogin: "lab", Active: i%20 != 0, Admin: i == 1,
		})
	}
	for i := range systems {
		seed.Systems = append(seed.Systems, ppmssim.System{ID: i + 1, Facility: 1, Type: "Confocal", Name: fmt.Sprintf("S%d", i), Active: true})
	}
	key := secret.New("key")
	sim, err := ppmssim.New(ppmssim.Options{Key: key, Seed: seed, Latency: latency})
	if err != nil {
		b.Fatal(err)
	}
	url, stop, err := sim.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	for _, with := range []struct {
		name        string
		concurrency int
		rate        float64
	}{{"concurrency=8", 8, 0}, {"defaults", 4, 20}} {
		b.Run(with.name, func(b *testing.B) {
			var requests int64
			for b.Loop() {
				reader, err := ppms.NewReader(ppms.Options{URL: url, Key: key, Concurrency: with.concurrency, RequestsPerSecond: with.rate})
				if err != nil {
					b.Fatal(err)
				}
				r := &run{App: benchApp(b, url, with.concurrency), reader: reader}
				side, err := r.readPPMS(b.Context(), &ldapsrc.Result{})
				if err != nil || len(side.Accounts) != accounts || len(side.Rights) != systems {
					b.Fatal(err)
				}
				requests = reader.Requests()
				reader.Close()
			}
			ideal := accounts * latency / time.Duration(with.concurrency)
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(ideal), "ideal-ratio")
			b.ReportMetric(float64(requests), "requests/op")
		})
	}
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
