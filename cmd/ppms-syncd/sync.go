package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
)

// output adds --output to a command.
func output(c *cobra.Command, into *daemon.Output) {
	*into = daemon.Text
	oneOf(c, c.Flags(), (*string)(into), "output", "form of the result", string(daemon.Text), string(daemon.JSON))
}

func (p *program) planCommand() *cobra.Command {
	var o daemon.PlanOptions
	c := &cobra.Command{
		Use: "plan", Short: "Show what a run would do; writes nothing", Args: noArgs,
		Long: "Reads the directory and PPMS, compares them, and prints what a run would do and why. Nothing is written, neither to PPMS\n" +
			"nor to the ledger. A saved plan can be looked at, passed on, and applied within a day: that and nothing else.",
		Example: "  ppms-syncd plan\n  ppms-syncd plan -o tonight.json && ppms-syncd apply tonight.json",
		RunE:    p.with(p.measured(func(ctx context.Context, a *daemon.App) error { return a.Plan(ctx, o) })),
	}
	planFile(c, &o.File)
	c.Flags().BoolVar(&o.ExitCode, "exit-code", false, "exit 2 if there are changes, 3 if a guard would hold some")
	output(c, &o.Output)
	p.metricsFlag(c)
	against(c, &o.Against)
	return c
}

// planFile adds the flag for a file that apply takes.
func planFile(c *cobra.Command, into *string) {
	c.Flags().StringVarP(into, "out", "o", "", "also save the plan to this `file`")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *into == daemon.Stdout {
			return misuse(errors.New("-o names a file; what prints the plan for programs is --output json"))
		}
		return nil
	}
}

func (p *program) applyCommand() *cobra.Command {
	var o daemon.ApplyOptions
	c := &cobra.Command{
		Use: "apply [PLAN]", Short: "Plan, let the guards judge, and write", Args: atMostOne,
		Long: "Reads the directory and PPMS, compares them, and writes what the guards let through. With a saved plan it writes exactly\n" +
			"that plan's changes, as far as a fresh look still comes to them.\n\n" +
			"Exit codes: 0 done, 1 failed before the first write, 3 a guard held something, 4 not every change was applied.",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.File = args[0]
			}
			return p.with(p.measured(func(ctx context.Context, a *daemon.App) error { return a.Apply(ctx, o) }))(c, args)
		},
	}
	c.Flags().StringVar(&o.Approve, "approve", "", "approve the plan with this `hash` (or its first 8 digits or more) and apply it")
	output(c, &o.Output)
	p.metricsFlag(c)
	against(c, &o.Against)
	return c
}

// against adds the flag of a rehearsal, which says nothing about the real PPMS and so has no metrics.
func against(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "against", "", "rehearse: take this `snapshot` (see ppms snapshot) in the place of PPMS, which is not contacted")
	c.MarkFlagsMutuallyExclusive("against", "metrics-file")
}

func (p *program) metricsFlag(c *cobra.Command) {
	c.Flags().StringVar(&p.metricsFile, "metrics-file", "", "leave the run's metrics in this `file`, for the textfile collector of node_exporter (*.prom)")
}

// measured runs a command and leaves its metrics, however it ends.
func (p *program) measured(f func(ctx context.Context, a *daemon.App) error) func(ctx context.Context, a *daemon.App) error {
	return func(ctx context.Context, a *daemon.App) (err error) {
		if p.metricsFile == "" {
			return f(ctx, a)
		}
		if err := a.Measure(ctx); err != nil {
			return err
		}
		err = f(ctx, a)
		if failure := a.Metrics.WriteFile(p.metricsFile); failure != nil {
			a.Log.Error("metrics not written", zap.String("file", p.metricsFile), zap.Error(failure))
		}
		return err
	}
}

func (p *program) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain LOGIN", Short: "Tell everything about one person, and what the next run does for them", Args: exactly("LOGIN"),
		ValidArgsFunction: p.complete((*daemon.App).Logins),
		RunE:              p.withArg(func(ctx context.Context, a *daemon.App, login string) error { return a.Explain(ctx, login) }),
	}
}

