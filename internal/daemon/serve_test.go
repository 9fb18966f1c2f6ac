package daemon_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/reconcile"
)

// served is a daemon under test.
type served struct {
	t      *testing.T
	url    string
	signal chan os.Signal
	end    context.CancelFunc
	done   chan error
}

// serving starts a daemon on port 0 and stops it at the end of the test.
func (w *world) serving(o daemon.ServeOptions) *served {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{w.t, "", make(chan os.Signal), cancel, make(chan error, 1)}
	ready := make(chan net.Addr, 1)
	o.Reload, o.Ready = s.signal, func(a net.Addr) { ready <- a }
	if o.Load == nil {
		o.Load = func() (*config.Config, error) { return config.Load(w.path("config.yaml")) }
	}
	go func() { s.done <- w.app.Serve(ctx, o) }()
	w.t.Cleanup(s.stop)
	select {
	case a := <-ready:
		s.url = "http://" + a.String()
	case err := <-s.done:
		s.done <- err
		w.t.Fatal(err)
	}
	return s
}

// stop ends the daemon, which must say nothing.
func (s *served) stop() {
	s.end()
	if err := <-s.done; err != nil {
		s.t.Errorf("serve ended with %v", err)
	}
	s.done <- nil
	http.DefaultClient.CloseIdleConnections() // they would look like a leak
}

