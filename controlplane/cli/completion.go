package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// `tidegate completion bash|zsh|fish` writes a script that asks this program, which asks the control plane for names. It
// stays silent when that does not answer quickly.

// completionTimeout is how long a completion may take.
const completionTimeout = 1500 * time.Millisecond

func (a *app) completeFlags(root *cobra.Command) {
	complete := func(flag string, values func(*cobra.Command) []string) {
		_ = root.RegisterFlagCompletionFunc(flag, func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return values(command), cobra.ShellCompDirectiveNoFileComp
		}) // fails only for a flag that is not there
	}
	complete("output", func(*cobra.Command) []string { return outputs() })
	complete("fleet", func(command *cobra.Command) []string { return a.names(command, "fleets") })
}

// completeResources completes KIND and NAME.
func (a *app) completeResources(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		var kinds []string
		for _, l := range listings() {
			kinds = append(kinds, l.collection)
		}
		return kinds, cobra.ShellCompDirectiveNoFileComp
	case 1:
		return a.names(command, args[0]), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeConsumers(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.names(command, "consumers"), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeAgents(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.names(command, "agents"), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeRollouts(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.names(command, "rollouts"), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// names asks for the names of a kind; none when that fails.
func (a *app) names(command *cobra.Command, kind string) []string {
	ctx, cancel := context.WithTimeout(command.Context(), completionTimeout)
	defer cancel()
	l, err := findListing(kind)
	if err != nil {
		return nil
	}
	c, fleet, err := a.connect()
	if err != nil {
		return nil
	}
	list, err := collect(ctx, c, l, l.path(fleet), getOptions{limit: page})
	if err != nil {
		return nil
	}
	var names []string
	for _, item := range items(list) {
		switch thing := item.(type) {
		case *adminv1.Agent:
			names = append(names, thing.GetId()+"\t"+thing.GetName())
		case interface{ GetName() string }:
			names = append(names, thing.GetName())
		case *adminv1.Rollout:
			names = append(names, thing.GetId()+"\t"+thing.GetState())
		case interface{ GetId() string }:
			names = append(names, thing.GetId())
		}
	}
	return names
}
