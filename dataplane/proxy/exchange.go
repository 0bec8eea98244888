package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
)

// Arms, as telemetry numbers them. They are also the windows in which upstreams count failures apart.
const (
	stableArm    = 1
	candidateArm = 2
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// lastWords is how long a write to the client may take when its exchange has been cut.
const lastWords = 250 * time.Millisecond

// exchange is one request on its way and its response on the way back. It belongs to the goroutine that serves it.
type exchange struct {
	plugin.Exchange

	// Set once, at the beginning.
	proxy      *Proxy
	connection *connection
	writer     http.ResponseWriter
	control    *http.ResponseController
	request    *http.Request

	// Set when they are known.
	snapshot *snapshot.Snapshot
	arm      *telemetry.Arm
	route    *snapshot.Route
	// target is that of the last try; the exchange runs on it, or not any more. permit is the leave to use its service.
	target    *upstream.Target
	running   bool
	permit    upstream.Permit
	requestID string
	trace     string
	// undecided says that the backend is chosen when it is known who calls, stickyCookie is what the client should bring back.
	undecided    bool
	stickyCookie string
	// rewritten is the path that goes upstream, if it is another than the client's.
	rewritten string
	upgrade   string
	ctx       context.Context
	watchdog  *watchdog
	body      *requestBody
	revoked   []func()

	// The outcome.
	reason  plugin.Reason
	started bool
	bytes   int64
}

// ServeHTTP takes one exchange its way.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{proxy: p, connection: connectionOf(r.Context()), writer: w, control: http.NewResponseController(w), request: r}
	x.Started = time.Now()
	x.Request = r.Header
	generation, shard := p.enter()
	if generation != nil {
		x.snapshot, x.arm = generation.choose()
		defer generation.leave(shard)
	}
	// A response that broke off must not look whole: net/http cuts the connection, or resets the stream.
	if whole := x.serve(); !whole {
		panic(http.ErrAbortHandler)
	}
}

// serve is the way. It tells whether the response is whole.
func (x *exchange) serve() (whole bool) {
	defer func() {
		if cause := recover(); cause != nil {
			whole = x.survive(cause)
		}
		x.end()
	}()
	if verdict := x.admit(); verdict.Refused() {
		return x.refuse(verdict)
	}
	if verdict := x.match(); verdict.Refused() {
		return x.refuse(verdict)
	}
	if verdict := x.police(); verdict.Refused() {
		return x.refuse(verdict)
	}
	if x.route.Upstream == nil {
		return x.answer()
	}
	if verdict := x.rewrite(); verdict.Refused() {
		return x.refuse(verdict)
	}
	x.watch()
	response, verdict := x.forward() //nolint:bodyclose // tunnel and respond close it
	if verdict.Refused() {
		return x.refuse(verdict)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return x.tunnel(response)
	}
	return x.respond(response)
}

// match finds the route.
func (x *exchange) match() plugin.Verdict {
	if x.snapshot == nil {
		return plugin.Verdict{Reason: plugin.ReasonNotReady, RetryAfter: 1}
	}
	route, ok := x.snapshot.Match(x.Host, x.Method, x.Path, (*fields)(x), nil)
	if ok {
		x.Route = route.Name
		x.choose(route)
		return plugin.Continue()
	}
	allowed := x.snapshot.Allowed(x.Host, x.Path, (*fields)(x))
	if len(allowed) == 0 {
		return plugin.Refuse(plugin.ReasonNoRoute, "")
	}
	for _, method := range allowed {
		x.writer.Header().Add("Allow", method)
	}
	return plugin.Refuse(plugin.ReasonMethodNotAllowed, "")
}

