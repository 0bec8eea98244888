package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// watchOptions say whether and how long a command waits for the rollout that it started.
type watchOptions struct {
	wait    bool
	timeout time.Duration
}

func (o *watchOptions) register(command *cobra.Command) {
	command.Flags().BoolVar(&o.wait, "wait", true, "watch the rollout to its end; --wait=false returns after the publish")
	o.registerTimeout(command)
}

func (o *watchOptions) registerTimeout(command *cobra.Command) {
	command.Flags().DurationVar(&o.timeout, "timeout", time.Hour, "how long to watch before giving up with exit code 4")
}

// outcome is what a write did before its rollout.
type outcome struct {
	created, updated, deleted int32
	published                 *adminv1.PublishResponse
	warnings                  []*adminv1.Warning
}

// result is what commands that publish print as JSON or YAML.
type result struct {
	// State is that of the rollout; "serving" when there was nothing to roll out, "no change" when nothing was published.
	State        string             `json:"state"`
	Reason       string             `json:"reason,omitempty"`
	Revision     int32              `json:"revision,omitempty"`
	Rollout      string             `json:"rollout,omitempty"`
	LaneSequence int32              `json:"lane_sequence,omitempty"`
	Created      int32              `json:"created"`
	Updated      int32              `json:"updated"`
	Deleted      int32              `json:"deleted"`
	Warnings     []*adminv1.Warning `json:"warnings,omitempty"`
}

// follow tells what was published, watches its rollout to the end, and makes the exit code of how that went.
func (a *app) follow(ctx context.Context, c *client.Client, fleet string, o outcome, watch watchOptions) error {
	a.warn(o.warnings)
	published := o.published
	if n := published.GetRevision(); n > 0 && o.created+o.updated+o.deleted == 0 {
		var revision adminv1.Revision // a rollback's answer does not say what it changes
		if err := c.Get(ctx, client.Path("fleets", fleet, "revisions", strconv.Itoa(int(n))), nil, &revision); err != nil {
			return err
		}
		o.created, o.updated, o.deleted = revision.GetCreated(), revision.GetUpdated(), revision.GetDeleted()
	}
	r := result{
		State: "serving", Revision: published.GetRevision(), Rollout: published.GetRollout(), LaneSequence: published.GetLaneSequence(),
		Created: o.created, Updated: o.updated, Deleted: o.deleted, Warnings: o.warnings,
	}
	switch {
	case published == nil || r.Revision == 0 && o.created+o.updated+o.deleted == 0:
		r.State = "no change"
		a.say("no change\n")
	case r.Revision == 0:
		a.say("%s, in the fast lane: agents have it within a second\n", summary(o.created, o.updated, o.deleted))
	default:
		a.say("revision %d is published: %s\n", r.Revision, summary(o.created, o.updated, o.deleted))
	}
	if r.Rollout == "" {
		return a.printResult(r)
	}
	if !watch.wait {
		r.State = "pending"
		a.say("rollout %s carries it; watch it with: tidegate rollout watch %s\n", r.Rollout, r.Rollout)
		return a.printResult(r)
	}
	rollout, err := a.watchToEnd(ctx, c, fleet, r.Rollout, watch.timeout, true)
	if rollout != nil {
		r.State, r.Reason, r.Rollout = rollout.GetState(), rollout.GetReason(), rollout.GetId()
		err = errors.Join(a.printResult(r), err)
	}
	return err
}

// say tells people what happens: on standard output, unless that is for a program.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.progress(), format, args...) }

func (a *app) progress() io.Writer {
	if a.output == "table" {
		return a.out
	}
	return a.err
}

func (a *app) printResult(r result) error { return a.printValue(r, func(io.Writer) {}) }

// errTimeout ends a watch that took too long.
var errTimeout = errors.New("it took too long")

// watchToEnd draws a rollout until it has ended, or until it waits for a person if stopAtHeld. When a newer revision takes
// this one's changes along, it goes on with that one's rollout. The error carries the exit code.
func (a *app) watchToEnd(ctx context.Context, c *client.Client, fleet, id string, timeout time.Duration, stopAtHeld bool) (*adminv1.Rollout, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
		defer cancel()
	}
	for {
		rollout, err := a.watchOne(ctx, c, fleet, id, stopAtHeld)
		if err != nil {
			return rollout, a.whyStopped(err, id, timeout)
		}
		if rollout.GetState() != "superseded" {
			return rollout, verdict(rollout)
		}
		next, err := successor(ctx, c, fleet, rollout)
		if err != nil {
			return rollout, err
		}
		a.say("rollout %s was superseded by rollout %s, which carries its changes\n", id, next)
		id = next
	}
}

func (a *app) whyStopped(err error, id string, timeout time.Duration) error {
	switch {
	case errors.Is(err, errTimeout):
		return &exit{code: ExitHeld, message: fmt.Sprintf("rollout %s has not ended within %s; it goes on: tidegate rollout watch %s", id, timeout, id)}
	case errors.Is(err, context.Canceled):
		return &exit{code: ExitInterrupted, message: fmt.Sprintf("\nno longer watching; the rollout goes on: tidegate rollout watch %s", id)}
	default:
		return err
	}
}

// verdict makes the exit of a rollout's last state.
func verdict(r *adminv1.Rollout) error {
	switch r.GetState() {
	case "completed":
		return nil
	case "rolled_back", "aborted":
		return &exit{code: ExitRolledBack}
	case "held", "awaiting_approval":
		return &exit{code: ExitHeld}
	default:
		return &exit{code: ExitError, message: fmt.Sprintf("rollout %s ended as %q", r.GetId(), printable(r.GetState()))}
	}
}

// successor finds the rollout that carries the changes of one that was superseded. A revision that was rejected with it is
// carried by none.
func successor(ctx context.Context, c *client.Client, fleet string, old *adminv1.Rollout) (string, error) {
	var revision adminv1.Revision
	path := client.Path("fleets", fleet, "revisions", strconv.Itoa(int(old.GetRevision())))
	if err := c.Get(ctx, path, nil, &revision); err != nil {
		return "", err
	}
	if revision.GetState() == "rejected" {
		return "", &exit{code: ExitRolledBack, message: "it was rejected: " + printable(old.GetReason())}
	}
	l, err := findListing("rollouts")
	if err != nil {
		return "", err
	}
	list, err := collect(ctx, c, l, l.path(fleet), getOptions{})
	if err != nil {
		return "", err
	}
	next := "" // the oldest that is newer; they come newest first
	for _, item := range items(list) {
		if r, ok := item.(*adminv1.Rollout); ok && r.GetRevision() > old.GetRevision() && r.GetState() != "superseded" {
			next = r.GetId()
		}
	}
	if next == "" {
		return "", &exit{code: ExitHeld, message: "it was superseded: " + printable(old.GetReason())}
	}
	return next, nil
}
