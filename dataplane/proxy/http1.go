package proxy

import (
	"log/slog"
	"net"
	"net/http"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
)

// engine answers what arrives over HTTP/1.1. It is an http1.Handler.
type engine Proxy

func (p *Proxy) newHTTP1() *http1.Server {
	l := &p.limits
	return http1.NewServer(http1.Config{
		Handler: (*engine)(p),
		Limits: http1.Limits{
			TargetBytes: l.TargetBytes, HeaderBytes: l.HeaderBytes, HeaderCount: l.HeaderCount, Head: l.HeaderTimeout,
			KeepAlive: l.IdleTimeout, BytesPerSecond: l.BodyRate, BodyGrace: l.BodyGrace,
		},
		HTTP2:  func(conn net.Conn) { p.http2.serve(conn) },
		Opened: func(conn net.Conn) any { return p.connectionOf(conn) },
		Panicked: func(cause any, stack []byte) {
			p.log.Error("an exchange panicked where nobody expected it", slog.Any("cause", cause), slog.String("stack", string(stack)))
		},
	})
}

// protocols are the names of the minor versions.
var protocols = [...]string{"HTTP/1.0", "HTTP/1.1"}

// Serve implements http1.Handler.
func (e *engine) Serve(in *http1.Exchange) {
	x := (*Proxy)(e).begin(in, in.Value().(*connection))
	defer x.giveBack()
	x.readHTTP1(in)
	x.serve()
}

// Refuse implements http1.Handler: it answers what is no request that could be served.
func (e *engine) Refuse(in *http1.Exchange, err *http1.Error) {
	x := (*Proxy)(e).begin(in, in.Value().(*connection))
	defer x.giveBack()
	x.readHTTP1(in)
	x.Path, _ = cutTarget(x.asked)
	x.identify()
	x.refuseOnly(refusalOf(err))
}

// readHTTP1 takes what was asked.
func (x *exchange) readHTTP1(in *http1.Exchange) {
	request := &in.Request
	x.Started, x.Recollection = in.Started, &x.connection.recollection
	// Field by field, since the exchange is empty; a question made at once would be made beside it and copied.
	x.header, x.method, x.host, x.asked = &request.Header, request.Method(), request.Host(), request.Path()
	x.protocol, x.upgrade, x.length = protocols[request.Minor()&1], request.Upgrade(), request.ContentLength()
	if x.length != 0 {
		x.body = (*ownBody)(&in.Body)
		in.Body.DropTrailers(isForHeadersOnly)
	}
}

// reasonsByStatus are the reasons of what the engine refuses.
var reasonsByStatus = map[int]plugin.Reason{
	http.StatusRequestTimeout:              plugin.ReasonRequestTimeout,
	http.StatusRequestEntityTooLarge:       plugin.ReasonPayloadTooLarge,
	http.StatusRequestURITooLong:           plugin.ReasonTargetTooLong,
	http.StatusExpectationFailed:           plugin.ReasonExpectationFailed,
	http.StatusRequestHeaderFieldsTooLarge: plugin.ReasonHeaderTooLarge,
	http.StatusNotImplemented:              plugin.ReasonUnsupported,
	http.StatusHTTPVersionNotSupported:     plugin.ReasonVersion,
}

// refusalOf is the verdict on a message that the engine refuses.
func refusalOf(err *http1.Error) plugin.Verdict {
	reason, ok := reasonsByStatus[err.Status]
	if !ok {
		reason = plugin.ReasonBadRequest
	}
	return plugin.Refuse(reason, err.Reason)
}
