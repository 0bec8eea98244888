package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"tidegate.dev/dataplane/plugin"
)

const copyBuffer = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// respond passes the response on. It tells whether it is whole.
func (x *exchange) respond(response *http.Response) (whole bool) {
	defer func() { _ = response.Body.Close() }()
	x.Status = response.StatusCode
	if response.ContentLength < 0 {
		x.watchCaller()
	}
	x.watchdog.phase(x.route.Timeouts.Idle, errIdleTimeout)
	x.writeHead(response)
	if err := x.copyBody(response); err != nil {
		return x.breakOff(err)
	}
	x.writeTrailers(response)
	return true
}

func (x *exchange) writeHead(response *http.Response) {
	header := x.writer.Header()
	// What the upstream calls the end of its message is not ours; trailers are announced again.
	removeHopByHop(response.Header)
	for name, values := range response.Header {
		if !hasPrefix(name, identityPrefix) {
			header[name] = values
		}
	}
	for name := range response.Trailer {
		header.Add("Trailer", name)
	}
	if _, ok := header["Content-Type"]; !ok {
		// Or net/http would guess one.
		header["Content-Type"] = nil
	}
	if x.body != nil && !x.body.whole.Load() && x.request.ProtoMajor == 1 {
		// The rest of the request may never come.
		header["Connection"] = []string{"close"}
	}
	x.finishHead(header)
	x.writer.WriteHeader(response.StatusCode)
	if response.ContentLength < 0 || response.ContentLength > copyBuffer {
		// A client that is gone is found out by the next write.
		_ = x.send(nil)
	}
}

// finishHead runs the response phases and adds what the gateway says itself.
func (x *exchange) finishHead(header http.Header) {
	x.Response = header
	if x.route != nil {
		x.route.Chain.Response(&x.Exchange)
	}
	x.Limits.Write(header)
	if x.stickyCookie != "" {
		header["Set-Cookie"] = append(header["Set-Cookie"], x.stickyCookie)
	}
	header["X-Request-Id"] = []string{x.requestID}
	if x.proxy.draining.Load() && x.request.ProtoMajor == 1 {
		header["Connection"] = []string{"close"}
	}
	x.started = true
}

// errReceiver marks an error of writing to the client.
var errReceiver = errors.New("writing to the client")

// send writes a piece of the body, and everything that was written before, to the client now.
func (x *exchange) send(piece []byte) error {
	x.watchdog.sending.Store(true)
	defer x.watchdog.sending.Store(false)
	// Whoever cuts the exchange from here on sees that somebody is sending.
	if err := x.ctx.Err(); err != nil {
		return err
	}
	n, err := x.writer.Write(piece)
	x.bytes += int64(n)
	if err == nil {
		err = x.control.Flush()
	}
	if err != nil {
		return errors.Join(errReceiver, err)
	}
	x.watchdog.touch()
	return nil
}

// copyBody passes the body on piece by piece. No piece waits for another: whatever was read is sent before the next is
// waited for.
func (x *exchange) copyBody(response *http.Response) error {
	if x.request.Method == http.MethodHead || response.Body == http.NoBody {
		return nil
	}
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	for {
		n, err := response.Body.Read(buffer[:])
		if n > 0 {
			x.watchdog.touch()
			if err := x.send(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// writeTrailers passes the trailer section on (RFC 9110, section 6.5); announced or not.
func (x *exchange) writeTrailers(response *http.Response) {
	if len(response.Trailer) == 0 {
		return
	}
	header := x.writer.Header()
	announced := header["Trailer"]
	for name, values := range response.Trailer {
		switch {
		case len(values) == 0 || isFraming(name):
		case hasToken(announced, name):
			header[name] = values
		default:
			header[http.TrailerPrefix+name] = values
		}
	}
}

// isFraming tells of fields that no trailer may hold, since they decide how a message is read.
func isFraming(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Host", "Connection", "Te", "Upgrade":
		return true
	}
	return false
}

// breakOff ends a response that has begun. A gRPC client is told by a trailer, others by the broken message.
func (x *exchange) breakOff(err error) (whole bool) {
	switch {
	case x.ctx.Err() != nil:
		x.reason = x.cut(context.Cause(x.ctx)).Reason
	case errors.Is(err, errReceiver):
		x.reason = plugin.ReasonClientClosed
	default:
		x.reason = plugin.ReasonUpstreamAborted
	}
	x.watchdog.cancel(errClientClosed)
	if x.reason == plugin.ReasonClientClosed || x.request.ProtoMajor < 2 || !isGRPC(x.writer.Header()) {
		return false
	}
	// A deadline that the cut may have set would reset the stream.
	_ = x.control.SetWriteDeadline(time.Time{})
	x.writer.Header()[http.TrailerPrefix+"Grpc-Status"] = []string{grpcStatus(x.reason)}
	x.writer.Header()[http.TrailerPrefix+"Grpc-Message"] = []string{x.reason.Info().Title}
	return true
}

func isGRPC(header http.Header) bool {
	contentType := header.Get("Content-Type")
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
