package rollout

import (
	"fmt"
	"slices"
	"strings"
)

// trigger is what makes a rollout change its state.
type trigger string

const (
	onStart         trigger = "start"
	onAwaitApproval trigger = "await approval"
	onApprove       trigger = "approve"
	onAdvance       trigger = "next step"
	onPause         trigger = "pause"
	onResume        trigger = "resume"
	onPromote       trigger = "promote"
	onHold          trigger = "too few requests, hold"
	onComplete      trigger = "done"
	onRollBack      trigger = "a gate failed"
	onAbort         trigger = "abort"
	onSupersede     trigger = "a newer revision was published"
)

// transition is one line of the state chart.
type transition struct {
	from string
	on   trigger
	to   string
}

// transitions is the whole state chart: what is not in it cannot happen. docs/rollouts.md draws it.
var transitions = []transition{
	{Queued, onStart, Running},
	{Queued, onAwaitApproval, AwaitingApproval},
	{Queued, onComplete, Completed},
	{Queued, onAbort, Aborted},
	{Queued, onSupersede, Superseded},

	{Running, onAdvance, Running},
	{Running, onPromote, Running},
	{Running, onPause, Paused},
	{Running, onAwaitApproval, AwaitingApproval},
	{Running, onHold, Held},
	{Running, onComplete, Completed},
	{Running, onRollBack, RolledBack},
	{Running, onAbort, Aborted},
	{Running, onSupersede, Superseded},

	{Paused, onResume, Running},
	{Paused, onPromote, Running},
	{Paused, onAwaitApproval, AwaitingApproval},
	{Paused, onRollBack, RolledBack},
	{Paused, onAbort, Aborted},
	{Paused, onSupersede, Superseded},

	{AwaitingApproval, onApprove, Running},
	{AwaitingApproval, onComplete, Completed},
	{AwaitingApproval, onRollBack, RolledBack},
	{AwaitingApproval, onAbort, Aborted},
	{AwaitingApproval, onSupersede, Superseded},

	{Held, onResume, Running},
	{Held, onPromote, Running},
	{Held, onAwaitApproval, AwaitingApproval},
	{Held, onRollBack, RolledBack},
	{Held, onAbort, Aborted},
	{Held, onSupersede, Superseded},
}

// next is the state that follows, and whether there is one.
func next(state string, on trigger) (string, bool) {
	for _, t := range transitions {
		if t.from == state && t.on == on {
			return t.to, true
		}
	}
	return "", false
}

// commandTriggers says what a command sets off. PromoteFull needs a state from which it can be promoted.
var commandTriggers = []struct {
	command Command
	on      trigger
}{
	{Pause, onPause},
	{Resume, onResume},
	{Promote, onPromote},
	{PromoteFull, onPromote},
	{Approve, onApprove},
	{Abort, onAbort},
}

// Possible lists the commands that a rollout in this state accepts.
func Possible(state string) []Command {
	var commands []Command
	for _, c := range commandTriggers {
		if _, ok := next(state, c.on); ok {
			commands = append(commands, c.command)
		}
	}
	return commands
}

// WrongState says that a rollout cannot do what was asked in the state that it is in.
type WrongState struct {
	Rollout  int64
	State    string
	Command  Command
	Possible []Command
}

func (e *WrongState) Error() string {
	possible := "nothing can be asked of it"
	if len(e.Possible) > 0 {
		names := make([]string, len(e.Possible))
		for i, command := range e.Possible {
			names[i] = string(command)
		}
		possible = "possible are " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("rollout %d is %s: cannot %s; %s", e.Rollout, e.State, e.Command, possible)
}

// accepts returns a *WrongState if the rollout cannot do what was asked.
func (r Rollout) accepts(command Command) error {
	possible := Possible(r.State)
	if slices.Contains(possible, command) {
		return nil
	}
	return &WrongState{Rollout: r.ID, State: r.State, Command: command, Possible: possible}
}

// Chart draws the state chart as a Mermaid diagram.
func Chart() string {
	var chart strings.Builder
	chart.WriteString("stateDiagram-v2\n    [*] --> queued: publish\n")
	var ended []string
	for _, t := range transitions {
		fmt.Fprintf(&chart, "    %s --> %s: %s\n", t.from, t.to, t.on)
		if (Rollout{State: t.to}).Ended() && !slices.Contains(ended, t.to) {
			ended = append(ended, t.to)
		}
	}
	slices.Sort(ended)
	for _, state := range ended {
		fmt.Fprintf(&chart, "    %s --> [*]\n", state)
	}
	return chart.String()
}
