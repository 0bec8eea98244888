package telemetry

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// LongestUnit is how many bytes may name a unit. What is longer is none.
const LongestUnit = 1024

// Unit is who or what a sticky coin is thrown for: a consumer, the value of a header, a cookie. It is known by a keyed hash alone,
// so that no client can choose its place, and all agents with the key agree on it. The zero value is none.
type Unit struct {
	number uint32 // on the scale of parts per million: below the candidate's share it is the candidate's
	sample uint32
	owner  uint32
	id     uint64
}

// UnitOf hashes what names a unit. It returns none of what is empty or longer than LongestUnit.
func UnitOf(secret *[32]byte, name string) Unit {
	if name == "" || len(name) > LongestUnit {
		return Unit{}
	}
	var message [len(secret) + LongestUnit]byte
	n := copy(message[:], secret[:])
	n += copy(message[n:], name)
	sum := sha256.Sum256(message[:n])
	place, _ := bits.Mul64(binary.LittleEndian.Uint64(sum[0:]), wholePPM)
	return Unit{
		number: uint32(place), sample: binary.LittleEndian.Uint32(sum[8:]), owner: binary.LittleEndian.Uint32(sum[12:]),
		id: binary.LittleEndian.Uint64(sum[16:]) | 1,
	}
}

// IsNone tells that there is no unit.
func (u Unit) IsNone() bool { return u.id == 0 }

// Below tells whether the unit is among a share, in parts per million, of all units. Those among a smaller share are among a
// larger one too.
func (u Unit) Below(sharePPM uint32) bool { return u.number < sharePPM }

// once is what is different for each thing that a unit is counted by.
func (u Unit) once(route string, metric int) uint64 {
	// FNV-1a, and then a finalizer that spreads what little differs over all bits.
	h := uint64(14695981039346656037)
	for i := range len(route) {
		h = (h ^ uint64(route[i])) * 1099511628211
	}
	h = (h ^ uint64(metric)) * 1099511628211
	h ^= u.id
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
