package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/ldapsrc/ldaptest"
)

// TestStart measures how long the daemon takes from its start until it is ready, and what it has resident when idle, with a ledger of
// 10,000 links. It fails at several times what a quiet machine shows.
func TestStart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	const people = 10_000
	entries := ldaptest.Generate(ldaptest.GenOptions{People: people, Groups: 10, Seed: 7})
	dir := ldaptest.New(ldaptest.Options{Entries: entries, BindDN: bindDN, Password: bindPassword})
	defer dir.Close()
	ldap, err := dir.Start()
	if err != nil {
		t.Fatal(err)
	}
	_, url := startPPMS(t, facility(peopleOf(entries), 10, 6))
	p := newPost(t, build(t), map[string]string{"LDAP_URL": ldap, "PPMS_URL": url}, bindPassword, map[string]any{
		"schedule": "@every 1000h", "http": map[string]any{"listen": "127.0.0.1:0"},
		"ppms": map[string]any{"requests_per_second": 10000, "concurrency": 8}, "rights": []any{},
		"ldap": map[string]any{"bind": map[string]any{"dn": bindDN}}, "policy": "create-only",
	})
	p.run(t, 0, "apply")
	var took []time.Duration
	var resident []float64
	for range 5 {
		begin := time.Now()
		d := p.serve(t)
		took = append(took, time.Since(begin))
		resident = append(resident, d.scrape(t).values["process_resident_memory_bytes"]/(1<<20))
		d.terminate(t)
	}
	slices.Sort(took)
	slices.Sort(resident)
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("ready after %v, idle with %s MiB (load %s)", took, fmt.Sprintf("%.0f", resident), strings.TrimSpace(string(load)))
	if took[0] > time.Second {
		t.Errorf("ready after %v at best", took[0])
	}
	if resident[len(resident)/2] > 80 {
		t.Errorf("idle with %.0f MiB", resident)
	}
}
