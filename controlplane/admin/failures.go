package admin

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/telemetry"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// retrySoon is what a client is told when trying again may help.
const retrySoon = time.Second

// failure turns any error of a call into the problem that its caller sees. What the caller cannot help is logged with its
// cause, and answered without.
func (s *Server) failure(ctx context.Context, fullMethod string, err error) error {
	p := problemOfError(err)
	if errors.Is(err, store.ErrStale) && incoming(ctx, headerIfMatch) != "" {
		p.kind = problemStale
	}
	p.requestID = callOf(ctx).requestID
	if p.kind.status >= 500 {
		s.log.LogAttrs(ctx, slog.LevelError, "a call failed", slog.String("method", fullMethod),
			slog.String("request_id", p.requestID), slog.String("error", err.Error()))
	}
	return p
}

// errStopping ends streams when the server stops; their clients should ask another replica.
var errStopping = &problem{kind: problemUnavailable, detail: "the control plane is stopping", retryAfter: retrySoon}

// problemOfError knows the typed errors of all rooms.
func problemOfError(err error) *problem {
	var own *problem
	if errors.As(err, &own) {
		shared := *own
		return &shared
	}
	for _, translate := range []func(error) *problem{problemOfConfig, problemOfRollout, problemOfIdentity, problemOfStore, problemOfContext} {
		if p := translate(err); p != nil {
			return p
		}
	}
	if _, ok := status.FromError(err); ok {
		return problemOf(err)
	}
	return newProblem(problemInternal, "the log has more under the request id")
}

func problemOfConfig(err error) *problem {
	var violations *config.Violations
	var conflict *config.Conflict
	var referenced *config.Referenced
	var precondition *config.Precondition
	var closed *config.Closed
	var frozen *config.Frozen
	var unapproved *config.NotApproved
	var own *config.OwnChange
	switch {
	case errors.As(err, &violations):
		return invalid(violationMessages(violations.List))
	case errors.As(err, &conflict):
		return conflictProblem(conflict)
	case errors.As(err, &referenced):
		p := newProblem(problemReferenced, referenced.Error())
		p.violations = violationMessages(referenced.By)
		return p
	case errors.As(err, &precondition):
		return newProblem(problemStale, precondition.Error())
	case errors.As(err, &closed):
		return newProblem(problemState, closed.Error())
	case errors.As(err, &frozen):
		return newProblem(problemFrozen, frozen.Error())
	case errors.As(err, &unapproved):
		return newProblem(problemUnapproved, unapproved.Error())
	case errors.As(err, &own):
		return newProblem(problemForbidden, own.Error())
	case errors.Is(err, fleet.ErrLifetime):
		return invalidField("ttl", "join_token.ttl", "must be at most 24h")
	case errors.Is(err, telemetry.ErrQuery):
		return newProblem(problemInvalid, err.Error())
	}
	return nil
}

func conflictProblem(conflict *config.Conflict) *problem {
	p := newProblem(problemConflict, conflict.Error())
	for _, resource := range conflict.Resources {
		p.violations = append(p.violations, &adminv1.Violation{
			Resource: resource, Rule: "conflict", Message: "changed since the change set was opened",
		})
	}
	return p
}

func violationMessages(list []config.Violation) []*adminv1.Violation {
	out := make([]*adminv1.Violation, 0, len(list))
	for _, v := range list {
		out = append(out, &adminv1.Violation{Resource: v.Resource, Field: v.Field, Rule: v.Rule, Message: v.Message})
	}
	return out
}

func problemOfRollout(err error) *problem {
	var state *rollout.WrongState
	var invalidStrategy *rollout.InvalidStrategy
	switch {
	case errors.As(err, &state):
		return newProblem(problemState, state.Error())
	case errors.As(err, &invalidStrategy):
		return invalid(fieldViolations("spec.", invalidStrategy.Violations))
	case errors.Is(err, rollout.ErrBuiltIn):
		return newProblem(problemState, rollout.ErrBuiltIn.Error())
	case errors.Is(err, rollout.ErrInUse):
		return newProblem(problemReferenced, rollout.ErrInUse.Error())
	}
	return nil
}

func fieldViolations(prefix string, list []configv1.FieldViolation) []*adminv1.Violation {
	out := make([]*adminv1.Violation, 0, len(list))
	for _, v := range list {
		out = append(out, &adminv1.Violation{Field: prefix + v.Field, Rule: v.Rule, Message: v.Message})
	}
	return out
}

func problemOfIdentity(err error) *problem {
	var locked *identity.LockedOutError
	switch {
	case errors.As(err, &locked):
		p := newProblem(problemLockedOut, locked.Error())
		p.retryAfter = locked.RetryAfter
		return p
	case errors.Is(err, identity.ErrUnknown):
		return newProblem(problemUnauthorized, identity.ErrUnknown.Error())
	case errors.Is(err, identity.ErrNameTaken):
		return newProblem(problemExists, err.Error())
	case errors.Is(err, identity.ErrLifetime):
		return invalidField("ttl", "token.ttl", "must be between 1s and 8760h")
	}
	return nil
}

func problemOfStore(err error) *problem {
	switch {
	case errors.Is(err, store.ErrOtherRequest):
		return newProblem(problemIdempotencyKey, "this Idempotency-Key came with another request before")
	case errors.Is(err, store.ErrNotFound):
		return newProblem(problemNotFound, publicText(err))
	case errors.Is(err, store.ErrExists):
		return newProblem(problemExists, publicText(err))
	case errors.Is(err, store.ErrStale):
		return newProblem(problemConflict, publicText(err))
	case errors.Is(err, store.ErrReferenced):
		return newProblem(problemReferenced, publicText(err))
	case errors.Is(err, store.ErrNoSpace):
		p := newProblem(problemUnavailable, "the database has no space left: nothing was changed, and agents go on serving what they have; try again once there is space")
		p.retryAfter = retrySoon
		return p
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrUnavailable):
		p := newProblem(problemUnavailable, "the database does not answer now; nothing is known to have changed, and trying again with the same Idempotency-Key is safe")
		p.retryAfter = retrySoon
		return p
	}
	return nil
}

// publicText is an error's text up to where the database speaks: its words name tables and constraints.
func publicText(err error) string {
	text := err.Error()
	for _, meaning := range []error{store.ErrNotFound, store.ErrExists, store.ErrStale, store.ErrReferenced} {
		if before, _, ok := strings.Cut(text, meaning.Error()); ok {
			return before + meaning.Error()
		}
	}
	return text
}

func problemOfContext(err error) *problem {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(problemDeadline, "the call did not end in time")
	case errors.Is(err, context.Canceled):
		return newProblem(problemUnavailable, "the call was cancelled")
	}
	return nil
}