func (p *program) checkCommand() *cobra.Command {
	var offline bool
	c := &cobra.Command{
		Use: "check", Short: "Try the configuration, the directory, the PPMS key and the names in rules", Args: noArgs,
		Long: "Each line says ok, or what is wrong and what to do. Nothing is written.",
		RunE: p.with(func(ctx context.Context, a *daemon.App) error { return a.Check(ctx, offline) }),
	}
	c.Flags().BoolVar(&offline, "offline", false, "contact nobody: look at the configuration and its files only")
	return c
}

func (p *program) historyCommand() *cobra.Command {
	var o daemon.HistoryOptions
	c := &cobra.Command{
		Use: "history [RUN]", Short: "List the runs, or what one run did", Args: atMostOne,
		ValidArgsFunction: p.complete((*daemon.App).RunNumbers),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if len(args) == 1 {
				if o.Run, err = runNumber(args[0]); err != nil {
					return err
				}
			}
			if (o.Unmatched || o.Holds) && o.Run != 0 || o.Unmatched && o.Holds {
				return misuse(errors.New("RUN, --unmatched and --holds are three questions: ask one"))
			}
			if o.Limit < 0 {
				return misuse(fmt.Errorf("--limit %d is negative", o.Limit))
			}
			return p.withoutSync(func(ctx context.Context, a *daemon.App) error { return a.History(ctx, o) })(c, args)
		},
	}
	c.Flags().BoolVar(&o.Unmatched, "unmatched", false, "list the active PPMS accounts that nobody in the directory is linked to")
	c.Flags().BoolVar(&o.Holds, "holds", false, "list what is left alone until it is released")
	c.Flags().IntVar(&o.Limit, "limit", 50, "show so many runs; 0 shows all")
	output(c, &o.Output)
	return c
}

func runNumber(arg string) (int64, error) {
	run, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || run <= 0 {
		return 0, misuse(fmt.Errorf("%q is no run: give a number from `ppms-syncd history`", arg))
	}
	return run, nil
}

func (p *program) approveCommand() *cobra.Command {
	lasts := daemon.DefaultApproval
	c := &cobra.Command{
		Use: "approve HASH", Short: "Let a held plan's changes be written", Args: exactly("HASH"),
		Long: "Approves the changes of a plan that a guard held (see `ppms-syncd history`). Until the approval ends, the runs that plan them\n" +
			"again, unchanged, write them. If the directory had shrunk, its size in that plan becomes the accepted one.",
		RunE: func(c *cobra.Command, args []string) error {
			if lasts <= 0 {
				return misuse(errors.New("--for must be longer than nothing"))
			}
			return p.with(func(ctx context.Context, a *daemon.App) error { return a.Approve(ctx, args[0], lasts) })(c, args)
		},
	}
	c.Flags().Var((*span)(&lasts), "for", "how long the approval lasts")
	return c
}

// span is a duration as the configuration writes them, in days, too.
type span time.Duration

func (s *span) String() string { return config.Duration(*s).String() }

func (s *span) Set(text string) error {
	d, err := config.ParseDuration(text)
	*s = span(d)
	return err
}

func (s *span) Type() string { return "duration" }

func (p *program) linkCommand() *cobra.Command {
	var dn string
	var all, yes bool
	c := &cobra.Command{
		Use: "link LOGIN | link --all", Short: "Say which directory entry an account belongs to", Args: atMostOne,
		Long: "Settles an identity issue: the account LOGIN belongs to the directory entry with this login, or to the one at --dn.\n" +
			"With --all, after the directory was moved to another server: lists all accounts whose login and e-mail or last name agree\n" +
			"with an entry, asks, and links them.",
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) == 1) || all && dn != "" {
				return misuse(fmt.Errorf("usage: %s link LOGIN [--dn DN], or link --all", c.Root().Name()))
			}
			return p.with(func(ctx context.Context, a *daemon.App) error {
				if all {
					return a.LinkAll(ctx, yes)
				}
				return a.Link(ctx, args[0], dn)
			})(c, args)
		},
	}
	c.Flags().StringVar(&dn, "dn", "", "`DN` of the entry, where the login does not decide")
	c.Flags().BoolVar(&all, "all", false, "link all accounts that agree with an entry")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (p *program) unlinkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unlink LOGIN", Short: "Make an account local: it is not written any more", Args: exactly("LOGIN"),
		ValidArgsFunction: p.complete((*daemon.App).Logins),
		RunE:              p.withArg(func(ctx context.Context, a *daemon.App, login string) error { return a.Unlink(ctx, login) }),
	}
}
