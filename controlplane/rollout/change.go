package rollout

import (
	"fmt"
	"time"
)

// Ending says how a rollout ends, and so what becomes of its revision.
type Ending int

// The endings.
const (
	// NoEnding: it goes on.
	NoEnding Ending = iota
	// Accept makes the revision stable.
	Accept
	// Reject marks the revision rejected and puts the revert of its changes on head.
	Reject
	// Yield leaves what becomes of the revision's changes to the newer one, which carries them.
	Yield
)

// Change is what a Store writes in one transaction, if the rollout still has Version and the writer still leads.
type Change struct {
	// Rollout as it is afterwards, but for Version, Dials and DialsAt.
	Rollout Rollout
	// Version that the rollout must still have.
	Version int64
	// Now is the moment of the decision, by the store's clock.
	Now time.Time
	// NewDials: what agents should serve changes, so the fleet's generation is raised, and Rollout.Dials and DialsAt become it.
	NewDials bool
	Ending   Ending
	// Members that are new, or changed.
	Members  []Member
	Verdicts []Verdict
	Events   []Event
	Answers  []Answer
	// Reading is what the sums had come to; nil: it is not kept this time.
	Reading *Reading
}

// Event is one thing that happened, kept for ever.
type Event struct {
	Step                 int
	Type, Message, Actor string
}

// Fold carries the actions of one decision into one change. An error means that Decide broke the state chart.
func (s State) Fold(now time.Time, actions []Action) (Change, error) {
	change := Change{Rollout: s.Rollout, Version: s.Rollout.Version, Now: now}
	if s.Waiting != nil && abortsWaiting(actions) {
		change.Rollout, change.Version = *s.Waiting, s.Waiting.Version
	}
	if s.Rollout.State == Queued {
		// What alpha is divided over is fixed before anything is seen.
		change.Rollout.ClockOffset = s.ClockOffset
		change.Rollout.JudgedAgents, change.Rollout.JudgedRoutes = max(len(s.Agents), 1), min(s.Routes, maxJudgedRoutes)
	}
	for _, action := range actions {
		if err := action.apply(&change); err != nil {
			return Change{}, fmt.Errorf("rollout %d: %s: %w", change.Rollout.ID, action, err)
		}
	}
	change.Reading = s.reading(change)
	return change, nil
}

func abortsWaiting(actions []Action) bool {
	for _, action := range actions {
		if abort, ok := action.(AbortRollout); ok && abort.Waiting {
			return true
		}
	}
	return false
}

// follow moves the rollout along the state chart and says why.
func (c *Change) follow(on trigger, why string) error {
	to, ok := next(c.Rollout.State, on)
	if !ok {
		return fmt.Errorf("no way leads from %s by %q", c.Rollout.State, on)
	}
	c.Rollout.State, c.Rollout.Reason = to, why
	return nil
}

func (c *Change) event(kind, message, actor string) {
	c.Events = append(c.Events, Event{Step: c.Rollout.Step, Type: kind, Message: message, Actor: actor})
}

func (a EnterStep) apply(c *Change) error {
	if err := c.follow(a.On, a.Why); err != nil {
		return err
	}
	r := &c.Rollout
	if r.StartedAt.IsZero() {
		r.StartedAt = c.Now
	}
	r.Step, r.SharePPM, r.Agents = a.Step, a.SharePPM, r.Agents+len(a.Add)
	r.StepAt, r.ServingAt, r.PausedAt = c.Now, time.Time{}, time.Time{}
	r.Promoted, r.Extensions, r.BaseRequests = a.Waive, 0, 0
	for _, member := range a.Add {
		member.Step = a.Step
		c.Members = append(c.Members, member)
	}
	c.NewDials = true
	c.event(enterEvents[a.On], a.Why, a.Actor)
	return nil
}

var enterEvents = map[trigger]string{
	onStart: "started", onAdvance: "step", onApprove: "approved", onPromote: "promoted",
}

func (a AddMembers) apply(c *Change) error {
	for _, member := range a.Add {
		member.Step = c.Rollout.Step
		c.Members = append(c.Members, member)
	}
	c.Rollout.Agents += len(a.Add)
	c.NewDials = true
	c.event("agents_added", a.Why, "")
	return nil
}

func (a BeginClock) apply(c *Change) error {
	c.Rollout.ServingAt, c.Rollout.BaseRequests = c.Now, a.BaseRequests
	c.event("serving", a.Why, "")
	return nil
}

func (a StopClock) apply(c *Change) error {
	if err := c.follow(a.On, a.Why); err != nil {
		return err
	}
	if c.Rollout.PausedAt.IsZero() {
		c.Rollout.PausedAt = c.Now
	}
	c.event(c.Rollout.State, a.Why, a.Actor)
	return nil
}

func (a ResumeClock) apply(c *Change) error {
	if err := c.follow(onResume, a.Why); err != nil {
		return err
	}
	r := &c.Rollout
	if !r.ServingAt.IsZero() {
		stoodSince := r.PausedAt
		if stoodSince.Before(r.ServingAt) {
			stoodSince = r.ServingAt
		}
		r.ServingAt = r.ServingAt.Add(c.Now.Sub(stoodSince))
	}
	r.PausedAt = time.Time{}
	if a.Extend {
		r.Extensions++
	}
	c.event("resumed", a.Why, a.Actor)
	return nil
}

func (a ExtendStep) apply(c *Change) error {
	c.Rollout.Extensions++
	c.Rollout.Reason = a.Why
	c.event("extended", a.Why, "")
	return nil
}

func (a WaiveStep) apply(c *Change) error {
	if err := c.follow(onPromote, a.Why); err != nil {
		return err
	}
	c.Rollout.Promoted, c.Rollout.PausedAt = true, time.Time{}
	c.event("promoted", a.Why, a.Actor)
	return nil
}

func (a Complete) apply(c *Change) error { return c.end(onComplete, Accept, a.Why, "") }

func (a RollBack) apply(c *Change) error { return c.end(onRollBack, Reject, a.Why, "") }

func (a AbortRollout) apply(c *Change) error { return c.end(onAbort, Reject, a.Why, a.Actor) }

func (a GiveWay) apply(c *Change) error { return c.end(onSupersede, Yield, a.Why, "") }

func (c *Change) end(on trigger, ending Ending, why, actor string) error {
	if err := c.follow(on, why); err != nil {
		return err
	}
	c.Rollout.EndAt, c.Rollout.PausedAt = c.Now, time.Time{}
	c.Ending, c.NewDials = ending, true
	c.event(c.Rollout.State, why, actor)
	return nil
}

func (a Observe) apply(c *Change) error {
	c.Members = append(c.Members, a.Members...)
	return nil
}

func (a RecordVerdicts) apply(c *Change) error {
	c.Verdicts = append(c.Verdicts, a.Verdicts...)
	return nil
}

func (a ShiftClock) apply(c *Change) error {
	r := &c.Rollout
	r.ClockOffset += a.By
	for _, t := range []*time.Time{&r.StartedAt, &r.StepAt, &r.ServingAt, &r.PausedAt, &r.DialsAt} {
		if !t.IsZero() {
			*t = t.Add(a.By)
		}
	}
	for _, member := range a.Members {
		if !member.LostSince.IsZero() {
			member.LostSince = member.LostSince.Add(a.By)
			c.Members = append(c.Members, member)
		}
	}
	c.event("clock", fmt.Sprintf("the database's clock was set by %s: the step's clock goes on as before", a.By.Round(time.Second)), "")
	return nil
}

func (a Answer) apply(c *Change) error {
	c.Answers = append(c.Answers, a)
	return nil
}
