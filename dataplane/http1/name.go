package http1

import "net/textproto"

// nameID is a field name that somebody looks for often, or that means something here; 0 is every other.
type nameID uint8

const (
	otherName nameID = iota
	nameHost
	nameConnection
	nameContentLength
	nameTransferEncoding
	nameKeepAlive
	nameProxyConnection
	nameProxyAuthenticate
	nameProxyAuthorization
	nameTE
	nameTrailer
	nameUpgrade
	nameHTTP2Settings
	nameExpect
	nameDate
	nameServer
	nameContentType
	nameContentEncoding
	nameAuthorization
	nameXAPIKey
	nameXRequestID
	nameTraceparent
	nameTracestate
	nameXForwardedFor
	nameXForwardedHost
	nameXForwardedProto
	nameForwarded
	nameXRealIP
	nameVia
	nameUserAgent
	nameAccept
	nameAcceptEncoding
	nameCookie
	nameSetCookie
	nameIdempotencyKey
	nameCacheControl
	nameRetryAfter
	nameXTidegateConsumer
	nameRateLimit
	nameRateLimitPolicy
	nameCount
)

// knownNames are their spellings in lower case.
var knownNames = [nameCount]string{
	nameHost: "host", nameConnection: "connection", nameContentLength: "content-length", nameTransferEncoding: "transfer-encoding",
	nameKeepAlive: "keep-alive", nameProxyConnection: "proxy-connection", nameProxyAuthenticate: "proxy-authenticate",
	nameProxyAuthorization: "proxy-authorization", nameTE: "te", nameTrailer: "trailer", nameUpgrade: "upgrade",
	nameHTTP2Settings: "http2-settings", nameExpect: "expect", nameDate: "date", nameServer: "server",
	nameContentType: "content-type", nameContentEncoding: "content-encoding", nameAuthorization: "authorization",
	nameXAPIKey: "x-api-key", nameXRequestID: "x-request-id", nameTraceparent: "traceparent", nameTracestate: "tracestate",
	nameXForwardedFor: "x-forwarded-for", nameXForwardedHost: "x-forwarded-host", nameXForwardedProto: "x-forwarded-proto",
	nameForwarded: "forwarded", nameXRealIP: "x-real-ip", nameVia: "via", nameUserAgent: "user-agent", nameAccept: "accept",
	nameAcceptEncoding: "accept-encoding", nameCookie: "cookie", nameSetCookie: "set-cookie",
	nameIdempotencyKey: "idempotency-key", nameCacheControl: "cache-control", nameRetryAfter: "retry-after",
	nameXTidegateConsumer: "x-tidegate-consumer", nameRateLimit: "ratelimit", nameRateLimitPolicy: "ratelimit-policy",
}

type nameSet uint64

func (s nameSet) has(id nameID) bool { return s>>id&1 != 0 }

func setOf(ids ...nameID) (set nameSet) {
	for _, id := range ids {
		set |= 1 << id
	}
	return set
}

var (
	// hopByHop are the fields that belong to one connection (RFC 9110, section 7.6.1), and those that old peers treat so.
	// Transfer-Encoding is among them; Trailer is not, since it announces what is passed on.
	hopByHop = setOf(nameConnection, nameKeepAlive, nameProxyConnection, nameProxyAuthenticate, nameProxyAuthorization,
		nameTE, nameTransferEncoding, nameUpgrade, nameHTTP2Settings)
	// framingNames are the fields that the writer alone writes, in every message.
	framingNames = setOf(nameConnection, nameContentLength, nameTransferEncoding, nameKeepAlive, nameProxyConnection,
		nameUpgrade, nameHTTP2Settings)
	// notInTrailers are fields that no trailer section may hold, because they decide how a message is read (RFC 9110,
	// section 6.5.1).
	notInTrailers = setOf(nameConnection, nameContentLength, nameTransferEncoding, nameHost, nameTrailer, nameTE, nameUpgrade)
)

// spelling is a known name as most people write it, and in lower case.
type spelling struct {
	canonical, lower string
	id               nameID
}

// nameTable finds the one known name that a name may be, by its length and its ends.
type nameTable struct {
	factor uint32
	places [256]spelling
}

var names = makeNames()

// makeNames looks for a factor with which no two known names have the same place.
func makeNames() *nameTable {
next:
	for factor := uint32(1); ; factor += 2 {
		t := &nameTable{factor: factor}
		for id := nameHost; id < nameCount; id++ {
			name := knownNames[id]
			at := &t.places[placeOf(factor, name)]
			if at.id != otherName {
				continue next
			}
			*at = spelling{textproto.CanonicalMIMEHeaderKey(name), name, id}
		}
		return t
	}
}

// placeOf is the same for a name in any case.
func placeOf[T []byte | string](factor uint32, name T) uint8 {
	n := uint32(len(name))
	ends := uint32(name[0]|0x20)<<16 | uint32(name[n/2]|0x20)<<8 | uint32(name[n-1]|0x20)
	return uint8((ends + n<<24) * factor >> 24)
}

// identify finds the id of a name.
func identify[T []byte | string](name T) nameID {
	if len(name) == 0 {
		return otherName
	}
	known := &names.places[placeOf(names.factor, name)]
	// One comparison of memory does for most, or two.
	if known.canonical == string(name) || known.lower == string(name) {
		return known.id
	}
	if len(known.lower) != len(name) {
		return otherName
	}
	for i := range len(name) {
		// What is known is valid, so that a control character must not be taken for the hyphen from which one bit parts it.
		if c := name[i]; c != known.lower[i] && (c|0x20 != known.lower[i] || c < 'A') {
			return otherName
		}
	}
	return known.id
}
