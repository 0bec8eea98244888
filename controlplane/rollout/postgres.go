package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// leaseName names what is led, among all leases of the installation.
const leaseName = "rollout"

// Postgres is the Store that the control plane uses.
type Postgres struct{ store *store.Store }

// NewPostgres returns a Store on Postgres.
func NewPostgres(s *store.Store) *Postgres { return &Postgres{store: s} }

// Lead implements Store.
func (p *Postgres) Lead(ctx context.Context, holder string, length time.Duration) (lease Lease, held bool, err error) {
	err = p.store.InTx(ctx, func(tx *store.Tx) error {
		var taken store.Lease
		taken, held, err = tx.AcquireLease(ctx, leaseName, holder, length)
		lease = Lease{Holder: taken.Holder, Token: taken.Token, Asked: taken.Asked, ClockOffset: taken.ClockOffset}
		return err
	})
	return lease, held && err == nil, err
}

// Renew implements Store.
func (p *Postgres) Renew(ctx context.Context, lease Lease, length time.Duration) error {
	return staleOf(p.store.InTx(ctx, func(tx *store.Tx) error {
		if length == 0 {
			return tx.ReleaseLease(ctx, leaseOf(lease))
		}
		return tx.RenewLease(ctx, leaseOf(lease), length)
	}))
}

// Fleets implements Store.
func (p *Postgres) Fleets(ctx context.Context) (fleets []int64, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		fleets, err = tx.FleetsWithOpenRollouts(ctx)
		return err
	})
	return fleets, err
}

// Load implements Store.
func (p *Postgres) Load(ctx context.Context, fleetID int64) (state State, now time.Time, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		if now, err = tx.Now(ctx); err != nil {
			return err
		}
		state, err = load(ctx, tx, fleetID)
		return err
	})
	return state, now, err
}

// Apply implements Store.
func (p *Postgres) Apply(ctx context.Context, lease Lease, change Change) error {
	return staleOf(p.store.InTx(ctx, func(tx *store.Tx) error {
		return apply(ctx, tx, leaseOf(lease), change)
	}))
}

func leaseOf(lease Lease) store.Lease {
	return store.Lease{
		Name: leaseName, Holder: lease.Holder, Token: lease.Token, Asked: lease.Asked, ClockOffset: lease.ClockOffset,
	}
}

