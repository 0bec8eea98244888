package store

import (
	"context"
	"errors"
	"fmt"

	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// controllerName is the author of what the rollouts' controller commits by itself.
const controllerName = "rollout controller"

// AcceptRevision makes the revision of a rollout stable. The caller holds the fleet's head and raises the generation.
//
// If head has the same content and nobody rolls it out (it is the revert of what was queued behind), head becomes stable.
func (tx *Tx) AcceptRevision(ctx context.Context, head Head, number int64) error {
	if err := tx.acceptRevision(ctx, head, number); err != nil {
		return err
	}
	return tx.supersedeForgotten(ctx, head.FleetID)
}

func (tx *Tx) acceptRevision(ctx context.Context, head Head, number int64) error {
	accepted, err := tx.Revision(ctx, head.FleetID, number)
	if err != nil {
		return err
	}
	if head.Revision == number {
		return tx.makeStable(ctx, head, accepted)
	}
	queued, err := tx.queuedRollout(ctx, head.FleetID)
	if err != nil {
		return err
	}
	top, err := tx.Revision(ctx, head.FleetID, head.Revision)
	if err != nil {
		return err
	}
	if queued == nil && top.Root == accepted.Root {
		if err := tx.SetRevisionState(ctx, head.FleetID, number, RevisionSuperseded); err != nil {
			return err
		}
		return tx.makeStable(ctx, head, top)
	}
	return tx.makeStable(ctx, head, accepted)
}

func (tx *Tx) makeStable(ctx context.Context, head Head, to Revision) error {
	if head.Stable != 0 && head.Stable != to.Number {
		if err := tx.SetRevisionState(ctx, head.FleetID, head.Stable, RevisionSuperseded); err != nil {
			return err
		}
	}
	if err := tx.SetRevisionState(ctx, head.FleetID, to.Number, RevisionServing); err != nil {
		return err
	}
	return tx.SetStable(ctx, head.FleetID, to.Number)
}

// RejectRevision rejects the revision of a rollout that has just ended, and commits on head the revert of what it changed
// against base, so that the next edit does not ship it again. base is stable or, of a rollout that was waiting, the candidate
// before it. The caller holds the fleet's head and raises the generation.
//
// What is queued on top keeps its place, on the revert, if it has nothing to do with what is undone; else it is rejected too.
func (tx *Tx) RejectRevision(ctx context.Context, head Head, rejected, base int64, why string) error {
	if err := tx.rejectRevision(ctx, head, rejected, base, why); err != nil {
		return err
	}
	return tx.supersedeForgotten(ctx, head.FleetID)
}

func (tx *Tx) supersedeForgotten(ctx context.Context, fleetID int64) error {
	if err := tx.queries.SupersedeForgottenRevisions(ctx, fleetID); err != nil {
		return fmt.Errorf("superseding revisions that nobody rolls out: %w", translate(err))
	}
	return nil
}

func (tx *Tx) rejectRevision(ctx context.Context, head Head, rejected, base int64, why string) error {
	if err := tx.SetRevisionState(ctx, head.FleetID, rejected, RevisionRejected); err != nil {
		return err
	}
	queued, err := tx.queuedRollout(ctx, head.FleetID)
	if err != nil {
		return err
	}
	changes, keeps, err := tx.revertOf(ctx, head, rejected, base, queued)
	if err != nil {
		return err
	}
	if queued != nil && !keeps {
		text := fmt.Sprintf("revision %d, which it stands on, was rejected, and both change the same", rejected)
		if err := tx.supersedeQueued(ctx, head.FleetID, text, "", RevisionRejected); err != nil {
			return err
		}
	}
	made, changed, err := tx.CommitRevision(ctx, head, Commit{
		Origin: OriginRevert, Author: controllerName, Changes: changes,
		Message: fmt.Sprintf("Revert of revision %d: %s", rejected, why),
	})
	if err != nil || !changed {
		return err
	}
	if queued != nil && keeps {
		return tx.moveQueued(ctx, *queued, made.Number, rejected)
	}
	return tx.settleRevert(ctx, head, made)
}

// settleRevert gives the revert its state: with the content of stable it takes its place. Before anything was stable it is
// nothing but where the next edit starts.
func (tx *Tx) settleRevert(ctx context.Context, head Head, made Revision) error {
	if head.Stable == 0 {
		return tx.SetRevisionState(ctx, head.FleetID, made.Number, RevisionSuperseded)
	}
	stable, err := tx.Revision(ctx, head.FleetID, head.Stable)
	if err != nil {
		return err
	}
	if stable.Root != made.Root {
		return nil // it has the content of the candidate that is under way, and gets its state with it
	}
	return tx.makeStable(ctx, head, made)
}

// moveQueued lets the queued rollout take the revert, which carries its changes, in place of its own revision.
func (tx *Tx) moveQueued(ctx context.Context, queued Rollout, to, rejected int64) error {
	why := fmt.Sprintf("revision %d was rejected and its changes taken out: revision %d takes the place of revision %d",
		rejected, to, queued.Revision)
	if err := tx.moveQueuedTo(ctx, queued.ID, to, why); err != nil {
		return err
	}
	if err := tx.SetRevisionState(ctx, queued.FleetID, queued.Revision, RevisionSuperseded); err != nil {
		return err
	}
	return tx.addRolloutEvent(ctx, RolloutEvent{RolloutID: queued.ID, Type: "rebased", Message: why})
}

func (tx *Tx) queuedRollout(ctx context.Context, fleetID int64) (*Rollout, error) {
	open, err := tx.OpenRollouts(ctx, fleetID)
	if err != nil {
		return nil, err
	}
	for _, rollout := range open {
		if rollout.State == RolloutQueued {
			return &rollout, nil
		}
	}
	return nil, nil //nolint:nilnil // the queue is empty
}

// revertOf is what leads from head back: to base without what the rejected revision brought if the queued one keeps its place,
// else to base itself.
func (tx *Tx) revertOf(ctx context.Context, head Head, rejected, base int64, queued *Rollout) (changes []Change, keeps bool, err error) {
	if queued != nil {
		undone, err := tx.Difference(ctx, head.FleetID, rejected, base)
		if err != nil {
			return nil, false, err
		}
		later, err := tx.Difference(ctx, head.FleetID, rejected, head.Revision)
		if err != nil {
			return nil, false, err
		}
		if keeps, err = tx.independent(ctx, head.FleetID, undone, later); err != nil {
			return nil, false, err
		}
		if keeps {
			return changesTo(undone), true, nil
		}
	}
	all, err := tx.Difference(ctx, head.FleetID, head.Revision, base)
	if err != nil {
		return nil, false, err
	}
	return changesTo(all), false, nil
}

// changesTo leads to the second side of the differences.
func changesTo(differences []Difference) []Change {
	changes := make([]Change, len(differences))
	for i, difference := range differences {
		changes[i] = Change{Key: difference.Key, Delete: difference.After == nil}
		if difference.After != nil {
			changes[i].Body, changes[i].Labels = difference.After.Body, difference.After.Labels
		}
	}
	return changes
}

// independent says whether head is still whole when what is undone goes back under what came later: no resource is in both,
// nothing refers to what is taken away or from what is put back to what is gone, and no route that is put back ties.
func (tx *Tx) independent(ctx context.Context, fleetID int64, undone, later []Difference) (bool, error) {
	touched := map[revision.Key]Difference{}
	for _, difference := range undone {
		touched[difference.Key] = difference
	}
	for _, difference := range later {
		if _, both := touched[difference.Key]; both {
			return false, nil
		}
	}
	for _, check := range []func(context.Context, int64, map[revision.Key]Difference) (bool, error){
		tx.noneRefersToTaken, tx.putBackRefersToPresent, tx.putBackRoutesDoNotTie,
	} {
		if ok, err := check(ctx, fleetID, touched); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// noneRefersToTaken looks at staged resources only: a consumer whose plan goes waits for it to come back.
func (tx *Tx) noneRefersToTaken(ctx context.Context, fleetID int64, undone map[revision.Key]Difference) (bool, error) {
	var taken []revision.Key
	for key, difference := range undone {
		if difference.After == nil {
			taken = append(taken, key)
		}
	}
	references, err := tx.ReferencesTo(ctx, fleetID, taken)
	if err != nil {
		return false, err
	}
	for _, reference := range references {
		if _, goesToo := undone[reference.From]; reference.From.Kind.Staged() && !goesToo {
			return false, nil
		}
	}
	return true, nil
}

func (tx *Tx) putBackRefersToPresent(ctx context.Context, fleetID int64, undone map[revision.Key]Difference) (bool, error) {
	var needed []revision.Key
	for key, difference := range undone {
		if difference.After == nil {
			continue
		}
		spec, err := decodeSpec(key, difference.After.Body)
		if err != nil {
			return false, err
		}
		for _, reference := range configv1.References(spec) {
			to := revision.Key{Kind: reference.Kind, Name: reference.Name}
			other, undoneToo := undone[to]
			switch {
			case !to.Kind.Staged(), undoneToo && other.After != nil:
			case undoneToo:
				return false, nil
			default:
				needed = append(needed, to)
			}
		}
	}
	present, err := tx.AtHead(ctx, fleetID, needed)
	if err != nil {
		return false, err
	}
	for _, key := range needed {
		if _, ok := present[key]; !ok {
			return false, nil
		}
	}
	return true, nil
}

func (tx *Tx) putBackRoutesDoNotTie(ctx context.Context, fleetID int64, undone map[revision.Key]Difference) (bool, error) {
	var keys []string
	for key, difference := range undone {
		if key.Kind != configv1.Kind_KIND_ROUTE || difference.After == nil {
			continue
		}
		spec, err := decodeSpec(key, difference.After.Body)
		if err != nil {
			return false, err
		}
		route, ok := spec.(*configv1.Route)
		if !ok {
			return false, errors.New("the spec of a route is not a route")
		}
		rule, _ := RouteRule(key.Name, route) // it was valid when it was published
		keys = append(keys, pattern.TieKeys(rule)...)
	}
	if len(keys) == 0 {
		return true, nil
	}
	holders, err := tx.RoutesByKeys(ctx, fleetID, keys)
	if err != nil {
		return false, err
	}
	for _, routes := range holders {
		for _, route := range routes {
			if _, goesToo := undone[revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: route}]; !goesToo {
				return false, nil
			}
		}
	}
	return true, nil
}
