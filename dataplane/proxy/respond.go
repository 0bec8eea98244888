package proxy

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

const copyBuffer = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// respond passes the response on. It tells whether it is whole.
func (x *exchange) respond(response *upstream.Response) (whole bool) {
	defer response.Release()
	x.Status = response.Status
	header := response.Header
	header.RemoveHopByHop()
	header.DelFunc(isIdentity)
	if response.ContentLength < 0 {
		x.watchCaller()
	}
	x.gRPC = x.http2 && isGRPC(header)
	if x.gRPC || isEventStream(header) {
		x.watchAddress()
	}
	length := response.ContentLength
	if response.HTTP1() == nil && header.Has("Trailer") {
		// In HTTP/1.1 only a body whose length is not announced has trailers.
		length = -1
	}
	x.finishHead(header)
	if err := x.client.Respond(response.Status, header, length); err != nil {
		return x.unsendable(err)
	}
	x.started = true
	if length < 0 || length > copyBuffer {
		x.letGo()
	}
	if err := x.relay(response); err != nil {
		return x.breakOff(response, err)
	}
	return true
}

// unsendable answers otherwise when a policy made a header of the response that cannot be sent.
func (x *exchange) unsendable(err error) (whole bool) {
	if !errors.Is(err, http1.ErrInvalidField) {
		x.reason = plugin.ReasonClientClosed
		return false
	}
	if x.reason == plugin.ReasonInternal {
		return false
	}
	x.route = nil
	x.own.Reset()
	return x.refuse(plugin.Refuse(plugin.ReasonInternal, "the response's header is not valid"))
}

// finishHead runs the response phases and adds what the gateway says itself.
func (x *exchange) finishHead(header *http1.Header) {
	x.Response = header
	if x.route != nil {
		x.route.Chain.Response(&x.Exchange)
	}
	x.Limits.Write(header)
	if x.stickyCookie != "" {
		header.Add("Set-Cookie", x.stickyCookie)
	}
	if x.unitCookie != "" {
		x.setUnitCookie(header)
	}
	x.identifiers.write(header)
}

// relay passes the body on piece by piece, and then the trailer section. No piece waits for another: whatever was read is sent
// before the next is waited for.
func (x *exchange) relay(response *upstream.Response) error {
	if from, to := response.HTTP1(), x.client; from != nil {
		if own, ok := to.(*http1.Exchange); ok {
			from.Body.DropTrailers(isIdentity)
			return own.Relay(from)
		}
	}
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	if response.ContentLength != 0 && !response.Arrived() {
		// The body may not come for long.
		if err := x.client.Flush(); err != nil {
			return err
		}
	}
	for {
		n, err := response.Read(buffer[:])
		if n > 0 {
			if _, err := x.client.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			trailer := response.Trailer()
			trailer.DelFunc(isIdentity)
			return x.client.Finish(trailer)
		case err != nil:
			return err
		}
		if err := x.client.Flush(); err != nil {
			return err
		}
	}
}

// breakOff ends a response that has begun. A gRPC client is told by a trailer, others by the broken message.
func (x *exchange) breakOff(response *upstream.Response, err error) (whole bool) {
	x.reason = x.reasonOf(response, err)
	if x.reason == plugin.ReasonClientClosed || !x.gRPC {
		return false
	}
	var trailer http1.Header
	trailer.Set("Grpc-Status", grpcStatus(x.reason))
	trailer.Set("Grpc-Message", x.reason.Info().Title)
	return x.client.Finish(&trailer) == nil
}

func (x *exchange) reasonOf(response *upstream.Response, err error) plugin.Reason {
	if cause := x.client.Alive(); cause != nil {
		return x.cutVerdict(cause).Reason
	}
	fault := response.Fault()
	switch {
	case x.isCut(err):
		return x.cutVerdict(err).Reason
	case fault != nil:
		return bodyVerdict(fault).Reason
	case errors.Is(err, http1.ErrTimeout):
		return x.timeoutVerdict(errIdleTimeout).Reason
	}
	return plugin.ReasonUpstreamAborted
}

func isGRPC(header *http1.Header) bool {
	rest, ok := strings.CutPrefix(header.Get("Content-Type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// isEventStream tells of a response that goes on for as long as there are events.
func isEventStream(header *http1.Header) bool {
	return contentType.HasPrefix(header, "text/event-stream")
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }
