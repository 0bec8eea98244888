package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/declarative"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

const fileForm = `A file is YAML with a list for each kind of resource; several documents and several files are one set:

  fleet: default
  services:
    - {name: orders, url: "http://127.0.0.1:9001"}
  routes:
    - name: orders
      service: orders
      match: {paths: ["/orders/{id}", "/orders/**"], methods: [GET, POST]}
  plugins:
    - {name: orders-auth, type: key-auth, scope: {route: orders}}

Unknown fields and wrong types are errors, with line and column. Variables such as ${HOME} are not expanded.`

func (a *app) applyCommand() *cobra.Command {
	var files fileOptions
	var watch watchOptions
	var dryRun bool
	command := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Publish files as one revision and watch its rollout",
		Long: `Publish files as one revision and watch its rollout.

Each resource that the files name is replaced; others are left alone, unless --prune. It is atomic: one change set, one
revision, one rollout; consumers, certificates, secrets and blocks commit with it and travel in the fast lane.

Ctrl-C stops watching, not the rollout.

` + fileForm,
		Example: `  tidegate apply -f shop.yaml --message 'orders moves to v2'
  tidegate apply -f config/ --prune
  tidegate get all -o yaml | sed s/9001/9002/ | tidegate apply -f -
  tidegate apply -f shop.yaml --strategy immediate --wait=false
  tidegate apply -f shop.yaml --draft          # for others to review
  tidegate apply -f auth.yaml --expect orders:key_missing:5`,
		Args: takes(0, 0, "no arguments; name files with -f"),
		RunE: func(command *cobra.Command, _ []string) error {
			if dryRun {
				return a.diff(command.Context(), files, false)
			}
			return a.apply(command.Context(), files, watch)
		},
	}
	files.register(command)
	command.Flags().StringVarP(&files.message, "message", "m", "", "what the change is for")
	command.Flags().StringVar(&files.strategy, "strategy", "", "how it reaches traffic (default: the fleet's strategy)")
	command.Flags().BoolVar(&files.draft, "draft", false, "open a change set for others to review, and publish nothing")
	command.Flags().StringArrayVar(&files.expect, "expect", nil, "what the change means to change, as ROUTE:REASON:PERCENT; may be given several times")
	files.publish.register(command)
	command.Flags().BoolVar(&dryRun, "dry-run", false, "validate and show the difference; change nothing")
	watch.register(command)
	return command
}

func (a *app) apply(ctx context.Context, files fileOptions, watch watchOptions) error {
	set, err := a.load(files)
	if err != nil {
		return err
	}
	fleet, err := a.fleetName(set.Fleet)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	request := applyRequest(fleet, set, files)
	if request.Expectations, err = parseExpectations(files.expect); err != nil {
		return err
	}
	var response adminv1.ApplyResponse
	if err := c.Post(ctx, client.Path("fleets", fleet, ":apply"), request, &response); err != nil {
		return located(err, set)
	}
	if opened := response.GetChangeSet(); opened != nil {
		a.warn(response.GetWarnings())
		return a.print(opened, func(w io.Writer) {
			drawChangeSet(w, opened)
			fmt.Fprintf(w, "\nothers approve it with:  tidegate changeset approve %s\nthen it is published by:  tidegate publish %s\n", opened.GetId(), opened.GetId())
		})
	}
	diff := response.GetDiff()
	return a.follow(ctx, c, fleet, outcome{
		created: diff.GetCreated(), updated: diff.GetUpdated(), deleted: diff.GetDeleted(),
		published: response.GetPublished(), warnings: response.GetWarnings(),
	}, watch)
}

