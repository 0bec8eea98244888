package rollout

import (
	"time"
)

// States of a rollout. The first is the queue's, the next four are active (at most one rollout of a fleet is), the others ended.
const (
	Queued           = "queued"
	Running          = "running"
	Paused           = "paused"
	AwaitingApproval = "awaiting_approval"
	Held             = "held"

	Completed  = "completed"
	RolledBack = "rolled_back"
	Aborted    = "aborted"
	Superseded = "superseded"
)

// Generation orders what the agents of a fleet should serve.
type Generation struct{ Epoch, Number int64 }

func (g Generation) before(other Generation) bool {
	return g.Epoch < other.Epoch || g.Epoch == other.Epoch && g.Number < other.Number
}

// Rollout is where a rollout stands. Times that have not come are zero.
type Rollout struct {
	ID, FleetID, Revision int64
	// StableRevision is what it replaces; 0 if it is the first ever.
	StableRevision int64
	State, Reason  string
	// Step counts from 0.
	Step int
	// The dials: how many agents hold the candidate, and how much of their traffic it gets.
	Agents   int
	SharePPM int32
	// Version is raised by every change.
	Version                     int64
	CreatedAt, StartedAt, EndAt time.Time
	// StepAt is when the step's dials were set. ServingAt is when its agents had acknowledged serving it, moved on by as long as
	// the clock has stood since: the step's clock began then. PausedAt is since when it stands.
	StepAt, ServingAt, PausedAt time.Time
	// Dials is what agents should have reached, and DialsAt since when.
	Dials   Generation
	DialsAt time.Time
	// Promoted: a person waived what is left of the step's time.
	Promoted bool
	// Extensions counts how often the step was prolonged.
	Extensions int
	// BaseRequests is how many candidate requests at this share had been counted when the step's clock began.
	BaseRequests int64
	// What alpha is divided over, fixed when the rollout starts.
	JudgedAgents, JudgedRoutes int
	// ClockOffset is by how much the store's clock had been set when these times were written.
	ClockOffset time.Duration
	// Supersede: in the queue it does not wait for the rollout that runs, it takes its place.
	Supersede bool
	// Expected are the shares of requests that the change means the gateway to answer by itself, by route and metric.
	Expected []Expected
}

// Expected is what a change means to change: up to a share of a route's requests count for a metric, and are not held against it.
type Expected struct {
	Route, Metric string
	// Share is from 0 to 1.
	Share float64
}

// Active says that it is neither queued nor ended.
func (r Rollout) Active() bool {
	switch r.State {
	case Running, Paused, AwaitingApproval, Held:
		return true
	}
	return false
}

// Ended says that nothing will ever happen to it again.
func (r Rollout) Ended() bool { return !r.Active() && r.State != Queued }

// What an agent said last of what it should serve.
const (
	statusServing = "serving"
	statusRefused = "refused"
	statusDropped = "dropped"
)

// Agent is one agent of the fleet as it was seen last.
type Agent struct {
	ID, Name, BootID string
	Labels           map[string]string
	// Alive: it holds its stream and was heard of lately.
	Alive       bool
	ConnectedAt time.Time
	// SeenAt is when it was heard of last; zero: never.
	SeenAt time.Time
	// Drain: it was told to finish; whatever it does is on purpose.
	Drain bool
	// What it acknowledged last.
	Acknowledged  Generation
	Status, Error string
	Candidate     int64
	// FailedRollout is the last rollout whose candidate it refused or dropped.
	FailedRollout int64
}

// Member is an agent that holds the candidate.
type Member struct {
	AgentID, Name string
	// Step brought it in.
	Step int
	// BootID is the process that was given the candidate.
	BootID string
	// LostSince is since when the controller misses it; zero: it does not.
	LostSince time.Time
}

// Sum is what all agents counted of one metric, on one route, at one share. Metric "requests" counts all requests, every other
// one the bad. Route "" is the total.
type Sum struct {
	Metric, Route      string
	SharePPM           int32
	Candidate, Control int64
	// InStable: the control could serve the route too. True of the total.
	InStable bool
	// Units: it is units of a sticky coin that were counted, each once. Their totals leave out what has no control, and what the
	// change means to bring about.
	Units bool
}

