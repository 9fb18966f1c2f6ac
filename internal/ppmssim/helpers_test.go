package ppmssim_test

import (
	"context"
	"flag"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const theKey = "the-key-0123456789"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func morning() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// ppms is a running simulator and a client of it.
type ppms struct {
	*ppmssim.Sim
	t      *testing.T
	url    string
	client *http.Client
	stop   func()
}

func start(t *testing.T, with ...func(*ppmssim.Options)) *ppms {
	t.Helper()
	o := ppmssim.Options{Key: secret.New(theKey), Seed: ppmssim.DefaultSeed(), Now: morning}
	for _, change := range with {
		change(&o)
	}
	sim, err := ppmssim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := sim.Start()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
	})
	client := &http.Client{
		Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &ppms{Sim: sim, t: t, url: address, client: client, stop: stop}
}

func withFaults(specs ...string) func(*ppmssim.Options) {
	return func(o *ppmssim.Options) {
		for _, spec := range specs {
			f, err := ppmssim.ParseFault(spec)
			if err != nil {
				panic(err)
			}
			o.Faults = append(o.Faults, f)
		}
	}
}

// post sends "action=getuser login=jdoe" with the key.
func (p *ppms) post(ctx context.Context, call string) (*http.Response, error) {
	form := url.Values{"apikey": {theKey}}
	for pair := range strings.SplitSeq(call, " ") {
		name, value, _ := strings.Cut(pair, "=")
		form.Set(name, strings.ReplaceAll(value, "_", " "))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.client.Do(req)
}

// try is one call and its body.
func (p *ppms) try(call string) (string, int, error) {
	resp, err := p.post(p.t.Context(), call)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), resp.StatusCode, err
}

// ask is a call that must be answered with 200.
func (p *ppms) ask(call string) string {
	p.t.Helper()
	body, status, err := p.try(call)
	if err != nil || status != http.StatusOK {
		p.t.Fatalf("%s: status %d, error %v", call, status, err)
	}
	return body
}

// lines splits as the recordings are: CRLF after every line.
func lines(body string) []string {
	if body == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(body, "\r\n"), "\r\n")
}

func (p *ppms) want(call, want string) {
	p.t.Helper()
	if got := p.ask(call); got != want {
		p.t.Errorf("%s\n got %q\nwant %q", call, got, want)
	}
}
