package daemon_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ppms-syncd/internal/daemon"
)

// deployed is where the rules, the dashboard and the example are.
var deployed = filepath.Join("..", "..", "deploy", "prometheus")

// prometheus is one that runs on a free port of loopback until the end of the test.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus runs one with the configuration of a file.
func startPrometheus(t *testing.T, config string) *prometheus {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Minute)
	cmd := exec.CommandContext(ctx, program(t, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address=127.0.0.1:0", "--log.level=info")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	address, said, read := make(chan string, 1), &safeBuffer{}, make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			fmt.Fprintln(said, lines.Text())
			if _, after, ok := strings.Cut(lines.Text(), `msg="Listening on" address=`); ok {
				address <- strings.Fields(after)[0]
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was interrupted
		http.DefaultClient.CloseIdleConnections()
	})
	select {
	case a := <-address:
		return &prometheus{t, "http://" + a}
	case <-read:
	case <-ctx.Done():
	}
	t.Fatalf("prometheus does not listen:\n%s", said)
	return nil
}

// get asks the API, and returns the data of the answer.
func (p *prometheus) get(path string, into any) error {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+"/api/v1/"+path, nil)
	must(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(p.t, err)
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return fmt.Errorf("%s: %s %s", path, resp.Status, body)
	}
	return json.Unmarshal(answer.Data, into)
}

// query is an instant query: the values by their labels.
func (p *prometheus) query(expr string) ([]sample, error) {
	var data struct{ Result []sample }
	err := p.get("query?query="+url.QueryEscape(expr), &data)
	return data.Result, err
}

type sample struct {
	Metric map[string]string
	Value  [2]any // when, and the number as text
}

// await asks until the condition holds.
func (p *prometheus) await(what string, holds func() error) {
	p.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(5 * time.Minute)
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			p.t.Fatalf("%s: %v", what, err)
		}
	}
}

// TestPrometheusScrapes: a real Prometheus, set up by the example that people copy, reads the metrics through TLS with a password; its
// rules can all be evaluated, and every query of the dashboard answers.
func TestPrometheusScrapes(t *testing.T) {
	program(t, "prometheus")
	w := newWorld(t, func(s *settings) { s.Entries = append(s.Entries, person("zoe", "Zoe", "Nolab", "nolab")) }) // an issue
	w.protected(true)
	w.secureDirectory(authority)
	w.securePPMS(authority)
	w.now = time.Now().UTC()
	w.app.Now = time.Now
	s := w.serving(daemon.ServeOptions{RunNow: true})
	example, err := os.ReadFile(filepath.Join(deployed, "scrape.example.yml"))
	must(t, err)
	rules, err := os.ReadFile(filepath.Join(deployed, "ppms-syncd.rules.yml"))
	must(t, err)
	const target = "sync.example.org:9475"
	if !strings.Contains(string(example), target) {
		t.Fatalf("the example has no target %s", target)
	}
	w.write("prometheus.yml", "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"+
		strings.ReplaceAll(string(example), target, strings.TrimPrefix(s.url, "http://")))
	w.write("ppms-syncd.rules.yml", string(rules))
	w.write("ppms-syncd.password", scraping)
	w.write("ppms-syncd-ca.crt", w.read("web-ca.crt"))

	p := startPrometheus(t, w.path("prometheus.yml"))
	p.await("the last success", func() error {
		got, err := p.query("time() - ppms_syncd_last_success_timestamp_seconds < 600")
		if err == nil && len(got) != 1 {
			err = errors.New("nothing was scraped yet, or no run succeeded")
		}
		return err
	})
	p.await("two samples", func() error {
		got, err := p.query("rate(ppms_syncd_build_info[1m])")
		if err == nil && len(got) != 1 {
			err = errors.New("there is one")
		}
		return err
	})
	p.await("the rules", p.evaluated)
	for _, q := range dashboardQueries(t) {
		got, err := p.query(q.filled())
		if err != nil || len(got) == 0 {
			t.Errorf("panel %q: %s gives nothing (%v)", q.panel, q.expr, err)
		}
		for _, sample := range got {
			for _, label := range q.legend() {
				if sample.Metric[label] == "" {
					t.Errorf("panel %q: the legend shows %s, which %s does not have: %v", q.panel, label, q.expr, sample.Metric)
				}
			}
		}
	}
}

// evaluated is nil once every rule was evaluated without an error.
func (p *prometheus) evaluated() error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("rules", &data); err != nil {
		return err
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if n == 0 {
		return errors.New("there are none")
	}
	return nil
}

// dashboardQuery is one query of a panel.
type dashboardQuery struct{ panel, expr, legendFormat string }

// filled is the query with all that Grafana puts in.
func (q dashboardQuery) filled() string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__interval", "1m", "$job", ".*", "$instance", ".*").Replace(q.expr)
}

func (q dashboardQuery) legend() (labels []string) {
	for _, m := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.legendFormat, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

func (w *world) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.path(name))
	must(w.t, err)
	return string(text)
}
