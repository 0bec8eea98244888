package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

// tunnel is a connection after a switch of protocols: bytes pass in both directions and nobody looks at them.
type tunnel struct {
	// Set once.
	near, far net.Conn
	// idle is how long nothing may pass, 0 for any time, and deadline until when the tunnel may last, zero for any time.
	idle     time.Duration
	deadline time.Time

	// began is when the tunnel did. Only differences to it count, so that no jump of the clock ends a tunnel.
	began time.Time

	// Atomic: when something passed last, in nanoseconds since began, how much reached the client, and why the tunnel was cut.
	progress atomic.Int64
	received atomic.Int64
	cause    atomic.Pointer[error]
}

// tunnel switches protocols.
func (x *exchange) tunnel(response *upstream.Response) (whole bool) {
	defer response.Release()
	header := response.Header
	switched := header.Get("Upgrade")
	if x.call.Upgrade == "" || !strings.EqualFold(switched, x.call.Upgrade) {
		return x.refuse(plugin.Refuse(plugin.ReasonUpstreamProtocol, "the upstream switched to a protocol that nobody asked for"))
	}
	header.RemoveHopByHop()
	header.DelFunc(isIdentity)
	x.Status = response.Status
	x.finishHead(header)
	header.Set("Upgrade", switched)
	far, err := response.Upgraded()
	if err != nil {
		return x.refuse(plugin.Refuse(plugin.ReasonUpstreamProtocol, ""))
	}
	defer func() { _ = far.Close() }()
	near, err := x.client.Upgrade(header)
	switch {
	case errors.Is(err, http1.ErrNotAllowed):
		return x.refuse(plugin.Refuse(plugin.ReasonBadRequest, "a request with a body does not switch protocols"))
	case err != nil:
		x.reason = plugin.ReasonClientClosed
		return false
	}
	x.started = true
	defer func() { _ = near.Close() }()
	t := &tunnel{near: near, far: far, idle: x.route.Timeouts.Idle, deadline: x.call.Deadline}
	x.letGo()
	x.proxy.tunnels.add(t)
	defer x.proxy.tunnels.remove(t)
	if x.caller.line != nil {
		x.caller.line.hand(t.cut)
	}
	t.run()
	x.bytes = t.received.Load()
	x.reason = x.reasonOfTunnel(t)
	return true
}

func (x *exchange) reasonOfTunnel(t *tunnel) plugin.Reason {
	cause := t.cause.Load()
	switch {
	case cause == nil:
		return plugin.ReasonNone
	case errors.Is(*cause, http1.ErrTimeout):
		return x.timeoutVerdict(errIdleTimeout).Reason
	}
	return x.cutVerdict(*cause).Reason
}

// cut ends the tunnel. Any goroutine may call it.
func (t *tunnel) cut(cause error) {
	if t.cause.CompareAndSwap(nil, &cause) {
		_ = t.near.Close()
		_ = t.far.Close()
	}
}

// run copies in both directions until both have ended.
func (t *tunnel) run() {
	t.began = time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.pump(t.far, t.near, nil)
		closeWrite(t.far)
	}()
	t.pump(t.near, t.far, &t.received)
	closeWrite(t.near)
	<-done
}

// closeWrite says that no more will come, and closes the whole where the ends of the directions cannot be told apart.
func closeWrite(end net.Conn) {
	if half, ok := end.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	_ = end.Close()
}

func (t *tunnel) pump(to, from net.Conn, count *atomic.Int64) {
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	for {
		n, err := t.read(from, buffer[:])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
			t.progress.Store(int64(time.Since(t.began)))
			if count != nil {
				count.Add(int64(n))
			}
		}
		if err != nil {
			return
		}
	}
}

// read waits for what comes from one side, as long as something passes in either direction.
func (t *tunnel) read(from net.Conn, buffer []byte) (int, error) {
	for {
		if until := t.until(); !until.IsZero() {
			_ = from.SetReadDeadline(until)
		}
		n, err := from.Read(buffer)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			if n == 0 && err == nil {
				err = io.ErrNoProgress
			}
			return n, err
		}
		if until := t.until(); !until.IsZero() && !time.Now().Before(until) {
			t.cut(http1.ErrTimeout)
			return 0, err
		}
	}
}

// until is when the tunnel ends if nothing passes any more, zero for never.
func (t *tunnel) until() time.Time {
	until := t.deadline
	if t.idle > 0 {
		if silent := t.began.Add(time.Duration(t.progress.Load()) + t.idle); until.IsZero() || silent.Before(until) {
			until = silent
		}
	}
	return until
}

// tunnels are those that are open.
type tunnels struct {
	// Guarded by mu. cause is why none may be open any more.
	mu    sync.Mutex
	open  map[*tunnel]struct{}
	cause error
}

func (all *tunnels) add(t *tunnel) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.cause != nil {
		t.cut(all.cause)
		return
	}
	if all.open == nil {
		all.open = make(map[*tunnel]struct{})
	}
	all.open[t] = struct{}{}
}

func (all *tunnels) remove(t *tunnel) {
	all.mu.Lock()
	delete(all.open, t)
	all.mu.Unlock()
}

// cut ends all of them, and those that would follow.
func (all *tunnels) cut(cause error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.cause = cause
	for t := range all.open {
		t.cut(cause)
	}
}
