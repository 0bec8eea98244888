package lane

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// longestKey is more than any key has; what is longer is no key.
const longestKey = 128

// hasherPool keeps keyed hash states, so that a lookup allocates nothing.
type hasherPool struct {
	key  []byte
	pool sync.Pool
}

type hasher struct {
	mac   hash.Hash
	input [longestKey]byte
	sum   Hash
}

// SetKeyHashKey sets the key of the keyed hash of API keys (RFC 2104), as the control plane names it.
func (t *Table) SetKeyHashKey(key []byte) {
	if current := t.hashers.Load(); current != nil && bytes.Equal(current.key, key) {
		return
	}
	p := &hasherPool{key: bytes.Clone(key)}
	p.pool.New = func() any { return &hasher{mac: hmac.New(sha256.New, p.key)} }
	t.hashers.Store(p)
}

// Key finds a key by what the client presented. It compares hashes under a key that clients do not know, so the time it
// takes tells nothing about other keys.
func (t *Table) Key(presented string) (*Key, bool) { return t.KeyAgain(presented, nil) }

// KeyAgain is Key for a connection that may have presented the same before: then there is nothing to hash. Whether there is such
// a key is asked each time. The recollection may be nil.
func (t *Table) KeyAgain(presented string, recollection *Recollection) (*Key, bool) {
	hashers := t.hashers.Load()
	if hashers == nil || len(presented) > longestKey {
		return nil, false
	}
	keys := t.content.Load().keys
	if recollection.holds(presented, hashers) {
		return keys.get(recollection.sum)
	}
	h := hashers.pool.Get().(*hasher)
	h.mac.Reset()
	// Hashes never fail to write.
	_, _ = h.mac.Write(h.input[:copy(h.input[:], presented)])
	h.mac.Sum(h.sum[:0])
	key, ok := keys.get(h.sum)
	if ok {
		recollection.keep(presented, h.sum, hashers)
	}
	clear(h.input[:len(presented)])
	hashers.pool.Put(h)
	return key, ok
}