func (s *served) get(method, path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	must(s.t, err)
	resp, err := http.DefaultClient.Do(req)
	must(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(s.t, err)
	return resp.StatusCode, string(body)
}

// until waits for a line of the metrics.
func (s *served) until(line string) {
	s.t.Helper()
	s.waits(line, func(text string) bool { return strings.Contains(text, line) })
}

// ran waits for a run that ended so; by then there may be more of them.
func (s *served) ran(result ledger.Result) {
	s.t.Helper()
	none := fmt.Sprintf("ppms_syncd_runs_total{result=%q} 0\n", result)
	s.waits("run that was "+string(result), func(text string) bool { return !strings.Contains(text, none) })
}

// waits for metrics that are good.
func (s *served) waits(what string, good func(text string) bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(3 * time.Minute)
	for {
		_, text := s.get(http.MethodGet, "/metrics")
		if good(text) {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			s.t.Fatalf("no %s in the metrics:\n%s", what, text)
		}
	}
}

func everySecond(s *settings) { s.Schedule = "@every 1s" }

func TestServeRunsAndAnswers(t *testing.T) {
	w := newWorld(t)
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.until(`ppms_syncd_runs_total{result="success"} 1`)
	s.until(`ppms_syncd_next_run_timestamp_seconds 1`)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := s.get(http.MethodGet, path); code != http.StatusOK || text != "ok\n" {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
	if n := len(w.sim.Effects()); n == 0 {
		t.Error("nothing was written")
	}
	var other *daemon.ExitError
	if err := w.app.Serve(t.Context(), daemon.ServeOptions{}); err == nil || errors.As(err, &other) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second daemon: %v", err)
	}
}

func TestServeReloads(t *testing.T) {
	w := newWorld(t)
	s := w.serving(daemon.ServeOptions{})
	good, err := os.ReadFile(w.path("config.yaml"))
	must(t, err)
	must(t, os.WriteFile(w.path("config.yaml"), []byte("policy: everything\n"), 0o600))
	if code, text := s.get(http.MethodPost, "/-/reload"); code != http.StatusServiceUnavailable || !strings.Contains(text, "policy") {
		t.Errorf("a bad configuration: %d %q", code, text)
	}
	s.until("ppms_syncd_config_last_reload_successful 0")
	often := strings.Replace(string(good), w.Schedule, "@every 1s", 1)
	must(t, os.WriteFile(w.path("config.yaml"), []byte(often), 0o600))
	s.signal <- syscall.SIGHUP
	s.until("ppms_syncd_config_last_reload_successful 1")
	s.ran(ledger.Success)
	must(t, os.WriteFile(w.path("config.yaml"), []byte(strings.Replace(string(good), "ledger.db", "other.db", 1)), 0o600))
	if code, text := s.get(http.MethodPost, "/-/reload"); code == http.StatusOK || !strings.Contains(text, "restart") {
		t.Errorf("another ledger: %d %q", code, text)
	}
	if code, _ := s.get(http.MethodGet, "/-/reload"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET reloads: %d", code)
	}
}

func TestServeSkipsWhileAnotherRuns(t *testing.T) {
	w := newWorld(t, everySecond)
	lock, err := ledger.LockRun(w.path("ledger.db"))
	must(t, err)
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.ran("skipped")
	must(t, lock.Unlock())
	s.ran(ledger.Success)
}

// TestServeWithoutARunLock: a lock that cannot be had is a run that failed, not another one under way.
func TestServeWithoutARunLock(t *testing.T) {
	w := newWorld(t)
	must(t, os.Mkdir(w.path("ledger.db.run.lock"), 0o700))
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.until(`ppms_syncd_runs_total{result="failed"} 1`)
	s.until(`ppms_syncd_runs_total{result="skipped"} 0`)
	expect(t, w.logs.String(), "ledger.db.run.lock")
}

// TestRunThatIsNotOnRecordIsNoSuccess: metrics say of it what the exit code says.
func TestRunThatIsNotOnRecordIsNoSuccess(t *testing.T) {
	w := newWorld(t)
	w.when(1, "getsystems", "", func() {
		db, err := sql.Open("sqlite", w.path("ledger.db"))
		must(t, err)
		_, err = db.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no space'); END`)
		must(t, errors.Join(err, db.Close()))
	})
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.until(`ppms_syncd_runs_total{result="partial"} 1`)
	s.until(`ppms_syncd_runs_total{result="success"} 0`)
	s.until(`ppms_syncd_last_success_timestamp_seconds 0`)
}

// TestServeRecallsTheLastSuccess: however much was done since, by hand too.
func TestServeRecallsTheLastSuccess(t *testing.T) {
	w := newWorld(t)
	w.apply().exits(daemon.ExitOK)
	db, err := sql.Open("sqlite", w.path("ledger.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
		INSERT INTO runs (started, mode, policy, config_hash, os_user, host, version, finished, result)
		SELECT started, 'manual', policy, config_hash, os_user, host, version, finished + 1000, 'success' FROM runs, n`)
	must(t, errors.Join(err, db.Close()))
	w.serving(daemon.ServeOptions{}).until(fmt.Sprintf("ppms_syncd_last_success_timestamp_seconds %s\n", stamp(w.now)))
}

// TestReloadsFollowEachOther: what is read first is not in force last.
func TestReloadsFollowEachOther(t *testing.T) {
	w := newWorld(t)
	first, second := *w.app.Config, *w.app.Config
	first.Policy, second.Policy = reconcile.CreateOnly, reconcile.UpsertOnly
	reading, read := make(chan struct{}), make(chan struct{})
	var loads atomic.Int32
	s := w.serving(daemon.ServeOptions{Load: func() (*config.Config, error) {
		if loads.Add(1) > 1 {
			return &second, nil
		}
		close(reading)
		<-read
		return &first, nil
	}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.get(http.MethodPost, "/-/reload")
	}()
	<-reading
	go func() {
		time.Sleep(200 * time.Millisecond) // the signal's reload would be over by now
		close(read)
	}()
	s.signal <- syscall.SIGHUP
	<-done
	waits(t, func() bool { return strings.Count(w.logs.String(), "configuration reloaded") == 2 })
	if log := w.logs.String(); strings.LastIndex(log, second.Hash()) < strings.LastIndex(log, first.Hash()) {
		t.Errorf("the older configuration came last:\n%s", log)
	}
}

// TestReloadOfTheLog: what is not read again is not silently left as it was.
func TestReloadOfTheLog(t *testing.T) {
	w := newWorld(t)
	var level string
	s := w.serving(daemon.ServeOptions{Level: func(l string) { level = l }})
	good, err := os.ReadFile(w.path("config.yaml"))
	must(t, err)
	w.write("config.yaml", string(good)+"log: {level: debug}\n")
	if code, text := s.get(http.MethodPost, "/-/reload"); code != http.StatusOK || level != "debug" {
		t.Errorf("another level of the log: %d %q, now %s", code, text, level)
	}
	w.write("config.yaml", string(good)+"log: {format: console}\n")
	if code, text := s.get(http.MethodPost, "/-/reload"); code == http.StatusOK || !strings.Contains(text, "restart") {
		t.Errorf("another form of the log: %d %q", code, text)
	}
	w.write("config.yaml", strings.Replace(string(good), w.Schedule, "30 2 * * *", 1)+"time_zone: Europe/Zurich\n")
	if code, text := s.get(http.MethodPost, "/-/reload"); code != http.StatusOK {
		t.Errorf("%d %q", code, text)
	}
	expect(t, w.logs.String(), "summer time") // the warnings of a start
}

func TestServeRecoversWithoutRestart(t *testing.T) {
	w := newWorld(t, everySecond)
	w.faults("getusers:html")
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.ran(ledger.Failed)
	w.faults()
	s.ran(ledger.Success)
}

func TestServeSurvivesAPanic(t *testing.T) {
	w := newWorld(t, everySecond)
	var calm atomic.Bool
	w.app.Watch = func(string, int) daemon.Step {
		if !calm.Load() {
			panic("a bug")
		}
		return func(int) {}
	}
	s := w.serving(daemon.ServeOptions{RunNow: true})
	s.ran(ledger.Failed)
	calm.Store(true)
	s.ran(ledger.Success)
	s.stop()
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{Limit: 1000, Output: daemon.JSON}))
	text := w.text()
	expect(t, text, "this is a bug, please report it with the log: a bug")
	if strings.Contains(text, "goroutine") || strings.Contains(text, ".go:") {
		t.Errorf("a stack trace in the history:\n%s", text)
	}
	expect(t, w.logs.String(), "serve_test.go") // where it was
}

func TestServeDryRunOnlyObserves(t *testing.T) {
	w := newWorld(t)
	before := w.sim.Snapshot()
	s := w.serving(daemon.ServeOptions{DryRun: true, RunNow: true})
	s.until(`ppms_syncd_runs_total{result="success"} 1`)
	s.until(`ppms_syncd_planned_changes{kind="newuser"} 1`)
	w.unchanged(before)
	if m := w.memory(); len(m.Links) == 0 || m.Baseline.At.IsZero() {
		t.Errorf("nothing was observed: %+v", m)
	}
	must(t, w.app.History(t.Context(), daemon.HistoryOptions{}))
	expect(t, w.text(), "dry-run")
}

// TestServeStopsBetweenWrites: told to stop in the middle, it finishes the write in flight, and the next run goes on.
func TestServeStopsBetweenWrites(t *testing.T) {
	w := newWorld(t)
	began, told := make(chan struct{}), make(chan struct{})
	w.when(1, "upduser", "", func() { close(began); <-told })
	s := w.serving(daemon.ServeOptions{RunNow: true})
	<-began
	s.end()
	close(told)
	must(t, <-s.done)
	s.done <- nil
	w.on = nil
	for _, e := range w.sim.Effects() {
		if e.Action == "setright" {
			t.Errorf("it went on: %s", effectLine(&e))
		}
	}
	w.apply().exits(daemon.ExitOK)
	w.plan().has()
	if n := countEffects(w.sim.Effects(), "upduser"); n != 1 {
		t.Errorf("%d times upduser", n)
	}
}

// TestReloadIntoDryRunStopsTheRun: who says so while a run writes does not mean the next one.
func TestReloadIntoDryRunStopsTheRun(t *testing.T) {
	w := newWorld(t)
	good, err := os.ReadFile(w.path("config.yaml"))
	must(t, err)
	began, reloaded := make(chan struct{}), make(chan struct{})
	w.when(1, "upduser", "", func() { close(began); <-reloaded })
	s := w.serving(daemon.ServeOptions{RunNow: true})
	<-began
	w.write("config.yaml", strings.Replace(string(good), "dry_run: false", "dry_run: true", 1))
	s.signal <- syscall.SIGHUP
	waits(t, func() bool { return strings.Contains(w.logs.String(), "configuration reloaded") })
	close(reloaded)
	s.waits("run", func(text string) bool {
		return strings.Contains(text, `ppms_syncd_runs_total{result="partial"} 1`) || strings.Contains(text, `ppms_syncd_runs_total{result="success"} 1`)
	})
	if _, text := s.get(http.MethodGet, "/metrics"); !strings.Contains(text, `ppms_syncd_runs_total{result="success"} 0`) {
		t.Error("it went on to the end")
	}
	for _, e := range w.sim.Effects() {
		if e.Action == "setright" {
			t.Errorf("it went on: %s", effectLine(&e))
		}
	}
}

// TestReloadKeepsTheInterval: who reloads more often than runs are due has runs all the same.
func TestReloadKeepsTheInterval(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.Schedule = "@every 2s" })
	s := w.serving(daemon.ServeOptions{})
	often := time.NewTicker(300 * time.Millisecond)
	defer often.Stop()
	waits(t, func() bool {
		<-often.C
		s.signal <- syscall.SIGHUP
		_, text := s.get(http.MethodGet, "/metrics")
		return !strings.Contains(text, `runs_total{result="success"} 0`)
	})
}

func countEffects(effects []ppmssim.Effect, action string) (n int) {
	for i := range effects {
		if effects[i].Action == action {
			n++
		}
	}
	return n
}

// TestServeStopsWhileWaiting: SIGTERM during a run that PPMS keeps waiting ends it at once, RunNow's too, and the run is on record.
func TestServeStopsWhileWaiting(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{})
	w.when(1, "getusers", "", func() { close(asked) })
	w.faults("getusers:hang")
	s := w.serving(daemon.ServeOptions{RunNow: true})
	<-asked
	s.end()
	must(t, <-s.done)
	s.done <- nil
	w.rowsMatch(map[string]int{"failed": 1})
}

// TestDaemonThatHasNotSaidItsNumber: the lock is taken a moment before the number is in it.
func TestDaemonThatHasNotSaidItsNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lock, err := ledger.LockDaemon(w.app.Config.Ledger.Path)
	must(t, err)
	t.Cleanup(func() { _ = lock.Unlock() })
	must(t, os.Truncate(w.app.Config.Ledger.Path+".daemon.lock", 0))
	err = w.app.Serve(t.Context(), daemon.ServeOptions{})
	if err == nil || !strings.Contains(err.Error(), "(another process)") {
		t.Errorf("the error names a process that there is not: %v", err)
	}
}
