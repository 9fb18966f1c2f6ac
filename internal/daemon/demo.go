package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

//go:embed demo
var demoFiles embed.FS

// DemoOptions say how the demo is shown.
type DemoOptions struct {
	Terminal
	Keep    bool // go on until interrupted
	Out     io.Writer
	Log     *zap.Logger
	Version string
}

// demoReader is who reads the demo's directory.
const demoReader = "cn=reader,dc=example,dc=org"

// Demo starts a small directory and a simulated PPMS on loopback and brings them into step: plan, apply, plan again. It fails if
// anything is left to do then.
func Demo(ctx context.Context, o DemoOptions) (err error) {
	dir, err := os.MkdirTemp("", "ppms-syncd-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a, stop, err := startDemo(dir, o) //nolint:contextcheck // the servers end when they are stopped
	if err != nil {
		return err
	}
	defer stop()
	p := &printer{out: o.Out, colour: o.Colour}
	say := func(command string) { p.heading(text.Bold, "$ ppms-syncd %s", command) }
	p.printf("A directory of ten people, a PPMS that knows some of them, and a first sync.\n")
	say("plan")
	if err := a.Plan(ctx, PlanOptions{Output: Text}); err != nil {
		return err
	}
	say("apply")
	if err := a.Apply(ctx, ApplyOptions{Output: Text}); err != nil {
		return err
	}
	say("plan")
	report, err := a.plan(ctx, nil, 0)
	if err != nil {
		return err
	}
	if err := a.print(report, Text, ""); err != nil {
		return err
	}
	if n := len(report.Changes); n > 0 {
		return fmt.Errorf("the demo left %s to do", count(n, "change", "changes"))
	}
	if p.err == nil && o.Keep {
		p.printf("\nDirectory and PPMS go on until you press Ctrl-C. In another terminal:\n  ppms-syncd --config %s explain alovelace\n",
			filepath.Join(dir, "config.yaml"))
		<-ctx.Done()
	}
	return p.err
}

// startDemo starts both servers and writes a configuration for them.
func startDemo(dir string, o DemoOptions) (a *App, stop func(), err error) {
	ldif, err := demoFiles.Open("demo/directory.ldif")
	if err != nil {
		return nil, nil, err
	}
	entries, err := ldaptest.ParseLDIF(ldif)
	if err != nil {
		return nil, nil, err
	}
	password, key := rand.Text(), rand.Text()
	directory := ldaptest.New(ldaptest.Options{Entries: entries, BindDN: demoReader, Password: password})
	ldapURL, err := directory.Start()
	if err != nil {
		return nil, nil, err
	}
	ppmsURL, stopSim, err := startDemoPPMS(dir, secret.New(key))
	if err != nil {
		directory.Close()
		return nil, nil, err
	}
	stop = func() { stopSim(); directory.Close() }
	path, err := demoConfig(dir, map[string]string{
		"LDAP": ldapURL, "PPMS": ppmsURL, "BindDN": demoReader, "Dir": dir,
	}, map[string]string{"ldap-password": password, "pumapi-key": key})
	if err != nil {
		stop()
		return nil, nil, err
	}
	cfg, err := config.Load(path)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return &App{Config: cfg, Log: o.Log, Out: o.Out, Terminal: o.Terminal, Version: o.Version, Now: time.Now}, stop, nil
}

func startDemoPPMS(dir string, key secret.Secret) (url string, stop func(), err error) {
	seed, err := demoFiles.ReadFile("demo/ppms.yaml")
	if err != nil {
		return "", nil, err
	}
	path := filepath.Join(dir, "ppms.yaml")
	if err := os.WriteFile(path, seed, 0o600); err != nil {
		return "", nil, err
	}
	state, err := ppmssim.ReadSeed(path)
	if err != nil {
		return "", nil, err
	}
	sim, err := ppmssim.New(ppmssim.Options{Key: key, Seed: state})
	if err != nil {
		return "", nil, err
	}
	return sim.Start()
}

// demoConfig writes the configuration and its secrets into a folder.
func demoConfig(dir string, values, secrets map[string]string) (string, error) {
	t, err := template.ParseFS(demoFiles, "demo/config.yaml")
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return "", err
	}
	for name, value := range secrets {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "config.yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}
