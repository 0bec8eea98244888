package config

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// WriteOptions says how a single resource is written.
type WriteOptions struct {
	// IfMatch is the version that must be there at head, as the header's value; "" overwrites. In a draft it also says which
	// version the author saw, so that a later publish does not take that version for a conflict.
	IfMatch string
	// IfNoneMatch is a version that must not be there at head, as the header's value: "*" makes a resource and never overwrites
	// one. "" does not matter.
	IfNoneMatch string
	// ChangeSet is the draft to edit. "" publishes at once.
	ChangeSet string
	// Strategy of the rollout; "" is the fleet's own.
	Strategy string
	// Message of the revision; "" says what was written.
	Message string
	// Options of the publish.
	Options PublishOptions
}

// Written says what a single write made.
type Written struct {
	// Resource is what is stored now; after a deletion only its Kind and Name.
	Resource Resource
	// Published is empty when a draft was edited.
	Published Published
	// ChangeSetETag is the draft's new version, when one was edited.
	ChangeSetETag string
}

// Create makes a resource. store.ErrExists: one of that name is there.
func (s *Service) Create(ctx context.Context, actor, fleet string, resource Resource, options WriteOptions) (Written, error) {
	return s.write(ctx, actor, fleet, resource.Key(), options, "create", func(p present) (Edit, error) {
		if p.spec != nil {
			return Edit{}, named(resource.Key(), store.ErrExists)
		}
		return Edit{Resource: resource}, nil
	})
}

// Upsert replaces a resource whole, or makes it.
func (s *Service) Upsert(ctx context.Context, actor, fleet string, resource Resource, options WriteOptions) (Written, error) {
	return s.write(ctx, actor, fleet, resource.Key(), options, "write", func(present) (Edit, error) {
		return Edit{Resource: resource}, nil
	})
}

// Update changes the fields of a resource that mask names ("spec.url", "labels"); with no mask, those that the given resource
// holds. store.ErrNotFound: there is none.
func (s *Service) Update(ctx context.Context, actor, fleet string, resource Resource, mask []string, options WriteOptions) (Written, error) {
	return s.write(ctx, actor, fleet, resource.Key(), options, "update", func(p present) (Edit, error) {
		if p.spec == nil {
			return Edit{}, named(resource.Key(), store.ErrNotFound)
		}
		if !fits(resource.Kind, resource.Spec) {
			resource.Spec = configv1.NewSpec(resource.Kind)
		}
		merged, err := mergeFields(p, resource, mask)
		return Edit{Resource: merged}, err
	})
}

// Delete takes a resource away that nothing refers to. store.ErrNotFound: there is none.
func (s *Service) Delete(ctx context.Context, actor, fleet string, kind configv1.Kind, name string, options WriteOptions) (Written, error) {
	key := revision.Key{Kind: kind, Name: name}
	return s.write(ctx, actor, fleet, key, options, "delete", func(p present) (Edit, error) {
		if p.spec == nil {
			return Edit{}, named(key, store.ErrNotFound)
		}
		return Edit{Resource: Resource{Kind: kind, Name: name}, Delete: true}, nil
	})
}

// present is what a single write starts from: what is at head, or what the draft makes of it.
type present struct {
	// spec is nil if there is nothing.
	spec   proto.Message
	labels map[string]string
}

// write carries out a single write: upon head, as a change set of one that is published at once, or in a draft.
func (s *Service) write(ctx context.Context, actor, fleet string, key revision.Key, options WriteOptions, verb string,
	change func(present) (Edit, error),
) (Written, error) {
	if err := checkKind(key.Kind); err != nil {
		return Written{}, err
	}
	if violations := checkName(key.String(), key.Name); violations != nil {
		return Written{}, refused(violations)
	}
	if options.Message == "" {
		options.Message = fmt.Sprintf("%s %s", verb, key)
	}
	var written Written
	err := s.changeFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		w := singleWrite{service: s, tx: tx, fleet: fleet, head: head, key: key, options: options}
		if err := w.readHead(ctx); err != nil {
			return err
		}
		var err error
		if options.ChangeSet != "" {
			written, err = w.intoDraft(ctx, actor, change)
		} else {
			written, err = w.publish(ctx, actor, change)
		}
		return err
	})
	return written, err
}

