//go:build !man

// Command ppms-syncd keeps PPMS, the booking and billing system of core facilities, in step with an LDAP directory.
//
// This package turns words on the command line into calls of internal/daemon, and errors into exit codes. It decides nothing.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker (see the Makefile).
var version string

func main() {
	private()
	log.SetOutput(io.Discard) // net/http prints there what servers sent unasked, which might repeat the API key
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}
