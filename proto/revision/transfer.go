package revision

import (
	"crypto/sha256"
	"encoding/binary"
)

// NextChunk is the running digest over the chunks of a transfer: that of the chunks before (zero: none), and one more. Both sides
// compute it, so that a transfer which was cut goes on behind chunks that are the same at both.
func NextChunk(before Digest, chunk Delta) Digest {
	h := sha256.New()
	write := func(kind uint64, parts ...[]byte) {
		_, _ = h.Write(binary.AppendUvarint(nil, kind)) // a hash takes everything
		for _, part := range parts {
			_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(part))))
			_, _ = h.Write(part)
		}
	}
	_, _ = h.Write([]byte{domainChunk})
	_, _ = h.Write(before[:])
	write(uint64(len(chunk.Upserts)))
	for _, resource := range chunk.Upserts {
		write(uint64(resource.Kind), []byte(resource.Name), resource.Body)
	}
	for _, gone := range chunk.Deletes {
		write(uint64(gone.Kind), []byte(gone.Name))
	}
	return Digest(h.Sum(nil))
}
