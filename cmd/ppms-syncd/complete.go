package main

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"ppms-syncd/internal/config"
	"ppms-syncd/internal/daemon"
)

// complete completes the one argument of a command with what the ledger has. A shell is no place for complaints: where there is no
// configuration or no ledger, there is nothing to choose from.
func (p *program) complete(from func(*daemon.App, context.Context) []string) cobra.CompletionFunc {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		cfg, err := config.LoadWithoutSync(p.configFile)
		if err != nil || len(args) > 0 {
			return nil, directive
		}
		a := &daemon.App{Config: cfg, Log: zap.NewNop(), Out: p.out, Version: buildVersion()}
		return from(a, c.Context()), directive
	}
}

func (p *program) completeFlag(c *cobra.Command, flag string, from func(*daemon.App, context.Context) []string) {
	choose := p.complete(from)
	if err := c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return choose(c, nil, typed)
	}); err != nil {
		panic(err) // the flag's name is wrong
	}
}
