package config

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// ChangeSet is a draft: edits that are reviewed and then published together, or not at all.
type ChangeSet struct {
	ID      string
	Message string
	// State is "open", "published" or "abandoned".
	State  string
	Author string
	// BaseRevision is the head that it was made on, or rebased to.
	BaseRevision int64
	// Revision is what it became; 0: none (yet), or nothing staged changed.
	Revision             int64
	CreatedAt, UpdatedAt time.Time
	ETag                 string
	// Editors are those who edited it; none of them can approve it. Approvals are those of it as it is now.
	Editors   []string
	Approvals []store.Approval
	// Expectations are what it means to change.
	Expectations []*configv1.Expectation
	// Risk is how much can go wrong, and Required how many approvals the fleet asks for. Only of open ones, and not in lists.
	Risk     Risk
	Required int
	// Edits by kind and name. Lists leave them out.
	Edits []Edit
}

// uuid is the form of a change set's id.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// CreateChangeSet opens a draft on the head of the fleet.
func (s *Service) CreateChangeSet(ctx context.Context, actor, fleet, message string) (ChangeSet, error) {
	var created ChangeSet
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		at, err := tx.FleetByName(ctx, fleet)
		if err != nil {
			return err
		}
		head, err := tx.Head(ctx, at.ID)
		if err != nil {
			return err
		}
		set, err := tx.CreateChangeSet(ctx, head, actor, message)
		created = changeSetOf(set, nil)
		return err
	})
	return created, err
}

// ChangeSet returns a draft with its edits, or store.ErrNotFound.
func (s *Service) ChangeSet(ctx context.Context, fleet, id string) (ChangeSet, error) {
	var found ChangeSet
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		set, edits, err := s.readChangeSet(ctx, tx, fleet, id)
		if err != nil {
			return err
		}
		if found, err = s.describe(ctx, tx, set, edits); err != nil || set.State != store.ChangeSetOpen {
			return err
		}
		d, err := s.newDraft(ctx, tx, fleet, head, edits)
		if err != nil {
			return err
		}
		found.Risk, found.Required, err = d.review(ctx)
		return err
	})
	return found, err
}

// ChangeSets lists the drafts of a fleet, the newest first, without their edits.
func (s *Service) ChangeSets(ctx context.Context, fleet string, options ListOptions) ([]ChangeSet, string, error) {
	page, err := options.page("changeSets")
	if err != nil {
		return nil, "", err
	}
	state, err := options.stateFilter()
	if err != nil {
		return nil, "", err
	}
	var sets []ChangeSet
	err = s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, _ store.Head) error {
		rows, err := tx.ChangeSets(ctx, fleet.ID, state, page.after, page.size+1)
		for _, row := range rows {
			sets = append(sets, changeSetOf(row, nil))
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	sets, next := cut(sets, page, func(c ChangeSet) string { return c.ID })
	return sets, next, nil
}

// EditChangeSet adds edits to a draft. A later edit of a resource replaces the earlier. Each resource is checked by itself;
// what belongs together is checked by ValidateChangeSet and at publish.
func (s *Service) EditChangeSet(ctx context.Context, actor, fleet, id string, edits []Edit, ifMatch string) (ChangeSet, error) {
	list, err := newEdits(edits)
	if err != nil {
		return ChangeSet{}, err
	}
	var saved ChangeSet
	err = s.changeSet(ctx, fleet, id, ifMatch, func(tx *store.Tx, fleet store.Fleet, head store.Head, set store.ChangeSet) error {
		if err := s.addEdits(ctx, tx, fleet, head, set, list); err != nil {
			return err
		}
		set, err := edited(ctx, tx, set, actor)
		if err != nil {
			return err
		}
		saved, err = s.withEdits(ctx, tx, set)
		return err
	})
	return saved, err
}

// addEdits puts edits into a draft; one that equals head stays in it too, since it may undo an earlier edit.
func (s *Service) addEdits(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, set store.ChangeSet, list []*edit) error {
	d, err := s.newDraft(ctx, tx, fleet, head, list)
	if err != nil {
		return err
	}
	now, err := tx.Now(ctx)
	if err != nil {
		return err
	}
	for _, e := range list {
		if d.byKey[e.Key] = e; e.delete || e.body == nil && len(d.violations) > 0 {
			continue
		}
		violations, err := checkResource(e.Key, e.labels, e.spec, now)
		if err != nil {
			return err
		}
		d.violations = append(d.violations, violations...)
	}
	if err := refused(d.violations); err != nil {
		return err
	}
	stored, err := d.storedEdits()
	if err != nil {
		return err
	}
	return tx.PutEdits(ctx, set.ID, stored)
}

// AbandonChangeSet gives a draft up. What it held can still be read.
func (s *Service) AbandonChangeSet(ctx context.Context, _, fleet, id, ifMatch string) error {
	return s.changeSet(ctx, fleet, id, ifMatch, func(tx *store.Tx, _ store.Fleet, _ store.Head, set store.ChangeSet) error {
		set.State = store.ChangeSetAbandoned
		_, err := tx.SaveChangeSet(ctx, set)
		return err
	})
}

// ValidateChangeSet says everything that would keep a draft from being published, conflicts included, warns of what looks
// wrong, and says how much can go wrong.
func (s *Service) ValidateChangeSet(ctx context.Context, fleet, id string) (Review, error) {
	var review Review
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		set, edits, err := s.readChangeSet(ctx, tx, fleet, id)
		if err != nil {
			return err
		}
		d, err := s.newDraft(ctx, tx, fleet, head, edits)
		if err != nil {
			return err
		}
		if err := d.noteConflict(s.checkConflict(ctx, tx, set, edits)); err != nil {
			return err
		}
		if err := d.check(ctx, reviewEffort); err != nil {
			return err
		}
		review.Risk, review.Required, err = d.review(ctx)
		if len(d.violations) > 0 {
			review.Violations = &Violations{List: d.violations}
		}
		review.Warnings = d.warnings
		return err
	})
	return review, err
}

