package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
)

// streams are the three files that every program is born with.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// program holds what all commands share: the flags that stand before any of them.
type program struct {
	streams
	configFile string
	logLevel   string
	logFormat  string
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, s streams) int {
	p := &program{streams: s}
	root := p.root() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return daemon.ExitOK
	}
	if exit, ok := errors.AsType[*daemon.ExitError](err); !ok || exit.Err != nil {
		_, _ = fmt.Fprintf(s.err, "ppms-syncd: %v\n", err) // where else would it be said that this failed
	}
	return daemon.ExitCode(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ppms-syncd",
		Short: "Keep PPMS in step with a directory",
		Long: "ppms-syncd reads people and groups from LDAP, compares them with the users and rights of PPMS, and applies what differs.\n" +
			"It never takes away what it cannot prove it may take away, and everything it did can be seen.",
		Version:           buildVersion(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		Args:              noArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misuse(fmt.Errorf("%w; see %s --help", err, c.CommandPath()))
	})
	flags := root.PersistentFlags()
	flags.StringVar(&p.configFile, "config", "/etc/ppms-syncd/config.yaml", "configuration `file`")
	flags.StringVar(&p.logLevel, "log-level", "", "least severe messages that are logged: debug, info, warn or error (default: log.level of the configuration)")
	flags.StringVar(&p.logFormat, "log-format", "", "json or console (default: log.format of the configuration)")
	fixed(root, "log-level", "debug", "info", "warn", "error")
	fixed(root, "log-format", "json", "console")
	root.AddCommand(
		p.planCommand(), p.applyCommand(), p.explainCommand(), p.checkCommand(), p.historyCommand(), p.approveCommand(),
		p.linkCommand(), p.unlinkCommand(), p.configCommand(), p.simCommand(), p.demoCommand(), p.versionCommand(),
	)
	return root
}

// fixed completes a flag from a list.
func fixed(c *cobra.Command, flag string, values ...cobra.Completion) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag's name is wrong
	}
}

// misuse marks an error of whoever typed the command.
func misuse(err error) error { return &daemon.ExitError{Code: daemon.ExitUsage, Err: err} }

// noArgs and exactly are cobra's checks with our exit code and a hint.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		err := fmt.Errorf("%s takes no %q; see %s --help", c.CommandPath(), args[0], c.CommandPath())
		if c.HasSubCommands() {
			err = fmt.Errorf("unknown command %q; see %s --help", args[0], c.CommandPath())
		}
		return misuse(err)
	}
	return nil
}

func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return misuse(fmt.Errorf("usage: %s", c.UseLine()))
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return misuse(fmt.Errorf("usage: %s", c.UseLine()))
		}
		return nil
	}
}

// app loads the configuration and puts the program together.
func (p *program) app() (*daemon.App, error) {
	cfg, err := config.Load(p.configFile)
	if _, bad := errors.AsType[*config.Problems](err); bad {
		return nil, &daemon.ExitError{Code: daemon.ExitConfig, Err: fmt.Errorf("the configuration cannot be used:\n%w", err)}
	}
	if err != nil {
		return nil, &daemon.ExitError{Code: daemon.ExitConfig, Err: err}
	}
	log, err := p.logger(cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		log.Warn("configuration", zap.String("warning", w.String()))
	}
	return &daemon.App{Config: cfg, Log: log, Out: p.out, Terminal: p.terminal(), Version: buildVersion(), Now: time.Now}, nil
}

// with runs a command that needs the configuration.
func (p *program) with(f func(ctx context.Context, a *daemon.App) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		a, err := p.app()
		if err != nil {
			return err
		}
		return f(c.Context(), a)
	}
}

// logger writes to stderr. A person at a terminal gets warnings in words unless they ask for more.
func (p *program) logger(level, format string) (*zap.Logger, error) {
	if isTerminal(p.err) {
		level, format = "warn", "console"
	}
	if p.logLevel != "" {
		level = p.logLevel
	}
	if p.logFormat != "" {
		format = p.logFormat
	}
	var least zapcore.Level
	switch level {
	case "debug", "info", "warn", "error":
		if err := least.UnmarshalText([]byte(level)); err != nil {
			return nil, misuse(err)
		}
	default:
		return nil, misuse(fmt.Errorf("--log-level is debug, info, warn or error, not %q", level))
	}
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339TimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	c.TimeKey = "time"
	var encoder zapcore.Encoder
	switch format {
	case "json":
		encoder = zapcore.NewJSONEncoder(c)
	case "console":
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(c)
	default:
		return nil, misuse(fmt.Errorf("--log-format is json or console, not %q", format))
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(p.err), least)), nil
}

// buildVersion is what the linker was told, or what the Go tool knows of the checkout.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
