package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What can go wrong, for callers that must choose. Test with errors.Is; the text of the wrapping error says what was tried.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists: a row of that name exists.
	ErrExists = errors.New("already exists")
	// ErrStale: a compare-and-set lost; the row changed since it was read.
	ErrStale = errors.New("changed meanwhile")
	// ErrReferenced: a foreign key says no.
	ErrReferenced = errors.New("refers to, or is referred to by, another row")
	// ErrBusy: a lock or a statement took too long. Trying again later may work.
	ErrBusy = errors.New("the database is busy")
	// ErrUnavailable: Postgres cannot be reached, is shutting down or is out of space. If it happened at the end of a
	// transaction, whether it was committed is unknown: see [Store.Once].
	ErrUnavailable = errors.New("the database is unavailable")
	// ErrNoSpace is an ErrUnavailable: Postgres has no space left to write to. Nothing was written; what is there can be read.
	ErrNoSpace = fmt.Errorf("%w: no space is left", ErrUnavailable)
)

// Codes of https://www.postgresql.org/docs/15/errcodes-appendix.html.
const (
	codeUniqueViolation      = "23505"
	codeForeignKeyViolation  = "23503"
	codeSerializationFailure = "40001"
	codeDeadlockDetected     = "40P01"
	codeLockNotAvailable     = "55P03"
	codeQueryCanceled        = "57014"
	codeReadOnly             = "25006"
	codeDiskFull             = "53100"
)

// translate gives an error of pgx its typed meaning and keeps its text. nil stays nil; so does what is typed already.
func translate(err error) error {
	if err == nil || isTyped(err) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	var connecting *pgconn.ConnectError
	var fault *pgconn.PgError
	if errors.As(err, &fault) {
		meaning := meaningOf(fault.Code)
		// A server that cannot begin a session for reasons of its own: without space it "could not write init file" (XX000).
		if meaning == nil && errors.As(err, &connecting) && strings.HasPrefix(fault.Code, "XX") {
			meaning = ErrUnavailable
		}
		if meaning != nil {
			return fmt.Errorf("%w: %w", meaning, err)
		}
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var network net.Error
	if errors.As(err, &connecting) || errors.As(err, &network) || pgconn.SafeToRetry(err) || isCut(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

func isTyped(err error) bool {
	for _, meaning := range []error{ErrNotFound, ErrExists, ErrStale, ErrReferenced, ErrBusy, ErrUnavailable} {
		if errors.Is(err, meaning) {
			return true
		}
	}
	return false
}

func meaningOf(code string) error {
	switch code {
	case codeUniqueViolation:
		return ErrExists
	case codeForeignKeyViolation:
		return ErrReferenced
	case codeLockNotAvailable, codeQueryCanceled, codeSerializationFailure, codeDeadlockDetected:
		return ErrBusy
	case codeReadOnly:
		return ErrUnavailable
	case codeDiskFull:
		return ErrNoSpace
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58": // connection, resources, operator intervention, system
		return ErrUnavailable
	}
	return nil
}

// mayRetry says whether the whole transaction can be run again: Postgres rolled it back for the sake of another.
func mayRetry(err error) bool {
	var fault *pgconn.PgError
	return errors.As(err, &fault) && (fault.Code == codeSerializationFailure || fault.Code == codeDeadlockDetected)
}
