package proxy

import (
	"net/netip"
	"strings"

	"tidegate.dev/dataplane/http1"
)

// Fields that every exchange asks for or sets.
var (
	te               = http1.NameOf("Te")
	contentType      = http1.NameOf("Content-Type")
	requestID        = http1.NameOf("X-Request-Id")
	traceparent      = http1.NameOf("Traceparent")
	tracestate       = http1.NameOf("Tracestate")
	forwardedForName = http1.NameOf("X-Forwarded-For")
	forwardedProto   = http1.NameOf("X-Forwarded-Proto")
	forwardedHost    = http1.NameOf("X-Forwarded-Host")
	consumerName     = http1.NameOf("X-Tidegate-Consumer")
)

// Prefixes of fields that only the gateway, or a proxy that it trusts, may write.
const (
	identityPrefix   = "x-tidegate-"
	forwardingPrefix = "x-forwarded-"
)

// hasPrefix compares as servers do that make environment variables of fields: without regard to case, and an underscore is
// a hyphen.
func hasPrefix[T []byte | string](name T, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// isIdentity tells of fields that say who calls.
func isIdentity(name []byte) bool {
	return hasPrefix(name, identityPrefix) || hasPrefix(name, clientCertificatePrefix)
}

// isIdentityOrForwarding tells of fields that clients cannot set.
func isIdentityOrForwarding(name []byte) bool {
	switch name[0] {
	case 'X', 'x':
		return hasPrefix(name, identityPrefix) || hasPrefix(name, forwardingPrefix) || hasPrefix(name, "x-real-ip")
	case 'F', 'f':
		return len(name) == len("forwarded") && hasPrefix(name, "forwarded")
	}
	return false
}

// headersOnly are fields by which it is decided who asks for what, and how the content is read.
var headersOnly = [...]string{
	"authorization", "proxy-authorization", "cookie", "x-api-key", "x-request-id", "traceparent", "tracestate",
	"content-type", "content-encoding", "content-range", "content-length", "transfer-encoding",
}

// isForHeadersOnly tells of fields that a client's trailer section cannot have. Policies have decided before it comes, and there are
// servers that put it to the header (RFC 9110, section 6.5.1), so it must say nothing that they are asked about.
func isForHeadersOnly(name []byte) bool {
	if isIdentityOrForwarding(name) {
		return true
	}
	for _, only := range headersOnly {
		if len(name) == len(only) && hasPrefix(name, only) {
			return true
		}
	}
	return false
}

// trustworthy are the peers whose forwarding fields are believed.
type trustworthy []netip.Prefix

func (t trustworthy) has(address netip.Addr) bool {
	for _, prefix := range t {
		if prefix.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}

// client is the address of the client: the peer's, unless a trusted proxy says more. Then it is the last address in
// X-Forwarded-For that no trusted proxy has.
func (t trustworthy) client(peer netip.Addr, forwardedFor []string) netip.Addr {
	client := peer
	for i := len(forwardedFor) - 1; i >= 0; i-- {
		rest := forwardedFor[i]
		for rest != "" {
			var last string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				rest, last = "", rest
			}
			address, ok := forwardedAddress(strings.TrimSpace(last))
			if !ok {
				return client
			}
			client = address
			if !t.has(client) {
				return client
			}
		}
	}
	return client
}

// forwardedAddress reads an element of X-Forwarded-For, which some proxies write with a port.
func forwardedAddress(text string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return address.Unmap().WithZone(""), true
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
