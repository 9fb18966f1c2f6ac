package daemon

import (
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// Metrics is what Prometheus sees of the runs. No label holds a login, a DN or free text. A nil Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	runs         *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	lastRun      prometheus.Gauge
	lastSuccess  prometheus.Gauge
	lastComplete prometheus.Gauge
	planned      *prometheus.GaugeVec
	removals     *prometheus.GaugeVec
	changes      *prometheus.CounterVec
	issues       *prometheus.GaugeVec
	people       prometheus.Gauge
	groups       prometheus.Gauge
	accounts     *prometheus.GaugeVec
	leavers      prometheus.Gauge
	trips        *prometheus.CounterVec
	requests     *prometheus.CounterVec
	latency      *prometheus.HistogramVec
	pages        prometheus.Counter
	holds        prometheus.Gauge
	certificate  *prometheus.GaugeVec

	recalledOnce bool // what earlier processes left in the ledger is in

	// Of the daemon only.
	nextRun    prometheus.Gauge
	reloadedOK prometheus.Gauge
}

// skipped is how a tick ends that finds a run under way.
const skipped ledger.Result = "skipped"

// Phase is a part of a run whose duration is measured.
type Phase string

// The phases.
const (
	phaseDirectory Phase = "directory"
	phasePPMS      Phase = "ppms"
	phasePlan      Phase = "plan"
	phaseWrite     Phase = "write"
	phaseTotal     Phase = "total"
)

const namespace = "ppms_syncd"

// NewMetrics makes all metrics, in a registry of their own.
func NewMetrics(version string) (*Metrics, error) {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs:     counters("runs_total", "Runs by how they ended.", "result"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "run_duration_seconds", Help: "How long the parts of a run took.",
			Buckets: []float64{.1, .3, 1, 3, 10, 30, 60, 120, 300, 600, 1800},
		}, []string{"phase"}),
		lastRun:      gauge("last_run_timestamp_seconds", "When the last run ended, however it ended."),
		lastSuccess:  gauge("last_success_timestamp_seconds", "When the last run ended that did all that it planned."),
		lastComplete: gauge("last_complete_read_timestamp_seconds", "When directory and PPMS were last read completely."),
		planned:      gauges("planned_changes", "Changes in the last plan.", "kind"),
		removals:     gauges("planned_removals", "Removals in the last plan.", "guard"),
		changes:      counters("changes_total", "Changes by what became of them.", "kind", "outcome"),
		issues:       gauges("issues", "People and things that the last run held back for somebody to look at.", "kind"),
		people:       gauge("people", "People in the directory."),
		groups:       gauge("groups", "Groups in the directory."),
		accounts:     gauges("accounts", "Accounts in PPMS: active ones that are linked to the directory, active ones that are not, and inactive ones.", "state"),
		leavers:      gauge("leavers", "Linked people who are missing from the directory or disabled in it, and whose account is active."),
		trips:        counters("guard_trips_total", "Runs in which a guard held something.", "guard"),
		requests:     counters("pumapi_requests_total", "Requests to PPMS.", "action", "outcome"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "pumapi_request_duration_seconds", Help: "How long PPMS took to answer.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"action"}),
		pages:       prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "ldap_pages_total", Help: "Pages read from the directory."}),
		holds:       gauge("holds", "People, fields and rights that are left alone: somebody asked for it, a run was undone, or PPMS does not take them."),
		certificate: gauges("tls_certificate_expiry_timestamp_seconds", "When a server's certificate ends.", "side"),
		nextRun:     gauge("next_run_timestamp_seconds", "When the schedule has the next run."),
		reloadedOK:  gauge("config_last_reload_successful", "Whether the configuration was good when it was last read: 1 or 0."),
	}
	info := gauges("build_info", "The running program; the value is always 1.", "version", "goversion")
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.start()
	var errs []error
	for _, c := range []prometheus.Collector{
		info, m.runs, m.duration, m.lastRun, m.lastSuccess, m.lastComplete, m.planned, m.removals, m.changes, m.issues, m.people, m.groups,
		m.accounts, m.leavers, m.trips, m.requests, m.latency, m.pages, m.holds, m.certificate,
	} {
		errs = append(errs, m.registry.Register(c))
	}
	return m, errors.Join(errs...)
}

