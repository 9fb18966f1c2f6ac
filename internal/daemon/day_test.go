package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
)

// TestADayOfFaults lives through 24 hours of a schedule in which both sides fail at random, in simulated time over connections in
// memory. Every tick is accounted for, the ledger tells the same as the metrics, the last hour without faults ends in step, and the
// bubble ends only if no goroutine is left.
func TestADayOfFaults(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) { aDay(t, rand.New(rand.NewPCG(seed, 0))) })
}

const (
	interval = 5 * time.Minute
	day      = 24 * time.Hour
)

func aDay(t *testing.T, chance *rand.Rand) {
	t.Helper()
	var down atomic.Value // the address that cannot be reached
	down.Store("")
	wires := &wires{broken: func(address string) error {
		if down.Load() == address {
			return errors.New("network is unreachable")
		}
		return nil
	}}
	w := newWorld(t, func(s *settings) {
		s.Wires, s.Ticks, s.Schedule, s.RunTimeout, s.CallTimeout = wires, true, "*/5 * * * *", "10m", "3m"
		s.Guards = "updates: {count: 1000, percent: 100}"
		crowd(s, 20)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- w.app.Serve(ctx, daemon.ServeOptions{
			Load:  func() (*config.Config, error) { return config.Load(w.path("config.yaml")) },
			Ready: func(net.Addr) { close(ready) },
		})
	}()
	<-ready
	time.Sleep(interval / 2) // between the ticks, since the simulated time begins at a full minute
	var better time.Duration // when something else is wrong
	for elapsed := time.Duration(0); elapsed < day; elapsed += interval {
		switch {
		case elapsed >= day-time.Hour:
			down.Store("")
			w.sim.SetFaults(nil)
			w.dir.SetFaults()
		case elapsed >= better:
			better = elapsed + misfortune(w, chance, &down)
		}
		time.Sleep(interval)
	}
	synctest.Wait()
	families := scrape(t, wires)
	cancel()
	must(t, <-done)

	results := families["ppms_syncd_runs_total"]
	ticks := 0
	for result, n := range results {
		ticks += n
		t.Logf("%s %d", result, n)
		if n == 0 && result != string(ledger.Held) {
			t.Errorf("no run was %s: the day was too quiet", result)
		}
	}
	if want := int(day / interval); ticks != want {
		t.Errorf("%d of %d ticks are accounted for", ticks, want)
	}
	w.rowsMatch(results)
	w.plan().has()
}

// misfortune chooses what is wrong until the next tick, or for longer, and lets people move house.
func misfortune(w *world, chance *rand.Rand, down *atomic.Value) (lasts time.Duration) {
	w.set(uid(fmt.Sprintf("p%02d", 1+chance.IntN(20))), "telephoneNumber", fmt.Sprint(chance.IntN(1000)))
	var directory []ldaptest.Fault
	var ppms []ppmssim.Fault
	down.Store("")
	fault := func(spec string) {
		f, err := ppmssim.ParseFault(spec)
		must(w.t, err)
		ppms = append(ppms, f)
	}
	lasts = interval
	do := func(d ldaptest.Do) { directory = append(directory, ldaptest.Fault{Search: 1 + chance.IntN(4), Do: d}) }
	switch chance.IntN(20) {
	case 0:
		down.Store("127.0.0.1:389")
	case 1:
		down.Store("127.0.0.1:80")
	case 2:
		do(ldaptest.Cut(chance.IntN(500)))
	case 3:
		do(ldaptest.Result(51))
	case 4:
		do(ldaptest.Stall())
	case 5:
		fault("*:delay=170s") // the next tick finds the run under way, since one request after the other is late
		lasts = 2 * interval
	case 6:
		fault("*:hang")
	case 7:
		fault("*:status=503")
	case 8:
		fault("reads:html")
	case 9:
		fault("writes:reset-after")
	case 10:
		fault("writes:hang-after")
	case 11:
		fault("writes:nothing")
	case 12:
		fault(fmt.Sprintf("*:reset-before@%d-", 1+chance.IntN(40)))
	case 13:
		fault("getusers:cut-half@2")
	}
	w.sim.SetFaults(ppms)
	w.dir.SetFaults(directory...)
	return lasts
}

// scrape reads the counters over the listener: name, label, value.
func scrape(t *testing.T, n *wires) map[string]map[string]int {
	t.Helper()
	transport := &http.Transport{DialContext: n.Dial}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:0/metrics", nil)
	must(t, err)
	response, err := (&http.Client{Transport: transport}).Do(request)
	must(t, err)
	text, err := io.ReadAll(response.Body)
	must(t, errors.Join(err, response.Body.Close()))
	return counters(t, text)
}

func counters(t *testing.T, text []byte) map[string]map[string]int {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	must(t, err)
	all := map[string]map[string]int{}
	for name, family := range families {
		all[name] = map[string]int{}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[name][strings.Join(labels, " ")] += int(m.GetCounter().GetValue())
		}
	}
	return all
}

// rowsMatch holds the runs in the ledger against the counters.
func (w *world) rowsMatch(results map[string]int) {
	w.t.Helper()
	runs := w.runs()
	rows := map[string]int{}
	for i := range runs {
		rows[string(runs[i].Result)]++
	}
	for result, n := range results {
		if result != "skipped" && rows[result] != n {
			w.t.Errorf("the ledger has %d runs that were %s, the metrics %d", rows[result], result, n)
		}
		delete(rows, result)
	}
	if len(rows) > 0 {
		w.t.Errorf("the ledger has other runs, too: %v", rows)
	}
}
