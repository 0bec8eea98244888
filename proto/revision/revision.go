// Package revision says what a revision's content is and what it hashes to, so that the control plane and every agent
// compute the same: a resource is encoded once, its digest binds kind, name and bytes, and the root of a fixed-fanout
// Merkle tree over all digests names the whole. A change of one resource re-hashes one leaf and four inner nodes, however
// many resources there are.
//
// The package is pure: no clock, no I/O, no goroutines, no logs.
package revision

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// DigestFrom reads a digest of 32 bytes.
func DigestFrom(b []byte) (Digest, error) {
	if len(b) != sha256.Size {
		return Digest{}, fmt.Errorf("a digest has %d bytes, not %d", sha256.Size, len(b))
	}
	return Digest(b), nil
}

// Key names a resource within a fleet.
type Key struct {
	Kind configv1.Kind
	Name string
}

// String is the key as people write it: "routes/orders".
func (k Key) String() string { return k.Kind.Collection() + "/" + k.Name }

// Compare orders keys by kind, then name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Kind, o.Kind), cmp.Compare(k.Name, o.Name))
}

// Entry is what the tree knows of one resource.
type Entry struct {
	Key
	Digest Digest
}

// Change sets the digest of a resource; a nil Digest deletes it.
type Change struct {
	Key
	Digest *Digest
}

// Encode gives the bytes of a resource's spec. It is called once, at publish: protobuf's encoding is not canonical across
// versions, so these bytes are stored, sent and hashed, and never marshalled again.
func Encode(spec proto.Message) ([]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", spec.ProtoReflect().Descriptor().Name(), err)
	}
	return body, nil
}

// DigestOf binds a resource's kind, name and encoded bytes.
func DigestOf(key Key, body []byte) Digest {
	h := sha256.New()
	var head [9]byte
	head[0] = domainResource
	binary.BigEndian.PutUint32(head[1:], uint32(key.Kind))
	binary.BigEndian.PutUint32(head[5:], uint32(len(key.Name)))
	h.Write(head[:])
	h.Write([]byte(key.Name))
	h.Write(body)
	return Digest(h.Sum(nil))
}

// The first byte of everything hashed, so that no node passes for another kind of node (RFC 9162, section 2.1.1).
const (
	domainResource = 0x00
	domainLeaf     = 0x01
	domainInner    = 0x02
	domainBucket   = 0x03
	domainChunk    = 0x04
)
