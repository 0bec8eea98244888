package plugin

import (
	"net/netip"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/lane"
)

// Header is the header of a message, whichever engine holds it. Names are given in canonical form ("X-Api-Key"); http.Header
// is a Header.
type Header interface {
	// Get returns the first value of a field, empty if there is none.
	Get(name string) string
	// Values returns all values of a field; the caller must not change them.
	Values(name string) []string
	// Set replaces all values of a field.
	Set(name, value string)
	// Add puts a value beside those that a field has.
	Add(name, value string)
	// Del takes a field out.
	Del(name string)
}

// Exchange is one request and its response, as policies see it. It belongs to the goroutine that serves it, and is used
// again for another exchange afterwards, so nobody keeps it.
type Exchange struct {
	// What the client asked.

	Method string
	Host   string
	// Path is normalised: what was matched and what is forwarded.
	Path string
	// Client is the address of the client, taken from forwarding headers only if a trusted proxy wrote them.
	Client netip.Addr
	// Request is the header that goes upstream.
	Request Header
	// Started is when the head of the request had arrived.
	Started time.Time
	// Recollection is the key that the client's connection presented last; nil if nobody keeps it.
	Recollection *lane.Recollection

	// What the gateway found out.

	Route   string
	Service string
	// Caller is who calls; without a Key it is nobody known.
	Caller Caller
	// Certificate is what the client proved itself with (mutual TLS), for the name that it asks; nil if it did not.
	Certificate *ClientCertificate
	// Limits are the limits that were applied, for the response to report.
	Limits LimitReport

	// What goes back. Response is nil until there is one.

	Status   int
	Response Header

	// policies are those that ran, in order.
	policies []*Policy
}

// ClientCertificate is a client's certificate, which an authority signed that the server name trusts. Nobody changes it.
type ClientCertificate struct {
	// Subject is the distinguished name (RFC 2253): "CN=alice,O=Acme".
	Subject string
	// DNSNames, URIs and EmailAddresses are the alternative names (RFC 5280, section 4.2.1.6).
	DNSNames, URIs, EmailAddresses []string
	// Fingerprint is the SHA-256 of the certificate, in hexadecimal.
	Fingerprint string
}

// Caller is who calls, as an authentication policy found it.
type Caller struct {
	Consumer string
	// Plan is empty if the consumer has none.
	Plan string
	// Key is the id of the key, never the key itself.
	Key    string
	Scopes []string
	// ExpiresAt is when the key stops working, in seconds since 1970; 0 means never.
	ExpiresAt int64
	// LastUsed belongs to the key: minutes since 1970.
	LastUsed *atomic.Int64
	// Revocations end a stream that the caller holds open: the key's and the consumer's.
	Revocations [2]Revocation
}

// Revocation is the end of somebody's right to be served.
type Revocation interface {
	// OnEnd calls tell once when the right ends, at once if it has ended already.
	OnEnd(tell func()) (stop func())
}

// Reset empties the exchange for the next use and keeps its memory.
func (x *Exchange) Reset() {
	clear(x.policies)
	x.Limits.Reset()
	policies, limits := x.policies[:0], x.Limits
	// By itself, since that clears in place.
	*x = Exchange{}
	x.policies, x.Limits = policies, limits
}

// Verdict is what was decided about an exchange: nil lets it go on. It is no more than a pointer because everything that an exchange
// passes returns one, and nearly always nil.
type Verdict = *Refusal

// Refusal ends an exchange. Nobody changes one that was made.
type Refusal struct {
	// Reason is never ReasonNone.
	Reason Reason
	// RetryAfter is how long the client should wait, in whole seconds; 0 says nothing.
	RetryAfter int
	// Detail says more than the reason's title; for people.
	Detail string
	// Challenge is the value of WWW-Authenticate (RFC 9110, section 11.6.1).
	Challenge string
	// Status is answered instead of the reason's; 0 leaves it.
	Status int
}

// Continue lets the exchange go on.
func Continue() Verdict { return nil }

// Refuse ends the exchange with the answer of a reason; ReasonNone is none.
func Refuse(reason Reason, detail string) Verdict {
	if reason == ReasonNone {
		return nil
	}
	return &Refusal{Reason: reason, Detail: detail}
}

// Refused tells whether the exchange ends here.
func (r *Refusal) Refused() bool { return r != nil }

// Why is the reason, ReasonNone if the exchange goes on.
func (r *Refusal) Why() Reason {
	if r == nil {
		return ReasonNone
	}
	return r.Reason
}
