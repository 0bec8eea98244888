package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func (a *app) changeSetCommand() *cobra.Command {
	return group("changeset", "Review changes before they are published",
		a.changeSetListCommand(), a.changeSetShowCommand(), a.changeSetApproveCommand(), a.changeSetExpectCommand(),
		a.changeSetRebaseCommand(), a.changeSetAbandonCommand(),
	)
}

func (a *app) changeSetListCommand() *cobra.Command {
	var options getOptions
	command := &cobra.Command{
		Use: "list", Short: "List change sets, the newest first",
		Example: "  tidegate changeset list\n  tidegate changeset list --filter state=published",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.get(command.Context(), []string{"changeSets"}, options)
		},
	}
	command.Flags().IntVar(&options.limit, "limit", 20, "show at most so many")
	command.Flags().StringVar(&options.filter, "filter", "state=open", `such as "state=published"`)
	return command
}

const takesChangeSet = "the id of a change set; see: tidegate changeset list"

func (a *app) changeSetShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show CHANGE_SET", Short: "Show what a change set changes, what it risks, and who approved it",
		Example: "  tidegate changeset show 3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11",
		Args:    takes(1, 1, takesChangeSet),
		RunE: func(command *cobra.Command, args []string) error {
			return a.onChangeSet(command.Context(), args[0], func(ctx context.Context, c *client.Client, fleet, path string) (*adminv1.ChangeSet, error) {
				set := new(adminv1.ChangeSet)
				if err := c.Get(ctx, path, nil, set); err != nil || a.output != "table" {
					return set, err
				}
				var diff adminv1.Diff
				if err := c.Post(ctx, path+":diff", &adminv1.DiffChangeSetRequest{Fleet: fleet, Id: args[0]}, &diff); err != nil {
					return nil, err
				}
				drawDiff(a.out, &diff, a.style(a.out))
				var review adminv1.ValidateChangeSetResponse
				if set.GetState() != "open" {
					return set, nil
				}
				if err := c.Post(ctx, path+":validate", &adminv1.ValidateChangeSetRequest{Fleet: fleet, Id: args[0]}, &review); err != nil {
					return nil, err
				}
				a.warn(review.GetWarnings())
				for _, v := range review.GetViolations() {
					fmt.Fprintf(a.out, "cannot be published: %s %s: %s\n", printable(v.GetResource()), v.GetField(), printable(v.GetMessage()))
				}
				return set, nil
			})
		},
	}
}

func (a *app) changeSetApproveCommand() *cobra.Command {
	var comment string
	command := &cobra.Command{
		Use: "approve CHANGE_SET", Short: "Say that a change set of others may be published as it is now",
		Long:    "Say that a change set of others may be published as it is now. Whoever edited it cannot approve it, and an edit takes all approvals back.",
		Example: "  tidegate changeset approve 3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11 --comment 'checked with the orders team'",
		Args:    takes(1, 1, takesChangeSet),
		RunE: func(command *cobra.Command, args []string) error {
			return a.onChangeSet(command.Context(), args[0], func(ctx context.Context, c *client.Client, fleet, path string) (*adminv1.ChangeSet, error) {
				set := new(adminv1.ChangeSet)
				return set, c.Post(ctx, path+":approve", &adminv1.ApproveChangeSetRequest{Fleet: fleet, Id: args[0], Comment: comment}, set)
			})
		},
	}
	command.Flags().StringVar(&comment, "comment", "", "what others should know")
	return command
}

func (a *app) changeSetExpectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "expect CHANGE_SET ROUTE:REASON:PERCENT...", Short: "Say what a change set means to change, so that no judge takes it for a failure",
		Example: "  tidegate changeset expect 3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11 orders:key_missing:5",
		Args:    takes(2, 65, "the id of a change set, and ROUTE:REASON:PERCENT for each expectation"),
		RunE: func(command *cobra.Command, args []string) error {
			expectations, err := parseExpectations(args[1:])
			if err != nil {
				return err
			}
			return a.onChangeSet(command.Context(), args[0], func(ctx context.Context, c *client.Client, fleet, path string) (*adminv1.ChangeSet, error) {
				set := new(adminv1.ChangeSet)
				return set, c.Post(ctx, path+":expect", &adminv1.ExpectOfChangeSetRequest{Fleet: fleet, Id: args[0], Expectations: expectations}, set)
			})
		},
	}
}

