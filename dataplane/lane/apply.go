package lane

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// GapError says that a batch does not continue what the table holds. Nothing was changed.
type GapError struct {
	HeldEpoch, HeldSequence   int64
	BatchEpoch, AfterSequence int64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("the batch continues epoch %d after sequence %d, but epoch %d up to %d is held",
		e.BatchEpoch, e.AfterSequence, e.HeldEpoch, e.HeldSequence)
}

// EntryError says that one entry cannot be used. It counts as absent; the rest of its batch was applied, since one broken
// certificate must not hold up the revocation behind it.
type EntryError struct {
	Kind configv1.Kind
	Name string
	Err  error
}

func (e *EntryError) Error() string {
	return fmt.Sprintf("fast lane, %s %q: %v", e.Kind, e.Name, e.Err)
}

// Unwrap returns what is wrong with the entry.
func (e *EntryError) Unwrap() error { return e.Err }

// Apply carries out a batch. Entries that are held already are skipped, so a batch may come twice. The error is a
// *[GapError], after which nothing was changed, or joins one *[EntryError] for each entry that could not be used, after which
// the table holds the lane up to the end of the batch all the same.
func (t *Table) Apply(batch *agentv1.LaneBatch) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	if batch.GetReset_() {
		return t.reset(batch)
	}
	held := t.sequence.Load()
	if batch.GetEpoch() != t.epoch.Load() && held != 0 || batch.GetAfterSequence() > held {
		return &GapError{t.epoch.Load(), held, batch.GetEpoch(), batch.GetAfterSequence()}
	}
	current := t.content.Load()
	var problems []error
	for _, e := range batch.GetEntries() {
		if e.GetSequence() > held {
			problems = append(problems, current.apply(e, current))
		}
	}
	t.moveTo(batch.GetEpoch(), max(held, batch.GetThroughSequence()))
	t.tellBlocked()
	return errors.Join(problems...)
}

// reset builds the new content aside, so that nobody meets an empty table, and then ends the rights that are gone.
func (t *Table) reset(batch *agentv1.LaneBatch) error {
	before, after := t.content.Load(), newContent()
	after.blocks.aside = true
	var problems []error
	for _, e := range batch.GetEntries() {
		problems = append(problems, after.apply(e, before))
	}
	after.blocks.aside = false
	t.content.Store(after)
	t.moveTo(batch.GetEpoch(), batch.GetThroughSequence())
	for id, key := range before.keyIDs.all() {
		if now, ok := after.keyIDs.get(id); !ok || now.Revocation != key.Revocation {
			key.Revocation.end()
		}
	}
	for name, consumer := range before.consumers.all() {
		if _, ok := after.consumers.get(name); !ok {
			consumer.Revocation.end()
		}
	}
	t.tellBlocked()
	return errors.Join(problems...)
}

func (t *Table) moveTo(epoch, sequence int64) {
	t.epoch.Store(epoch)
	t.sequence.Store(sequence)
}

// apply writes one entry; before is where its former version may stand.
func (c *content) apply(e *agentv1.LaneEntry, before *content) error {
	var err error
	switch e.GetKind() {
	case configv1.Kind_KIND_CONSUMER:
		err = c.applyConsumer(e, before)
	case configv1.Kind_KIND_KEY:
		err = c.applyKey(e, before)
	case configv1.Kind_KIND_CERTIFICATE:
		err = c.applyCertificate(e)
	case configv1.Kind_KIND_SECRET:
		err = c.applySecret(e)
	case configv1.Kind_KIND_ACME_CHALLENGE:
		err = c.applyChallenge(e)
	case configv1.Kind_KIND_BLOCK:
		err = c.applyBlock(e)
	default:
		err = errors.New("this kind does not travel in the fast lane")
	}
	if err != nil {
		return &EntryError{e.GetKind(), e.GetName(), err}
	}
	return nil
}

func (c *content) applyConsumer(e *agentv1.LaneEntry, before *content) error {
	old, existed := before.consumers.get(e.GetName())
	if e.GetDeleted() || e.GetConsumer() == nil {
		c.consumers.remove(e.GetName())
		if existed {
			old.Revocation.end()
		}
		return missingMaterial(e)
	}
	consumer := &Consumer{
		Name:     e.GetName(),
		Plan:     e.GetConsumer().GetPlan(),
		Disabled: e.GetConsumer().GetDisabled(),
		Blocked:  c.blocks.suspended[e.GetName()] > 0,
	}
	if existed && !old.Disabled && !old.Blocked {
		consumer.Revocation = old.Revocation
	} else {
		consumer.Revocation = &Revocation{}
	}
	c.consumers.set(consumer.Name, consumer)
	if consumer.Disabled || consumer.Blocked {
		consumer.Revocation.end()
	}
	return nil
}

func (c *content) applyKey(e *agentv1.LaneEntry, before *content) error {
	old, existed := before.keyIDs.get(e.GetName())
	material := e.GetKey()
	if e.GetDeleted() || len(material.GetHash()) != len(Hash{}) {
		c.removeKey(e.GetName())
		if existed {
			old.Revocation.end()
		}
		if !e.GetDeleted() && material != nil {
			return fmt.Errorf("its hash has %d bytes, not %d", len(material.GetHash()), len(Hash{}))
		}
		return missingMaterial(e)
	}
	key := &Key{
		ID:        e.GetName(),
		Consumer:  material.GetConsumer(),
		ExpiresAt: material.GetExpiresAt(),
		Scopes:    slices.Clone(material.GetScopes()),
		hash:      Hash(material.GetHash()),
	}
	if existed && old.hash == key.hash && old.Consumer == key.Consumer {
		key.Revocation, key.LastUsed = old.Revocation, old.LastUsed
	} else {
		key.Revocation, key.LastUsed = &Revocation{}, &atomic.Int64{}
	}
	// What is held of it is another version: a former one, or one from earlier in the same reset.
	if held, ok := c.keyIDs.get(key.ID); ok && held.hash != key.hash {
		c.removeKey(key.ID)
	}
	c.keys.set(key.hash, key)
	c.keyIDs.set(key.ID, key)
	if existed && old.Revocation != key.Revocation {
		old.Revocation.end()
	}
	return nil
}

func (c *content) removeKey(id string) {
	key, ok := c.keyIDs.get(id)
	if !ok {
		return
	}
	c.keyIDs.remove(id)
	// Another key may have taken the hash meanwhile.
	if holder, ok := c.keys.get(key.hash); ok && holder.ID == id {
		c.keys.remove(key.hash)
	}
}

func (c *content) applySecret(e *agentv1.LaneEntry) error {
	if e.GetDeleted() || e.GetSecret() == nil {
		c.secrets.remove(e.GetName())
		return missingMaterial(e)
	}
	c.secrets.set(e.GetName(), e.GetSecret().GetValue())
	return nil
}

// missingMaterial is nil for a removal, and otherwise says that the entry came without what it needs.
func missingMaterial(e *agentv1.LaneEntry) error {
	if e.GetDeleted() {
		return nil
	}
	return errors.New("it came without its material")
}