func staleOf(err error) error {
	if errors.Is(err, store.ErrStale) {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	return err
}

func load(ctx context.Context, tx *store.Tx, fleetID int64) (State, error) {
	open, err := tx.OpenRollouts(ctx, fleetID)
	if err != nil || len(open) == 0 {
		return State{}, err
	}
	subject := open[0]
	state := State{}
	if subject.State == Queued {
		if err := loadBeginning(ctx, tx, &subject, &state); err != nil {
			return State{}, err
		}
	}
	state.Rollout = rolloutOf(subject)
	if state.Rollout.Expected, err = expectedOf(subject); err != nil {
		return State{}, err
	}
	if len(open) > 1 {
		waiting := rolloutOf(open[1])
		state.Waiting = &waiting
	}
	if state.Plan, err = planOf(subject); err != nil {
		return State{}, err
	}
	return state, loadParts(ctx, tx, subject, open, &state)
}

// planOf reads the strategy of a rollout's publish.
func planOf(r store.Rollout) (Plan, error) {
	var spec configv1.Strategy
	if err := proto.Unmarshal(r.Spec, &spec); err != nil {
		return Plan{}, fmt.Errorf("decoding the strategy of rollout %d: %w", r.ID, err)
	}
	return PlanOf(&spec, r.StableRevision == 0)
}

// expectedOf reads the expectations of a rollout's change.
func expectedOf(r store.Rollout) ([]Expected, error) {
	var list configv1.Expectations
	if err := proto.Unmarshal(r.Expectations, &list); err != nil {
		return nil, fmt.Errorf("decoding the expectations of rollout %d: %w", r.ID, err)
	}
	var expected []Expected
	for _, one := range list.GetList() {
		expected = append(expected, Expected{Route: one.GetRoute(), Metric: gatewayPrefix + one.GetReason(), Share: one.GetMaxPercent() / 100})
	}
	return expected, nil
}

// loadBeginning reads what matters only before a rollout starts.
func loadBeginning(ctx context.Context, tx *store.Tx, subject *store.Rollout, state *State) error {
	head, err := tx.Head(ctx, subject.FleetID)
	if err != nil {
		return err
	}
	subject.StableRevision = head.Stable
	routes, err := tx.RoutesOfTwo(ctx, subject.FleetID, head.Stable, subject.Revision, maxJudgedRoutes)
	if err != nil {
		return err
	}
	state.Routes = int(routes)
	if head.Stable == 0 {
		return nil
	}
	stable, err := tx.Revision(ctx, subject.FleetID, head.Stable)
	if err != nil {
		return err
	}
	candidate, err := tx.Revision(ctx, subject.FleetID, subject.Revision)
	if err != nil {
		return err
	}
	state.Unchanged = stable.Root == candidate.Root
	return nil
}

func loadParts(ctx context.Context, tx *store.Tx, subject store.Rollout, open []store.Rollout, state *State) error {
	agents, err := tx.RolloutAgents(ctx, subject.FleetID)
	if err != nil {
		return err
	}
	members, err := tx.Cohort(ctx, subject.ID)
	if err != nil {
		return err
	}
	ids := make([]int64, len(open))
	for i, rollout := range open {
		ids[i] = rollout.ID
	}
	requests, err := tx.OpenRolloutCommands(ctx, ids)
	if err != nil {
		return err
	}
	if err := loadEvidence(ctx, tx, subject, state); err != nil {
		return err
	}
	verdicts, err := tx.RolloutVerdicts(ctx, subject.ID)
	if err != nil {
		return err
	}
	state.take(agents, members, requests, verdicts)
	if err := loadGates(ctx, tx, subject.ID, state); err != nil {
		return err
	}
	return loadShadow(ctx, tx, subject.ID, state)
}

// loadEvidence reads the sums that matter, whatever the number of routes.
func loadEvidence(ctx context.Context, tx *store.Tx, subject store.Rollout, state *State) error {
	var named []string
	for _, expected := range state.Rollout.Expected {
		named = append(named, expected.Route)
	}
	evidence, err := tx.Evidence(ctx, subject, named, maxJudgedRoutes)
	if err != nil {
		return err
	}
	state.takeEvidence(evidence)
	last, err := tx.LastReading(ctx, subject.ID)
	state.Read = Reading{Number: int(last.Number), At: last.At, Counted: last.Counted}
	return err
}

// differencesShown is how many differences of a shadow are read.
const differencesShown = 50

func loadShadow(ctx context.Context, tx *store.Tx, rolloutID int64, state *State) error {
	sampled, different, list, err := tx.Shadow(ctx, rolloutID, differencesShown)
	if err != nil {
		return err
	}
	state.Shadow = Shadow{Sampled: sampled, Different: different}
	for _, one := range list {
		state.Shadow.Differences = append(state.Shadow.Differences, Difference(one))
	}
	return nil
}

func loadGates(ctx context.Context, tx *store.Tx, rolloutID int64, state *State) error {
	if len(state.Plan.Gates) == 0 {
		return nil
	}
	answers, err := tx.Gates(ctx, rolloutID)
	for _, a := range answers {
		state.Answers = append(state.Answers, Answered{
			Gate: a.Name, Verdict: a.Verdict, Explanation: a.Explanation, PassedAt: timeOf(a.PassedAt), At: timeOf(a.At),
		})
	}
	return err
}

// apply writes a change under the order of locks: heads first.
func apply(ctx context.Context, tx *store.Tx, lease store.Lease, change Change) error {
	row := rowOf(change)
	var head store.Head
	if change.NewDials {
		var err error
		if head, err = tx.LockHead(ctx, row.FleetID); err != nil {
			return err
		}
		if row.DialsGeneration, err = tx.RaiseGeneration(ctx, row.FleetID); err != nil {
			return err
		}
		row.DialsEpoch, row.DialsAt = head.Epoch, &change.Now
	}
	if err := tx.SaveRollout(ctx, lease, row); err != nil {
		return err
	}
	if err := tx.SaveRolloutParts(ctx, row.ID, partsOf(change)); err != nil {
		return err
	}
	if err := settle(ctx, tx, head, change); err != nil {
		return err
	}
	return tx.NotifyRollouts(ctx, row.FleetID)
}

// settle gives the revision what the change means for it.
func settle(ctx context.Context, tx *store.Tx, head store.Head, change Change) error {
	r := change.Rollout
	switch {
	case change.Ending == Accept:
		return tx.AcceptRevision(ctx, head, r.Revision)
	case change.Ending == Reject:
		base, err := baseOf(ctx, tx, head)
		if err != nil {
			return err
		}
		return tx.RejectRevision(ctx, head, r.Revision, base, r.Reason)
	case change.Ending == Yield:
		return tx.SetRevisionState(ctx, r.FleetID, r.Revision, store.RevisionSuperseded)
	case change.NewDials:
		return tx.SetRevisionState(ctx, r.FleetID, r.Revision, store.RevisionRollingOut)
	}
	return nil
}

// baseOf is what a rejected revision goes back to: the candidate that is still under way before it, else stable.
func baseOf(ctx context.Context, tx *store.Tx, head store.Head) (int64, error) {
	open, err := tx.OpenRollouts(ctx, head.FleetID)
	if err != nil {
		return 0, err
	}
	if len(open) > 0 && open[0].State != Queued {
		return open[0].Revision, nil
	}
	return head.Stable, nil
}
