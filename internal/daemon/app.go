package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// App is the program with all that it needs from outside. Nothing in it changes while a command runs.
type App struct {
	Config *config.Config
	Log    *zap.Logger
	Out    io.Writer // results
	Terminal
	Metrics *Metrics // nil: nobody counts
	Network Network
	Version string
	Now     func() time.Time

	rehearsal *rehearsal // nil: this is no rehearsal
}

// Network is how the program reaches others and others reach it. What is nil is the machine's own way.
type Network struct {
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
}

// shield turns a panic into an error: a bug ends one run, not the daemon. What it was doing is told in the log alone.
func (a *App) shield(err *error) {
	if p := recover(); p != nil {
		a.Log.Error("panic", zap.Any("value", p), zap.Stack("stack"))
		*err = fmt.Errorf("this is a bug, please report it with the log: %v", p)
	}
}

// Terminal is what is known of the person who looks on.
type Terminal struct {
	Colour bool
	Watch  func(what string, total int) Step // shows progress; nil: nobody watches
	Ask    func(question string) Answer      // nil: nobody answers
}

// Answer is what somebody says to a question.
type Answer int

// Nobody is there to answer: neither a person at a terminal nor a line that was piped in.
const (
	Nobody Answer = iota
	No
	Yes
)

func (a *App) ask(question string) Answer {
	if a.Ask == nil {
		return Nobody
	}
	return a.Ask(question)
}

// Step moves a progress display to done; with done at the total it goes away.
type Step func(done int)

// progress never returns nil.
func (a *App) progress(what string, total int) Step {
	if a.Watch == nil || total == 0 {
		return func(int) {}
	}
	return a.Watch(what, total)
}

// actor is who acts, for the journal.
func (a *App) actor() ledger.Actor {
	actor := ledger.Actor{User: fmt.Sprintf("uid %d", os.Getuid()), Version: a.Version} // a container knows no names
	if u, err := user.Current(); err == nil {
		actor.User = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		actor.User = sudo + " as " + actor.User
	}
	actor.Host, _ = os.Hostname()
	return actor
}

// Ledger is what a run needs of the ledger. Each method is one short transaction; what a run writes is on disk when the
// method returns.
type Ledger interface {
	Memory(ctx context.Context, now time.Time) (reconcile.Memory, error)
	Accounts(ctx context.Context) ([]ledger.AccountSeen, error)
	Unmatched(ctx context.Context) ([]ledger.AccountSeen, error)
	View(ctx context.Context) (ledger.View, bool, error)
	Pending(ctx context.Context) ([]ledger.Entry, error)
	Runs(ctx context.Context, limit int) ([]ledger.Run, error)
	Latest(ctx context.Context) (ledger.Run, bool, error)
	Ends(ctx context.Context) (last, success time.Time, err error)
	Run(ctx context.Context, id int64) (ledger.Run, bool, error)
	Entries(ctx context.Context, run int64) ([]ledger.Entry, error)
	EntriesOf(ctx context.Context, key reconcile.Key, limit int) ([]ledger.Entry, error)
	HeldPlan(ctx context.Context, hash string) (reconcile.Plan, bool, error)

	BeginRun(ctx context.Context, r ledger.Run) (int64, error)
	FinishRun(ctx context.Context, run int64, result ledger.RunResult) error
	Observe(ctx context.Context, run int64, seen reconcile.Observations, at time.Time) error
	SaveAccounts(ctx context.Context, accounts []ledger.AccountSeen) error
	DropAccounts(ctx context.Context, logins []string) error
	SaveView(ctx context.Context, run int64, v ledger.View) error
	Intend(ctx context.Context, run int64, c reconcile.Change, at time.Time) (int64, error)
	Settle(ctx context.Context, entry int64, outcome reconcile.Outcome, detail string, at time.Time) error
	Record(ctx context.Context, run int64, c reconcile.Change, outcome reconcile.Outcome, detail string, at time.Time) error
	Stick(ctx context.Context, stuck []reconcile.Stuck) error
	HoldPlan(ctx context.Context, run int64, plan reconcile.Plan, at time.Time) error
	Approve(ctx context.Context, plan reconcile.Plan, actor ledger.Actor, at, until time.Time) error
	Link(ctx context.Context, link reconcile.Link, actor ledger.Actor, at time.Time) error
	Unlink(ctx context.Context, login string, actor ledger.Actor, at time.Time) (bool, error)
	Hold(ctx context.Context, holds []reconcile.Hold, actor ledger.Actor, at time.Time) error
	Release(ctx context.Context, key reconcile.Key, actor ledger.Actor, at time.Time) ([]reconcile.Hold, error)
	ReleaseRun(ctx context.Context, run int64, actor ledger.Actor, at time.Time) ([]reconcile.Hold, error)
	Traces(ctx context.Context, key reconcile.Key) ([]ledger.Trace, error)
	Forget(ctx context.Context, key reconcile.Key, actor ledger.Actor, at time.Time) error
	Scrub(ctx context.Context) error
	Prune(ctx context.Context, before time.Time) (int, error)
	Close() error
}

