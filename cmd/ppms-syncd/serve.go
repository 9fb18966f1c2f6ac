package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
)

func (p *program) serveCommand() *cobra.Command {
	var o daemon.ServeOptions
	c := &cobra.Command{
		Use: "serve", Short: "Run on schedule, with an HTTP listener for metrics and health", Args: noArgs,
		Long: "Runs on the configuration's schedule until SIGTERM, which stops between two writes. SIGHUP and POST /-/reload read the\n" +
			"configuration again; a bad one is refused and the old one stays. /metrics, /healthz and /readyz are on http.listen.",
		RunE: p.with(func(ctx context.Context, a *daemon.App) error {
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			a.Terminal = daemon.Terminal{} // nobody watches a daemon
			o.Reload = hup
			o.Load = func() (*config.Config, error) { return config.Load(p.configFile) }
			o.Level = p.setLevel
			return a.Serve(ctx, o)
		}),
	}
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "shadow: observe and plan, write nothing to PPMS")
	c.Flags().BoolVar(&o.RunNow, "run-now", false, "begin the first run at once")
	return c
}
