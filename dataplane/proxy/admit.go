package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/proto/pattern"
)

// admit checks what no route can want, and brings the request into the form in which it is matched and forwarded.
func (x *exchange) admit() plugin.Verdict {
	verdict := x.check()
	path, query := cutTarget(x.asked)
	x.query = query
	if !verdict.Refused() && x.asked != "*" {
		normal, err := pattern.NormalizePath(path)
		if err != nil {
			verdict = plugin.Refuse(plugin.ReasonBadRequest, err.Error())
		} else {
			path = normal
		}
	}
	x.Path = path
	x.identify()
	if !verdict.Refused() && x.proxy.lane.Blocked(x.Client) {
		x.client.CloseAfter()
		return plugin.Refuse(plugin.ReasonBlocked, "")
	}
	return verdict
}

func (x *exchange) check() plugin.Verdict {
	switch {
	case x.http2 && x.method == http.MethodConnect:
		return plugin.Refuse(plugin.ReasonUnsupported, "CONNECT is not supported")
	case x.http2:
		if verdict := x.checkSize(); verdict.Refused() {
			return verdict
		}
		if verdict := x.checkForm(); verdict.Refused() {
			return verdict
		}
	}
	if x.proxy.misdirected(x.host, x.connection) {
		return plugin.Refuse(plugin.ReasonMisdirected, "")
	}
	return plugin.Continue()
}

// checkSize checks what the engine of HTTP/1.1 has checked by itself.
func (x *exchange) checkSize() plugin.Verdict {
	limits := &x.proxy.limits
	if len(x.asked) > limits.TargetBytes {
		return plugin.Refuse(plugin.ReasonTargetTooLong, fmt.Sprintf("at most %d bytes", limits.TargetBytes))
	}
	size := 0
	x.header.Each(func(name, value string) bool {
		size += len(name) + len(value) + len(": \r\n")
		return true
	})
	switch {
	case x.header.Len() > limits.HeaderCount:
		return plugin.Refuse(plugin.ReasonHeaderTooLarge, fmt.Sprintf("at most %d fields", limits.HeaderCount))
	case size > limits.HeaderBytes:
		return plugin.Refuse(plugin.ReasonHeaderTooLarge, fmt.Sprintf("at most %d bytes", limits.HeaderBytes))
	}
	return plugin.Continue()
}

// checkForm checks, of what the library of HTTP/2 lets pass, what is no request of HTTP/1.1.
func (x *exchange) checkForm() plugin.Verdict {
	if x.asked == "*" && x.method != http.MethodOptions {
		return plugin.Refuse(plugin.ReasonBadRequest, "the method does not take this form of request target")
	}
	_, query := cutTarget(x.asked)
	if err := http1.Check(x.method, query, x.host, x.length, x.header); err != nil {
		return refusalOf(err)
	}
	return plugin.Continue()
}

// cutTarget separates the path of a target, as it was sent, from its query, which keeps its question mark.
func cutTarget(target string) (path, query string) {
	if at := strings.IndexByte(target, '?'); at >= 0 {
		return target[:at], target[at:]
	}
	return target, ""
}

// upgradeable is the protocol that the client wants to switch to, if that may be passed on. HTTP/2 begins with prior knowledge
// or TLS here, so an upgrade to h2c is not: it would tunnel requests past the policies.
func upgradeable(wanted string, header *http1.Header) string {
	if wanted == "" || header.HasToken("Upgrade", "h2c") || header.HasToken("Upgrade", "h2") {
		return ""
	}
	return wanted
}

// identify takes out of the header what belongs to the connection and what the client has no right to say, and writes who asked
// and through whom.
func (x *exchange) identify() {
	header := x.header
	x.Method, x.Host, x.Request = x.method, x.host, header
	x.protocolWanted = upgradeable(x.upgrade, header)
	x.trailers = te.HasToken(header, "trailers")
	header.RemoveHopByHop()
	peer := x.connection.peerText
	x.Client = x.connection.peer
	scheme := x.connection.scheme()
	if x.connection.trusted {
		header.DelFunc(isIdentity)
		forwardedFor := header.Values("X-Forwarded-For")
		x.Client = x.proxy.trusted.client(x.connection.peer, forwardedFor)
		if len(forwardedFor) > 0 {
			peer = strings.Join(forwardedFor, ", ") + ", " + peer
		}
		if header.Has("Forwarded") {
			header.Add("Forwarded", forwardedElement(x.connection.peer.Is6(), x.connection.peerText, scheme))
		}
	} else {
		header.DelFunc(isIdentityOrForwarding)
	}
	x.prove()
	forwardedForName.Set(header, peer)
	if !forwardedProto.In(header) {
		forwardedProto.Set(header, scheme)
	}
	if !forwardedHost.In(header) {
		forwardedHost.Set(header, x.host)
	}
	x.identifiers.take(header)
}

// forwardedElement is one element of Forwarded (RFC 7239, section 4).
func forwardedElement(quoted bool, address, scheme string) string {
	if quoted {
		address = `"[` + address + `]"`
	}
	return "for=" + address + ";proto=" + scheme
}
