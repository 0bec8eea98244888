package keyauth

import (
	"hash/crc32"
	"strings"
)

// The form of a key: "tg_", 43 characters of randomness, and 6 of the CRC-32 (IEEE) of these, both base62. It lets
// scanners recognise a leaked key, and the gateway refuse noise without hashing.
const (
	prefix         = "tg_"
	randomLength   = 43
	checksumLength = 6
	keyLength      = len(prefix) + randomLength + checksumLength

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// WellFormed tells whether text has the form of a key, its checksum included.
func WellFormed(text string) bool {
	if len(text) != keyLength || !strings.HasPrefix(text, prefix) {
		return false
	}
	for i := len(prefix); i < keyLength; i++ {
		if !isBase62(text[i]) {
			return false
		}
	}
	random, sum := text[len(prefix):keyLength-checksumLength], text[keyLength-checksumLength:]
	want := checksum(random)
	return sum == string(want[:])
}

// checksum is the CRC-32 in base62, the highest digit first, filled up with zeros.
func checksum(random string) (out [checksumLength]byte) {
	rest := ^uint32(0)
	// Byte by byte over the string, since crc32.ChecksumIEEE wants a slice, which would be allocated.
	for i := range len(random) {
		rest = crc32.IEEETable[byte(rest)^random[i]] ^ rest>>8
	}
	rest = ^rest
	for i := checksumLength - 1; i >= 0; i-- {
		out[i] = base62[rest%62]
		rest /= 62
	}
	return out
}

func isBase62(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
