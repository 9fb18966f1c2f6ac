package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/robfig/cron/v3"
	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/ledger"
)

// ServeOptions say how the daemon runs.
type ServeOptions struct {
	DryRun bool                           // observe and plan, write nothing to PPMS
	RunNow bool                           // the first run begins at once
	Reload <-chan os.Signal               // each signal reads the configuration again
	Load   func() (*config.Config, error) // how
	Level  func(level string)             // sets log.level; may be nil
	Ready  func(address net.Addr)         // called once HTTP answers and the schedule runs; may be nil
}

const (
	stopping = 30 * time.Second // takes no longer than one write and its read-back
	farewell = time.Second      // for requests to the listener that are being answered
	idle     = 2 * time.Minute  // after which a connection to the listener is closed that asks nothing
	glance   = time.Minute      // between two looks whether the clock was set
)

// service is the daemon. It may be started many times in one process.
type service struct {
	options ServeOptions
	ctx     context.Context //nolint:containedctx // of the daemon's life: cron's jobs get none
	cancel  context.CancelFunc
	cron    *cron.Cron
	busy    sync.Mutex     // held by the run that is under way
	runs    sync.WaitGroup // those that cron did not start
	reloads sync.Mutex     // held by who reads the configuration again

	mu       sync.Mutex
	app      App    // with the present configuration
	halt     func() // stops the run that is under way, or was the last; nil before the first
	entry    cron.EntryID
	standing standing
}

// Serve runs on schedule until the context ends. A run that fails, even by a panic, is a failed run and not the end of the daemon.
func (a *App) Serve(ctx context.Context, o ServeOptions) error {
	lock, err := ledger.LockDaemon(a.Config.Ledger.Path)
	if busy, ok := errors.AsType[*ledger.BusyError](err); ok {
		return fmt.Errorf("another daemon uses this ledger (%s)", busy.Holder())
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }() // the kernel would do it anyway
	app := *a
	if app.Metrics, err = NewMetrics(a.Version); err != nil {
		return err
	}
	if err := app.Metrics.serving(); err != nil {
		return err
	}
	l, err := a.readLedger(ctx)
	if err != nil || l == nil { // make or upgrade it now rather than in the first run, or hear what is wrong with it
		l, err = a.openLedger(ctx)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(app.recallMetrics(ctx, l), l.Close()); err != nil {
		return err
	}
	listener, err := app.listen(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx) // a daemon that ends for another reason stops its run, too
	defer cancel()
	s := &service{options: o, ctx: ctx, cancel: cancel, cron: cron.New(), app: app}
	return s.serve(ctx, listener)
}

func (s *service) serve(ctx context.Context, listener net.Listener) error {
	protocols := new(http.Protocols) // HTTP/2 is not in what is shipped (Makefile: TAGS), and must not be agreed on
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: s.handler(), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idle, ErrorLog: zap.NewStdLog(s.app.Log),
	}
	failed := make(chan error, 1)
	webConfig := s.app.Config.WebConfigFile()
	go func() {
		failed <- web.Serve(listener, server, &web.FlagConfig{WebConfigFile: &webConfig}, slog.New(slog.DiscardHandler))
	}()
	s.schedule(s.app.Config)
	s.cron.Start()
	s.app.Log.Info("serving", zap.Stringer("address", listener.Addr()), zap.Bool("dry_run", s.options.DryRun || s.app.Config.DryRun))
	s.tell(systemd.SdNotifyReady)
	if s.options.Ready != nil {
		s.options.Ready(listener.Addr())
	}
	pulse, still := s.pulse()
	defer still()
	look := time.NewTicker(glance)
	defer look.Stop()
	if s.options.RunNow {
		s.runs.Go(s.tick)
	}
	var err error
	for alive := true; alive; {
		select {
		case <-ctx.Done():
			alive = false
		case err = <-failed:
			alive = false
		case <-s.options.Reload:
			_ = s.reload() // logged, and a metric says so
		case <-pulse:
			s.feed()
		case <-look.C:
			s.mind()
		}
	}
	return errors.Join(err, s.stop(ctx, server))
}

// stop ends the run that is under way, which finishes the write in flight. Until then the listener still answers.
func (s *service) stop(ctx context.Context, server *http.Server) error {
	s.app.Log.Info("stopping")
	s.tell(systemd.SdNotifyStopping)
	s.cancel()
	quiet := make(chan struct{})
	go func() {
		<-s.cron.Stop().Done()
		s.runs.Wait()
		close(quiet)
	}()
	patience := time.NewTimer(stopping)
	defer patience.Stop()
	select {
	case <-quiet:
	case <-patience.C:
		s.app.Log.Warn("the write in flight did not end in time; the next run settles it")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		return server.Close() // somebody holds a connection open
	}
	return nil
}

