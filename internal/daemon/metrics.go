package daemon

import (
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
)

// Metrics is what Prometheus sees of the runs. No label holds a login, a DN or free text. A nil Metrics counts nothing.
//
// A gauge has no value until something was seen, so that "nobody has looked yet" is not taken for "there are none". What a complete
// read has shown stays until the next one; [Metrics.lastComplete] says how old it is.
type Metrics struct {
	registry *prometheus.Registry

	runs         *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	lastRun      *prometheus.GaugeVec
	lastSuccess  *prometheus.GaugeVec
	lastComplete *prometheus.GaugeVec
	planned      *prometheus.GaugeVec
	removals     *prometheus.GaugeVec
	changes      *prometheus.CounterVec
	issues       *prometheus.GaugeVec
	people       *prometheus.GaugeVec
	groups       *prometheus.GaugeVec
	accounts     *prometheus.GaugeVec
	leavers      *prometheus.GaugeVec
	trips        *prometheus.CounterVec
	requests     *prometheus.CounterVec
	latency      *prometheus.HistogramVec
	pages        *prometheus.CounterVec
	holds        *prometheus.GaugeVec
	certificate  *prometheus.GaugeVec

	// Of the daemon only.
	nextRun    *prometheus.GaugeVec
	reloadedOK *prometheus.GaugeVec
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

// Side is one of the two servers.
type Side string

// The sides.
const (
	sideLDAP Side = "ldap"
	sidePPMS Side = "ppms"
)

const namespace = "ppms_syncd"

// NewMetrics makes all metrics, in a registry of their own.
func NewMetrics(version string) (*Metrics, error) {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs:     counters("runs_total", "Runs by how they ended; skipped: another run was under way.", "result"),
		duration: histograms("run_duration_seconds", "How long the parts of a run took.", "phase",
			.1, .3, 1, 3, 10, 30, 60, 120, 300, 600, 1800),
		lastRun:      gauges("last_run_timestamp_seconds", "When the last run ended, however it ended; 0: never."),
		lastSuccess:  gauges("last_success_timestamp_seconds", "When the last run ended that did all that it planned; 0: never."),
		lastComplete: gauges("last_complete_read_timestamp_seconds", "When directory and PPMS were last read completely; 0: never."),
		planned:      gauges("planned_changes", "Changes in the plan of the last complete read.", "kind"),
		removals:     gauges("planned_removals", "Removals in the plan of the last complete read, by the guard that counts them.", "guard"),
		changes:      counters("changes_total", "Changes by what became of them.", "kind", "outcome"),
		issues:       gauges("issues", "People and things that were held back at the last complete read, for somebody to look at.", "kind"),
		people:       gauges("people", "People in the directory at the last complete read."),
		groups:       gauges("groups", "Groups in the directory at the last complete read."),
		accounts: gauges("accounts", "Accounts in PPMS at the last complete read: managed are active and linked to the directory, unmatched "+
			"are active and nobody's.", "state"),
		leavers: gauges("leavers", "Linked people whom the last complete read lacked or showed as disabled, and whose account is active."),
		trips:   counters("guard_trips_total", "Runs in which a guard held something.", "guard"),
		requests: counters("pumapi_requests_total", "Requests to PPMS by how they ended; unauthorised: PPMS refuses the key, or the key "+
			"lacks the scope for the action.", "action", "outcome"),
		latency: histograms("pumapi_request_duration_seconds", "How long PPMS took to answer.", "action", .01, .03, .1, .3, 1, 3, 10, 30),
		pages:   counters("ldap_pages_total", "Pages of complete reads of the directory."),
		holds: gauges("holds", "People, fields and rights that the last complete read left alone: somebody asked for it, a run was undone, PPMS "+
			"does not take them, or a write is in doubt."),
		certificate: gauges("tls_certificate_expiry_timestamp_seconds", "When the certificate ends that a server showed last.", "side"),
		nextRun:     gauges("next_run_timestamp_seconds", "When the schedule has the next run; past: it is stuck."),
		reloadedOK:  gauges("config_last_reload_successful", "Whether the configuration was good when it was last read: 1 or 0."),
	}
	info := gauges("build_info", "The running program; the value is always 1.", "version", "goversion")
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.start()
	return m, m.register(
		info, m.runs, m.duration, m.lastRun, m.lastSuccess, m.lastComplete, m.planned, m.removals, m.changes, m.issues, m.people, m.groups,
		m.accounts, m.leavers, m.trips, m.requests, m.latency, m.pages, m.holds, m.certificate,
	)
}

