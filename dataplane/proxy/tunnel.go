package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"tidegate.dev/dataplane/plugin"
)

// tunnel switches protocols: from now on bytes pass in both directions and nobody looks at them.
func (x *exchange) tunnel(response *http.Response) (whole bool) {
	defer func() { _ = response.Body.Close() }()
	far, ok := response.Body.(io.ReadWriteCloser)
	switched := response.Header.Get("Upgrade")
	if !ok || x.upgrade == "" || !strings.EqualFold(switched, x.upgrade) {
		return x.refuse(plugin.Refuse(plugin.ReasonUpstreamProtocol, "the upstream switched to a protocol that nobody asked for"))
	}
	x.proxy.tunnels.Add(1)
	defer x.proxy.tunnels.Done()
	header := x.writer.Header()
	removeHopByHop(response.Header)
	for name, values := range response.Header {
		if !hasPrefix(name, identityPrefix) {
			header[name] = values
		}
	}
	x.finishHead(header)
	header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{switched}
	x.Status = http.StatusSwitchingProtocols
	near, buffered, err := x.control.Hijack()
	if err != nil {
		x.reason = plugin.ReasonInternal
		return false
	}
	defer func() { _ = near.Close() }()
	x.watchdog.phase(x.route.Timeouts.Idle, errIdleTimeout)
	// Whoever cuts the exchange closes both ends, which wakes the two that copy.
	stop := context.AfterFunc(x.ctx, func() {
		_ = near.Close()
		_ = far.Close()
	})
	defer stop()
	head := http.Response{
		StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: 0,
	}
	if err := head.Write(buffered); err != nil {
		x.reason = plugin.ReasonClientClosed
		return true
	}
	if err := buffered.Flush(); err != nil {
		x.reason = plugin.ReasonClientClosed
		return true
	}
	x.exchangeBytes(near, buffered.Reader, far)
	if cause := context.Cause(x.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		x.reason = x.cut(cause).Reason
	}
	return true
}

// exchangeBytes copies in both directions until both have ended.
func (x *exchange) exchangeBytes(near net.Conn, fromNear io.Reader, far io.ReadWriteCloser) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.pump(far, fromNear, nil)
		closeWrite(far)
	}()
	x.pump(near, far, &x.bytes)
	closeWrite(near)
	<-done
}

// closeWrite says that no more will come, and closes the whole where the ends of the directions cannot be told apart.
func closeWrite(end io.Closer) {
	if half, ok := end.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	_ = end.Close()
}

func (x *exchange) pump(to io.Writer, from io.Reader, count *int64) {
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			x.watchdog.touch()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
			x.watchdog.touch()
			if count != nil {
				*count += int64(n)
			}
		}
		if err != nil {
			return
		}
	}
}
