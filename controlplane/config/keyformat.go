package config

import (
	"crypto/rand"
	"hash/crc32"
	"math/big"
	"strings"
)

// An API key is "tg_", 43 random characters of base62 (256 bits) and 6 of their CRC-32 (IEEE), so that scanners of leaked
// secrets find keys and do not mistake other text for them.
const (
	keyPrefix       = "tg_"
	keyRandomLength = 43
	keySumLength    = 6
	// keyIDLength is how many of the random characters are the key's id. They are public; the rest still has 208 bits.
	keyIDLength = 8

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newKey makes a key and its id.
func newKey() (key, id string) {
	random := make([]byte, keyRandomLength)
	for i := range random {
		// crypto/rand never fails (Go 1.24), and Int is uniform.
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic("crypto/rand failed: " + err.Error())
		}
		random[i] = base62[n.Int64()]
	}
	text := string(random)
	return keyPrefix + text + keySum(text), text[:keyIDLength]
}

// keySum is the CRC-32 of the random part in base62, padded with zeros.
func keySum(random string) string {
	sum := crc32.ChecksumIEEE([]byte(random))
	var digits [keySumLength]byte
	for i := range digits {
		digits[keySumLength-1-i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	return string(digits[:])
}

// WellFormedKey says whether text is an API key by its form and its sum; it need not exist.
func WellFormedKey(text string) bool {
	random, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || len(random) != keyRandomLength+keySumLength || strings.Trim(random, base62) != "" {
		return false
	}
	return keySum(random[:keyRandomLength]) == random[keyRandomLength:]
}