// readLedger opens the ledger for looking only. One that does not exist yet is nil, and knows nothing.
func (a *App) readLedger(ctx context.Context) (Ledger, error) {
	l, err := ledger.OpenReadOnly(ctx, a.Config.Ledger.Path)
	if errors.Is(err, fs.ErrNotExist) {
		a.Log.Info("no ledger yet", zap.String("path", a.Config.Ledger.Path))
		return nil, nil //nolint:nilnil // a ledger that does not exist yet is no error
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (a *App) openLedger(ctx context.Context) (Ledger, error) {
	return ledger.Open(ctx, a.Config.Ledger.Path)
}

// withLedger opens the ledger for a word of a person, which makes no sense where nothing was ever run.
func (a *App) withLedger(ctx context.Context, do func(l Ledger) error) error {
	if _, err := os.Stat(a.Config.Ledger.Path); errors.Is(err, fs.ErrNotExist) {
		return a.noLedger()
	}
	l, err := a.openLedger(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(l), l.Close())
}

func (a *App) noLedger() error {
	return fmt.Errorf("there is no ledger at %s yet: nothing was ever run here", a.Config.Ledger.Path)
}

func (a *App) source() (*ldapsrc.Source, error) {
	directory := a.Config.Directory()
	directory.Dial = a.Network.Dial
	directory.Now = a.Now
	return ldapsrc.New(directory, a.Config.Mapping(), a.Log)
}

// instance says which PPMS it is that the program speaks to: on one host each has its path.
func (a *App) instance() string {
	if a.rehearsal != nil {
		return a.rehearsal.url
	}
	u, err := url.Parse(a.Config.Pumapi().URL)
	if err != nil { // the configuration was checked
		return ""
	}
	return strings.ToLower(u.Hostname()) + strings.TrimRight(u.Path, "/")
}

// pumapi says how to reach PPMS. The key is read from its file now, so that each run has the present one.
func (a *App) pumapi() (ppms.Options, error) {
	p := a.Config.Pumapi()
	if a.rehearsal != nil {
		return ppms.Options{
			URL: a.rehearsal.url, Key: a.rehearsal.key, Timeout: p.Timeout, Concurrency: p.Concurrency, UserAgent: "ppms-syncd/" + a.Version,
			Zone: p.Location, Now: a.Now, Log: a.Log,
		}, nil
	}
	key, err := p.Key.Read()
	if err != nil {
		return ppms.Options{}, fmt.Errorf("the PPMS API key (ppms.api_key_file): %w", err)
	}
	return ppms.Options{
		URL: p.URL, Key: key, Timeout: p.Timeout, Concurrency: p.Concurrency, RequestsPerSecond: p.RequestsPerSecond,
		UserAgent: "ppms-syncd/" + a.Version, Zone: p.Location, Now: a.Now, Log: a.Log, Observe: a.Metrics.request, Dial: a.Network.Dial,
	}, nil
}
