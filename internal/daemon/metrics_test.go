package daemon_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
	"ppms-syncd/internal/ldapsrc/ldaptest"
)

// measured is a world whose runs are counted, and what they left.
func measured(t *testing.T, change ...func(*settings)) (w *world, metrics func() []byte) {
	t.Helper()
	w = newWorld(t, change...)
	must(t, w.app.Measure(t.Context()))
	return w, func() []byte {
		file := w.path("run.prom")
		must(t, w.app.Metrics.WriteFile(file))
		text, err := os.ReadFile(file)
		must(t, err)
		return text
	}
}

// absent expects no series of these names.
func absent(t *testing.T, text string, names ...string) {
	t.Helper()
	for _, name := range names {
		if strings.Contains(text, "\nppms_syncd_"+name) {
			t.Errorf("%s has a value:\n%s", name, text)
		}
	}
}

// seen are the metrics of what a complete read shows.
func seen() []string {
	return []string{"people ", "groups ", "accounts{", "leavers ", "holds ", "issues{", "planned_changes{", "planned_removals{"}
}

func TestMetricsOfAHeldRun(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t, none("creations"))
	w.apply().exits(daemon.ExitHeld)
	expect(t, string(metrics()), `ppms_syncd_runs_total{result="held"} 1`, `ppms_syncd_guard_trips_total{guard="creations"} 1`,
		`ppms_syncd_planned_changes{kind="newuser"} 1`, `ppms_syncd_changes_total{kind="newuser",outcome="held"} 1`)
}

// TestMetricsOfAFailedRun: what nobody saw has no value, and what the ledger knows of earlier runs is there.
func TestMetricsOfAFailedRun(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(w *world){
		"PPMS answers nonsense": func(w *world) { w.faults("getusers:html") },
		"no directory":          func(w *world) { w.configure(func(s *settings) { s.LDAP = "ldap://127.0.0.1:1" }) },
		"no key":                func(w *world) { w.mode("pumapi-key", 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, metrics := measured(t)
			strike(w)
			w.apply().exits(daemon.ExitFailed)
			text := string(metrics())
			expect(t, text, `ppms_syncd_runs_total{result="failed"} 1`, "ppms_syncd_last_success_timestamp_seconds 0\n",
				"ppms_syncd_last_complete_read_timestamp_seconds 0\n")
			absent(t, text, seen()...)
		})
	}
	t.Run("after a good one", func(t *testing.T) {
		t.Parallel()
		w := settled(t)
		then := w.now.Add(-25 * time.Hour)
		must(t, w.app.Measure(t.Context()))
		w.mode("pumapi-key", 0o644)
		w.apply().exits(daemon.ExitFailed)
		must(t, w.app.Metrics.WriteFile(w.path("run.prom")))
		text, err := os.ReadFile(w.path("run.prom"))
		must(t, err)
		expect(t, string(text), "ppms_syncd_last_success_timestamp_seconds "+stamp(then), "ppms_syncd_last_complete_read_timestamp_seconds "+stamp(then))
		absent(t, string(text), seen()...)
	})
}

// TestMetricsWithoutALedger: a ledger that cannot be read leaves unknown when the last run succeeded, which is not the same as never.
func TestMetricsWithoutALedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("ledger.db", "this is no database, and long enough to be taken for one that was broken")
	must(t, w.app.Measure(t.Context()))
	w.apply().exits(daemon.ExitFailed)
	must(t, w.app.Metrics.WriteFile(w.path("run.prom")))
	text, err := os.ReadFile(w.path("run.prom"))
	must(t, err)
	expect(t, string(text), `ppms_syncd_runs_total{result="failed"} 1`)
	absent(t, string(text), "last_success_timestamp_seconds", "last_complete_read_timestamp_seconds")
}

// TestMetricsFile: node_exporter, which is another user, may read it, and no half of one is ever seen.
func TestMetricsFile(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t)
	metrics()
	before, err := os.Open(w.path("run.prom"))
	must(t, err)
	defer func() { _ = before.Close() }()
	metrics()
	old, err := before.Stat()
	must(t, err)
	now, err := os.Stat(w.path("run.prom"))
	must(t, err)
	if os.SameFile(old, now) {
		t.Error("the file was written over instead of being replaced")
	}
	if now.Mode() != 0o644 {
		t.Errorf("its mode is %v", now.Mode())
	}
	folder, err := os.ReadDir(w.Folder)
	must(t, err)
	for _, f := range folder {
		if strings.HasPrefix(f.Name(), "run.prom") && f.Name() != "run.prom" {
			t.Errorf("%s was left behind", f.Name())
		}
	}
	if err := w.app.Metrics.WriteFile(w.path("no/such/run.prom")); err == nil {
		t.Error("a folder that is not there was no error")
	}
	link := w.path("link.prom")
	must(t, os.Symlink(os.DevNull, link))
	if err := w.app.Metrics.WriteFile(link); err == nil {
		t.Error("a link was replaced")
	}
}

func TestMetricsOfAPlan(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t)
	w.plan()
	expect(t, string(metrics()), `ppms_syncd_runs_total{result="success"} 1`, "ppms_syncd_last_success_timestamp_seconds "+stamp(w.now))
	w.faults("getusers:unauthorized")
	w.plan().exits(daemon.ExitFailed)
	expect(t, string(metrics()), `ppms_syncd_runs_total{result="failed"} 1`)
}

// TestMetricsOfAKeyThatIsRefused: each kind of failure of PPMS has a word of its own.
func TestMetricsOfAKeyThatIsRefused(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t)
	before := string(metrics())
	expect(t, before, `ppms_syncd_pumapi_requests_total{action="getusers",outcome="unauthorised"} 0`)
	w.faults("getusers:unauthorized")
	w.apply().exits(daemon.ExitFailed)
	text := string(metrics())
	absent(t, text, `pumapi_requests_total{action="getusers",outcome="unauthorised"} 0`)
	expect(t, text, `ppms_syncd_pumapi_requests_total{action="getusers",outcome="unauthorised"} `)
}

// TestMetricsOfCertificates: a certificate stays known while its server is away, and is forgotten when there is no TLS any more.
func TestMetricsOfCertificates(t *testing.T) {
	t.Parallel()
	w, metrics := measured(t)
	plainLDAP, plainPPMS := w.LDAP, w.PPMS
	certs, err := ldaptest.NewCerts(ldaptest.CertOptions{})
	must(t, err)
	w.secureDirectory(certs)
	w.securePPMS(authority)
	w.apply().exits(daemon.ExitOK)
	ldap, ppms := `tls_certificate_expiry_timestamp_seconds{side="ldap"} `, `tls_certificate_expiry_timestamp_seconds{side="ppms"} `
	expect(t, string(metrics()), ldap+stamp(expiry(t, certs)), ppms+stamp(expiry(t, authority)))
	w.configure(func(s *settings) { s.PPMS = "https://127.0.0.1:1/pumapi/" })
	w.apply().exits(daemon.ExitFailed)
	expect(t, string(metrics()), ldap, ppms)
	w.configure(func(s *settings) { s.LDAP, s.PPMS = plainLDAP, plainPPMS })
	w.apply().exits(daemon.ExitOK)
	absent(t, string(metrics()), ldap, ppms)
}

// stamp is a time as the metrics write it.
func stamp(at time.Time) string { return strconv.FormatFloat(float64(at.Unix()), 'g', -1, 64) }

func expiry(t *testing.T, c *ldaptest.Certs) time.Time {
	t.Helper()
	block, _ := pem.Decode(c.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return cert.NotAfter
}
