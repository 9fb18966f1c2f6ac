package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
	configFile  string
	metricsFile string
	logLevel    string
	level       zap.AtomicLevel // of the log
	logFormat   string
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, s streams) (code int) {
	defer func() {
		if bug := recover(); bug != nil {
			_, _ = fmt.Fprintf(s.err, "ppms-syncd: this is a bug, please report it: %v\n", bug)
			code = daemon.ExitFailed
		}
	}()
	p := &program{streams: s}
	root := p.root() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return daemon.ExitOK
	}
	if exit, ok := errors.AsType[*daemon.ExitError](err); !ok || exit.Err != nil {
		complain(s.err, daemon.Harmless(err.Error()))
	}
	return daemon.ExitCode(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ppms-syncd",
		Short: "Keep PPMS in step with a directory",
		Long: "ppms-syncd reads people and groups from LDAP, compares them with the users and rights of PPMS, and applies what differs.\n" +
			"It never takes away what it cannot prove it may take away, and everything it did can be seen.",
		Version:                    buildVersion(),
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: false},
		Args:                       noArgs,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misuse(fmt.Errorf("%w; see %s --help", err, c.CommandPath()))
	})
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { // cobra looks, too, but with exit code 1
		if err := errors.Join(c.ValidateRequiredFlags(), c.ValidateFlagGroups(), notEmpty(c)); err != nil {
			return misuse(fmt.Errorf("%w; see %s --help", err, c.CommandPath()))
		}
		return nil
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.configFile, "config", "/etc/ppms-syncd/config.yaml", "configuration `file`")
	oneOf(root, flags, &p.logLevel, "log-level", "least severe messages that are logged (default: log.level of the configuration)", "debug", "info", "warn", "error")
	oneOf(root, flags, &p.logFormat, "log-format", "form of the log (default: log.format of the configuration)", "json", "console")
	root.AddCommand(
		p.serveCommand(), p.planCommand(), p.applyCommand(), p.explainCommand(), p.checkCommand(), p.historyCommand(), p.approveCommand(),
		p.linkCommand(), p.unlinkCommand(), p.holdCommand(), p.releaseCommand(), p.undoCommand(), p.forgetCommand(), p.backupCommand(), p.ppmsCommand(),
		p.configCommand(), p.simCommand(), p.demoCommand(), p.versionCommand(),
	)
	strict(root)
	return root
}

// notEmpty refuses what a script gives whose variable is not set: a rehearsal must not become a run by it.
func notEmpty(c *cobra.Command) error {
	for _, name := range []string{"against", "approve", "out", "metrics-file", "dn", "password-file"} {
		if f := c.Flag(name); f != nil && f.Changed && strings.TrimSpace(f.Value.String()) == "" {
			return fmt.Errorf("--%s is empty", name)
		}
	}
	return nil
}

// strict makes cobra's own commands refuse what they do not understand.
func strict(root *cobra.Command) {
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misuse(fmt.Errorf("unknown command %q; see %s --help", strings.Join(args, " "), root.Name()))
			}
			return c.Help()
		},
	})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = noArgs, func(c *cobra.Command, _ []string) error { return c.Help() }
			for _, shell := range c.Commands() {
				shell.Args = noArgs
			}
		}
	}
}

// choice is a flag that takes one of a few words.
type choice struct {
	value   *string
	allowed []string
}

func (c choice) String() string {
	if c.value == nil { // pflag asks a zero value for its default
		return ""
	}
	return *c.value
}

func (c choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("it is one of %s", strings.Join(c.allowed, ", "))
	}
	*c.value = s
	return nil
}

func (c choice) Type() string { return strings.Join(c.allowed, "|") }

// oneOf adds a flag that takes one of a few words, and completes it.
func oneOf(c *cobra.Command, flags *pflag.FlagSet, into *string, name, usage string, allowed ...string) {
	flags.Var(choice{into, allowed}, name, usage)
	if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag's name is wrong
	}
}

