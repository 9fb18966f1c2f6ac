package daemon

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/robfig/cron/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ppms-syncd/internal/config"
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

// TestScheduleFollowsTheClock: after the clock was set the schedule is that of the new time, and what was due in between is run once.
func TestScheduleFollowsTheClock(t *testing.T) {
	text, err := os.ReadFile("../config/testdata/good/loopback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := NewMetrics("")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // where cron finds nothing due
		core, logs := observer.New(zap.WarnLevel)
		start := time.Date(2026, 3, 2, 8, 10, 0, 0, time.UTC)
		now := start
		s := &service{cron: cron.New(), ctx: t.Context(), app: App{Config: c, Log: zap.New(core), Metrics: metrics, Now: func() time.Time { return now }}}
		s.busy.Lock() // a run is no part of this: each is left out
		s.schedule(c)
		s.cron.Start()
		defer s.cron.Stop()
		for _, step := range []struct {
			name    string
			to      time.Time
			next    time.Time
			anew    bool
			skipped int
		}{
			{"it goes on", start.Add(19 * time.Minute), start.Add(20 * time.Minute), false, 0},
			{"the run is due this minute, and cron's", start.Add(20*time.Minute + time.Second), start.Add(20 * time.Minute), false, 0},
			{"a clock that was ahead is set right", start.AddDate(-10, 0, 0), start.AddDate(-10, 0, 0).Add(20 * time.Minute), true, 0},
			{"the machine slept for a night", start.Add(10 * time.Hour), start.Add(10*time.Hour + 20*time.Minute), true, 1},
		} {
			now = step.to
			before := s.entry
			s.mind()
			s.runs.Wait()
			if anew := s.entry != before; anew != step.anew || !s.standing.next.Equal(step.next) {
				t.Errorf("%s: anew %v, next run %v", step.name, anew, s.standing.next)
			}
			if n := logs.FilterMessage("run skipped").Len(); n != step.skipped {
				t.Errorf("%s: %d runs", step.name, n)
			}
		}
	})
}
