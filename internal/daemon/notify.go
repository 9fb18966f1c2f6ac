package daemon

import (
	"errors"
	"fmt"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"ppms-syncd/internal/reconcile"
)

// standing is what systemd is told of the daemon, in the words of sd_notify(3). Where no systemd listens, nobody is told.
type standing struct {
	next    time.Time // when the next run is due
	since   time.Time // when the run under way began; zero if there is none
	due     time.Time // when that run has outlived its time
	last    string    // how the last run ended
	refused bool      // the configuration that was read last
}

// tell sends systemd a state, together with the line that systemctl status shows.
func (s *service) tell(states ...string) {
	s.mu.Lock()
	now := s.app.Now().In(s.app.Config.Location())
	status := s.standing.words(now)
	s.mu.Unlock()
	if _, err := systemd.SdNotify(false, strings.Join(append(states, "STATUS="+status), "\n")); err != nil {
		s.app.Log.Warn("systemd not told", zap.Error(err))
	}
}

// words is one line without control characters, since each line would be a message of its own.
func (st *standing) words(now time.Time) string {
	parts := []string{"no run is due"}
	switch {
	case !st.since.IsZero():
		parts[0] = "running since " + moment(st.since.In(now.Location()), now)
	case !st.next.IsZero():
		parts[0] = "next run " + moment(st.next.In(now.Location()), now)
	}
	if st.last != "" {
		parts = append(parts, "last "+st.last)
	}
	if st.refused {
		parts = append(parts, "the configuration on disk is refused, the one before is in use")
	}
	return harmless(strings.Join(parts, "; "))
}

// moment leaves out the date where it is clear.
func moment(t, now time.Time) string {
	if d := t.Sub(now); d > -12*time.Hour && d < 24*time.Hour {
		return t.Format("15:04 MST")
	}
	return t.Format("2 Jan 15:04 MST")
}

// begun notes that a run began; the result is called with how it ended.
func (s *service) begun(app *App) func(*Report, error) {
	s.mu.Lock()
	s.standing.since = app.Now()
	s.standing.due = s.standing.since.Add(time.Duration(app.Config.RunTimeout) + stopping)
	s.mu.Unlock()
	s.tell()
	return func(r *Report, err error) {
		now := app.Now().In(app.Config.Location())
		s.mu.Lock()
		s.standing.since, s.standing.due = time.Time{}, time.Time{}
		s.standing.last = moment(now, now) + " " + resultWords(r, err)
		s.mu.Unlock()
		s.tell()
	}
}

// resultWords is how a run ended, such as "success: 3 new, 1 held".
func resultWords(r *Report, err error) string {
	result := string(resultOf(r, err))
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		return result + ": " + why
	}
	var applied, held, rest int
	kinds := map[reconcile.Kind]int{}
	for i := range r.Changes {
		switch c := &r.Changes[i]; {
		case c.Outcome == reconcile.Applied:
			applied++
			kinds[c.Kind]++
		case c.Held != "":
			held++
		default:
			rest++
		}
	}
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(kinds[reconcile.NewUser], "new")
	add(kinds[reconcile.UpdateUser], "updated")
	add(kinds[reconcile.SetRight], "rights")
	add(held, "held")
	if r.DryRun {
		add(rest, "planned, none written")
	} else {
		add(rest, "not applied")
	}
	if len(parts) == 0 {
		parts = []string{"in step"}
	}
	add(len(r.Issues), "issues")
	return result + ": " + strings.Join(parts, ", ")
}

// reloading tells systemd that the configuration is being read; the result is called when that is over.
func (s *service) reloading() func(*error) {
	s.tell(systemd.SdNotifyReloading, strings.TrimSpace(systemd.SdNotifyMonotonicUsec()))
	return func(err *error) {
		s.mu.Lock()
		s.standing.refused = *err != nil
		s.mu.Unlock()
		s.tell(systemd.SdNotifyReady)
	}
}

// pulse is when the watchdog wants a sign of life; without a watchdog it is nil.
func (s *service) pulse() (ticks <-chan time.Time, stop func()) {
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		s.app.Log.Warn("no watchdog", zap.Error(err))
	}
	if every == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(every / 2)
	return t.C, t.Stop
}

// feed gives the watchdog its sign of life, which is evidence and no habit: the daemon's loop has turned to call this, and the daemon is
// alive. Else systemd restarts it, and the next run settles what this one left.
func (s *service) feed() {
	if err := s.alive(); err != nil {
		s.app.Log.Error("the watchdog starves", zap.Error(err))
		return
	}
	if _, err := systemd.SdNotify(false, systemd.SdNotifyWatchdog); err != nil {
		s.app.Log.Warn("watchdog not fed", zap.Error(err))
	}
}

// alive says why only a restart helps, if so: the scheduler's loop turns and has a next run, or this blocks or returns that; and no run
// has outlived its time.
func (s *service) alive() error {
	s.mu.Lock()
	entry, due, now := s.entry, s.standing.due, s.app.Now()
	s.mu.Unlock()
	if !s.cron.Entry(entry).Valid() {
		return errors.New("the schedule is gone")
	}
	if !due.IsZero() && now.After(due) {
		return fmt.Errorf("a run has outlived its time, which was over at %s", due.UTC().Format(time.RFC3339))
	}
	return nil
}
