package configv1

import (
	"hash/crc32"
	"strings"
)

// The form of an API key: "tg_", 43 random characters of base62 (256 bits) and 6 of the CRC-32 (IEEE) of these, so that
// scanners of leaked secrets find keys, and whoever presents something else can be told so.
const (
	// APIKeyAlphabet is base62: digits, then upper, then lower case.
	APIKeyAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// APIKeyRandomLength is how many characters of a key are random.
	APIKeyRandomLength = 43

	apiKeyPrefix    = "tg_"
	apiKeySumLength = 6
	apiKeyLength    = len(apiKeyPrefix) + APIKeyRandomLength + apiKeySumLength
	// apiKeyIDLength is how many of the random characters are the key's id. They are public; the rest still has 208 bits.
	apiKeyIDLength = 8
)

// FormatAPIKey makes a key of its random part, which must be APIKeyRandomLength characters of APIKeyAlphabet, and says its id.
func FormatAPIKey(random string) (key, id string) {
	sum := apiKeySum(random)
	return apiKeyPrefix + random + string(sum[:]), random[:apiKeyIDLength]
}

// ParseAPIKey says whether text has the form of a key, its checksum included, and which id it bears; the key need not exist.
// It allocates nothing, for it runs on the requests of those who guess.
func ParseAPIKey(text string) (id string, ok bool) {
	if len(text) != apiKeyLength || !strings.HasPrefix(text, apiKeyPrefix) {
		return "", false
	}
	for i := len(apiKeyPrefix); i < apiKeyLength; i++ {
		if !isBase62(text[i]) {
			return "", false
		}
	}
	random, sum := text[len(apiKeyPrefix):apiKeyLength-apiKeySumLength], text[apiKeyLength-apiKeySumLength:]
	want := apiKeySum(random)
	if sum != string(want[:]) {
		return "", false
	}
	return random[:apiKeyIDLength], true
}

// apiKeySum is the CRC-32 in base62, the highest digit first, filled up with zeros.
func apiKeySum(random string) (out [apiKeySumLength]byte) {
	rest := ^uint32(0)
	// Byte by byte over the string, since crc32.ChecksumIEEE wants a slice, which would be allocated.
	for i := range len(random) {
		rest = crc32.IEEETable[byte(rest)^random[i]] ^ rest>>8
	}
	rest = ^rest
	for i := apiKeySumLength - 1; i >= 0; i-- {
		out[i] = APIKeyAlphabet[rest%62]
		rest /= 62
	}
	return out
}

func isBase62(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
