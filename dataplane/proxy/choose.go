package proxy

import (
	"math/rand/v2"
	"net/http"
	"strconv"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
)

// choose takes the route, and the one of its backends that will answer, unless that depends on who calls.
func (x *exchange) choose(route *snapshot.Route) {
	split := route.Split
	if split == nil {
		x.take(route)
		return
	}
	if wanted, ok := x.wanted(split); ok {
		x.take(wanted)
		return
	}
	switch {
	case split.ByConsumer:
		x.route, x.undecided = route, true
	case split.Header != "":
		x.take(stick(split, x.header.Get(split.Header)))
	case split.Cookie != "":
		x.take(split.Stick(x.stickyValue(split.Cookie)))
	default:
		x.take(split.Throw())
	}
}

func (x *exchange) take(route *snapshot.Route) { x.route, x.Service = route, route.Service }

// police runs the policies of the request.
func (x *exchange) police() plugin.Verdict {
	if verdict := x.route.Chain.Authenticate(&x.Exchange); verdict.Refused() {
		return verdict
	}
	if x.undecided {
		// Every backend has the same authentication; the rest of the policies are those of the one that is chosen.
		x.take(stick(x.route.Split, x.Caller.Consumer))
	}
	return x.route.Chain.Proceed(&x.Exchange, x.snapshot)
}

// stick decides requests without a value alone.
func stick(split *snapshot.Split, value string) *snapshot.Route {
	if value == "" {
		return split.Throw()
	}
	return split.Stick(value)
}

// wanted is the backend that the request names, where the route allows that.
func (x *exchange) wanted(split *snapshot.Split) (route *snapshot.Route, ok bool) {
	if split.OverrideHeader != "" {
		if route, ok = split.Named(x.header.Get(split.OverrideHeader)); ok {
			return route, true
		}
	}
	if split.OverrideCookie != "" {
		return split.Named(x.cookie(split.OverrideCookie))
	}
	return nil, false
}

func (x *exchange) cookie(name string) string {
	lines := x.header.Values("Cookie")
	if len(lines) == 0 {
		return ""
	}
	cookie, err := (&http.Request{Header: http.Header{"Cookie": lines}}).Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// stickyValue is what the client's cookie says, or a new one that it gets with the response. It is no secret: it only places
// the client among the backends.
func (x *exchange) stickyValue(name string) string {
	if value := x.cookie(name); value != "" {
		return value
	}
	value := strconv.FormatUint(rand.Uint64(), 36)
	x.stickyCookie = x.placingCookie(name, value)
	return value
}

// placingCookie is a cookie that places the client somewhere, and is no secret.
func (x *exchange) placingCookie(name, value string) string {
	cookie := http.Cookie{
		Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: x.header.Get("X-Forwarded-Proto") == "https",
	}
	return cookie.String()
}
