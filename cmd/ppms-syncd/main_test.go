package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected texts from what the program says")

// TestMain runs the tests, or the program itself where a script calls ppms-syncd.
func TestMain(m *testing.M) {
	testscript.Main(workshop{m}, map[string]func(){"ppms-syncd": scripted})
}

// workshop has a folder for what is built for all tests; see build.
type workshop struct{ *testing.M }

const workshopVar = "PPMS_SYNCD_WORKSHOP"

func (w workshop) Run() int {
	dir, err := os.MkdirTemp("", "workshop")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := errors.Join(os.Setenv(workshopVar, dir), os.Chmod(dir, 0o755)); err != nil { // TestSecretsStay runs it as somebody else
		panic(err)
	}
	return w.M.Run()
}

// scripted is main as scripts have it: the configuration is the one in the folder unless they name another, and all that is
// printed goes into a transcript, too, in which secrets are sought when the script has ended.
func scripted() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	transcript, err := os.OpenFile(os.Getenv("TRANSCRIPT"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	os.Exit(execute(ctx, append([]string{"--config", "config.yaml"}, os.Args[1:]...), streams{
		in: os.Stdin, out: io.MultiWriter(os.Stdout, transcript), err: io.MultiWriter(os.Stderr, transcript),
	}))
}
