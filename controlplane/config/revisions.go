package config

import (
	"context"
	"fmt"
	"strconv"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Revision is one state of a fleet's staged configuration, and what carried it.
type Revision struct {
	store.Revision
	// Rollout is the last that carried it; 0: none.
	Rollout int64
}

// Revision returns one revision, or store.ErrNotFound.
func (s *Service) Revision(ctx context.Context, fleet string, number int64) (Revision, error) {
	var found Revision
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, _ store.Head) error {
		one, err := tx.Revision(ctx, fleet.ID, number)
		if err != nil {
			return err
		}
		list, err := withRollouts(ctx, tx, fleet, []store.Revision{one})
		if err == nil {
			found = list[0]
		}
		return err
	})
	return found, err
}

// Revisions lists the revisions of a fleet, the newest first.
func (s *Service) Revisions(ctx context.Context, fleet string, options ListOptions) ([]Revision, string, error) {
	page, err := options.page("revisions")
	if err != nil {
		return nil, "", err
	}
	var before int64
	if page.after != "" {
		if before, err = strconv.ParseInt(page.after, 10, 64); err != nil {
			return nil, "", refusedField("page_token", rulePageToken, "must be the next_page_token of the page before")
		}
	}
	var revisions []Revision
	err = s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, _ store.Head) error {
		rows, err := tx.Revisions(ctx, fleet.ID, before, page.size+1)
		if err != nil {
			return err
		}
		revisions, err = withRollouts(ctx, tx, fleet, rows)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	revisions, next := cut(revisions, page, func(r Revision) string { return strconv.FormatInt(r.Number, 10) })
	return revisions, next, nil
}

func withRollouts(ctx context.Context, tx *store.Tx, fleet store.Fleet, rows []store.Revision) ([]Revision, error) {
	numbers := make([]int64, len(rows))
	for i, row := range rows {
		numbers[i] = row.Number
	}
	rollouts, err := tx.RolloutsOfRevisions(ctx, fleet.ID, numbers)
	if err != nil {
		return nil, err
	}
	revisions := make([]Revision, len(rows))
	for i, row := range rows {
		revisions[i] = Revision{Revision: row, Rollout: rollouts[row.Number]}
	}
	return revisions, nil
}

// Rollback makes a new revision with the content of an earlier one, and queues a rollout that skips the steps, unless it goes
// further back than the fleet's rollback window. The fast lane
// stays as it is, so that no revoked key comes back; a plan that a consumer needs today is kept, with a warning. When head has
// that content already, nothing is made.
func (s *Service) Rollback(ctx context.Context, actor, fleet string, number int64, reason string) (Published, error) {
	var published Published
	err := s.changeFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		if _, err := tx.Revision(ctx, fleet.ID, number); err != nil {
			return err
		}
		differences, err := tx.Difference(ctx, fleet.ID, head.Revision, number)
		if err != nil {
			return err
		}
		list, err := s.editsOf(differences)
		if err != nil {
			return err
		}
		list, warnings, err := keepPlansInUse(ctx, tx, fleet, list)
		if err != nil {
			return err
		}
		d, err := s.newDraft(ctx, tx, fleet, head, list)
		if err != nil {
			return err
		}
		d.warnings = append(d.warnings, warnings...)
		strategy, err := strategyBack(fleet, head, number)
		if err != nil {
			return err
		}
		published, err = d.publish(ctx, publication{
			actor: actor, origin: store.OriginRollback, strategy: strategy, message: rollbackMessage(number, reason),
		})
		return err
	})
	return published, err
}

// strategyBack is how a rollback reaches traffic: at once if it does not go far, else by the fleet's own strategy (empty).
func strategyBack(fleet store.Fleet, head store.Head, number int64) (string, error) {
	policy, err := Policy(fleet)
	if err != nil {
		return "", err
	}
	window := int64(policy.GetRollbackWindow())
	if window == 0 {
		window = defaultRollbackWindow
	}
	if head.Revision-number > window {
		return "", nil
	}
	return strategyImmediate, nil
}

func rollbackMessage(number int64, reason string) string {
	message := fmt.Sprintf("roll back to revision %d", number)
	if reason != "" {
		message += ": " + reason
	}
	return message
}

// editsOf are the edits that lead along a difference.
func (s *Service) editsOf(differences []store.Difference) ([]*edit, error) {
	list := make([]*edit, len(differences))
	for i, difference := range differences {
		list[i] = &edit{Key: difference.Key, delete: difference.After == nil}
		if difference.After == nil {
			continue
		}
		spec, err := s.decode(0, difference.Key, difference.After.Body)
		if err != nil {
			return nil, err
		}
		list[i].labels, list[i].spec = difference.After.Labels, spec
	}
	return list, nil
}

// keepPlansInUse takes out of edits the deletion of plans that consumers refer to.
func keepPlansInUse(ctx context.Context, tx *store.Tx, fleet store.Fleet, list []*edit) ([]*edit, []Warning, error) {
	var plans []revision.Key
	for _, e := range list {
		if e.delete && e.Kind == configv1.Kind_KIND_PLAN {
			plans = append(plans, e.Key)
		}
	}
	references, err := tx.ReferencesTo(ctx, fleet.ID, plans)
	if err != nil {
		return nil, nil, err
	}
	inUse := map[revision.Key]string{}
	for _, reference := range references {
		if reference.From.Kind.Fast() && inUse[reference.To] == "" {
			inUse[reference.To] = reference.From.String()
		}
	}
	var kept []*edit
	var warnings []Warning
	for _, e := range list {
		if by := inUse[e.Key]; e.delete && by != "" {
			warnings = append(warnings, Warning{Resource: e.String(), Message: "is kept: " + by + " refers to it"})
			continue
		}
		kept = append(kept, e)
	}
	return kept, warnings, nil
}
