package http1

import (
	"errors"
	"fmt"
)

// Error is why a message was refused. The connection cannot be used after it, since nobody knows where the next message begins.
type Error struct {
	// Status is what a client is answered; an upstream's message with an error is the gateway's 502.
	Status int
	// Reason says it in a few words, without anything from the message.
	Reason string
	// Close tells whether the connection ends with the answer.
	Close bool
}

// Error implements error.
func (e *Error) Error() string { return e.Reason }

func refusal(status int, reason string) *Error {
	return &Error{Status: status, Reason: reason, Close: true}
}

// The refusals. Each is made once, so that refusing costs nothing.
var (
	errNotHTTP          = refusal(400, "this is not HTTP")
	errBareLF           = refusal(400, "a line ends with LF alone")
	errRequestLine      = refusal(400, "malformed request line")
	errMethod           = refusal(400, "malformed method")
	errTarget           = refusal(400, "malformed request target")
	errTargetForm       = refusal(400, "the method does not take this form of request target")
	errScheme           = refusal(400, "the request target has another scheme than http or https")
	errVersion          = refusal(505, "unsupported HTTP version")
	errStatusLine       = refusal(502, "malformed status line")
	errFolding          = refusal(400, "obsolete line folding")
	errFieldName        = refusal(400, "malformed field name")
	errFieldValue       = refusal(400, "a control character in a field value")
	errWhiteSpace       = refusal(400, "white space around a field value")
	errHostMissing      = refusal(400, "the field Host is missing")
	errHostRepeated     = refusal(400, "the field Host is repeated")
	errHost             = refusal(400, "malformed Host")
	errLength           = refusal(400, "malformed Content-Length")
	errLengthRepeated   = refusal(400, "the field Content-Length is repeated")
	errBothFramings     = refusal(400, "both Content-Length and Transfer-Encoding")
	errCodingRepeated   = refusal(400, "the field Transfer-Encoding is repeated")
	errCoding           = refusal(400, "malformed Transfer-Encoding")
	errCodingOld        = refusal(400, "Transfer-Encoding in a message of HTTP/1.0")
	errCodingUnknown    = refusal(501, "unsupported transfer coding")
	errExpectation      = refusal(417, "unsupported expectation")
	errConnect          = refusal(501, "CONNECT is not supported")
	errTargetTooLong    = refusal(414, "the request target is too long")
	errHeaderTooLarge   = refusal(431, "the header is too large")
	errTooManyFields    = refusal(431, "too many fields")
	errHeadTimeout      = refusal(408, "the head of the request took too long")
	errBodyTimeout      = refusal(408, "the body of the request took too long")
	errChunkSize        = refusal(400, "malformed chunk size")
	errChunkExtension   = refusal(400, "malformed or excessive chunk extensions")
	errChunkEnd         = refusal(400, "a chunk is longer than its size")
	errTrailerField     = refusal(400, "a field that no trailer section may hold")
	errTrailerTooLarge  = refusal(431, "the trailer section is too large")
	errUnexpectedSwitch = refusal(502, "a switch of protocols that nobody asked for")
	errTooManyInterim   = refusal(502, "too many informational responses")
)

// Errors of writing, and of connections.
var (
	// ErrClientGone says that the client will not read the response.
	ErrClientGone = errors.New("the client went away")
	// ErrInvalidField says that a field was to be written that would have broken the message.
	ErrInvalidField = errors.New("the name or value of a field is not valid")
	// ErrBodyLength says that more or less was written than Content-Length announced.
	ErrBodyLength = errors.New("the body is not as long as was announced")
	// ErrNotAllowed says that the call does not fit the state of the exchange.
	ErrNotAllowed = errors.New("the exchange is not in a state for this")
	// ErrTimeout says that a deadline of the caller has passed.
	ErrTimeout = errors.New("it took too long")

	errHalted      = errors.New("reading was stopped")
	errExhausted   = errors.New("the pool has as many connections as it may")
	errNotBuffered = errors.New("no more is buffered")
)

// Reason is what went wrong between the gateway and an upstream.
type Reason uint8

// The reasons of failures.
const (
	// Unreachable means that no connection could be opened.
	Unreachable Reason = iota + 1
	// Exhausted means that the pool has as many connections as it may.
	Exhausted
	// TimedOut means that a deadline passed.
	TimedOut
	// Broken means that the connection ended before the response did.
	Broken
	// Malformed means that the response is not valid HTTP.
	Malformed
	// BadBody means that the request's body broke off or is not well formed.
	BadBody
	// Abandoned means that nobody waits for the response any more.
	Abandoned
	// Unsendable means that the request cannot be written as valid HTTP.
	Unsendable
)

func (r Reason) String() string {
	return [...]string{"", "unreachable", "exhausted", "timed out", "broken", "malformed", "bad body", "abandoned", "unsendable"}[r]
}

// Source is who is at fault.
type Source uint8

// The sources of failures.
const (
	Client Source = iota + 1
	Gateway
	Upstream
)

// Retry says whether the same request may be sent again. Whether it should is for the caller to decide.
type Retry uint8

// Kinds of retries.
const (
	// RetryNever means that the upstream may have seen the request, or that its body is spent.
	RetryNever Retry = iota
	// RetryReused means that a connection used before had ended, most probably before the request came (RFC 9112,
	// section 9.3.1): nothing of a response arrived, and the body is still there. Safe for idempotent methods.
	RetryReused
	// RetrySafe means that nothing was sent.
	RetrySafe
)

// Failure is an exchange with an upstream that brought no response.
type Failure struct {
	Reason Reason
	Source Source
	Retry  Retry
	Err    error
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Reason, f.Err) }

// Unwrap returns what went wrong.
func (f *Failure) Unwrap() error { return f.Err }
