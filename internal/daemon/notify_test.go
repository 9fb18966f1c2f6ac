package daemon_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
)

// manager is systemd's end of the socket.
type manager struct {
	t     *testing.T
	conn  *net.UnixConn
	heard chan string
}

// managed lets what runs in this process speak to a manager, with a watchdog that wants to hear of it so often (0: without one).
func managed(t *testing.T, watchdog string) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	m := &manager{t, conn, make(chan string, 1<<16)}
	t.Cleanup(func() {
		_ = conn.Close()
		for range m.heard { // until listen has ended
		}
	})
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdog)
	go m.listen()
	return m
}

// listen takes what comes at once, as systemd does: the kernel keeps few messages, and who writes one more waits.
func (m *manager) listen() {
	defer close(m.heard)
	buffer := make([]byte, 4096)
	for {
		n, err := m.conn.Read(buffer)
		if err != nil {
			return
		}
		m.heard <- string(buffer[:n])
	}
}

// next waits for the next message.
func (m *manager) next() (string, bool) {
	m.t.Helper()
	select {
	case text := <-m.heard:
		return text, true
	case <-time.After(3 * time.Minute):
		return "", false
	}
}

// hears waits for a message that has all of these.
func (m *manager) hears(parts ...string) string {
	m.t.Helper()
	var heard []string
	for {
		text, ok := m.next()
		if !ok {
			m.t.Fatalf("no message with %q, but\n%s", parts, strings.Join(heard, "\n--\n"))
		}
		heard = append(heard, text)
		all := true
		for _, part := range parts {
			all = all && strings.Contains(text, part)
		}
		if all {
			return text
		}
	}
}

// drain takes what is there.
func (m *manager) drain() (all []string) {
	m.t.Helper()
	const end = "no more"
	conn, err := new(net.Dialer).DialContext(m.t.Context(), "unixgram", m.conn.LocalAddr().String())
	must(m.t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(end))
	must(m.t, err)
	for {
		text, ok := m.next()
		if !ok || text == end {
			return all
		}
		all = append(all, text)
	}
}

func TestServeTellsSystemd(t *testing.T) {
	w := newWorld(t)
	m := managed(t, "")
	s := w.serving(daemon.ServeOptions{RunNow: true})
	if text := m.hears("READY=1"); !strings.Contains(text, "\nSTATUS=next run 08:30 UTC") {
		t.Errorf("ready: %q", text)
	}
	if code, _ := s.get(http.MethodGet, "/readyz"); code != http.StatusOK {
		t.Errorf("it said that it is ready, but answers %d", code)
	}
	m.hears("STATUS=running since 08:00 UTC")
	m.hears("STATUS=next run 08:30 UTC; last 08:00 UTC success: 1 new, 1 updated, 7 rights")
	good, err := os.ReadFile(w.path("config.yaml"))
	must(t, err)
	must(t, os.WriteFile(w.path("config.yaml"), []byte("policy: everything\n"), 0o600))
	s.signal <- syscall.SIGHUP
	m.hears("RELOADING=1\nMONOTONIC_USEC=")
	m.hears("READY=1", "success", "the configuration on disk is refused")
	must(t, os.WriteFile(w.path("config.yaml"), append(good, "time_zone: Europe/Zurich\n"...), 0o600))
	s.signal <- syscall.SIGHUP
	m.hears("RELOADING=1\nMONOTONIC_USEC=")
	if text := m.hears("READY=1", "STATUS=next run 09:30 CET"); strings.Contains(text, "refused") {
		t.Errorf("reloaded: %q", text)
	}
	s.stop()
	m.hears("STOPPING=1")
}

// TestStatusOfAnInterval: the next run is an interval after the last one began, not after it ended.
func TestStatusOfAnInterval(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.Schedule = "@every 30m" })
	m := managed(t, "")
	var late atomic.Bool
	start := w.now
	w.app.Now = func() time.Time {
		if late.Load() {
			return start.Add(10 * time.Minute)
		}
		return start
	}
	w.when(1, "getsystems", "", func() { late.Store(true) })
	w.serving(daemon.ServeOptions{RunNow: true})
	m.hears("STATUS=next run 08:30 UTC; last 08:10 UTC")
}

// TestStatusIsOneLine: what a server answers must not become a message of its own.
func TestStatusIsOneLine(t *testing.T) {
	w := newWorld(t)
	m := managed(t, "")
	w.app.Config.LDAP.URLs = []string{"ldap://127.0.0.1:1/\nMAINPID=1"}
	w.serving(daemon.ServeOptions{RunNow: true})
	text := m.hears("STATUS=next run", "last 08:00 UTC failed: ")
	if strings.Contains(text, "\nMAINPID") || strings.Count(text, "\n") > 0 {
		t.Errorf("%q", text)
	}
}

// TestWatchdogIsFedByEvidence: a run that has outlived its time starves the watchdog, and one that ends feeds it again.
func TestWatchdogIsFedByEvidence(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.RunTimeout, s.CallTimeout = "1h", "1h" }) // or the run that is held would end
	m := managed(t, "20000")
	var late atomic.Bool
	start := w.now
	w.app.Now = func() time.Time {
		if late.Load() {
			return start.Add(time.Hour + 31*time.Second) // run_timeout, and 30s to stop
		}
		return start
	}
	held, release := make(chan struct{}), make(chan struct{})
	w.when(1, "getsystems", "", func() { close(held); <-release })
	s := w.serving(daemon.ServeOptions{RunNow: true})
	<-held
	m.hears("WATCHDOG=1") // a run that is within its time does not matter
	late.Store(true)
	said := func() int { return strings.Count(w.logs.String(), "outlived its time") }
	waits(t, func() bool { return said() > 0 })
	m.drain()
	n := said()
	waits(t, func() bool { return said() > n+2 })
	for _, text := range m.drain() {
		t.Errorf("fed all the same: %q", text)
	}
	if code, text := s.get(http.MethodGet, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "outlived its time") {
		t.Errorf("where no watchdog is, nobody would restart it: %d %q", code, text) // such as in Kubernetes
	}
	close(release)
	m.hears("WATCHDOG=1")
}

// waits until something is so.
func waits(t *testing.T, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(3 * time.Minute)
	for !so() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it never came to that")
		}
	}
}