// singleWrite is a write of one resource within one transaction.
type singleWrite struct {
	service *Service
	tx      *store.Tx
	fleet   store.Fleet
	head    store.Head
	key     revision.Key
	options WriteOptions
	// What is at head.
	present present
	etag    string
}

func (w *singleWrite) readHead(ctx context.Context) error {
	keys := []revision.Key{w.key}
	var body []byte
	if w.key.Kind.Fast() {
		versions, err := w.tx.Lane(ctx, w.fleet.ID, keys)
		if err != nil {
			return err
		}
		if version, ok := versions[w.key]; ok && !version.Deleted {
			body, w.present.labels, w.etag = version.Body, version.Labels, laneETag(version.Sequence)
		}
	} else {
		versions, err := w.tx.AtHead(ctx, w.fleet.ID, keys)
		if err != nil {
			return err
		}
		if version, ok := versions[w.key]; ok {
			body, w.present.labels, w.etag = version.Body, version.Labels, stagedETag(version.From)
		}
	}
	if err := checkMatch(w.key.String(), w.options.IfMatch, w.etag); err != nil {
		return err
	}
	if w.options.IfNoneMatch != "" && checkMatch(w.key.String(), w.options.IfNoneMatch, w.etag) == nil {
		return &Precondition{Resource: w.key.String(), ETag: w.etag}
	}
	if w.etag == "" {
		return nil
	}
	var err error
	w.present.spec, err = w.service.decode(w.fleet.ID, w.key, body)
	return err
}

func (w *singleWrite) publish(ctx context.Context, actor string, change func(present) (Edit, error)) (Written, error) {
	list, err := editOf(change, w.present)
	if err != nil {
		return Written{}, err
	}
	d, err := w.service.newDraft(ctx, w.tx, w.fleet, w.head, list)
	if err != nil {
		return Written{}, err
	}
	published, err := d.publish(ctx, publication{
		actor: actor, message: w.options.Message, origin: store.OriginPublish, strategy: w.options.Strategy, options: w.options.Options,
	})
	if err != nil {
		return Written{}, err
	}
	written := Written{Resource: Resource{Kind: w.key.Kind, Name: w.key.Name}, Published: published}
	if list[0].delete {
		return written, nil
	}
	head, err := w.tx.Head(ctx, w.fleet.ID)
	if err != nil {
		return Written{}, err
	}
	written.Resource, err = w.service.get(ctx, w.tx, w.fleet, head, w.key, "")
	return written, err
}

func (w *singleWrite) intoDraft(ctx context.Context, actor string, change func(present) (Edit, error)) (Written, error) {
	set, err := lockOpen(ctx, w.tx, w.fleet, w.options.ChangeSet)
	if err != nil {
		return Written{}, err
	}
	from, err := w.presentInDraft(ctx, set)
	if err != nil {
		return Written{}, err
	}
	list, err := editOf(change, from)
	if err != nil {
		return Written{}, err
	}
	if w.options.IfMatch != "" {
		list[0].base = versionOfETag(w.etag)
	}
	if err := w.service.addEdits(ctx, w.tx, w.fleet, w.head, set, list); err != nil {
		return Written{}, err
	}
	set, err = edited(ctx, w.tx, set, actor)
	if err != nil {
		return Written{}, err
	}
	written := Written{Resource: Resource{Kind: w.key.Kind, Name: w.key.Name}, ChangeSetETag: changeSetETag(set.Version)}
	if !list[0].delete {
		written.Resource.Labels, written.Resource.Spec = list[0].labels, redacted(list[0].spec)
		written.Resource.State = StatePending
	}
	return written, nil
}

// presentInDraft is what an earlier edit of the draft makes of the resource; without one what is at head.
func (w *singleWrite) presentInDraft(ctx context.Context, set store.ChangeSet) (present, error) {
	earlier, err := w.tx.Edit(ctx, set.ID, w.key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return w.present, nil
	case err != nil:
		return present{}, err
	case earlier.Delete:
		return present{}, nil
	}
	spec, err := w.service.decode(w.fleet.ID, w.key, earlier.Body)
	return present{spec: spec, labels: earlier.Labels}, err
}

func editOf(change func(present) (Edit, error), from present) ([]*edit, error) {
	edit, err := change(from)
	if err != nil {
		return nil, err
	}
	return newEdits([]Edit{edit})
}
