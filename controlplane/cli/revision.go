package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

func (a *app) revisionCommand() *cobra.Command {
	return group("revision", "See what was published", a.revisionListCommand(), a.revisionDiffCommand())
}

func (a *app) revisionListCommand() *cobra.Command {
	var options getOptions
	command := &cobra.Command{
		Use: "list", Short: "List revisions, the newest first",
		Example: "  tidegate revision list --limit 5",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.get(command.Context(), []string{"revisions"}, options)
		},
	}
	command.Flags().IntVar(&options.limit, "limit", 20, "show at most so many")
	return command
}

func (a *app) revisionDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff [FROM] REVISION", Short: "Show what a revision changed, against its parent or another",
		Example: `  tidegate revision diff 12         # against its parent
  tidegate revision diff 8 12       # from 8 to 12`,
		Args: takes(1, 2, "a revision, or two: from which, to which"),
		RunE: func(command *cobra.Command, args []string) error {
			number, err := revisionNumber(args[len(args)-1])
			if err != nil {
				return err
			}
			query := url.Values{}
			if len(args) == 2 {
				from, err := revisionNumber(args[0])
				if err != nil {
					return err
				}
				query.Set("from", strconv.Itoa(from))
			}
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			var diff adminv1.Diff
			path := client.Path("fleets", fleet, "revisions", strconv.Itoa(number), ":diff")
			if err := c.Get(command.Context(), path, query, &diff); err != nil {
				return err
			}
			return a.print(&diff, func(w io.Writer) { drawDiff(w, &diff, a.style(w)) })
		},
	}
}

func revisionNumber(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, usage("%q is not the number of a revision", text)
	}
	return int(n), nil
}

func (a *app) rollbackCommand() *cobra.Command {
	var reason string
	var watch watchOptions
	command := &cobra.Command{
		Use: "rollback [REVISION]", Short: "Go back to a revision, at once",
		Long: `Go back to a revision, at once: a new revision with its content is published and skips the steps. Without an argument it is
the one that served before the present one. Consumers, keys, blocks, certificates and secrets stay as they are.`,
		Example: `  tidegate rollback
  tidegate rollback 11 --reason 'orders are lost'`,
		Args: takes(0, 1, "a revision, or nothing for the one that served before"),
		RunE: func(command *cobra.Command, args []string) error {
			return a.rollback(command.Context(), args, reason, watch)
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why; it becomes the message of the new revision")
	watch.register(command)
	return command
}

func (a *app) rollback(ctx context.Context, args []string, reason string, watch watchOptions) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	number := 0
	if len(args) == 1 {
		number, err = revisionNumber(args[0])
	} else {
		number, err = servedBefore(ctx, c, fleet)
	}
	if err != nil {
		return err
	}
	var published adminv1.PublishResponse
	request := &adminv1.RollbackRevisionRequest{Fleet: fleet, Number: int32(number), Reason: reason}
	if err := c.Post(ctx, client.Path("fleets", fleet, "revisions", strconv.Itoa(number), ":rollback"), request, &published); err != nil {
		return err
	}
	if published.GetRevision() == 0 {
		a.say("the content of revision %d is what was published last: ", number)
	} else {
		a.say("going back to revision %d\n", number)
	}
	return a.follow(ctx, c, fleet, outcome{published: &published, warnings: published.GetWarnings()}, watch)
}

// servedBefore is the newest revision that served before the stable one.
func servedBefore(ctx context.Context, c *client.Client, fleet string) (int, error) {
	var f adminv1.Fleet
	if err := c.Get(ctx, client.Path("fleets", fleet), nil, &f); err != nil {
		return 0, err
	}
	l, err := findListing("revisions")
	if err != nil {
		return 0, err
	}
	list, err := collect(ctx, c, l, l.path(fleet), getOptions{limit: page})
	if err != nil {
		return 0, err
	}
	for _, item := range items(list) {
		r, ok := item.(*adminv1.Revision)
		if ok && r.GetNumber() < f.GetStableRevision() && r.GetState() == "superseded" {
			return int(r.GetNumber()), nil
		}
	}
	return 0, errors.New("no revision served before the present one; name one: tidegate rollback REVISION")
}

func (a *app) publishCommand() *cobra.Command {
	var strategy string
	var watch watchOptions
	var flags publishFlags
	command := &cobra.Command{
		Use: "publish CHANGE_SET", Short: "Publish a change set and watch its rollout",
		Example: "  tidegate publish 3f0c6b52-9c1e-4d42-8f5e-0d7a2b4c6e11 --strategy one-agent-first",
		Args:    takes(1, 1, "the id of a change set; see: tidegate get changesets --filter state=open"),
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			path := client.Path("fleets", fleet, "changeSets", args[0])
			var diff adminv1.Diff
			if err := c.Post(command.Context(), path+":diff", &adminv1.DiffChangeSetRequest{Fleet: fleet, Id: args[0]}, &diff); err != nil {
				return err
			}
			var published adminv1.PublishResponse
			request := &adminv1.PublishChangeSetRequest{Fleet: fleet, Id: args[0], Strategy: strategy, Options: flags.options()}
			if err := c.Post(command.Context(), path+":publish", request, &published); err != nil {
				return err
			}
			return a.follow(command.Context(), c, fleet, outcome{
				created: diff.GetCreated(), updated: diff.GetUpdated(), deleted: diff.GetDeleted(),
				published: &published, warnings: published.GetWarnings(),
			}, watch)
		},
	}
	command.Flags().StringVar(&strategy, "strategy", "", "how it reaches traffic (default: the fleet's strategy)")
	flags.register(command)
	watch.register(command)
	return command
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program",
		Example: "  tidegate version -o json",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			return a.printValue(map[string]string{"version": a.version}, func(w io.Writer) {
				fmt.Fprintln(w, "tidegate "+a.version)
			})
		},
	}
}
