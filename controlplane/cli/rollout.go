package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

func (a *app) rolloutCommand() *cobra.Command {
	return group("rollout", "See how revisions reach traffic, and steer them",
		a.rolloutListCommand(), a.rolloutWatchCommand(), a.rolloutWaitCommand(), a.rolloutTryCommand(),
		a.steerCommand("pause", "Stop the clock of the step; both dials stay where they are, the gates go on judging"),
		a.steerCommand("resume", "Let a paused rollout go on"),
		a.promoteCommand(),
		a.steerCommand("approve", "Let a step begin that waits for a person"),
		a.steerCommand("abort", "Take the candidate back everywhere and reject its revision"),
	)
}

func (a *app) rolloutListCommand() *cobra.Command {
	var options getOptions
	command := &cobra.Command{
		Use: "list", Short: "List rollouts, the newest first",
		Example: `  tidegate rollout list
  tidegate rollout list --filter state=rolled_back`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.get(command.Context(), []string{"rollouts"}, options)
		},
	}
	command.Flags().IntVar(&options.limit, "limit", 20, "show at most so many")
	command.Flags().StringVar(&options.filter, "filter", "", `such as "state=running"`)
	return command
}

func (a *app) rolloutWatchCommand() *cobra.Command {
	var once bool
	command := &cobra.Command{
		Use: "watch [ROLLOUT]", Short: "Watch a rollout live until it ends",
		Long: `Watch a rollout live until it ends: its steps, both dials, the agents, the evidence. Without an argument it is the one that
runs, or the newest. Ctrl-C stops watching, not the rollout.

It exits with 0 when the revision serves, and with 3 when it was taken back.`,
		Example: `  tidegate rollout watch
  tidegate rollout watch 7
  tidegate rollout watch --once -o json`,
		Args: takes(0, 1, "a rollout, or nothing for the one that runs"),
		RunE: func(command *cobra.Command, args []string) error {
			return a.watch(command.Context(), args, once)
		},
		ValidArgsFunction: a.completeRollouts,
	}
	command.Flags().BoolVar(&once, "once", false, "show it as it is now and return")
	return command
}

func (a *app) watch(ctx context.Context, args []string, once bool) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	id, err := a.rolloutID(ctx, c, fleet, args)
	if err != nil {
		return err
	}
	if once {
		var rollout adminv1.Rollout
		if err := c.Get(ctx, client.Path("fleets", fleet, "rollouts", id), nil, &rollout); err != nil {
			return err
		}
		return a.printRollout(&rollout)
	}
	rollout, err := a.watchToEnd(ctx, c, fleet, id, 0, false)
	if rollout != nil && a.output != "table" {
		if printError := a.print(rollout, func(io.Writer) {}); printError != nil {
			return printError
		}
	}
	return err
}

func (a *app) printRollout(r *adminv1.Rollout) error {
	return a.print(r, func(w io.Writer) {
		for _, line := range frame(r, time.Now(), width(w), a.style(w)) {
			fmt.Fprintln(w, line)
		}
		fmt.Fprintln(w, closing(r, a.style(w)))
	})
}

func (a *app) rolloutWaitCommand() *cobra.Command {
	var options watchOptions
	command := &cobra.Command{
		Use: "wait [ROLLOUT]", Short: "Wait for a rollout to end, for scripts",
		Long: `Wait for a rollout to end. It exits with 0 when the revision serves, with 3 when it was taken back, and with 4 when it
waits for a person or the time is up.`,
		Example: "  tidegate rollout wait --timeout 10m && ./announce.sh",
		Args:    takes(0, 1, "a rollout, or nothing for the one that runs"),
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			id, err := a.rolloutID(command.Context(), c, fleet, args)
			if err != nil {
				return err
			}
			rollout, err := a.watchToEnd(command.Context(), c, fleet, id, options.timeout, true)
			if rollout != nil && a.output != "table" {
				if printError := a.print(rollout, func(io.Writer) {}); printError != nil {
					return printError
				}
			}
			return err
		},
		ValidArgsFunction: a.completeRollouts,
	}
	options.registerTimeout(command)
	return command
}

// rolloutID is the rollout that is named, else the one that runs, else the newest.
func (a *app) rolloutID(ctx context.Context, c *client.Client, fleet string, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	var f adminv1.Fleet
	if err := c.Get(ctx, client.Path("fleets", fleet), nil, &f); err != nil {
		return "", err
	}
	if f.GetActiveRollout() != "" {
		return f.GetActiveRollout(), nil
	}
	l, err := findListing("rollouts")
	if err != nil {
		return "", err
	}
	list, err := collect(ctx, c, l, l.path(fleet), getOptions{limit: 1})
	if err != nil {
		return "", err
	}
	for _, item := range items(list) {
		if r, ok := item.(*adminv1.Rollout); ok {
			return r.GetId(), nil
		}
	}
	return "", fmt.Errorf("the fleet %s has had no rollout yet", fleet)
}

// steerCommand makes a command that does one thing to a rollout.
func (a *app) steerCommand(verb, short string) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: verb + " [ROLLOUT]", Short: short,
		Example:           fmt.Sprintf("  tidegate rollout %s --reason 'the on-call asked'\n  tidegate rollout %s 7", verb, verb),
		Args:              takes(0, 1, "a rollout, or nothing for the one that runs"),
		ValidArgsFunction: a.completeRollouts,
		RunE: func(command *cobra.Command, args []string) error {
			return a.steer(command.Context(), verb, args, func(id, fleet string) proto.Message {
				return steerRequest(verb, fleet, id, reason)
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why; it is kept with the rollout and in the audit log")
	return command
}

func steerRequest(verb, fleet, id, reason string) proto.Message {
	switch verb {
	case "pause":
		return &adminv1.PauseRolloutRequest{Fleet: fleet, Id: id, Reason: reason}
	case "resume":
		return &adminv1.ResumeRolloutRequest{Fleet: fleet, Id: id, Reason: reason}
	case "approve":
		return &adminv1.ApproveRolloutRequest{Fleet: fleet, Id: id, Reason: reason}
	default:
		return &adminv1.AbortRolloutRequest{Fleet: fleet, Id: id, Reason: reason}
	}
}

func (a *app) promoteCommand() *cobra.Command {
	var reason string
	var full bool
	command := &cobra.Command{
		Use: "promote [ROLLOUT]", Short: "Go to the next step without waiting, or with --full to the end",
		Example: `  tidegate rollout promote
  tidegate rollout promote 7 --full --reason 'a fix that cannot wait'`,
		Args:              takes(0, 1, "a rollout, or nothing for the one that runs"),
		ValidArgsFunction: a.completeRollouts,
		RunE: func(command *cobra.Command, args []string) error {
			return a.steer(command.Context(), "promote", args, func(id, fleet string) proto.Message {
				return &adminv1.PromoteRolloutRequest{Fleet: fleet, Id: id, Reason: reason, Full: full}
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why; it is kept with the rollout and in the audit log")
	command.Flags().BoolVar(&full, "full", false, "to the end, not to the next step")
	return command
}

func (a *app) steer(ctx context.Context, verb string, args []string, request func(id, fleet string) proto.Message) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	id, err := a.rolloutID(ctx, c, fleet, args)
	if err != nil {
		return err
	}
	var rollout adminv1.Rollout
	if err := c.Post(ctx, client.Path("fleets", fleet, "rollouts", id, ":"+verb), request(id, fleet), &rollout); err != nil {
		return err
	}
	return a.printRollout(&rollout)
}
