package proxy

import (
	"net/http"
	"strings"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/router"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/proto/pattern"
)

var unsafePath = plugin.Refuse(plugin.ReasonBadRequest, "the path, rewritten, is not safe to pass on")

// upstreamPath is the path that the upstream sees.
func (x *exchange) upstreamPath() string {
	if x.rewritten != "" {
		return x.rewritten
	}
	return x.Path
}

// rewrite makes the path that the upstream sees. What goes out is always in the one form in which paths are passed on.
func (x *exchange) rewrite() plugin.Verdict {
	rewrite := x.route.Rewrite
	switch {
	case rewrite == nil:
	case rewrite.HasPrefix:
		rest, _ := x.parameters().Get("**")
		if rest != "" || strings.HasSuffix(x.Path, "/") {
			rest = "/" + rest
		}
		path := rewrite.Prefix + rest
		if path == "" {
			path = "/"
		}
		normal, err := pattern.NormalizePath(path)
		if err != nil || normal != path {
			return unsafePath
		}
		x.rewritten = path
	case rewrite.Path != nil:
		var ok bool
		if x.rewritten, ok = x.expand(rewrite.Path); !ok {
			return unsafePath
		}
	}
	return plugin.Continue()
}

// parameters are what the route's pattern takes from the path. Only routes that need them pay for them.
func (x *exchange) parameters() *router.Params {
	params := new(router.Params)
	x.snapshot.Match(x.Host, x.Method, x.Path, (*fields)(x), params)
	return params
}

func (x *exchange) expand(template *pattern.Template) (path string, ok bool) {
	params := x.parameters()
	return template.Expand(func(name string) string {
		value, _ := params.Get(name)
		return value
	})
}

// answer answers instead of a service.
func (x *exchange) answer() (whole bool) {
	if redirect := x.route.Redirect; redirect != nil {
		location, verdict := x.location(redirect)
		if verdict.Refused() {
			return x.refuse(verdict)
		}
		x.own.Set("Location", location)
		return x.write(redirect.Status, "", nil)
	}
	direct := x.route.Direct
	return x.write(direct.Status, direct.ContentType, direct.Body)
}

// location is where the client is sent. Without a scheme and a host it is a path alone, which stays with what the client knows
// the server by (RFC 9110, section 10.2.2); it never begins with two slashes, which would name a host.
func (x *exchange) location(redirect *snapshot.Redirect) (string, plugin.Verdict) {
	path := x.Path
	if redirect.Path != nil {
		var ok bool
		if path, ok = x.expand(redirect.Path); !ok {
			return "", unsafePath
		}
	}
	if len(x.query) > 1 {
		path += "?" + visible(x.query[1:])
	}
	if redirect.Scheme == "" && redirect.Host == "" {
		return path, plugin.Continue()
	}
	scheme, host := redirect.Scheme, redirect.Host
	if scheme == "" {
		scheme = "http"
		if x.header.Get("X-Forwarded-Proto") == "https" {
			scheme = "https"
		}
	}
	if host == "" {
		// The port belongs to the scheme that the client leaves.
		host = pattern.NormalizeHost(x.Host)
		if host == "" || strings.ContainsFunc(host, notOfHosts) {
			return "", plugin.Refuse(plugin.ReasonBadRequest, "the host is none that a client can be sent to")
		}
	}
	return scheme + "://" + host + path, plugin.Continue()
}

// visible escapes what has no place in a field's value or a URL.
func visible(text string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c > ' ' && c < 0x7f && strings.IndexByte("\"<>\\^`{|}#", c) < 0 {
			out.WriteByte(c)
		} else {
			out.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return out.String()
}

// write sends an answer that the configuration asks for: no error of the gateway, so it has no reason.
func (x *exchange) write(status int, contentType string, body []byte) (whole bool) {
	if contentType != "" && len(body) > 0 {
		x.own.Set("Content-Type", contentType)
	}
	return x.send(status, body)
}

// send sends an answer of the gateway, whose header is x.own.
func (x *exchange) send(status int, body []byte) (whole bool) {
	x.Status = status
	x.finishHead(&x.own)
	length := int64(len(body))
	if status == http.StatusNotModified {
		// That would be the length of what was not modified.
		length = -1
	}
	if err := x.client.Respond(status, &x.own, length); err != nil {
		return x.unsendable(err)
	}
	x.started = true
	if _, err := x.client.Write(body); err != nil {
		return false
	}
	return x.client.Finish(nil) == nil
}

// answerServer answers a question about the server as a whole (RFC 9110, section 9.3.7).
func (x *exchange) answerServer() (whole bool) {
	x.own.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	return x.send(http.StatusNoContent, nil)
}

func notOfHosts(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-._:[]", r)
}
