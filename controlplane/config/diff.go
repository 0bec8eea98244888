package config

import (
	"context"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Actions of a ResourceChange.
const (
	ActionCreate = "create"
	ActionUpdate = "update"
	ActionDelete = "delete"
)

// Diff is what changes between two states of a fleet's configuration, by kind and name.
type Diff struct {
	Changes                   []ResourceChange
	Created, Updated, Deleted int
}

// ResourceChange is the change of one resource.
type ResourceChange struct {
	// Action is one of the Action constants.
	Action string
	Kind   configv1.Kind
	Name   string
	// Before is nil of a creation, After of a deletion. Both are without private parts and output-only fields.
	Before, After *Resource
	// Fields are those that an update changes.
	Fields []FieldChange
}

// FieldChange is the change of one field. The values are JSON; empty: the field was or becomes unset.
type FieldChange struct {
	// Path is "spec.match.paths[0]" or "labels.team".
	Path          string
	Before, After string
}

// side is a resource at one side of a difference.
type side struct {
	labels map[string]string
	spec   proto.Message
}

func (d *Diff) add(key revision.Key, before, after *side) error {
	change := ResourceChange{Kind: key.Kind, Name: key.Name, Before: publicSide(key, before), After: publicSide(key, after)}
	switch {
	case before == nil:
		change.Action = ActionCreate
		d.Created++
	case after == nil:
		change.Action = ActionDelete
		d.Deleted++
	default:
		change.Action = ActionUpdate
		d.Updated++
		fields, err := fieldChanges(before, after)
		if err != nil {
			return err
		}
		change.Fields = fields
	}
	d.Changes = append(d.Changes, change)
	return nil
}

func publicSide(key revision.Key, s *side) *Resource {
	if s == nil {
		return nil
	}
	return &Resource{Kind: key.Kind, Name: key.Name, Labels: s.labels, Spec: redacted(s.spec)}
}

// diff shows what a draft changes.
func (d *draft) diff() (Diff, error) {
	var diff Diff
	for _, e := range d.edits {
		var before, after *side
		if spec := d.former[e.Key]; spec != nil {
			before = &side{labels: d.formerLabels(e.Key), spec: spec}
		}
		if !e.delete {
			after = &side{labels: e.labels, spec: e.spec}
		}
		if err := diff.add(e.Key, before, after); err != nil {
			return Diff{}, err
		}
	}
	return diff, nil
}

func (d *draft) formerLabels(key revision.Key) map[string]string {
	if key.Kind.Fast() {
		return d.fast[key].Labels
	}
	return d.staged[key].Labels
}

// DiffRevisions shows what changed between two revisions, in either direction. from below 0 is the parent of to; 0 is empty.
func (s *Service) DiffRevisions(ctx context.Context, fleet string, from, to int64) (Diff, error) {
	var diff Diff
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, _ store.Head) error {
		shown, err := tx.Revision(ctx, fleet.ID, to)
		if err != nil {
			return err
		}
		if from < 0 {
			from = shown.Parent
		} else if from > 0 {
			if _, err := tx.Revision(ctx, fleet.ID, from); err != nil {
				return err
			}
		}
		differences, err := tx.Difference(ctx, fleet.ID, from, to)
		if err != nil {
			return err
		}
		diff, err = s.diffOf(differences)
		return err
	})
	return diff, err
}

func (s *Service) diffOf(differences []store.Difference) (Diff, error) {
	var diff Diff
	for _, difference := range differences {
		before, err := s.sideOf(difference.Before)
		if err != nil {
			return Diff{}, err
		}
		after, err := s.sideOf(difference.After)
		if err != nil {
			return Diff{}, err
		}
		if err := diff.add(difference.Key, before, after); err != nil {
			return Diff{}, err
		}
	}
	return diff, nil
}

func (s *Service) sideOf(version *store.Version) (*side, error) {
	if version == nil {
		return nil, nil //nolint:nilnil // the side that lacks the resource
	}
	spec, err := s.decode(0, version.Key, version.Body)
	if err != nil {
		return nil, err
	}
	return &side{labels: version.Labels, spec: spec}, nil
}
