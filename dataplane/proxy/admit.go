package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/proto/pattern"
)

// admit checks what no route can want, and brings the request into the form in which it is matched and forwarded.
func (x *exchange) admit() plugin.Verdict {
	r := x.request
	x.Method, x.Host = r.Method, r.Host
	header := r.Header
	x.requestID = requestID(header.Get("X-Request-Id"))
	if verdict := x.checkSize(header); verdict.Refused() {
		return verdict
	}
	switch {
	case x.connection.ambiguous():
		x.writer.Header().Set("Connection", "close")
		return plugin.Refuse(plugin.ReasonBadRequest, "the length of the body is ambiguous")
	case r.Method == http.MethodConnect:
		return plugin.Refuse(plugin.ReasonUnsupported, "CONNECT is not supported")
	case x.proxy.misdirected(r.Host, x.connection.tls):
		return plugin.Refuse(plugin.ReasonMisdirected, "")
	}
	path, err := pattern.NormalizePath(targetPath(r))
	if err != nil {
		return plugin.Refuse(plugin.ReasonBadRequest, err.Error())
	}
	x.Path = path
	x.upgrade = wantedUpgrade(r)
	wantsTrailers := hasToken(header["Te"], "trailers")
	removeHopByHop(header)
	if wantsTrailers {
		header["Te"] = []string{"trailers"}
	}
	x.identify(header)
	return plugin.Continue()
}

func (x *exchange) checkSize(header http.Header) plugin.Verdict {
	limits := &x.proxy.limits
	if len(x.request.RequestURI) > limits.TargetBytes {
		return plugin.Refuse(plugin.ReasonTargetTooLong, fmt.Sprintf("at most %d bytes", limits.TargetBytes))
	}
	count, size := 0, 0
	for name, values := range header {
		count += len(values)
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	switch {
	case count > limits.HeaderCount:
		return plugin.Refuse(plugin.ReasonHeaderTooLarge, fmt.Sprintf("at most %d fields", limits.HeaderCount))
	case size > limits.HeaderBytes:
		return plugin.Refuse(plugin.ReasonHeaderTooLarge, fmt.Sprintf("at most %d bytes", limits.HeaderBytes))
	}
	return plugin.Continue()
}

// targetPath is the path of the request target as it was sent, before anybody decoded it.
func targetPath(r *http.Request) string {
	target := r.RequestURI
	if scheme := strings.Index(target, "://"); scheme > 0 && !strings.HasPrefix(target, "/") {
		// Absolute form (RFC 9112, section 3.2.2): the path begins after the authority, and may be empty.
		target = target[scheme+3:]
		slash := strings.IndexAny(target, "/?")
		if slash < 0 {
			return ""
		}
		target = target[slash:]
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}

// wantedUpgrade is the protocol that the client wants to switch to, empty if none. HTTP/2 begins with prior knowledge or TLS
// here, so an upgrade to h2c is not passed on: it would tunnel requests past the policies.
func wantedUpgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor == 0 || !hasToken(r.Header["Connection"], "upgrade") {
		return ""
	}
	protocol := strings.TrimSpace(r.Header.Get("Upgrade"))
	if hasToken(r.Header["Upgrade"], "h2c") || hasToken(r.Header["Upgrade"], "h2") {
		return ""
	}
	return protocol
}

// identify writes who asked and through whom, and takes out what the client has no right to say.
func (x *exchange) identify(header http.Header) {
	trusted := x.connection.trusted
	for name := range header {
		if hasPrefix(name, identityPrefix) || !trusted && (hasPrefix(name, forwardingPrefix) || hasPrefix(name, "x-real-ip") || name == "Forwarded") {
			delete(header, name)
		}
	}
	peer := x.connection.peerText
	x.Client = x.connection.peer
	scheme := "http"
	if x.connection.tls != nil {
		scheme = "https"
	}
	if trusted {
		forwardedFor := header["X-Forwarded-For"]
		x.Client = x.proxy.trusted.client(x.connection.peer, forwardedFor)
		if len(forwardedFor) > 0 {
			peer = strings.Join(forwardedFor, ", ") + ", " + peer
		}
		if len(header["Forwarded"]) > 0 {
			header.Add("Forwarded", forwardedElement(x.connection.peer.Is6(), x.connection.peerText, scheme))
		}
	}
	header["X-Forwarded-For"] = []string{peer}
	if len(header["X-Forwarded-Proto"]) == 0 {
		header["X-Forwarded-Proto"] = []string{scheme}
	}
	if len(header["X-Forwarded-Host"]) == 0 {
		header["X-Forwarded-Host"] = []string{x.request.Host}
	}
	header["X-Request-Id"] = []string{x.requestID}
	trace, kept := traceparent(header.Get("Traceparent"))
	x.trace = trace
	if !kept {
		header["Traceparent"] = []string{trace}
		// Without its traceparent a tracestate means nothing (W3C Trace Context, section 3.3.1.5).
		delete(header, "Tracestate")
	}
}

// forwardedElement is one element of Forwarded (RFC 7239, section 4).
func forwardedElement(quoted bool, address, scheme string) string {
	if quoted {
		address = `"[` + address + `]"`
	}
	return "for=" + address + ";proto=" + scheme
}