// noteConflict turns a conflict into violations; other errors stay.
func (d *draft) noteConflict(err error) error {
	var conflict *Conflict
	if !errors.As(err, &conflict) {
		return err
	}
	for _, resource := range conflict.Resources {
		d.violations = append(d.violations, Violation{
			Resource: resource, Rule: ruleConflict, Message: "changed since the change set was opened",
		})
	}
	return nil
}

// DiffChangeSet shows what a draft would change at head.
func (s *Service) DiffChangeSet(ctx context.Context, fleet, id string) (Diff, error) {
	var diff Diff
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		_, edits, err := s.readChangeSet(ctx, tx, fleet, id)
		if err != nil {
			return err
		}
		d, err := s.newDraft(ctx, tx, fleet, head, edits)
		if err != nil {
			return err
		}
		diff, err = d.diff()
		return err
	})
	return diff, err
}

// RebaseChangeSet moves a draft to head, if what it writes and refers to did not change meanwhile; else *Conflict. An edit made
// with an If-Match of the present version stands on that version already.
func (s *Service) RebaseChangeSet(ctx context.Context, _, fleet, id, ifMatch string) (ChangeSet, error) {
	var rebased ChangeSet
	err := s.changeSet(ctx, fleet, id, ifMatch, func(tx *store.Tx, fleet store.Fleet, head store.Head, set store.ChangeSet) error {
		stored, err := tx.Edits(ctx, set.ID)
		if err != nil {
			return err
		}
		edits, err := s.loadEdits(fleet.ID, stored)
		if err != nil {
			return err
		}
		if err := s.checkConflict(ctx, tx, set, edits); err != nil {
			return err
		}
		set.BaseRevision, set.BaseLane = head.Revision, head.LaneSequence
		if set, err = tx.SaveChangeSet(ctx, set); err != nil {
			return err
		}
		rebased, err = s.describe(ctx, tx, set, edits)
		return err
	})
	return rebased, err
}

// PublishChangeSet makes a draft a revision and queues its rollout by the named strategy; by the fleet's own without a name.
// The expectations are those of the draft.
func (s *Service) PublishChangeSet(ctx context.Context, actor, fleet, id, strategy, ifMatch string, options PublishOptions) (Published, error) {
	var published Published
	err := s.changeSet(ctx, fleet, id, ifMatch, func(tx *store.Tx, fleet store.Fleet, head store.Head, set store.ChangeSet) error {
		stored, err := tx.Edits(ctx, set.ID)
		if err != nil {
			return err
		}
		edits, err := s.loadEdits(fleet.ID, stored)
		if err != nil {
			return err
		}
		if err := s.checkConflict(ctx, tx, set, edits); err != nil {
			return err
		}
		d, err := s.newDraft(ctx, tx, fleet, head, edits)
		if err != nil {
			return err
		}
		approvals, err := tx.Approvals(ctx, set.ID)
		if err != nil {
			return err
		}
		published, err = d.publish(ctx, publication{
			actor: actor, message: set.Message, origin: store.OriginPublish, strategy: strategy,
			changeSet: set.ID, approvals: approvals, options: options, expectations: set.Expectations,
		})
		if err != nil {
			return err
		}
		set.State, set.Revision = store.ChangeSetPublished, published.Revision
		_, err = tx.SaveChangeSet(ctx, set)
		return err
	})
	return published, err
}

