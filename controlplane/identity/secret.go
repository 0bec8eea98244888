package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

const (
	// tokenPrefix lets scanners find tokens that leaked.
	tokenPrefix = "tga_"
	// secretLength characters of 62 carry more than 256 bits.
	secretLength = 43
	alphabet     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret makes secretLength random characters, each equally likely.
func newSecret() string {
	// The largest multiple of the alphabet's length that a byte holds: bytes above it would favour its beginning.
	const fair = 256 - 256%len(alphabet)
	secret := make([]byte, 0, secretLength)
	var random [64]byte
	for len(secret) < secretLength {
		rand.Read(random[:]) // never fails: it ends the program if the system has no randomness
		for _, b := range random {
			if int(b) < fair && len(secret) < secretLength {
				secret = append(secret, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(secret)
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// looksLikeToken sorts out what cannot be a token without asking the database.
func looksLikeToken(token string) bool {
	secret, ok := strings.CutPrefix(token, tokenPrefix)
	return ok && looksLikeSecret(secret)
}

func looksLikeSecret(secret string) bool {
	if len(secret) != secretLength {
		return false
	}
	for i := range len(secret) {
		if !strings.Contains(alphabet, secret[i:i+1]) {
			return false
		}
	}
	return true
}