// schedule puts the timetable of a configuration in the place of the old one.
func (s *service) schedule(c *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cron.Remove(s.entry)
	s.entry = s.cron.Schedule(c.Timetable(), cron.FuncJob(s.tick))
	s.expect(&s.app)
}

// expect notes when the next run is due. Whoever calls it holds mu.
func (s *service) expect(app *App) {
	s.standing.next = app.Config.Timetable().Next(app.Now())
	app.Metrics.next(s.standing.next)
}

// mind puts the schedule right after the clock was set or the machine slept. cron waits on a timer that knows of neither: a clock that
// was years ahead would keep it waiting for as long, and a run that was due meanwhile would be late by what the machine slept.
func (s *service) mind() {
	if !s.reloads.TryLock() {
		return // the next look is soon
	}
	defer s.reloads.Unlock()
	s.mu.Lock()
	app, next := s.app, s.standing.next
	s.mu.Unlock()
	now := app.Now()
	overdue := !next.IsZero() && now.After(next.Add(glance))
	if !overdue && !app.Config.Timetable().Next(now).Before(next) {
		return
	}
	app.Log.Warn("the clock was set, or the machine slept: the schedule begins anew", zap.Time("next_was", next), zap.Bool("overdue", overdue))
	s.schedule(app.Config)
	if overdue {
		s.runs.Go(s.tick)
	}
	s.tell()
}

func (s *service) present() App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app
}

// tick is one run of the schedule. One that finds another under way is counted and left out.
func (s *service) tick() {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	app := s.app
	s.expect(&app)
	free := s.busy.TryLock()
	if free {
		s.halt = cancel
	}
	s.mu.Unlock()
	if !free {
		s.skip(&app, "the run before is still under way")
		return
	}
	defer s.busy.Unlock()
	if ctx.Err() != nil {
		return
	}
	unlock, err := app.lockRun()
	if errors.Is(err, errBusy) {
		s.skip(&app, err.Error())
		return
	}
	end := s.begun(&app)
	if err != nil {
		app.Metrics.finished(ledger.Failed, nil, app.Now())
		end(nil, err)
		app.Log.Error("run failed", zap.Error(err))
		return
	}
	defer unlock()
	mode := ledger.Apply
	if s.options.DryRun || app.Config.DryRun {
		mode = ledger.DryRun
	}
	report, err := app.apply(ctx, mode, nil, "")
	end(report, err)
	if err != nil {
		app.Log.Error("run failed", zap.Error(err))
	}
}

func (s *service) skip(app *App, why string) {
	app.Metrics.finished(skipped, nil, app.Now())
	app.Log.Warn("run skipped", zap.String("reason", why))
	s.tell() // when the next one is
}

// reload reads the configuration again. A bad one is refused and the old one stays. One at a time, or what was read first could come
// last, or the schedule of one beside the rest of the other.
func (s *service) reload() (err error) {
	s.reloads.Lock()
	defer s.reloads.Unlock()
	defer s.reloading()(&err)
	app := s.present()
	next, err := s.options.Load()
	if err == nil && (next.Ledger.Path != app.Config.Ledger.Path || next.HTTP != app.Config.HTTP || next.Log.Format != app.Config.Log.Format) {
		err = errors.New("ledger.path, http and log.format are read at start only: restart for them")
	}
	app.Metrics.reloaded(err == nil)
	if err != nil {
		app.Log.Error("configuration not reloaded, the old one stays", zap.Error(err))
		return err
	}
	s.mu.Lock()
	s.app.Config = next
	if next.DryRun && !app.Config.DryRun && s.halt != nil { // whoever says so in the middle of a run means that one
		s.halt()
	}
	s.mu.Unlock()
	if next.Schedule != app.Config.Schedule || next.TimeZone != app.Config.TimeZone { // else an interval would begin anew
		s.schedule(next)
	}
	if s.options.Level != nil {
		s.options.Level(next.Log.Level)
	}
	app.Log.Info("configuration reloaded", zap.String("hash", next.Hash()))
	for _, w := range next.Warnings {
		app.Log.Warn("configuration", zap.String("warning", w.String()))
	}
	return nil
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.app.Metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.alive()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, s.ready(r.Context())) })
	mux.HandleFunc("POST /-/reload", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.reload()) })
	return mux
}

// ready says why the daemon could not do its work.
func (s *service) ready(ctx context.Context) error {
	if err := s.ctx.Err(); err != nil {
		return errors.New("the daemon is stopping")
	}
	app := s.present()
	l, err := app.readLedger(ctx)
	if err != nil {
		return err
	}
	if l == nil {
		return app.noLedger()
	}
	return errors.Join(l.Close(), ledger.Writable(app.Config.Ledger.Path))
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, Harmless(err.Error())) // who asked has gone
		return
	}
	_, _ = fmt.Fprintln(w, "ok") // likewise
}
