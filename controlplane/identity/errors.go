package identity

import (
	"errors"
	"fmt"
	"time"
)

// What can go wrong. The texts say nothing about which part was wrong.
var (
	// ErrUnknown: the token or the session is not known, has ended or was revoked.
	ErrUnknown = errors.New("the token or session is not valid")
	// ErrNameTaken: another token has the name.
	ErrNameTaken = errors.New("there is a token of that name")
	// ErrLifetime: a token must live from one second to a year.
	ErrLifetime = errors.New("the lifetime must be between 1s and 8760h")
)

// LockedOutError says that too many attempts from one address failed.
type LockedOutError struct {
	RetryAfter time.Duration
}

func (e *LockedOutError) Error() string {
	return fmt.Sprintf("too many failed attempts; try again in %s", e.RetryAfter.Round(time.Second))
}
