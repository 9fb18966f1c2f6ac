package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// DefaultApproval is how long an approval lasts unless somebody says otherwise.
const DefaultApproval = 72 * time.Hour

// Output is how results are printed.
type Output string

// The outputs.
const (
	Text Output = "text"
	JSON Output = "json"
)

// PlanOptions say what plan prints and where the plan goes.
type PlanOptions struct {
	File     string // also save it here
	ExitCode bool   // exit 2 if there are changes, 3 if a guard would hold some
	Output   Output
	Against  string // a snapshot that takes the place of PPMS
}

// Plan compares and prints what a run would do. It writes nothing: neither to PPMS nor to the ledger.
func (a *App) Plan(ctx context.Context, o PlanOptions) error {
	if o.Against != "" {
		against := o.Against
		o.Against = ""
		return a.rehearse(ctx, against, func(a *App) error { return a.Plan(ctx, o) })
	}
	report, err := a.plan(ctx, nil, 0)
	if err != nil {
		return err
	}
	if err := a.present(report, o.Output, o.File); err != nil {
		return err
	}
	switch {
	case o.ExitCode && report.Holds():
		return &ExitError{Code: ExitHeld}
	case o.ExitCode && len(report.Changes) > 0:
		return &ExitError{Code: ExitPending}
	}
	return nil
}

