package rollout

import (
	"fmt"
	"strings"
	"time"
)

// Action is one thing to do, with its reason in words. The types below are all that there are.
type Action interface {
	fmt.Stringer
	// apply carries the action into a change.
	apply(*Change) error
}

// EnterStep sets the dials: it starts the rollout, or goes to a later step.
type EnterStep struct {
	Step     int
	SharePPM int32
	Add      []Member
	On       trigger
	// Waive ends the step as soon as its agents serve it.
	Waive bool
	Why   string
	Actor string
}

// AddMembers gives the candidate to agents that joined during the last step.
type AddMembers struct {
	Add []Member
	Why string
}

// BeginClock notes that every agent of the step serves it: its clock begins.
type BeginClock struct {
	BaseRequests int64
	Why          string
}

// StopClock pauses, holds, or waits for approval.
type StopClock struct {
	On    trigger
	Why   string
	Actor string
}

// ResumeClock lets the step go on. Extend gives it its maximum duration once more.
type ResumeClock struct {
	Extend bool
	Why    string
	Actor  string
}

// ExtendStep prolongs a step for want of requests.
type ExtendStep struct{ Why string }

// WaiveStep ends the last step as soon as its agents serve it.
type WaiveStep struct{ Why, Actor string }

// Complete makes the candidate stable.
type Complete struct{ Why string }

// RollBack takes the candidate back because a gate failed.
type RollBack struct{ Why string }

// AbortRollout takes the candidate back because a person says so. Waiting: it is the queued one behind the active one.
type AbortRollout struct {
	Waiting    bool
	Why, Actor string
}

// GiveWay ends the active rollout because a newer one takes its place.
type GiveWay struct{ Why string }

// Observe remembers which members are missed, and since when.
type Observe struct{ Members []Member }

// RecordVerdicts keeps what the judge said.
type RecordVerdicts struct{ Verdicts []Verdict }

// ShiftClock moves the rollout's times along when the store's clock was set, so that nothing ends early or late.
type ShiftClock struct {
	By      time.Duration
	Members []Member
}

// Answer tells a person what became of a request: nothing if it was carried out, else why not.
type Answer struct {
	Request int64
	Result  string
}

func (a EnterStep) String() string {
	text := fmt.Sprintf("enter step %d, share %s", a.Step, percentOf(a.SharePPM))
	if len(a.Add) > 0 {
		text += ", add " + namesOf(a.Add)
	}
	if a.Waive {
		text += ", do not wait"
	}
	return text + ": " + a.Why
}
func (a AddMembers) String() string { return "add " + namesOf(a.Add) + ": " + a.Why }
func (a BeginClock) String() string {
	return fmt.Sprintf("begin clock at %d requests: %s", a.BaseRequests, a.Why)
}
func (a StopClock) String() string { return fmt.Sprintf("stop clock (%s): %s", a.On, a.Why) }
func (a ResumeClock) String() string {
	return fmt.Sprintf("resume clock (extend %v): %s", a.Extend, a.Why)
}
func (a ExtendStep) String() string   { return "extend step: " + a.Why }
func (a WaiveStep) String() string    { return "waive step: " + a.Why }
func (a Complete) String() string     { return "complete: " + a.Why }
func (a RollBack) String() string     { return "roll back: " + a.Why }
func (a GiveWay) String() string      { return "give way: " + a.Why }
func (a AbortRollout) String() string { return fmt.Sprintf("abort (waiting %v): %s", a.Waiting, a.Why) }

func (a Observe) String() string {
	lines := make([]string, len(a.Members))
	for i, member := range a.Members {
		lines[i] = "misses " + member.Name
		if member.LostSince.IsZero() {
			lines[i] = "sees " + member.Name
		}
	}
	return "observe: " + strings.Join(lines, ", ")
}

func (a RecordVerdicts) String() string {
	lines := make([]string, len(a.Verdicts))
	for i, verdict := range a.Verdicts {
		lines[i] = verdict.Verdict + ": " + verdict.Explanation
	}
	return "record " + strings.Join(lines, "\n       ")
}
func (a ShiftClock) String() string { return "shift the clock by " + a.By.String() }
func (a Answer) String() string {
	if a.Result == "" {
		return fmt.Sprintf("answer request %d: done", a.Request)
	}
	return fmt.Sprintf("answer request %d: %s", a.Request, a.Result)
}

func namesOf(members []Member) string {
	names := make([]string, len(members))
	for i, member := range members {
		names[i] = member.Name
	}
	return strings.Join(names, ", ")
}

// percentOf writes a share as people read it: 12.5 %.
func percentOf(ppm int32) string {
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", float64(ppm)/wholePPM*100), "0"), ".")
	return text + " %"
}

// lengthOf writes a length of time with what matters of it.
func lengthOf(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
