package admin

import (
	"net/http"

	"google.golang.org/grpc/codes"
)

// problemType is one kind of error that the API answers with (RFC 9457).
type problemType struct {
	slug   string // the end of its type URL; never changes
	title  string
	status int
	code   codes.Code
}

// typeURL is where the slugs live.
const typeURL = "https://tidegate.dev/problems/"

// The kinds of problems. Several share a gRPC code, which is why the slug travels beside it.
var (
	problemMalformed      = problemType{"malformed-request", "The request cannot be read", http.StatusBadRequest, codes.InvalidArgument}
	problemInvalid        = problemType{"invalid", "The request breaks rules", http.StatusBadRequest, codes.InvalidArgument}
	problemUnauthorized   = problemType{"unauthenticated", "Say who you are", http.StatusUnauthorized, codes.Unauthenticated}
	problemForbidden      = problemType{"forbidden", "You may not do this", http.StatusForbidden, codes.PermissionDenied}
	problemCrossOrigin    = problemType{"cross-origin", "A session may only be used from its own origin", http.StatusForbidden, codes.PermissionDenied}
	problemNotFound       = problemType{"not-found", "There is no such thing", http.StatusNotFound, codes.NotFound}
	problemMethod         = problemType{"method-not-allowed", "The method does not fit the path", http.StatusMethodNotAllowed, codes.Unimplemented}
	problemTimeout        = problemType{"request-timeout", "The request came too slowly", http.StatusRequestTimeout, codes.DeadlineExceeded}
	problemExists         = problemType{"already-exists", "It exists already", http.StatusConflict, codes.AlreadyExists}
	problemConflict       = problemType{"conflict", "Others changed the same things meanwhile", http.StatusConflict, codes.Aborted}
	problemReferenced     = problemType{"referenced", "Others refer to it", http.StatusConflict, codes.FailedPrecondition}
	problemState          = problemType{"wrong-state", "Its state does not allow this", http.StatusConflict, codes.FailedPrecondition}
	problemStale          = problemType{"etag-mismatch", "It changed since it was read", http.StatusPreconditionFailed, codes.FailedPrecondition}
	problemFrozen         = problemType{"frozen", "Nothing is published now", http.StatusConflict, codes.FailedPrecondition}
	problemUnapproved     = problemType{"approval-required", "Others must approve it first", http.StatusConflict, codes.FailedPrecondition}
	problemTooLarge       = problemType{"too-large", "The request is too large", http.StatusRequestEntityTooLarge, codes.ResourceExhausted}
	problemMediaType      = problemType{"unsupported-media-type", "Send JSON", http.StatusUnsupportedMediaType, codes.InvalidArgument}
	problemIdempotencyKey = problemType{"idempotency-key-reused", "The idempotency key belongs to another request", http.StatusUnprocessableEntity, codes.FailedPrecondition}
	problemLockedOut      = problemType{"locked-out", "Too many failed attempts", http.StatusTooManyRequests, codes.ResourceExhausted}
	problemInternal       = problemType{"internal", "Something went wrong on our side", http.StatusInternalServerError, codes.Internal}
	problemUnimplemented  = problemType{"not-implemented", "This control plane cannot do that", http.StatusNotImplemented, codes.Unimplemented}
	problemUnavailable    = problemType{"unavailable", "The control plane cannot answer now", http.StatusServiceUnavailable, codes.Unavailable}
	problemDeadline       = problemType{"timeout", "It took too long", http.StatusGatewayTimeout, codes.DeadlineExceeded}
)

// problemTypes are all kinds, for finding one by its slug and for the documentation.
func problemTypes() []problemType {
	return []problemType{
		problemMalformed, problemInvalid, problemUnauthorized, problemForbidden, problemCrossOrigin, problemNotFound,
		problemMethod, problemTimeout, problemExists, problemConflict, problemReferenced, problemState, problemStale,
		problemTooLarge, problemMediaType, problemIdempotencyKey, problemLockedOut, problemInternal, problemUnimplemented,
		problemUnavailable, problemDeadline, problemFrozen, problemUnapproved,
	}
}

// problemOfSlug finds a kind by its slug.
func problemOfSlug(slug string) (problemType, bool) {
	for _, kind := range problemTypes() {
		if kind.slug == slug {
			return kind, true
		}
	}
	return problemType{}, false
}

// problemOfCode is the kind for a status that carries no slug: one that the gRPC library made.
func problemOfCode(code codes.Code) problemType {
	switch code {
	case codes.InvalidArgument, codes.OutOfRange:
		return problemMalformed
	case codes.NotFound:
		return problemNotFound
	case codes.Unauthenticated:
		return problemUnauthorized
	case codes.PermissionDenied:
		return problemForbidden
	case codes.Unimplemented:
		return problemUnimplemented
	case codes.ResourceExhausted:
		return problemTooLarge
	case codes.DeadlineExceeded:
		return problemDeadline
	case codes.Unavailable, codes.Canceled:
		return problemUnavailable
	default:
		return problemInternal
	}
}
