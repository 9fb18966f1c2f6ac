package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// SimOptions say what the simulated PPMS is like.
type SimOptions struct {
	Listen      string
	KeyFile     string // "" makes a key and prints it
	SeedFile    string // "" is a small facility
	StateFile   string
	EffectsFile string
	Scope       ppmssim.Scope // of the key
	Latency     time.Duration
	Faults      []string
	Out         io.Writer
	Log         *zap.Logger
}

// Sim serves a simulated PPMS until the context ends.
func Sim(ctx context.Context, o SimOptions) (err error) {
	options := ppmssim.Options{StateFile: o.StateFile, Latency: o.Latency, Log: o.Log, Scope: o.Scope, Seed: ppmssim.DefaultSeed()}
	if o.SeedFile != "" {
		if options.Seed, err = ppmssim.ReadSeed(o.SeedFile); err != nil {
			return err
		}
	}
	if o.Latency < 0 {
		return usage("--latency %s is negative", o.Latency)
	}
	for _, spec := range o.Faults {
		fault, err := ppmssim.ParseFault(spec)
		if err != nil {
			return usage("--fault %s: %w", spec, err)
		}
		options.Faults = append(options.Faults, fault)
	}
	made := o.KeyFile == ""
	if options.Key = secret.New(rand.Text()); !made {
		if options.Key, err = (secret.File{Path: o.KeyFile, Dirs: []string{"."}}).Read(); err != nil {
			return err
		}
	}
	if o.EffectsFile != "" {
		file, err := os.OpenFile(filepath.Clean(o.EffectsFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		options.Effects = file
	}
	sim, err := ppmssim.New(options)
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.Out, "simulated PPMS at http://%s/pumapi/\n", listener.Addr()); err != nil {
		return err
	}
	if made {
		if _, err := fmt.Fprintf(o.Out, "API key: %s\n", options.Key.Reveal()); err != nil {
			return err
		}
	}
	return serveUntil(ctx, listener, sim.Handler())
}

// serveUntil serves HTTP until the context ends.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