// parent is a command that only has others below it.
func parent(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: noArgs, SuggestionsMinimumDistance: 2, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(below...)
	return c
}

// misuse marks an error of whoever typed the command.
func misuse(err error) error { return &daemon.ExitError{Code: daemon.ExitUsage, Err: err} }

// noArgs and exactly are cobra's checks with our exit code and a hint.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		err := fmt.Errorf("%s takes no %q; see %s --help", c.CommandPath(), args[0], c.CommandPath())
		if c.HasSubCommands() {
			err = fmt.Errorf("unknown command %q; see %s --help", args[0], c.CommandPath())
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				err = fmt.Errorf("unknown command %q; did you mean %s? See %s --help", args[0], strings.Join(like, " or "), c.CommandPath())
			}
		}
		return misuse(err)
	}
	return nil
}

func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) || slices.ContainsFunc(args, func(s string) bool { return strings.TrimSpace(s) == "" }) {
			return misuse(fmt.Errorf("usage: %s", c.UseLine()))
		}
		return nil
	}
}

func atMostOne(c *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && strings.TrimSpace(args[0]) == "" {
		return misuse(fmt.Errorf("usage: %s", c.UseLine()))
	}
	return nil
}

// app loads the configuration and puts the program together.
func (p *program) app(ctx context.Context, load func(path string) (*config.Config, error)) (*daemon.App, error) {
	cfg, err := load(p.configFile)
	if _, bad := errors.AsType[*config.Problems](err); bad {
		return nil, &daemon.ExitError{Code: daemon.ExitConfig, Err: fmt.Errorf("the configuration cannot be used:\n%w", err)}
	}
	if err != nil {
		return nil, &daemon.ExitError{Code: daemon.ExitConfig, Err: err}
	}
	log := p.logger(cfg.Log.Level, cfg.Log.Format)
	for _, w := range cfg.Warnings {
		log.Warn("configuration", zap.String("warning", w.String()))
	}
	return &daemon.App{Config: cfg, Log: log, Out: p.out, Terminal: p.terminal(ctx), Version: buildVersion(), Now: time.Now}, nil
}

// with runs a command that needs the configuration.
func (p *program) with(f func(ctx context.Context, a *daemon.App) error) func(*cobra.Command, []string) error {
	return p.loaded(config.Load, f)
}

// withoutSync runs a command for which nothing needs to be configured about the sync.
func (p *program) withoutSync(f func(ctx context.Context, a *daemon.App) error) func(*cobra.Command, []string) error {
	return p.loaded(config.LoadWithoutSync, f)
}

func (p *program) loaded(
	load func(path string) (*config.Config, error), f func(ctx context.Context, a *daemon.App) error,
) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		a, err := p.app(c.Context(), load)
		if err != nil {
			return err
		}
		return f(c.Context(), a)
	}
}

// withArg runs a command about one thing, which is its argument.
func (p *program) withArg(f func(ctx context.Context, a *daemon.App, arg string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		return p.with(func(ctx context.Context, a *daemon.App) error { return f(ctx, a, args[0]) })(c, args)
	}
}

// logger writes to stderr. A person at a terminal gets warnings in words unless they ask for more.
func (p *program) logger(level, format string) *zap.Logger {
	if isTerminal(p.err) {
		format = "console"
	}
	if p.logFormat != "" {
		format = p.logFormat
	}
	p.level = zap.NewAtomicLevel()
	p.setLevel(level)
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339TimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	c.TimeKey = "time"
	encoder := zapcore.NewJSONEncoder(c)
	if format == "console" {
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(c)
	}
	if journalled() {
		encoder = prioritised{encoder}
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(p.err), p.level))
}

// setLevel says from which severity on something is logged; the flag and a terminal are stronger than the configuration.
func (p *program) setLevel(level string) {
	if isTerminal(p.err) {
		level = "warn"
	}
	if p.logLevel != "" {
		level = p.logLevel
	}
	if least, err := zapcore.ParseLevel(level); err == nil { // which was checked, wherever it comes from
		p.level.SetLevel(least)
	}
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
