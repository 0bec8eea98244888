package rollout

import "fmt"

// carryOut deals with the oldest request of people. One that cannot be carried out is answered with the reason.
func (d *decision) carryOut() []Action {
	if len(d.Requests) == 0 {
		return nil
	}
	request := d.Requests[0]
	if d.Waiting != nil && request.RolloutID == d.Waiting.ID {
		return d.carryOutWaiting(request)
	}
	if err := d.Rollout.accepts(request.Command); err != nil {
		return []Action{Answer{request.ID, err.Error()}}
	}
	return append(d.obey(request), Answer{request.ID, ""})
}

// carryOutWaiting deals with a request about the rollout that waits behind the active one.
func (d *decision) carryOutWaiting(request Request) []Action {
	if err := d.Waiting.accepts(request.Command); err != nil {
		return []Action{Answer{request.ID, err.Error()}}
	}
	abort := AbortRollout{Waiting: true, Why: said("aborted before it began", request), Actor: request.Actor}
	return []Action{abort, Answer{request.ID, ""}}
}

// obey carries out a request that the state chart allows.
func (d *decision) obey(request Request) []Action {
	switch request.Command {
	case Pause:
		return []Action{StopClock{On: onPause, Why: said("paused", request), Actor: request.Actor}}
	case Resume:
		return []Action{ResumeClock{Extend: d.Rollout.State == Held, Why: said("resumed", request), Actor: request.Actor}}
	case Promote, PromoteFull:
		return d.promote(request)
	case Approve:
		return d.enter(d.following(), onApprove, said("approved", request), request.Actor, false)
	default:
		return []Action{AbortRollout{Why: said("aborted", request), Actor: request.Actor}}
	}
}

func (d *decision) promote(request Request) []Action {
	why := said("promoted", request)
	if d.inLastStep() {
		return []Action{WaiveStep{Why: fmt.Sprintf("ends as soon as all agents serve it (%s)", why), Actor: request.Actor}}
	}
	if request.Command == PromoteFull {
		return d.enter(d.Plan.last(), onPromote, why, request.Actor, true)
	}
	return d.enter(d.following(), onPromote, why, request.Actor, false)
}

// said is what was done, by whom and why.
func said(done string, request Request) string {
	text := done + " by " + request.Actor
	if request.Reason != "" {
		text += ": " + request.Reason
	}
	return text
}