// Reading is what the sums had come to at a moment. It is kept, so that a gate can be tried on the rollout when it has ended.
type Reading struct {
	// Number counts from 1; 0: there is none.
	Number int
	At     time.Time
	Step   int
	// Counted is what all totals come to together: whether anything has changed since.
	Counted int64
	// Sums are the totals, and at the end of a step those of single routes.
	Sums []ReadSum
}

// ReadSum is one sum of a reading. Of a total, NewCandidate and NewControl are what came from routes that only the candidate has.
type ReadSum struct {
	Sum
	NewCandidate, NewControl int64
}

// Verdict is what the judge said last of one comparison, and the counts that it had read. Logarithms are natural; RatioUpper
// is 0 while nothing bounds the ratio.
type Verdict struct {
	Metric, Route                      string
	CandidateBad, CandidateTotal       int64
	ControlBad, ControlTotal           int64
	LogEvidence, LogPeak, LogThreshold float64
	RatioLower, RatioUpper             float64
	Verdict, Explanation               string
	At                                 time.Time
}

// Answered is what an external gate said. Times that have not come are zero.
type Answered struct {
	Gate                 string
	Verdict, Explanation string
	PassedAt, At         time.Time
}

// Shadow is what a candidate decided beside live requests, in the step before the first.
type Shadow struct {
	// Sampled requests, and those of them that it would decide otherwise, expected ones included.
	Sampled, Different int64
	// Differences are the most frequent ones.
	Differences []Difference
}

// Difference is one way in which a candidate decides otherwise than stable. A decision is a reason of the gateway, "service " and
// names, or "status " and a number.
type Difference struct {
	StableRoute, StableDecision       string
	CandidateRoute, CandidateDecision string
	Requests                          int64
	// Example is one of them: method and path.
	Example string
	// Sampled is how many samples there were on the candidate's route.
	Sampled int64
}

// Command is what people can ask of a rollout.
type Command string

// The commands.
const (
	// Pause stops the clock of the step; the gates go on judging.
	Pause Command = "pause"
	// Resume lets the clock go on.
	Resume Command = "resume"
	// Promote goes to the next step without waiting.
	Promote Command = "promote"
	// PromoteFull goes to the last step without waiting.
	PromoteFull Command = "promote_full"
	// Approve lets a step begin that waits for a person.
	Approve Command = "approve"
	// Abort takes the candidate back and rejects its revision.
	Abort Command = "abort"
)

// Request is a command that was given and not dealt with yet.
type Request struct {
	ID, RolloutID int64
	Command       Command
	Actor, Reason string
}

// State is all that a decision about one fleet depends on.
type State struct {
	// Rollout is the active one; if none is, the queued one.
	Rollout Rollout
	Plan    Plan
	// Waiting is the queued one behind an active one; nil if there is none.
	Waiting *Rollout
	// Unchanged: stable and candidate have the same content. Read while it is queued.
	Unchanged bool
	// Routes is how many routes stable and candidate have. Read while it is queued.
	Routes int
	// Agents of the fleet, and Members of the rollout.
	Agents  []Agent
	Members []Member
	// Requests of people, in the order in which they came, for Rollout and Waiting.
	Requests []Request
	// Sums are the totals, and of single routes those that matter. NewRoutes are those of all routes together that only the
	// candidate has, without a route.
	Sums, NewRoutes []Sum
	// Read is when the sums were last kept, without them.
	Read Reading
	// Shadow is what the candidate decided beside live requests.
	Shadow Shadow
	// Answers are what external gates said last.
	Answers  []Answered
	Verdicts []Verdict
	// ClockOffset is by how much the store's clock was set by now, forth and back.
	ClockOffset time.Duration
	// LeadingSince is when this leader began: what it did not see before counts from then.
	LeadingSince time.Time
}
