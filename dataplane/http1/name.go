package http1

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

// longestKnownName is the length of proxy-authorization.
const longestKnownName = 19

// namesByLength narrows the search down to a few candidates.
var namesByLength = groupNames()

func groupNames() (groups [longestKnownName + 1][]nameID) {
	for id := nameHost; id < nameCount; id++ {
		n := len(knownNames[id])
		groups[n] = append(groups[n], id)
	}
	return groups
}

// identify finds the id of a name.
func identify[T []byte | string](name T) nameID {
	if len(name) > longestKnownName {
		return otherName
	}
next:
	for _, id := range namesByLength[len(name)] {
		known := knownNames[id]
		// Backwards, since names of one length differ at their ends more than at their beginnings. No byte of a known name
		// is met by another byte of a token than its own upper case.
		for i := len(name) - 1; i >= 0; i-- {
			if name[i]|0x20 != known[i] {
				continue next
			}
		}
		return id
	}
	return otherName
}
