package config

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// ApplyOptions is what a declarative file asks for.
type ApplyOptions struct {
	// Resources each replace the resource of their name, or make it. One that equals head makes no change.
	Resources []Resource
	// PruneKinds are the kinds of which everything else is deleted.
	PruneKinds []configv1.Kind
	Message    string
	// Strategy is a name; "" is the fleet's own.
	Strategy string
	// ValidateOnly checks and shows the difference, and changes nothing.
	ValidateOnly bool
	// DraftOnly opens a change set for others to review, and publishes nothing.
	DraftOnly bool
	Options   PublishOptions
}

// Applied is what an apply did.
type Applied struct {
	Diff Diff
	// Published is nil when nothing changed, or when only validation was asked for.
	Published *Published
	Warnings  []Warning
	// Risk and Required are how much can go wrong, and how many approvals the fleet asks for.
	Risk     Risk
	Required int
	// ChangeSet is what was opened; nil unless a draft alone was asked for.
	ChangeSet *ChangeSet
}

// Apply opens, fills and publishes a draft in one step: what is staged becomes one revision with one rollout, and what is
// fast commits with it.
func (s *Service) Apply(ctx context.Context, actor, fleet string, options ApplyOptions) (Applied, error) {
	edits := make([]Edit, len(options.Resources))
	for i, resource := range options.Resources {
		edits[i].Resource = resource
	}
	list, err := newEdits(edits)
	if err != nil {
		return Applied{}, err
	}
	var applied Applied
	run := s.changeFleet
	if options.ValidateOnly {
		run = s.viewFleet
	}
	err = run(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		applied, err = s.apply(ctx, tx, fleet, head, actor, list, options)
		return err
	})
	return applied, err
}

func (s *Service) apply(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, actor string, list []*edit, options ApplyOptions) (Applied, error) {
	list, err := prune(ctx, tx, fleet, list, options.PruneKinds)
	if err != nil {
		return Applied{}, err
	}
	d, err := s.newDraft(ctx, tx, fleet, head, list)
	if err != nil {
		return Applied{}, err
	}
	if options.ValidateOnly || len(d.edits) == 0 {
		if err := d.check(ctx, reviewEffort); err != nil {
			return Applied{}, err
		}
		if err := refused(d.violations); err != nil {
			return Applied{}, err
		}
		risk, needed, err := d.review(ctx)
		if err != nil {
			return Applied{}, err
		}
		diff, err := d.diff()
		return Applied{Diff: diff, Warnings: d.warnings, Risk: risk, Required: needed}, err
	}
	expectations, err := encodeExpectations(options.Options.Expectations)
	if err != nil {
		return Applied{}, err
	}
	if options.DraftOnly {
		return s.openFilled(ctx, d, actor, options.Message, expectations)
	}
	risk, err := d.risk(ctx)
	if err != nil {
		return Applied{}, err
	}
	published, err := d.publish(ctx, publication{
		actor: actor, message: options.Message, origin: store.OriginPublish, strategy: options.Strategy,
		options: options.Options, expectations: expectations,
	})
	if err != nil {
		return Applied{}, err
	}
	diff, err := d.diff()
	return Applied{Diff: diff, Published: &published, Warnings: published.Warnings, Risk: risk}, err
}

// openFilled keeps a checked draft as a change set.
func (s *Service) openFilled(ctx context.Context, d *draft, actor, message string, expectations []byte) (Applied, error) {
	if err := d.check(ctx, reviewEffort); err != nil {
		return Applied{}, err
	}
	if err := refused(d.violations); err != nil {
		return Applied{}, err
	}
	set, err := d.tx.CreateChangeSet(ctx, d.head, actor, message)
	if err != nil {
		return Applied{}, err
	}
	stored, err := d.storedEdits()
	if err != nil {
		return Applied{}, err
	}
	if err := d.tx.PutEdits(ctx, set.ID, stored); err != nil {
		return Applied{}, err
	}
	set.Expectations = expectations
	if set, err = d.tx.SaveChangeSet(ctx, set); err != nil {
		return Applied{}, err
	}
	opened, err := s.withEdits(ctx, d.tx, set)
	if err != nil {
		return Applied{}, err
	}
	applied := Applied{ChangeSet: &opened, Warnings: d.warnings}
	if applied.Risk, applied.Required, err = d.review(ctx); err != nil {
		return Applied{}, err
	}
	opened.Risk, opened.Required = applied.Risk, applied.Required
	applied.Diff, err = d.diff()
	return applied, err
}

// prune adds deletions of what the list does not name.
func prune(ctx context.Context, tx *store.Tx, fleet store.Fleet, list []*edit, kinds []configv1.Kind) ([]*edit, error) {
	kept := map[revision.Key]bool{}
	for _, e := range list {
		kept[e.Key] = true
	}
	for _, kind := range kinds {
		if err := checkKind(kind); err != nil {
			return nil, err
		}
		namesOf := tx.NamesAtHead
		if kind.Fast() {
			namesOf = tx.LaneNames
		}
		names, err := namesOf(ctx, fleet.ID, kind)
		if err != nil {
			return nil, fmt.Errorf("looking for what to prune: %w", err)
		}
		for _, name := range names {
			if key := (revision.Key{Kind: kind, Name: name}); !kept[key] {
				kept[key] = true
				list = append(list, &edit{Key: key, delete: true})
			}
		}
	}
	return list, nil
}