// start makes the series of events that are known beforehand, so that the first event is an increase and not a new series.
func (m *Metrics) start() {
	for _, r := range []ledger.Result{ledger.Success, ledger.Partial, ledger.Held, ledger.Failed, skipped} {
		m.runs.WithLabelValues(string(r))
	}
	for _, p := range []Phase{phaseDirectory, phasePPMS, phasePlan, phaseWrite, phaseTotal} {
		m.duration.WithLabelValues(string(p))
	}
	for _, kind := range []reconcile.Kind{reconcile.NewUser, reconcile.UpdateUser, reconcile.SetRight} {
		for _, outcome := range reconcile.Outcomes() {
			m.changes.WithLabelValues(string(kind), string(outcome))
		}
	}
	for _, guard := range append(reconcile.Guards(), reconcile.ScopeGuard) {
		m.trips.WithLabelValues(string(guard))
	}
	for _, action := range []string{
		"getusers", "getgroups", "getadmins", "getsystems", "getuser", "getsysrights", "getuserrights", "newuser", "updateuser", "setright",
	} {
		m.requests.WithLabelValues(action, "ok")
		m.requests.WithLabelValues(action, ppms.Unauthorised.String())
	}
	m.pages.WithLabelValues()
}

func (m *Metrics) register(all ...prometheus.Collector) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, m.registry.Register(c))
	}
	return errors.Join(errs...)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histograms(name, help, label string, buckets ...float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, []string{label})
}

// set gives a value to the gauge of these labels.
func set[N int | float64](g *prometheus.GaugeVec, value N, labels ...string) {
	g.WithLabelValues(labels...).Set(float64(value))
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

// connected notes when the certificate ends that a server has shown; zero: there is no TLS.
func (m *Metrics) connected(side Side, certificate time.Time) {
	switch {
	case m == nil:
	case certificate.IsZero():
		m.certificate.DeleteLabelValues(string(side))
	default:
		set(m.certificate, seconds(certificate), string(side))
	}
}

// read counts the pages of a complete read of the directory.
func (m *Metrics) read(pages int) {
	if m != nil {
		m.pages.WithLabelValues().Add(float64(pages))
	}
}

// compared notes what a complete read and its plan have shown.
func (m *Metrics) compared(r *Report, holds int, now time.Time) {
	if m == nil {
		return
	}
	set(m.lastComplete, seconds(now))
	set(m.people, r.Directory.People)
	set(m.groups, r.Directory.Groups)
	set(m.accounts, r.PPMS.Managed, "managed")
	set(m.accounts, r.PPMS.Unmatched, "unmatched")
	set(m.accounts, r.PPMS.Accounts-r.PPMS.Active, "inactive")
	set(m.leavers, len(r.Leaving)+r.Summary.Deactivations)
	set(m.holds, holds)
	set(m.planned, r.Summary.NewUser, string(reconcile.NewUser))
	set(m.planned, r.Summary.UpdateUser, string(reconcile.UpdateUser))
	set(m.planned, r.Summary.SetRight, string(reconcile.SetRight))
	set(m.removals, r.Summary.Revocations, string(reconcile.Revocations))
	set(m.removals, r.Summary.Deactivations, string(reconcile.Deactivations))
	issues := map[reconcile.IssueKind]int{}
	for _, i := range r.Issues {
		issues[i.Kind]++
	}
	for _, kind := range reconcile.IssueKinds() { // one after the other, so that no scrape ever sees a kind missing
		set(m.issues, issues[kind], string(kind))
	}
	m.tripped(r)
}

// tripped counts the guards that hold something.
func (m *Metrics) tripped(r *Report) {
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
	set(m.lastRun, seconds(now))
	if result == ledger.Success {
		set(m.lastSuccess, seconds(now))
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

// looked notes how a run ended that only planned.
func (m *Metrics) looked(r *Report, err error, now time.Time) {
	switch {
	case err != nil || r == nil: // nil in a panic, too
		m.finished(ledger.Failed, nil, now)
	case r.Holds():
		m.finished(ledger.Held, r, now)
	default:
		m.finished(ledger.Success, r, now)
	}
}

// recalled notes what earlier processes have left in the ledger, so that a one-shot run that fails, or a daemon that was just started,
// does not hide when the last run succeeded.
func (m *Metrics) recalled(last, success, read time.Time) {
	set(m.lastRun, seconds(last))
	set(m.lastSuccess, seconds(success))
	set(m.lastComplete, seconds(read))
}

// serving adds the metrics of the daemon: its own and those of its process. In a textfile the latter would be taken for node_exporter's.
func (m *Metrics) serving() error {
	m.reloaded(true)
	return m.register(m.nextRun, m.reloadedOK, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

func (m *Metrics) next(t time.Time) {
	if !t.IsZero() {
		set(m.nextRun, seconds(t))
	}
}

func (m *Metrics) reloaded(ok bool) {
	value := 0
	if ok {
		value = 1
	}
	set(m.reloadedOK, value)
}

// WriteFile leaves the metrics for node_exporter's textfile collector, whole or not at all.
func (m *Metrics) WriteFile(path string) error {
	if err := mayReplace(path); err != nil {
		return err
	}
	return prometheus.WriteToTextfile(path, m.registry)
}

// seconds is a time as Prometheus has it; 0 is no time at all.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
