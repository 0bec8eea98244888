package config

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Edit is what a change set does to one resource.
type Edit struct {
	// Resource is what it becomes; of a deletion only Kind and Name.
	Resource Resource
	Delete   bool
}

// newEdits checks the form of edits: that kinds exist and specs fit them.
func newEdits(edits []Edit) ([]*edit, error) {
	list := make([]*edit, 0, len(edits))
	var violations []Violation
	for _, e := range edits {
		key := e.Resource.Key()
		if err := checkKind(key.Kind); err != nil {
			violations = append(violations, Violation{
				Resource: key.Name, Field: "kind", Rule: ruleKind, Message: "no such kind of resource",
			})
			continue
		}
		if e.Delete {
			violations = append(violations, checkName(key.String(), key.Name)...)
			list = append(list, &edit{Key: key, delete: true})
			continue
		}
		if !fits(key.Kind, e.Resource.Spec) {
			violations = append(violations, Violation{
				Resource: key.String(), Field: "spec", Rule: ruleRequired, Message: "spec is required",
			})
			continue
		}
		// The spec is completed later on, so it must be ours.
		list = append(list, &edit{Key: key, labels: e.Resource.Labels, spec: proto.Clone(e.Resource.Spec)})
	}
	return list, refused(violations)
}

func fits(kind configv1.Kind, spec proto.Message) bool {
	if spec == nil || !spec.ProtoReflect().IsValid() {
		return false
	}
	return spec.ProtoReflect().Descriptor() == configv1.NewSpec(kind).ProtoReflect().Descriptor()
}

// storedEdits are the edits of a change set in the form in which they are stored.
func (d *draft) storedEdits() ([]store.Edit, error) {
	var stored []store.Edit
	for _, e := range d.byKey {
		s := store.Edit{Key: e.Key, Delete: e.delete, Labels: e.labels, Base: e.base}
		if !e.delete {
			body, err := d.service.seal(d.fleet.ID, e.Key, e.body)
			if err != nil {
				return nil, err
			}
			s.Body = body
		}
		stored = append(stored, s)
	}
	return stored, nil
}

// loadEdits reads the edits of a change set back.
func (s *Service) loadEdits(fleetID int64, stored []store.Edit) ([]*edit, error) {
	edits := make([]*edit, len(stored))
	for i, e := range stored {
		edits[i] = &edit{Key: e.Key, delete: e.Delete, labels: e.Labels, base: e.Base}
		if e.Delete {
			continue
		}
		spec, err := s.decode(fleetID, e.Key, e.Body)
		if err != nil {
			return nil, err
		}
		edits[i].spec = spec
	}
	return edits, nil
}

// publicEdits are the edits of a change set without private parts.
func publicEdits(edits []*edit) []Edit {
	public := make([]Edit, len(edits))
	for i, e := range edits {
		public[i] = Edit{Resource: Resource{Kind: e.Kind, Name: e.Name, Labels: e.labels}, Delete: e.delete}
		if !e.delete {
			public[i].Resource.Spec = redacted(e.spec)
		}
	}
	return public
}

// sinceBase says from when on a change of what the edits write or refer to is a conflict.
func sinceBase(set store.ChangeSet, edits []*edit) (staged, fast map[revision.Key]int64) {
	staged, fast = map[revision.Key]int64{}, map[revision.Key]int64{}
	note := func(key revision.Key, base int64) {
		if key.Kind.Fast() {
			fast[key] = max(fast[key], set.BaseLane, base)
		} else {
			staged[key] = max(staged[key], set.BaseRevision, base)
		}
	}
	for _, e := range edits {
		note(e.Key, e.base)
		if e.delete {
			continue
		}
		for _, reference := range configv1.References(e.spec) {
			note(revision.Key{Kind: reference.Kind, Name: reference.Name}, 0)
		}
	}
	return staged, fast
}

// versionOfETag reads the version that an entity tag names: a revision or a sequence; 0 if it names none.
func versionOfETag(etag string) int64 {
	var version int64
	if _, err := fmt.Sscanf(etag, `"r%d"`, &version); err == nil {
		return version
	}
	if _, err := fmt.Sscanf(etag, `"s%d"`, &version); err == nil {
		return version
	}
	return 0
}
