package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"ppms-syncd/configs"
	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
)

func (p *program) configCommand() *cobra.Command {
	return parent(
		"config", "Help with writing a configuration",
		&cobra.Command{
			Use: "example [PROFILE]", Short: "Print a commented configuration", Args: atMostOne, ValidArgs: configs.Profiles(),
			Long: "Prints a configuration with every key, or a short one for a kind of directory: " + strings.Join(configs.Profiles(), ", ") + ".",
			RunE: func(_ *cobra.Command, args []string) error {
				text := config.Example(strings.Join(args, ""))
				if text == nil {
					return misuse(fmt.Errorf("there is no example for %q; there are %s", args[0], strings.Join(configs.Profiles(), ", ")))
				}
				_, err := p.out.Write(text)
				return err
			},
		},
		&cobra.Command{
			Use: "schema", Short: "Print the JSON Schema of the configuration, for editors", Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := p.out.Write(config.Schema())
				return err
			},
		},
	)
}

func (p *program) simCommand() *cobra.Command {
	var o daemon.SimOptions
	c := &cobra.Command{
		Use: "sim", Short: "Run a simulated PPMS", Args: noArgs,
		Long: "Serves PUMAPI at /pumapi/ with all its quirks. Without --seed it is a small facility with users, units, systems and rights;\n" +
			"without --api-key-file it makes a key and prints it.",
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out, o.Log = p.out, p.logger("info", "console")
			return daemon.Sim(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8081", "`address` and port")
	f.StringVar(&o.KeyFile, "api-key-file", "", "`file` with the key that clients must give")
	f.BoolVar(&o.Scope.NoUsers, "no-users", false, "the key may not manage users: asking for users and groups is not authorized")
	f.IntSliceVar(&o.Scope.Facilities, "facilities", nil, "the key may set rights in these core `facilities` only")
	f.StringVar(&o.SeedFile, "seed", "", "YAML `file` with users, units, systems and rights, or what ppms snapshot wrote")
	f.StringVar(&o.StateFile, "state", "", "`file` that keeps the state; made from the seed if it is missing")
	f.DurationVar(&o.Latency, "latency", 0, "wait so long before each answer")
	f.StringArrayVar(&o.Faults, "fault", nil, "answer wrongly, such as getuser:html or getusers:cut-half@2; may be repeated (see docs/simulator.md)")
	f.StringVar(&o.EffectsFile, "effects", "", "append each write to this `file`, one JSON line each")
	return c
}

func (p *program) demoCommand() *cobra.Command {
	var o daemon.DemoOptions
	c := &cobra.Command{
		Use: "demo", Short: "Show a whole sync between a small directory and a simulated PPMS", Args: noArgs,
		Long: "Starts a directory and a simulated PPMS on loopback, plans, applies, and plans again. It needs no configuration and leaves\n" +
			"nothing behind. With --keep both go on, so that other commands can be tried on them.",
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out, o.Log, o.Terminal, o.Version = p.out, p.logger("warn", "console"), p.terminal(c.Context()), buildVersion()
			return daemon.Demo(c.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.Keep, "keep", false, "keep directory and PPMS running until interrupted")
	return c
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(p.out, "%s %s %s %s/%s\n", c.Root().Name(), buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
