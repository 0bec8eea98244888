package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// redraw is how often a live view counts down.
const redraw = 500 * time.Millisecond

// watchOne draws one rollout until it has ended, and returns the last that was seen of it.
func (a *app) watchOne(ctx context.Context, c *client.Client, fleet, id string, stopAtHeld bool) (*adminv1.Rollout, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan *adminv1.Rollout)
	lost := make(chan error)
	ended := make(chan error, 1)
	go func() {
		var message adminv1.Rollout
		ended <- c.Watch(ctx, client.Path("fleets", fleet, "rollouts", id, ":watch"), &message,
			func() bool {
				seen := proto.CloneOf(&message)
				give(ctx, updates, seen)
				return hasEnded(seen, stopAtHeld)
			},
			func(err error) { give(ctx, lost, err) })
	}()
	drawer := a.drawer()
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	var last *adminv1.Rollout
	for {
		select {
		case last = <-updates:
			drawer.draw(last, time.Now())
		case err := <-lost:
			drawer.note("the connection was lost (" + err.Error() + "); trying again")
		case <-ticker.C:
			if last != nil {
				drawer.tick(last, time.Now())
			}
		case err := <-ended:
			drawer.end(last)
			return last, err
		}
	}
}

// give hands a value over unless the watch has ended.
func give[T any](ctx context.Context, to chan<- T, value T) {
	select {
	case to <- value:
	case <-ctx.Done():
	}
}

func hasEnded(r *adminv1.Rollout, stopAtHeld bool) bool {
	if slices.Contains([]string{"held", "awaiting_approval"}, r.GetState()) {
		return stopAtHeld
	}
	return isOver(r)
}

// isOver says whether nothing will happen any more.
func isOver(r *adminv1.Rollout) bool {
	return slices.Contains([]string{"completed", "rolled_back", "aborted", "superseded"}, r.GetState())
}

// drawer shows a rollout as it goes.
type drawer interface {
	draw(r *adminv1.Rollout, now time.Time)
	tick(r *adminv1.Rollout, now time.Time)
	note(text string)
	end(r *adminv1.Rollout)
}

func (a *app) drawer() drawer {
	w := a.progress()
	s := a.style(w)
	if isTerminal(w) && a.env("TERM") != "dumb" {
		return &liveView{w: w, style: s}
	}
	return &lineView{w: w, style: s}
}

// liveView draws a few lines over and over in the same place of a terminal.
type liveView struct {
	w     io.Writer
	style style
	drawn int // lines
}

func (v *liveView) draw(r *adminv1.Rollout, now time.Time) { v.tick(r, now) }

func (v *liveView) tick(r *adminv1.Rollout, now time.Time) {
	lines := frame(r, now, width(v.w), v.style)
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn) // up
	}
	b.WriteString("\r\x1b[J") // erase below
	b.WriteString(strings.Join(lines, "\n") + "\n")
	_, _ = io.WriteString(v.w, b.String()) // a terminal that is gone ends the program by itself
	v.drawn = len(lines)
}

func (v *liveView) note(text string) {
	fmt.Fprintln(v.w, v.style.yellow(printable(text)))
	v.drawn = 0
}

func (v *liveView) end(r *adminv1.Rollout) {
	if r != nil {
		fmt.Fprintln(v.w, closing(r, v.style))
	}
}

// lineView prints each thing that happens as a line, for logs and pipes.
type lineView struct {
	w      io.Writer
	style  style
	events int // printed
	state  string
}

func (v *lineView) draw(r *adminv1.Rollout, now time.Time) {
	fresh := r.GetEvents()[min(v.events, len(r.GetEvents())):]
	for _, e := range fresh {
		fmt.Fprintln(v.w, eventLine(e, now.Location()))
	}
	v.events = len(r.GetEvents())
	state := fmt.Sprintf("%s, step %d of %d", r.GetState(), r.GetStep()+1, len(r.GetSpec().GetSteps()))
	if len(fresh) == 0 && state != v.state && !isOver(r) {
		fmt.Fprintf(v.w, "rollout %s: %s\n", r.GetId(), state)
	}
	v.state = state
}

func (v *lineView) tick(*adminv1.Rollout, time.Time) {}

func (v *lineView) note(text string) { fmt.Fprintln(v.w, printable(text)) }

func (v *lineView) end(r *adminv1.Rollout) {
	if r != nil {
		fmt.Fprintln(v.w, closing(r, v.style))
	}
}

func eventLine(e *adminv1.RolloutEvent, zone *time.Location) string {
	by := ""
	if e.GetActor() != "" {
		by = " (by " + e.GetActor() + ")"
	}
	return printable(fmt.Sprintf("%s  %-11s %s%s", e.GetTime().AsTime().In(zone).Format(time.TimeOnly), e.GetType(), e.GetMessage(), by))
}
