package daemon

import (
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/robfig/cron/v3"
	"go.uber.org/zap"
)

// stuck is a schedule that does not come back until it is let go.
type stuck struct{ asked, free chan struct{} }

func (s stuck) Next(now time.Time) time.Time {
	s.asked <- struct{}{}
	<-s.free
	return now.Add(time.Hour)
}

// TestWatchdogStarvesWithTheScheduler: while the scheduler's loop does not turn, no sign of life is given.
func TestWatchdogStarvesWithTheScheduler(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	t.Setenv("NOTIFY_SOCKET", path)
	synctest.Test(t, func(t *testing.T) {
		schedule := stuck{make(chan struct{}), make(chan struct{})}
		s := &service{cron: cron.New(), app: App{Log: zap.NewNop(), Now: time.Now}}
		s.entry = s.cron.Schedule(schedule, cron.FuncJob(func() {}))
		s.cron.Start()
		defer s.cron.Stop()
		<-schedule.asked
		over := false
		go func() {
			s.feed()
			over = true
		}()
		synctest.Wait()
		if over {
			t.Error("the scheduler is stuck, and the daemon does not notice")
		}
		close(schedule.free)
		synctest.Wait()
		if !over {
			t.Error("the scheduler goes on, and the daemon does not notice")
		}
		s.cron.Remove(s.entry)
		s.feed() // there is no schedule any more: nothing
	})
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := systemd.SdNotify(false, "end"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WATCHDOG=1", "end"} {
		text := make([]byte, 100)
		n, err := conn.Read(text)
		if err != nil || string(text[:n]) != want {
			t.Errorf("%q, %v instead of %s", text[:n], err, want)
		}
	}
}
