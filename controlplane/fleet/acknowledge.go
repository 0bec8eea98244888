package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// errorLimit bounds what is kept of an agent's reasons, in bytes.
	errorLimit = 4096
	// sentRolloutsLimit is how many states back an answer is still understood.
	sentRolloutsLimit = 16
)

// sentRollouts remembers which rollout's candidate the last states carried, so that a late answer is charged to the right
// one.
type sentRollouts struct {
	states []sentRollout
}

type sentRollout struct {
	order
	rollout int64
}

func (r *sentRollouts) note(at order, view *view, state *agentv1.DesiredState) {
	sent := sentRollout{order: at}
	if state.GetCandidate() != nil {
		sent.rollout = view.Rollout.ID
	}
	r.states = append(r.states, sent)
	if len(r.states) > sentRolloutsLimit {
		r.states = r.states[1:]
	}
}

func (r *sentRollouts) of(at order) int64 {
	for _, sent := range r.states {
		if sent.order == at {
			return sent.rollout
		}
	}
	return 0
}

// acknowledged takes the agent's answer to a state. again asks for another delivery, of whole content.
func (s *session) acknowledged(answer *agentv1.Acknowledgement) (again bool, err error) {
	at := order{answer.GetEpoch(), answer.GetGeneration()}
	if at.before(s.answered) {
		s.repeated(at, answer)
		return false, nil
	}
	s.answered = at
	report := store.AgentReport{
		ID: s.agent.ID, Session: s.number, Connected: true, Seen: true, Serving: servingOf(answer.GetServing()),
		Acknowledgement: &store.AgentAcknowledgement{Epoch: at.epoch, Generation: at.generation, Error: reasons(answer.GetErrors())},
	}
	switch answer.GetStatus() {
	case agentv1.Acknowledgement_STATUS_SERVING:
		report.Acknowledgement.Status, report.Acknowledgement.Error = "serving", ""
		s.holding.serves(answer.GetServing())
	case agentv1.Acknowledgement_STATUS_REFUSED, agentv1.Acknowledgement_STATUS_DROPPED:
		report.Acknowledgement.Status = "refused"
		if answer.GetStatus() == agentv1.Acknowledgement_STATUS_DROPPED {
			report.Acknowledgement.Status = "dropped"
		}
		if broken(answer) && s.resend(at) {
			s.log.Warn("what the agent holds is not what it should be; sending it whole", "generation", at.generation)
			return true, nil
		}
		report.FailedRollout = s.rollouts.of(at)
		s.holding.distrust(answer.GetServing())
		s.log.Warn("an agent does not serve what it should", "status", report.Acknowledgement.Status,
			"generation", at.generation, "rollout", report.FailedRollout, "errors", report.Acknowledgement.Error)
	default:
		return false, fmt.Errorf("%w: an acknowledgement without a status", errProtocol)
	}
	s.metrics.acknowledgements.WithLabelValues(report.Acknowledgement.Status).Inc()
	s.board.add(report)
	return false, nil
}

// repeated takes an answer that comes late, behind the answer to a newer state. What the agent serves was said by the newer one; that
// it refused or dropped the candidate of a rollout still counts against that rollout.
func (s *session) repeated(at order, answer *agentv1.Acknowledgement) {
	report := store.AgentReport{ID: s.agent.ID, Session: s.number, Connected: true, Seen: true}
	if answer.GetStatus() == agentv1.Acknowledgement_STATUS_REFUSED || answer.GetStatus() == agentv1.Acknowledgement_STATUS_DROPPED {
		report.FailedRollout = s.rollouts.of(at)
	}
	s.log.Info("an agent answered late to a state", "generation", at.generation, "answered", s.answered.generation)
	s.board.add(report)
}

// broken says whether an answer complains about the transfer and not about the content: what the agent made of a delta is not
// what it should be, or it does not hold what the delta begins with.
func broken(answer *agentv1.Acknowledgement) bool {
	return slices.ContainsFunc(answer.GetErrors(), func(fault *agentv1.ResourceError) bool {
		return fault.GetCode() == "root_mismatch" || fault.GetCode() == "content_missing"
	})
}

// resend prepares to send the last state again with whole content, once a state.
func (s *session) resend(refused order) bool {
	if refused != s.sent || refused == s.resent {
		return false
	}
	s.resent, s.sent = refused, order{}
	s.holding, s.begun = newHolding(nil, nil), nil
	return true
}

// judgedCode marks what an agent's guard said of a candidate, which are words already.
const judgedCode = "evidence"

// reasons puts an agent's errors into a line each.
func reasons(faults []*agentv1.ResourceError) string {
	var text strings.Builder
	for _, fault := range faults {
		if text.Len() > 0 {
			text.WriteByte('\n')
		}
		for _, part := range []string{fault.GetResource(), fault.GetField(), fault.GetCode()} {
			if part != "" && part != judgedCode {
				text.WriteString(part + ": ")
			}
		}
		text.WriteString(fault.GetMessage())
		if text.Len() > errorLimit {
			break
		}
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text.String()[:min(text.Len(), errorLimit)], "\x00", ""), "")
}

// rolloutNumber reads the id of a rollout as agents know it; 0 if it is none.
func rolloutNumber(id string) int64 {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0
	}
	return number
}
