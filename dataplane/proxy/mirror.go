package proxy

import (
	"bytes"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/upstream"
)

const (
	// mostCopies is how many copies of requests may be on their way at once; the rest is left out.
	mostCopies = 128
	// longestCopy is the longest body that is copied.
	longestCopy = longestRepeat
	// longestEcho is how much of the answer to a copy is read, so that its connection can be used again.
	longestEcho = 64 << 10
	// copyField marks a copy. Clients cannot send it.
	copyField = "X-Tidegate-Mirror"
)

// mirrors are the copies of requests that are on their way. Nobody waits for them but the end of the proxy.
type mirrors struct {
	log     *slog.Logger
	slots   chan struct{}
	running sync.WaitGroup

	// Atomic: what became of the copies, and whether the proxy ends.
	sent, failed, dropped atomic.Uint64
	ending                atomic.Bool
}

func newMirrors(log *slog.Logger) *mirrors {
	return &mirrors{log: log, slots: make(chan struct{}, mostCopies)}
}

// end ends the copies that are on their way.
func (m *mirrors) end() {
	m.ending.Store(true)
	m.running.Wait()
}

// Alive implements http1.Downstream: copies are for nobody, as long as there is the proxy.
func (m *mirrors) Alive() error {
	if m.ending.Load() {
		return errShutdown
	}
	return nil
}

// Inform implements http1.Downstream.
func (m *mirrors) Inform(int, *http1.Header) error { return nil }

// copied is a copy of a request. It holds the snapshot that its service belongs to.
type copied struct {
	snapshot *snapshot.Snapshot
	mirror   *snapshot.Mirror
	window   upstream.Window
	method   string
	host     string
	target   string
	header   http1.Header
	body     []byte
}

// throwMirror decides whether the request will be copied, and has what is read of its body kept.
func (x *exchange) throwMirror() {
	mirror := x.route.Mirror
	if mirror == nil || x.protocolWanted != "" || x.length < 0 || x.length > longestCopy || !mirror.Throw() {
		return
	}
	x.mirrored = true
	if x.body != nil {
		x.body.Keep(longestCopy)
	}
}

// sendCopy sends the copy on its way, when the request itself has been sent as a whole. If there is no place it is left out.
func (x *exchange) sendCopy() {
	if !x.mirrored {
		return
	}
	m := x.proxy.mirrors
	var body []byte
	if x.body != nil {
		var ok bool
		if body, ok = x.body.content(); !ok {
			m.dropped.Add(1)
			return
		}
	}
	select {
	case m.slots <- struct{}{}:
	default:
		m.dropped.Add(1)
		return
	}
	c := &copied{
		snapshot: x.snapshot, mirror: x.route.Mirror, window: x.window(),
		method: x.method, host: x.host, target: x.upstreamPath() + x.query, body: bytes.Clone(body),
	}
	if rewrite := x.route.Rewrite; rewrite != nil && rewrite.Host != "" {
		c.host = rewrite.Host
	}
	x.header.Each(func(name, value string) bool {
		c.header.Add(name, value)
		return true
	})
	c.header.Set(copyField, "1")
	c.snapshot.Retain()
	m.running.Go(func() { m.send(c) })
}

// send sends a copy and throws the answer away.
func (m *mirrors) send(c *copied) {
	defer func() {
		if cause := recover(); cause != nil {
			m.failed.Add(1)
			m.log.Error("a copy of a request panicked", slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
		}
		c.snapshot.Release()
		<-m.slots
	}()
	if c.roundTrip(m) {
		m.sent.Add(1)
	} else {
		m.failed.Add(1)
	}
}

// roundTrip tells whether the service took the copy. It minds the service's breaker and limits as every request does; when there
// is too much to do, copies go first.
func (c *copied) roundTrip(owner *mirrors) bool {
	service, now := c.mirror.Upstream, time.Now()
	limiter := service.Limiter(c.window)
	ticket, ok := limiter.TryAcquire(now, overload.Sheddable)
	if !ok {
		return false
	}
	defer func() { limiter.Release(ticket, time.Now(), overload.Untold) }()
	permit, refusal, _ := service.Enter(c.window)
	if refusal != upstream.RefusalNone {
		return false
	}
	defer permit.Leave()
	target := service.Pick(upstream.Choice{Window: c.window, Now: now})
	if target == nil {
		return false
	}
	defer target.Done(c.window)
	if service.Reserve(c.window, target, 0) != nil {
		service.Report(c.window, target, upstream.FailureUnknown, 0, time.Now())
		return false
	}
	defer target.Free()
	call := http1.Call{
		Method: c.method, Host: c.host, Target: target.Prefix() + c.target, Header: &c.header, ContentLength: int64(len(c.body)),
		HeaderTimeout: c.mirror.Timeout, Idle: c.mirror.Timeout, Deadline: now.Add(c.mirror.Timeout), Downstream: owner,
	}
	if len(c.body) > 0 {
		call.Body = bytes.NewReader(c.body)
	}
	if c.mirror.HostOfTarget {
		call.Host = target.Authority()
	}
	var response upstream.Response
	failed := service.RoundTrip(target, &call, &response)
	failure := failureOf(&response, failed)
	if failed != nil && failed.Source != http1.Upstream {
		failure = upstream.FailureUnknown
	}
	ended := endOf(&response)
	service.Report(c.window, target, failure, ended.Sub(now), ended)
	permit.Settle(failure)
	if failed != nil {
		return false
	}
	_, _ = io.CopyN(io.Discard, &response, longestEcho)
	response.Release()
	return true
}
