package lane

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Table holds the fast lane. Its zero value is not usable: make one with [New]. All methods may be called by several
// goroutines.
type Table struct {
	// Guarded by writing: one writer at a time.
	writing sync.Mutex

	// Those who wait for a block of an address.
	addresses addressWatch

	// Atomic.
	content  atomic.Pointer[content]
	hashers  atomic.Pointer[hasherPool]
	sequence atomic.Int64
	epoch    atomic.Int64
}

// content is everything that a reset replaces at once.
type content struct {
	consumers *index[string, *Consumer]
	// keys by hash, and again by id, since a removal names only the id.
	keys    *index[Hash, *Key]
	keyIDs  *index[string, *Key]
	secrets *index[string, string]
	// names finds certificates by server name in lower case, "*.example.com" for wildcards. Of several for one name the
	// smallest by certificate name is shown.
	names        *index[string, []*certificate]
	certificates *index[string, *certificate]
	// asking is how many certificates ask clients for theirs. Atomic.
	asking atomic.Int64
	// challenges of ACME authorities by token, and proofs, those that are answered in a TLS handshake, again by server name.
	challenges *index[string, challenge]
	proofs     *index[string, challenge]
	blocks     *blocks
}

// New returns an empty table. Until [Table.SetKeyHashKey] no key is found.
func New() *Table {
	t := &Table{}
	t.content.Store(newContent())
	return t
}

func newContent() *content {
	seed := maphash.MakeSeed()
	byName := func(name string) uint64 { return maphash.String(seed, name) }
	// A keyed hash is random already.
	byHash := func(hash Hash) uint64 { return binary.LittleEndian.Uint64(hash[:8]) }
	return &content{
		consumers:    newIndex[string, *Consumer](byName),
		keys:         newIndex[Hash, *Key](byHash),
		keyIDs:       newIndex[string, *Key](byName),
		secrets:      newIndex[string, string](byName),
		names:        newIndex[string, []*certificate](byName),
		certificates: newIndex[string, *certificate](byName),
		challenges:   newIndex[string, challenge](byName),
		proofs:       newIndex[string, challenge](byName),
		blocks:       newBlocks(),
	}
}

// Position returns the epoch and the sequence up to which the lane is held.
func (t *Table) Position() (epoch, sequence int64) {
	return t.epoch.Load(), t.sequence.Load()
}

// Consumer finds a consumer by name.
func (t *Table) Consumer(name string) (*Consumer, bool) {
	return t.content.Load().consumers.get(name)
}

// Secret finds the value of a secret by name.
func (t *Table) Secret(name string) (string, bool) {
	return t.content.Load().secrets.get(name)
}

// Counts is how much a table holds.
type Counts struct {
	Consumers, Keys, Certificates, Secrets, Blocks int
}

// Counts tells how much is held.
func (t *Table) Counts() Counts {
	t.writing.Lock()
	defer t.writing.Unlock()
	c := t.content.Load()
	return Counts{
		Consumers:    c.consumers.count,
		Keys:         c.keyIDs.count,
		Certificates: c.certificates.count,
		Secrets:      c.secrets.count,
		Blocks:       len(c.blocks.byName),
	}
}