// start makes the series that are known beforehand, so that the first event is an increase and not a new series.
func (m *Metrics) start() {
	for _, r := range []ledger.Result{ledger.Success, ledger.Partial, ledger.Held, ledger.Failed, skipped} {
		m.runs.WithLabelValues(string(r))
	}
	for _, kind := range []reconcile.Kind{reconcile.NewUser, reconcile.UpdateUser, reconcile.SetRight} {
		m.planned.WithLabelValues(string(kind))
		m.changes.WithLabelValues(string(kind), string(reconcile.Applied))
	}
	for _, guard := range []reconcile.Guard{reconcile.Revocations, reconcile.Deactivations} {
		m.removals.WithLabelValues(string(guard))
	}
	for _, guard := range append(reconcile.Guards(), reconcile.ScopeGuard) {
		m.trips.WithLabelValues(string(guard))
	}
	for _, state := range []string{"managed", "unmatched", "inactive"} {
		m.accounts.WithLabelValues(state)
	}
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// request counts one request to PPMS.
func (m *Metrics) request(action, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(action, outcome).Inc()
	m.latency.WithLabelValues(action).Observe(took.Seconds())
}

// phase measures a part of a run: it is called at its begin, and the result at its end.
func (m *Metrics) phase(p Phase) (end func()) {
	if m == nil {
		return func() {}
	}
	begin := time.Now()
	return func() { m.duration.WithLabelValues(string(p)).Observe(time.Since(begin).Seconds()) }
}

// read notes what the directory was like.
func (m *Metrics) read(pages int, certificate time.Time) {
	if m == nil {
		return
	}
	m.pages.Add(float64(pages))
	if !certificate.IsZero() {
		m.certificate.WithLabelValues("ldap").Set(seconds(certificate))
	}
}

// compared notes what a complete read and its plan have shown.
func (m *Metrics) compared(r *Report, holds int, now time.Time) {
	if m == nil {
		return
	}
	m.lastComplete.Set(seconds(now))
	m.people.Set(float64(r.Directory.People))
	m.groups.Set(float64(r.Directory.Groups))
	m.accounts.WithLabelValues("managed").Set(float64(r.PPMS.Managed))
	m.accounts.WithLabelValues("unmatched").Set(float64(r.PPMS.Unmatched))
	m.accounts.WithLabelValues("inactive").Set(float64(r.PPMS.Accounts - r.PPMS.Active))
	m.leavers.Set(float64(len(r.Leaving) + r.Summary.Deactivations))
	m.holds.Set(float64(holds))
	m.planned.WithLabelValues(string(reconcile.NewUser)).Set(float64(r.Summary.NewUser))
	m.planned.WithLabelValues(string(reconcile.UpdateUser)).Set(float64(r.Summary.UpdateUser))
	m.planned.WithLabelValues(string(reconcile.SetRight)).Set(float64(r.Summary.SetRight))
	m.removals.WithLabelValues(string(reconcile.Revocations)).Set(float64(r.Summary.Revocations))
	m.removals.WithLabelValues(string(reconcile.Deactivations)).Set(float64(r.Summary.Deactivations))
	m.issues.Reset()
	for _, i := range r.Issues {
		m.issues.WithLabelValues(string(i.Kind)).Inc()
	}
	for _, g := range r.Guards {
		if g.Tripped {
			m.trips.WithLabelValues(string(g.Name)).Inc()
		}
	}
	for i := range r.Changes {
		if r.Changes[i].Held == string(reconcile.ScopeGuard) {
			m.trips.WithLabelValues(string(reconcile.ScopeGuard)).Inc()
			break
		}
	}
}

// finished notes how a run ended.
func (m *Metrics) finished(result ledger.Result, r *Report, now time.Time) {
	if m == nil {
		return
	}
	m.runs.WithLabelValues(string(result)).Inc()
	if result == skipped {
		return
	}
	m.lastRun.Set(seconds(now))
	if result == ledger.Success {
		m.lastSuccess.Set(seconds(now))
	}
	if r == nil {
		return
	}
	for i := range r.Changes {
		if c := &r.Changes[i]; c.Outcome != "" {
			m.changes.WithLabelValues(string(c.Kind), string(c.Outcome)).Inc()
		}
	}
}

// recalled notes what earlier runs of other processes have left in the ledger, so that a one-shot run that fails does not hide when
// the last one succeeded.
func (m *Metrics) recalled(runs []ledger.Run, before reconcile.Baseline) {
	m.recalledOnce = true
	if !before.At.IsZero() {
		m.lastComplete.Set(seconds(before.At))
	}
	for i := range runs { // the newest first
		if runs[i].Result == ledger.Success {
			m.lastSuccess.Set(seconds(runs[i].Finished))
			return
		}
	}
}

// serving adds the metrics of the daemon, and those of its process under their usual names.
func (m *Metrics) serving() error {
	m.reloadedOK.Set(1)
	var errs []error
	for _, c := range []prometheus.Collector{
		m.nextRun, m.reloadedOK, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		errs = append(errs, m.registry.Register(c))
	}
	return errors.Join(errs...)
}

func (m *Metrics) next(t time.Time) {
	if !t.IsZero() {
		m.nextRun.Set(seconds(t))
	}
}

func (m *Metrics) reloaded(ok bool) {
	value := 0.0
	if ok {
		value = 1
	}
	m.reloadedOK.Set(value)
}

// WriteFile leaves the metrics for node_exporter's textfile collector, whole or not at all.
func (m *Metrics) WriteFile(path string) error { return prometheus.WriteToTextfile(path, m.registry) }

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