// checkConflict: nothing that the edits write or refer to changed since their base.
func (s *Service) checkConflict(ctx context.Context, tx *store.Tx, set store.ChangeSet, edits []*edit) error {
	staged, fast := sinceBase(set, edits)
	changed, err := tx.ChangedSince(ctx, set.FleetID, staged)
	if err != nil {
		return err
	}
	inLane, err := tx.LaneChangedSince(ctx, set.FleetID, fast)
	if err != nil {
		return err
	}
	changed = append(changed, inLane...)
	if len(changed) == 0 {
		return nil
	}
	slices.SortFunc(changed, revision.Key.Compare)
	conflict := &Conflict{ChangeSet: set.ID}
	for _, key := range changed {
		conflict.Resources = append(conflict.Resources, key.String())
	}
	return conflict
}

// changeSet runs writes on an open draft which nobody else can change meanwhile, with the fleet's head locked before it.
func (s *Service) changeSet(ctx context.Context, fleet, id, ifMatch string,
	write func(*store.Tx, store.Fleet, store.Head, store.ChangeSet) error,
) error {
	return s.changeFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		set, err := lockOpen(ctx, tx, fleet, id)
		if err != nil {
			return err
		}
		if err := checkMatch("changeSets/"+id, ifMatch, changeSetETag(set.Version)); err != nil {
			return err
		}
		return write(tx, fleet, head, set)
	})
}

func lockOpen(ctx context.Context, tx *store.Tx, fleet store.Fleet, id string) (store.ChangeSet, error) {
	if !uuid.MatchString(id) {
		return store.ChangeSet{}, errNoChangeSet(id)
	}
	set, err := tx.LockChangeSet(ctx, fleet.ID, id)
	if err != nil {
		return store.ChangeSet{}, err
	}
	if set.State != store.ChangeSetOpen {
		return store.ChangeSet{}, &Closed{ID: id, State: set.State}
	}
	return set, nil
}

func errNoChangeSet(id string) error {
	if len(id) > 64 {
		id = id[:64]
	}
	return fmt.Errorf("changeSets/%s: %w", id, store.ErrNotFound)
}

func (s *Service) readChangeSet(ctx context.Context, tx *store.Tx, fleet store.Fleet, id string) (store.ChangeSet, []*edit, error) {
	if !uuid.MatchString(id) {
		return store.ChangeSet{}, nil, errNoChangeSet(id)
	}
	set, err := tx.ChangeSet(ctx, fleet.ID, id)
	if err != nil {
		return store.ChangeSet{}, nil, err
	}
	stored, err := tx.Edits(ctx, set.ID)
	if err != nil {
		return store.ChangeSet{}, nil, err
	}
	edits, err := s.loadEdits(fleet.ID, stored)
	return set, edits, err
}

func (s *Service) withEdits(ctx context.Context, tx *store.Tx, set store.ChangeSet) (ChangeSet, error) {
	stored, err := tx.Edits(ctx, set.ID)
	if err != nil {
		return ChangeSet{}, err
	}
	edits, err := s.loadEdits(set.FleetID, stored)
	if err != nil {
		return ChangeSet{}, err
	}
	return s.describe(ctx, tx, set, edits)
}

// describe adds what is kept beside a draft.
func (s *Service) describe(ctx context.Context, tx *store.Tx, set store.ChangeSet, edits []*edit) (ChangeSet, error) {
	described := changeSetOf(set, edits)
	var err error
	if described.Expectations, err = decodeExpectations(set.Expectations); err != nil {
		return ChangeSet{}, err
	}
	described.Approvals, err = tx.Approvals(ctx, set.ID)
	return described, err
}

func changeSetOf(set store.ChangeSet, edits []*edit) ChangeSet {
	return ChangeSet{
		ID: set.ID, Message: set.Message, State: set.State, Author: set.Author, Editors: set.Editors,
		BaseRevision: set.BaseRevision, Revision: set.Revision,
		CreatedAt: set.CreatedAt, UpdatedAt: set.UpdatedAt, ETag: changeSetETag(set.Version), Edits: publicEdits(edits),
	}
}