// plan is a run that has nothing to write with; a saved plan narrows it. Of another run it plans the undoing.
func (a *App) plan(ctx context.Context, file *reconcile.Plan, undoes int64) (report *Report, err error) {
	defer func() { a.Metrics.looked(report, err, a.Now()) }()
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	r, err := a.newPlanner(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.file, r.undoes = file, undoes
	if report, err = r.do(ctx); err != nil {
		return nil, timedOut(ctx, err)
	}
	return report, nil
}

// newPlanner makes a run whose PPMS client has no write methods and whose ledger can only be read.
func (a *App) newPlanner(ctx context.Context) (*run, error) {
	r, options, err := a.prepare()
	if err != nil {
		return nil, err
	}
	if r.reader, err = ppms.NewReader(options); err != nil {
		return nil, err
	}
	r.ledger, err = a.readLedger(ctx)
	return r, err
}

// prepare makes what every run has: a way to read the directory, and the address and key of PPMS.
func (a *App) prepare() (*run, ppms.Options, error) {
	source, err := a.source()
	if err != nil {
		return nil, ppms.Options{}, err
	}
	options, err := a.pumapi()
	return &run{App: a, source: source}, options, err
}

func (r *run) close() {
	r.reader.Close()
	if r.ledger != nil {
		if err := r.ledger.Close(); err != nil {
			r.Log.Warn("ledger not closed", zap.Error(err))
		}
	}
}

// ApplyOptions say which plan is applied.
type ApplyOptions struct {
	File    string // exactly this saved plan; "" plans anew
	Approve string // hash of the plan that is approved herewith
	Output  Output
	Against string // a snapshot that takes the place of PPMS
}

// Apply compares, lets the guards judge, and writes.
func (a *App) Apply(ctx context.Context, o ApplyOptions) error {
	if o.Approve != "" {
		if err := checkHash(o.Approve); err != nil {
			return err
		}
	}
	file, err := a.savedPlan(o)
	if err != nil {
		return err
	}
	mode, undoes := ledger.Apply, int64(0)
	if file != nil && file.Undoes != 0 {
		mode, undoes = ledger.Undo, file.Undoes
	}
	if o.Against != "" {
		return a.rehearse(ctx, o.Against, func(a *App) error { return a.rehearseApply(ctx, mode, file, o) })
	}
	if a.Config.DryRun {
		report, err := a.plan(ctx, file, undoes)
		if err != nil {
			return err
		}
		if o.Approve != "" && !hashFits(o.Approve, report.Hash) {
			return fmt.Errorf("the plan is now %s, not %s", report.Hash, o.Approve)
		}
		report.DryRun = true
		return a.print(report, o.Output, "")
	}
	unlock, err := a.lockRun()
	if err != nil {
		result := ledger.Failed
		if errors.Is(err, errBusy) {
			result = skipped
		}
		a.Metrics.finished(result, nil, a.Now())
		return err
	}
	defer unlock()
	report, err := a.apply(ctx, mode, file, o.Approve)
	if report == nil {
		return err
	}
	return report.end(errors.Join(err, a.print(report, o.Output, "")))
}

// savedPlan loads the plan that is to be applied; nil if there is none.
func (a *App) savedPlan(o ApplyOptions) (*reconcile.Plan, error) {
	if o.File == "" {
		return nil, nil //nolint:nilnil // to plan anew is no error
	}
	file, err := loadPlan(o.File, a.configHash(), a.Now())
	if err == nil && o.Approve != "" && !hashFits(o.Approve, file.Hash) {
		err = fmt.Errorf("%s has the hash %s, not %s", o.File, file.Hash, o.Approve)
	}
	return file, err
}

// errBusy ends what cannot be done beside a run.
var errBusy = errors.New("another run is under way")

// lockRun makes sure that no other run is under way.
func (a *App) lockRun() (unlock func(), err error) {
	lock, err := ledger.LockRun(a.Config.Ledger.Path)
	if busy, ok := errors.AsType[*ledger.BusyError](err); ok {
		return nil, fmt.Errorf("%w (%s); try again when it has ended", errBusy, busy.Holder())
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = lock.Unlock() }, nil // the kernel would do it anyway
}

// end turns a report and what failed beside it into the error that has the exit code.
func (r *Report) end(err error) error {
	code := r.exit()
	switch {
	case err != nil && !r.wrote:
		return err
	case err != nil && code == ExitOK: // all was written, but the ledger or the report failed
		code = ExitPartial
	case code == ExitOK:
		return nil
	}
	return &ExitError{Code: code, Err: err}
}

// apply is a run that is on record. Its error says what ended it; a report is there as soon as there was a plan. In mode dry-run it
// observes and plans, and has nothing that could write to PPMS.
func (a *App) apply(ctx context.Context, mode ledger.Mode, file *reconcile.Plan, approve string) (report *Report, err error) {
	defer a.shield(&err)
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	r, err := a.newRun(ctx)
	if err != nil {
		a.Metrics.finished(ledger.Failed, nil, a.Now())
		return nil, err
	}
	defer r.close()
	if mode == ledger.DryRun {
		r.writer = nil
	}
	r.file, r.approve = file, approve
	if mode == ledger.Undo {
		r.undoes = file.Undoes
	}
	r.id, err = r.ledger.BeginRun(ctx, ledger.Run{
		Started: r.Now(), Mode: mode, Policy: a.Config.Policy, ConfigHash: a.configHash(), Actor: a.actor(), Undoes: r.undoes,
	})
	if err != nil {
		a.Metrics.finished(ledger.Failed, nil, a.Now())
		return nil, err
	}
	report, err = r.do(ctx)
	err = timedOut(ctx, err)
	return report, errors.Join(err, r.conclude(ctx, report, err))
}

// Measure makes the metrics of a one-shot run. A ledger that cannot be read is the run's to complain about: what it would tell stays
// unknown.
func (a *App) Measure(ctx context.Context) (err error) {
	if a.Metrics, err = NewMetrics(a.Version); err != nil {
		return err
	}
	l, err := a.readLedger(ctx)
	if err == nil && l == nil {
		a.Metrics.recalled(time.Time{}, time.Time{}, time.Time{})
		return nil
	}
	if err == nil {
		err = errors.Join(a.recallMetrics(ctx, l), l.Close())
	}
	if err != nil {
		a.Log.Warn("metrics lack what earlier runs did", zap.Error(err))
	}
	return nil
}

// recallMetrics fills in what only the ledger knows.
func (a *App) recallMetrics(ctx context.Context, l Ledger) error {
	last, success, err := l.Ends(ctx)
	if err != nil {
		return err
	}
	view, _, err := l.View(ctx)
	if err != nil {
		return err
	}
	a.Metrics.recalled(last, success, view.At)
	return nil
}

// newRun makes a run that may write.
func (a *App) newRun(ctx context.Context) (*run, error) {
	r, options, err := a.prepare()
	if err != nil {
		return nil, err
	}
	if r.writer, err = ppms.NewWriter(options); err != nil {
		return nil, err
	}
	r.reader = r.writer.Reader
	r.ledger, err = a.openLedger(ctx)
	return r, err
}

// conclude stores how the run ended, however it ended, and forgets what is older than ledger.keep.
func (r *run) conclude(ctx context.Context, report *Report, failure error) error {
	result := ledger.RunResult{Finished: r.Now(), Result: resultOf(report, failure)}
	if report != nil {
		result.PlanHash, result.Totals = report.Hash, report.totals()
	}
	if failure != nil {
		result.Error = failure.Error()
	}
	ctx = context.WithoutCancel(ctx) // the run may have been stopped, and its end must be on record all the same
	r.Log.Info("run finished", zap.Int64("run", r.id), zap.String("result", string(result.Result)), zap.String("plan", result.PlanHash),
		zap.Any("outcomes", result.Totals.Outcomes), zap.Int("issues", result.Totals.Summary.Issues),
		zap.Int64("requests", r.reader.Requests()))
	err := r.ledger.FinishRun(ctx, r.id, result)
	if err == nil {
		_, err = r.ledger.Prune(ctx, r.Now().Add(-time.Duration(r.Config.Ledger.Keep)))
	}
	r.Metrics.finished(resultOf(report, errors.Join(failure, err)), report, result.Finished) // what is not on record went not well
	return err
}

// resultOf is the word for how a run ended, for the ledger, the metrics and systemd.
func resultOf(r *Report, failure error) ledger.Result {
	switch {
	case r == nil:
		return ledger.Failed
	case failure == nil:
		return r.result()
	case r.wrote:
		return ledger.Partial
	}
	return ledger.Failed
}

func (a *App) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(a.Config.RunTimeout))
}

// timedOut says so, where the run's time was up.
func timedOut(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("run_timeout is over: %w", err)
	}
	return err
}
