package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// joinTokenPrefix lets scanners find join tokens where they should not be.
const joinTokenPrefix = "tgj_"

// JoinToken lets an agent join a fleet, once. Its suffix names the authority of the control plane, so that an agent that
// trusts nothing yet cannot be talked to by another.
type JoinToken struct {
	secret string
	pin    [sha256.Size]byte
}

// ReadJoinToken reads the token from a file, so that it never stands in the arguments of a process.
func ReadJoinToken(path string) (JoinToken, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return JoinToken{}, fmt.Errorf("reading the join token: %w", err)
	}
	return ParseJoinToken(strings.TrimSpace(string(content)))
}

// ParseJoinToken reads "tgj_", the secret, ".", and the SHA-256 of the authority's certificate in hexadecimal. Errors do not
// show the token.
func ParseJoinToken(text string) (JoinToken, error) {
	secret, pin, found := strings.Cut(text, ".")
	if !found || !strings.HasPrefix(secret, joinTokenPrefix) || len(secret) == len(joinTokenPrefix) {
		return JoinToken{}, errors.New(`a join token looks like "tgj_….…"`)
	}
	digest, err := hex.DecodeString(pin)
	if err != nil || len(digest) != sha256.Size {
		return JoinToken{}, fmt.Errorf("a join token ends in %d hexadecimal digits that name the authority", 2*sha256.Size)
	}
	return JoinToken{secret: text, pin: [sha256.Size]byte(digest)}, nil
}

// String hides the token.
func (JoinToken) String() string { return joinTokenPrefix + "…" }