func (a *app) changeSetRebaseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rebase CHANGE_SET", Short: "Move a change set to what is published now, if nothing that it touches changed meanwhile",
		Example: "  tidegate changeset rebase 3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11",
		Args:    takes(1, 1, takesChangeSet),
		RunE: func(command *cobra.Command, args []string) error {
			return a.onChangeSet(command.Context(), args[0], func(ctx context.Context, c *client.Client, fleet, path string) (*adminv1.ChangeSet, error) {
				set := new(adminv1.ChangeSet)
				return set, c.Post(ctx, path+":rebase", &adminv1.RebaseChangeSetRequest{Fleet: fleet, Id: args[0]}, set)
			})
		},
	}
}

func (a *app) changeSetAbandonCommand() *cobra.Command {
	return &cobra.Command{
		Use: "abandon CHANGE_SET", Short: "Give a change set up; it can still be read",
		Example: "  tidegate changeset abandon 3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11",
		Args:    takes(1, 1, takesChangeSet),
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			path := client.Path("fleets", fleet, "changeSets", args[0])
			if _, err := c.Do(command.Context(), client.Call{Method: http.MethodDelete, Path: path}, nil); err != nil {
				return err
			}
			a.say("change set %s is abandoned\n", args[0])
			return nil
		},
	}
}

// onChangeSet does something with a change set and shows what became of it.
func (a *app) onChangeSet(ctx context.Context, id string,
	do func(ctx context.Context, c *client.Client, fleet, path string) (*adminv1.ChangeSet, error),
) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	set, err := do(ctx, c, fleet, client.Path("fleets", fleet, "changeSets", id))
	if err != nil {
		return err
	}
	return a.print(set, func(w io.Writer) { drawChangeSet(w, set) })
}

func drawChangeSet(w io.Writer, set *adminv1.ChangeSet) {
	fmt.Fprintf(w, "change set %s by %s, %s, on revision %d\n", set.GetId(), printable(set.GetAuthor()), set.GetState(), set.GetBaseRevision())
	if message := set.GetMessage(); message != "" {
		fmt.Fprintf(w, "  %s\n", printable(message))
	}
	if risk := set.GetRisk(); risk != nil {
		fmt.Fprintf(w, "risk: %s\n", risk.GetClass())
		for _, reason := range risk.GetReasons() {
			fmt.Fprintf(w, "  %s\n", printable(reason))
		}
		fmt.Fprintf(w, "approvals: %d of %d\n", len(set.GetApprovals()), set.GetApprovalsRequired())
	}
	for _, approval := range set.GetApprovals() {
		fmt.Fprintf(w, "  approved by %s  %s\n", printable(approval.GetApprover()), printable(approval.GetComment()))
	}
	for _, e := range set.GetExpectations() {
		fmt.Fprintf(w, "expects: %s on route %s, up to %s %%\n", e.GetReason(), e.GetRoute(), strconv.FormatFloat(e.GetMaxPercent(), 'g', -1, 64))
	}
}

// parseExpectations reads ROUTE:REASON:PERCENT.
func parseExpectations(texts []string) ([]*configv1.Expectation, error) {
	var list []*configv1.Expectation
	for _, text := range texts {
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return nil, usage("%q is not ROUTE:REASON:PERCENT, such as orders:key_missing:5", text)
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(parts[2], "%"), 64)
		if err != nil {
			return nil, usage("%q in %q is not a number of percent", parts[2], text)
		}
		list = append(list, &configv1.Expectation{Route: parts[0], Reason: parts[1], MaxPercent: percent})
	}
	return list, nil
}

// publishFlags are what a publish may ask for, or must say that it means.
type publishFlags struct {
	allowDeletes, overrideFreeze, emergency bool
	reason                                  string
}

func (o publishFlags) options() *adminv1.PublishOptions {
	return &adminv1.PublishOptions{
		AllowDeletes: o.allowDeletes, OverrideFreeze: o.overrideFreeze, Emergency: o.emergency, Reason: o.reason,
	}
}

func (o *publishFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVar(&o.allowDeletes, "allow-deletes", false, "delete more routes than the fleet's policy lets pass unsaid")
	flags.BoolVar(&o.overrideFreeze, "override-freeze", false, "publish in a freeze window (administrators; needs --reason)")
	flags.BoolVar(&o.emergency, "emergency", false, "skip steps, approvals and freeze windows, never validation (administrators; needs --reason)")
	flags.StringVar(&o.reason, "reason", "", "why; it stands in the audit and in the revision's message")
}
