package config

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// edit is what a draft does to one resource.
type edit struct {
	revision.Key
	delete bool
	labels map[string]string
	spec   proto.Message
	// body is the encoded spec, not sealed.
	body []byte
	// base is the version that the author saw; 0: that of the change set's base.
	base int64
}

// draft is edits upon a fleet as it stands. It lives within one transaction.
type draft struct {
	service *Service
	tx      *store.Tx
	fleet   store.Fleet
	head    store.Head
	// edits that change something, by kind and name.
	edits []*edit
	byKey map[revision.Key]*edit
	// What is there now of what the edits write.
	staged map[revision.Key]store.Version
	fast   map[revision.Key]store.LaneVersion
	// former are the decoded specs of what is there now.
	former map[revision.Key]proto.Message

	violations []Violation
	warnings   []Warning
}

// newDraft loads what the edits write and leaves out those that change nothing. It completes what a client may leave out, and
// notes violations of the edits' form.
func (s *Service) newDraft(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, edits []*edit) (*draft, error) {
	d := &draft{
		service: s, tx: tx, fleet: fleet, head: head,
		byKey: make(map[revision.Key]*edit, len(edits)), former: make(map[revision.Key]proto.Message, len(edits)),
	}
	var staged, fast []revision.Key
	for _, e := range edits {
		if d.byKey[e.Key] != nil {
			d.refuse(e.Key, "", ruleDuplicate, "is given more than once")
			continue
		}
		d.byKey[e.Key] = e
		if e.Kind.Fast() {
			fast = append(fast, e.Key)
		} else {
			staged = append(staged, e.Key)
		}
	}
	if err := d.load(ctx, staged, fast); err != nil {
		return nil, err
	}
	for _, key := range slices.SortedFunc(maps.Keys(d.byKey), revision.Key.Compare) {
		e := d.byKey[key]
		changes, err := d.prepare(e)
		if err != nil {
			return nil, err
		}
		if changes {
			d.edits = append(d.edits, e)
		} else {
			delete(d.byKey, key)
		}
	}
	return d, nil
}

func (d *draft) load(ctx context.Context, staged, fast []revision.Key) (err error) {
	if d.staged, err = d.tx.AtHead(ctx, d.fleet.ID, staged); err != nil {
		return err
	}
	if d.fast, err = d.tx.Lane(ctx, d.fleet.ID, fast); err != nil {
		return err
	}
	maps.DeleteFunc(d.fast, func(_ revision.Key, v store.LaneVersion) bool { return v.Deleted })
	return nil
}

// prepare encodes an edit and says whether it changes what is there.
func (d *draft) prepare(e *edit) (changes bool, err error) {
	formerBody, formerLabels, exists, err := d.formerOf(e)
	if err != nil {
		return false, err
	}
	if e.delete {
		return exists, nil
	}
	keepPrivateParts(e.spec, d.former[e.Key])
	if e.body, err = revision.Encode(e.spec); err != nil {
		d.refuse(e.Key, "spec", ruleSpec, "cannot be encoded: is all of its text UTF-8?")
		return true, nil //nolint:nilerr // it is told as a violation
	}
	return !exists || !bytes.Equal(e.body, formerBody) || !maps.Equal(e.labels, formerLabels), nil
}

// formerOf decodes what is there now of what an edit writes.
func (d *draft) formerOf(e *edit) (body []byte, labels map[string]string, exists bool, err error) {
	var stored []byte
	if e.Kind.Fast() {
		version, ok := d.fast[e.Key]
		stored, labels, exists = version.Body, version.Labels, ok
	} else {
		version, ok := d.staged[e.Key]
		stored, labels, exists = version.Body, version.Labels, ok
	}
	if !exists {
		return nil, nil, false, nil
	}
	spec, err := d.service.decode(d.fleet.ID, e.Key, stored)
	if err != nil {
		return nil, nil, false, err
	}
	d.former[e.Key] = spec
	if !sealable(e.Kind) {
		return stored, labels, true, nil
	}
	// Sealing the same twice gives other bytes, so what is compared is what was sealed.
	body, err = revision.Encode(spec)
	return body, labels, true, err
}

// keepPrivateParts fills in what is never shown, so that what was read can be written back.
func keepPrivateParts(spec, former proto.Message) {
	switch s := spec.(type) {
	case *configv1.Certificate:
		if f, ok := former.(*configv1.Certificate); ok && s.GetPrivateKeyPem() == "" && s.GetAcme() == nil {
			s.PrivateKeyPem = f.GetPrivateKeyPem()
		}
	case *configv1.Secret:
		if f, ok := former.(*configv1.Secret); ok && s.GetValue() == "" {
			s.Value = f.GetValue()
		}
	}
}

func (d *draft) refuse(key revision.Key, field, rule, message string) {
	if len(d.violations) < maxViolations {
		d.violations = append(d.violations, Violation{Resource: key.String(), Field: field, Rule: rule, Message: message})
	}
}

func (d *draft) warn(key revision.Key, message string) {
	if len(d.warnings) < maxViolations {
		d.warnings = append(d.warnings, Warning{Resource: key.String(), Message: message})
	}
}

// upserts visits the edits that write.
func (d *draft) upserts(visit func(*edit)) {
	for _, e := range d.edits {
		if !e.delete {
			visit(e)
		}
	}
}

// deletes are the keys of what the draft deletes.
func (d *draft) deletes() []revision.Key {
	var keys []revision.Key
	for _, e := range d.edits {
		if e.delete {
			keys = append(keys, e.Key)
		}
	}
	return keys
}