// watch bounds what follows by the route's timeouts and, if a stream begins, by the caller's right to be served.
func (x *exchange) watch() {
	ctx, cancel := context.WithCancelCause(x.request.Context())
	control := x.control
	x.watchdog = newWatchdog(x.Started, cancel, func(receiving, sending bool) {
		// Not every connection can do this, and then the client's next packet does.
		if receiving {
			_ = control.SetReadDeadline(longAgo)
		}
		if sending {
			// What is on its way may still arrive, so that the end can be told in the stream.
			_ = control.SetWriteDeadline(time.Now().Add(lastWords))
		}
	})
	x.ctx = ctx
	if x.route.Timeouts.Connect > 0 {
		x.ctx = upstream.WithConnectTimeout(x.ctx, x.route.Timeouts.Connect)
	}
	if total := x.route.Timeouts.Total; total > 0 {
		x.watchdog.limit(total, errTotalTimeout)
	}
	if x.request.ContentLength < 0 || x.upgrade != "" {
		x.watchCaller()
	}
	x.watchdog.phase(x.route.Timeouts.ResponseHeader, errResponseHeaderTimeout)
}

// watchCaller ends the exchange when the key that it was allowed by ends. Short exchanges do not need it.
func (x *exchange) watchCaller() {
	if x.Caller.Key == "" || x.revoked != nil {
		return
	}
	dog := x.watchdog
	for _, revocation := range x.Caller.Revocations {
		if revocation != nil {
			x.revoked = append(x.revoked, revocation.OnEnd(func() { dog.cut(errKeyRevoked) }))
		}
	}
	if x.Caller.ExpiresAt > 0 {
		dog.limit(time.Unix(x.Caller.ExpiresAt, 0).Sub(x.Started), errKeyExpired)
	}
}

// survive contains a panic: it costs this exchange only.
func (x *exchange) survive(cause any) (whole bool) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return false
	}
	x.proxy.log.Error("an exchange panicked", slog.Any("cause", cause), slog.String("route", x.Route),
		slog.String("request_id", x.requestID), slog.String("stack", string(debug.Stack())))
	if x.started {
		x.reason = plugin.ReasonInternal
		return false
	}
	// The policies' response phases are left out: one of them may be what panicked.
	x.route = nil
	return x.refuse(plugin.Refuse(plugin.ReasonInternal, ""))
}

// end gives back what the exchange held, and records it.
func (x *exchange) end() {
	for _, stop := range x.revoked {
		stop()
	}
	if x.watchdog != nil {
		x.watchdog.stop()
		x.watchdog.cancel(context.Canceled)
	}
	x.leaveUpstream()
	x.record()
	if x.body != nil {
		x.body.leave(x.control, x.request.ProtoMajor == 1)
	}
}

func (x *exchange) record() {
	took := time.Since(x.Started)
	if x.arm != nil {
		number := uint32(0)
		if x.route != nil {
			number = x.route.Number
		}
		class := uint8(x.Status / 100)
		if x.reason == plugin.ReasonClientClosed && !x.started {
			class = 0
		}
		x.arm.Record(number, x.Route, class, uint8(x.reason), took)
	}
	if uses := x.proxy.uses; uses != nil && x.Caller.Key != "" {
		uses.Record(x.Caller.Key, x.Caller.LastUsed, x.Started)
	}
	if log := x.proxy.accessLog; log != nil {
		log.Log(x.entry(took))
	}
}

func (x *exchange) entry(took time.Duration) telemetry.AccessEntry {
	entry := telemetry.AccessEntry{
		Time: x.Started, Duration: took, RequestID: x.requestID,
		Method: x.request.Method, Host: x.request.Host, Path: x.Path, Protocol: x.request.Proto, Client: x.Client.String(),
		Status: x.Status, Bytes: x.bytes, Route: x.Route, Service: x.Service,
		Consumer: x.Caller.Consumer, Key: x.Caller.Key, Reason: x.reason.String(),
	}
	if len(x.trace) >= 52 {
		entry.TraceID, entry.SpanID = x.trace[3:35], x.trace[36:52]
	}
	if x.target != nil {
		entry.Target = x.target.Host()
	}
	if x.arm != nil {
		entry.Revision, entry.Arm = x.arm.Revision, x.arm.Arm
	}
	return entry
}
