package lane

import "crypto/subtle"

// longestRecollected is how long a key may be to be recollected, which those are that the control plane makes.
const longestRecollected = 64

// Recollection is the key that a connection presented last and that was known, with its hash. It lives as long as the connection,
// in whose buffers the key lies anyway, and belongs to the goroutine that serves it. The zero value holds nothing.
type Recollection struct {
	// by is what made the hash.
	by        *hasherPool
	length    int
	presented [longestRecollected]byte
	sum       Hash
}

// holds tells whether it is the hash of what is presented. Behind a proxy one connection serves several clients, so the time that
// the comparison takes must not tell how much is right.
func (r *Recollection) holds(presented string, by *hasherPool) bool {
	if r == nil || r.by != by || r.length != len(presented) {
		return false
	}
	var given [longestRecollected]byte
	copy(given[:], presented)
	return subtle.ConstantTimeCompare(given[:], r.presented[:]) == 1
}

func (r *Recollection) keep(presented string, sum Hash, by *hasherPool) {
	if r == nil || len(presented) > longestRecollected {
		return
	}
	r.by, r.length, r.sum = by, len(presented), sum
	clear(r.presented[copy(r.presented[:], presented):])
}
