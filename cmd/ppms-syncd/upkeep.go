package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ppms-syncd/internal/daemon"
)

func (p *program) holdCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "hold LOGIN", Short: "Leave a person alone until they are released", Args: exactly("LOGIN"),
		Long: "From the next run on nothing of this person is written: no account made, no field, right or state changed. What would have\n" +
			"been is listed as an issue. It lasts until `ppms-syncd release LOGIN`.",
		ValidArgsFunction: p.complete((*daemon.App).Logins),
		RunE:              p.withArg(func(ctx context.Context, a *daemon.App, login string) error { return a.Hold(ctx, login, reason) }),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at it later")
	return c
}

func (p *program) releaseCommand() *cobra.Command {
	var run int64
	c := &cobra.Command{
		Use: "release LOGIN | release --run RUN", Short: "End holds", Args: atMostOne,
		Long: "Ends all holds on a person, or all that undoing a run has made. The next run decides on them again: what was undone comes\n" +
			"back, if the directory still says so. `ppms-syncd history --holds` lists what is held.",
		ValidArgsFunction: p.complete((*daemon.App).HeldLogins),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == c.Flags().Changed("run") {
				return misuse(fmt.Errorf("usage: %s release LOGIN, or release --run RUN", c.Root().Name()))
			}
			return p.with(func(ctx context.Context, a *daemon.App) error {
				if len(args) == 1 {
					return a.Release(ctx, args[0])
				}
				return a.ReleaseRun(ctx, run)
			})(c, args)
		},
	}
	c.Flags().Int64Var(&run, "run", 0, "the `run` that was undone")
	p.completeFlag(c, "run", (*daemon.App).RunNumbers)
	return c
}

func (p *program) undoCommand() *cobra.Command {
	var o daemon.UndoOptions
	c := &cobra.Command{
		Use: "undo RUN", Short: "Plan the inverse of what a run changed", Args: exactly("RUN"),
		Long: "Prints a plan that takes back what the run applied: fields and rights get back what they had, what it deactivated is\n" +
			"reactivated, accounts that it created are deactivated, and a right where there was none becomes D. What somebody changed since is\n" +
			"left as it is. Nothing is written until the plan is applied; the guards judge it like any other, whatever the policy.\n" +
			"What was undone is then held, field by field and right by right, until `ppms-syncd release`.",
		Example:           "  ppms-syncd undo 12 -o undo.json && ppms-syncd apply undo.json",
		ValidArgsFunction: p.complete((*daemon.App).RunNumbers),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.Run, err = runNumber(args[0]); err != nil {
				return err
			}
			return p.with(func(ctx context.Context, a *daemon.App) error { return a.Undo(ctx, o) })(c, args)
		},
	}
	planFile(c, &o.File)
	output(c, &o.Output)
	return c
}

func (p *program) forgetCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "forget LOGIN", Short: "Remove a person from the ledger, for data protection", Args: exactly("LOGIN"),
		Long: "Says what the ledger knows of the person, asks where somebody can answer, and removes it. The journal keeps what was done, without\n" +
			"saying to whom. PPMS is not changed: the account becomes local. Take the person out of the directory first, or the next run learns\n" +
			"them anew.",
		ValidArgsFunction: p.complete((*daemon.App).Logins),
		RunE:              p.withArg(func(ctx context.Context, a *daemon.App, login string) error { return a.Forget(ctx, login, yes) }),
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (p *program) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the ledger, in use or not", Args: exactly("FILE"),
		Long: "Writes a whole copy of the ledger, as of now, into a new file that only its owner may read, or with - to standard output. A run\n" +
			"may be under way. The copy is a ledger itself.",
		Example: "  ppms-syncd backup ledger-copy.db\n  kubectl exec deploy/ppms-syncd -- ppms-syncd backup - >ledger-copy.db",
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == daemon.Stdout && isTerminal(p.out) {
				return misuse(errors.New("a ledger is nothing for a terminal: send the output to a file, or name one"))
			}
			return p.withoutSync(func(ctx context.Context, a *daemon.App) error { return a.Backup(ctx, args[0]) })(c, args)
		},
	}
}
