package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/overload"
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

// exchange is one request on its way and its response on the way back. It belongs to the goroutine that serves it, and is used
// again for another exchange afterwards.
type exchange struct {
	// What keeps its memory: what policies see, and the header of an answer that the gateway makes.
	plugin.Exchange
	own    http1.Header
	ageing telemetry.Running

	passing
}

// passing is what is forgotten with each exchange.
type passing struct {
	question

	// Set once, at the beginning.
	proxy      *Proxy
	connection *connection
	client     client

	// What the exchange holds: a place in the generation until its response streams, and the arm to its end.
	generation *generation
	shard      uint32
	arm        *heldArm

	// Set when they are known.
	snapshot *snapshot.Snapshot
	route    *snapshot.Route
	// service is the route's, which is used by the leave of permit, and target that of the last try. The exchange runs on the
	// target or not any more, waits for its answer, and has a place reserved among its connections.
	service  *upstream.Service
	permit   upstream.Permit
	target   *upstream.Target
	running  bool
	waiting  bool
	reserved bool
	// waited is when the exchange last had waited for something; zero for never.
	waited time.Time
	// began is when the last try did, and tried how many there were. If the request may switch to another target while the first
	// still has it, a wait for the head is impatient: it gives up a target that is silent. Then the next try is granted, after a
	// pause.
	began     time.Time
	tried     int
	maySwitch bool
	impatient bool
	granted   bool
	pause     time.Duration
	// admission is the room that it has at its service, and mirrored says that the request is copied.
	admission admission
	mirrored  bool
	// number is the route's.
	number      uint32
	identifiers identifiers
	// query is what stands behind the path, with its question mark; empty for none.
	query string
	// undecided says that the backend is chosen when it is known who calls, stickyCookie is what the client should bring back, and
	// unitCookie the value by which it is to be known to the coin.
	undecided    bool
	stickyCookie string
	unitCookie   string
	// rewritten is the path that goes upstream, if it is another than the client's.
	rewritten string
	trailers  bool // the client takes trailers
	// protocolWanted is the protocol to switch to, if that may go upstream.
	protocolWanted string
	deadlineErr    error // what it means if the call's deadline has passed
	tellsGRPC      bool  // the upstream learns in grpc-timeout what is left
	informed       bool  // the client has seen an informational response
	gRPC           bool  // the response is one that ends in a status of gRPC
	caller         watchedCaller

	// call is what goes upstream, and response what comes back.
	call     http1.Call
	response upstream.Response

	// The outcome.
	reason  plugin.Reason
	started bool
	bytes   int64
}

// begin takes an exchange from those that are spare, and a place in what is installed.
func (p *Proxy) begin(c client, from *connection) *exchange {
	x, _ := p.spare.Get().(*exchange)
	x.proxy, x.client, x.connection = p, c, from
	x.generation, x.shard = p.enter()
	if x.generation != nil && x.generation.sticky == nil {
		x.snapshot, x.arm = x.generation.choose()
	}
	return x
}

// giveBack makes the exchange ready for another.
func (x *exchange) giveBack() {
	p := x.proxy
	if x.generation != nil {
		x.generation.leave(x.shard)
	}
	x.Exchange.Reset()
	x.own.Reset()
	x.passing = passing{}
	p.spare.Put(x)
}

// letGo gives the place in the generation back while the exchange goes on: what streams for hours must not keep what it was
// configured by. What is needed to the end is the arm, which is held by itself.
func (x *exchange) letGo() {
	if x.generation == nil {
		return
	}
	x.arm.hold()
	x.generation.leave(x.shard)
	x.generation, x.snapshot, x.route = nil, nil, nil
}

// serve is the way. It tells whether the response is whole.
func (x *exchange) serve() (whole bool) {
	returned := false
	defer func() {
		// Asking whether there is a panic costs more than knowing that there is none.
		if !returned {
			if cause := recover(); cause != nil {
				whole = x.survive(cause)
			}
		}
		x.end()
	}()
	whole = x.goTheWay()
	returned = true
	return whole
}

// goTheWay answers the request, or passes it on and its response back.
func (x *exchange) goTheWay() (whole bool) {
	x.throw()
	verdict := x.admit()
	if proof, ok := x.proof(verdict); ok {
		return x.answerProof(proof)
	}
	if verdict.Refused() {
		return x.refuse(verdict)
	}
	if x.asked == "*" {
		return x.answerServer()
	}
	thought := x.think()
	verdict = x.match()
	if !verdict.Refused() {
		if unbearable := x.bear(); unbearable.Refused() {
			return x.refuse(unbearable)
		}
		verdict = x.police()
	}
	x.compare(thought, verdict)
	if verdict.Refused() {
		return x.refuse(verdict)
	}
	if verdict := x.suffer(); verdict.Refused() {
		return x.refuse(verdict)
	}
	if x.route.Upstream == nil {
		return x.answer()
	}
	if verdict := x.rewrite(); verdict.Refused() {
		return x.refuse(verdict)
	}
	x.throwMirror()
	verdict = x.limited()
	x.sendCopy()
	if verdict.Refused() {
		return x.refuse(verdict)
	}
	if x.response.Status == http.StatusSwitchingProtocols {
		return x.tunnel(&x.response)
	}
	return x.respond(&x.response)
}

// refuseOnly answers and records a request that goes no way at all.
func (x *exchange) refuseOnly(verdict plugin.Verdict) {
	defer func() {
		if cause := recover(); cause != nil {
			x.survive(cause)
		}
		x.end()
	}()
	x.throw()
	x.refuse(verdict)
}

// match finds the route.
func (x *exchange) match() plugin.Verdict {
	if x.snapshot == nil {
		return &plugin.Refusal{Reason: plugin.ReasonNotReady, RetryAfter: 1}
	}
	route, ok := x.snapshot.Match(x.Host, x.Method, x.Path, (*fields)(x), nil)
	if ok {
		x.Route, x.number = route.Name, route.Number
		x.arm.Enter(&x.ageing, x.number, x.Route, x.Started)
		x.choose(route)
		return plugin.Continue()
	}
	allowed := x.snapshot.Allowed(x.Host, x.Path, (*fields)(x))
	if len(allowed) == 0 {
		return plugin.Refuse(plugin.ReasonNoRoute, "")
	}
	for _, method := range allowed {
		x.own.Add("Allow", method)
	}
	return plugin.Refuse(plugin.ReasonMethodNotAllowed, "")
}

// survive contains a panic: it costs this exchange only.
func (x *exchange) survive(cause any) (whole bool) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return false
	}
	x.proxy.log.Error("an exchange panicked", slog.Any("cause", cause), slog.String("route", x.Route),
		slog.String("request_id", x.identifiers.request()), slog.String("stack", string(debug.Stack())))
	if x.started {
		x.reason = plugin.ReasonInternal
		return false
	}
	// The policies' response phases are left out: one of them may be what panicked.
	x.route = nil
	x.own.Reset()
	return x.refuse(plugin.Refuse(plugin.ReasonInternal, ""))
}

// end stops what was set up for the exchange, and records it.
func (x *exchange) end() {
	x.caller.stop()
	x.leaveUpstream()
	x.leaveLimit(overload.Untold)
	x.record()
	if x.generation == nil && x.arm != nil {
		x.arm.release()
	}
}