func (a *app) diffCommand() *cobra.Command {
	var files fileOptions
	command := &cobra.Command{
		Use:   "diff -f FILE",
		Short: "Show what applying files would change",
		Long:  "Show what applying files would change, resource by resource and field by field. Nothing is changed.\n\nIt exits with 2 when there are changes, and with 0 when there are none.",
		Example: `  tidegate diff -f shop.yaml
  tidegate diff -f config/ --prune`,
		Args: takes(0, 0, "no arguments; name files with -f"),
		RunE: func(command *cobra.Command, _ []string) error { return a.diff(command.Context(), files, true) },
	}
	files.register(command)
	return command
}

func (a *app) diff(ctx context.Context, files fileOptions, tell bool) error {
	set, err := a.load(files)
	if err != nil {
		return err
	}
	fleet, err := a.fleetName(set.Fleet)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	request := applyRequest(fleet, set, files)
	request.ValidateOnly = true
	var response adminv1.ApplyResponse
	if err := c.Post(ctx, client.Path("fleets", fleet, ":apply"), request, &response); err != nil {
		return located(err, set)
	}
	a.warn(response.GetWarnings())
	style := a.style(a.out)
	if err := a.print(response.GetDiff(), func(w io.Writer) { drawDiff(w, response.GetDiff(), style) }); err != nil {
		return err
	}
	if tell && len(response.GetDiff().GetChanges()) > 0 {
		return &exit{code: ExitChanges}
	}
	return nil
}

func (a *app) validateCommand() *cobra.Command {
	var files fileOptions
	var offline bool
	command := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check files: their syntax and the rules of the schema, and with the control plane how they fit together",
		Long: `Check files: their syntax and the rules of the schema, and, when the control plane can be reached, how they fit together
and to what is there (references, routes that tie). Nothing is changed.`,
		Example: `  tidegate validate -f shop.yaml
  tidegate validate -f config/ --offline`,
		Args: takes(0, 0, "no arguments; name files with -f"),
		RunE: func(command *cobra.Command, _ []string) error { return a.validate(command.Context(), files, offline) },
	}
	files.register(command)
	command.Flags().BoolVar(&offline, "offline", false, "do not ask the control plane")
	return command
}

func (a *app) validate(ctx context.Context, files fileOptions, offline bool) error {
	set, err := a.load(files)
	if err != nil {
		return err
	}
	verdict := validity{Resources: len(set.Resources)}
	if !offline {
		verdict.NotAsked = a.validateOnline(ctx, set, files, &verdict)
		var coded *exit
		var problem *client.Problem
		if errors.As(verdict.NotAsked, &coded) || errors.As(verdict.NotAsked, &problem) {
			return verdict.NotAsked
		}
	}
	return a.printValue(verdict, func(w io.Writer) {
		fmt.Fprintf(w, "%s in order\n", count(verdict.Resources, "resource"))
		switch {
		case offline:
		case verdict.NotAsked != nil:
			fmt.Fprintf(a.err, "not checked against what is published: %v\n", verdict.NotAsked)
		default:
			fmt.Fprintln(w, "they fit what is published")
		}
	})
}

// validity is what validate answers.
type validity struct {
	Resources int  `json:"resources"`
	Online    bool `json:"checked_by_control_plane"`
	// NotAsked is why the control plane was not asked.
	NotAsked error `json:"-"`
}

func (a *app) validateOnline(ctx context.Context, set *declarative.Set, files fileOptions, verdict *validity) error {
	fleet, err := a.fleetName(set.Fleet)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	request := applyRequest(fleet, set, files)
	request.ValidateOnly = true
	var response adminv1.ApplyResponse
	if err := c.Post(ctx, client.Path("fleets", fleet, ":apply"), request, &response); err != nil {
		return located(err, set)
	}
	verdict.Online = true
	a.warn(response.GetWarnings())
	return nil
}

// warn tells what looks wrong but may be meant.
func (a *app) warn(warnings []*adminv1.Warning) {
	s := a.style(a.err)
	for _, w := range warnings {
		fmt.Fprintf(a.err, "%s %s: %s\n", s.yellow("warning:"), printable(w.GetResource()), printable(w.GetMessage()))
	}
}
