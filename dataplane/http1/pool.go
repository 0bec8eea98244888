package http1

import (
	"context"
	"net"
	"sync"
	"time"
)

// PoolConfig makes a pool.
type PoolConfig struct {
	// Dial opens a connection to the target, its TLS handshake included.
	Dial func(ctx context.Context) (net.Conn, error)
	// Limits bound what the target may send; those of time that do not concern an upstream are not used.
	Limits Limits
	// MaxIdle bounds the connections that are kept. Default 256; less than 0 keeps none.
	MaxIdle int
	// MaxOpen bounds all connections. Default: no bound.
	MaxOpen int
	// IdleTimeout is how long a connection is kept without being used. Default 60 s.
	IdleTimeout time.Duration
	// DialTimeout is how long opening a connection may take. Default 5 s.
	DialTimeout time.Duration
	// ContinueTimeout is how long the target may take to say 100 (Continue) before the body is sent anyway. Default 1 s.
	ContinueTimeout time.Duration
}

// Pool keeps connections to one target. The one used last is used next, so that no more stay open than are needed. It is safe
// for concurrent use.
type Pool struct {
	config PoolConfig
	limits Limits

	// Guarded by mu.
	mu     sync.Mutex
	idle   []*carrier // the one used last is at the end
	open   int
	closed bool
	timer  *time.Timer // closes what is idle for too long; nil if nothing is idle
}

// NewPool makes a pool, which opens connections when they are needed.
func NewPool(config PoolConfig) *Pool {
	if config.MaxIdle == 0 {
		config.MaxIdle = 256
	}
	if config.IdleTimeout <= 0 {
		config.IdleTimeout = time.Minute
	}
	if config.DialTimeout <= 0 {
		config.DialTimeout = 5 * time.Second
	}
	if config.ContinueTimeout <= 0 {
		config.ContinueTimeout = time.Second
	}
	return &Pool{config: config, limits: config.Limits.withDefaults()}
}

// carrier is a connection to the target.
type carrier struct {
	stream

	pool      *Pool
	response  Response
	rawReader rawReader
	sent      int64 // of a body, together with the head
	// client waits for the response; nil if nobody does who could go away.
	client    Waiter
	reused    bool
	idleSince time.Time
}

// briefly is how long a connection may be idle and still be used without being looked at, if the last read left nothing in its
// socket. What could go wrong in so short a time can go wrong as well between looking and sending.
const briefly = 5 * time.Millisecond

// take finds a connection, or opens one. A connection that has ended, or on which something arrived that nobody asked for, is
// not used.
func (p *Pool) take(call *Call, now time.Time) (*carrier, *Failure) {
	for {
		c, failure := p.pop()
		if failure != nil {
			return nil, failure
		}
		if c == nil {
			return p.dial(call, now)
		}
		// Whatever arrived meanwhile would be taken for the response, and a connection that has ended would cost a retry, or
		// the request if that may not be done twice.
		idle := now.Sub(c.idleSince)
		if idle < briefly && c.emptied && call.idempotent() || idle < p.config.IdleTimeout && c.peek() == nothing {
			c.reused = true
			return c, nil
		}
		c.close()
	}
}

// pop takes the connection that was used last, nil if a new one may be opened.
func (p *Pool) pop() (*carrier, *Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle) - 1; n >= 0 {
		c := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		return c, nil
	}
	if p.config.MaxOpen > 0 && p.open >= p.config.MaxOpen {
		return nil, &Failure{Exhausted, Gateway, RetrySafe, errExhausted}
	}
	p.open++
	return nil, nil
}

// dial opens a connection, which pop has counted.
func (p *Pool) dial(call *Call, now time.Time) (*carrier, *Failure) {
	timeout := p.config.DialTimeout
	if call.ConnectTimeout > 0 {
		timeout = call.ConnectTimeout
	}
	deadline := now.Add(timeout)
	reason := Unreachable
	if !call.Deadline.IsZero() && call.Deadline.Before(deadline) {
		deadline, reason = call.Deadline, TimedOut
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	conn, err := p.config.Dial(ctx)
	if err != nil {
		p.gone()
		if ctx.Err() == nil {
			reason = Unreachable
		}
		return nil, &Failure{reason, Upstream, RetrySafe, err}
	}
	c := &carrier{pool: p}
	c.open(conn, &p.limits)
	c.in = make([]byte, headRoom)
	return c, nil
}

// put keeps a connection for the next exchange.
func (p *Pool) put(c *carrier, now time.Time) {
	c.idleSince = now
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.config.MaxIdle {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.config.IdleTimeout, p.sweep)
	}
	p.mu.Unlock()
}

// sweep closes the connections that are idle for too long, which are at the beginning.
func (p *Pool) sweep() {
	p.mu.Lock()
	oldest := instant().Add(-p.config.IdleTimeout)
	n := 0
	for n < len(p.idle) && !p.idle[n].idleSince.After(oldest) {
		n++
	}
	expired := append([]*carrier(nil), p.idle[:n]...)
	kept := copy(p.idle, p.idle[n:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	p.timer = nil
	if kept > 0 && !p.closed {
		p.timer = time.AfterFunc(p.idle[0].idleSince.Sub(oldest), p.sweep)
	}
	p.mu.Unlock()
	for _, c := range expired {
		c.close()
	}
}

// Close closes the connections that are idle, and those in use when their exchanges are over.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Forget()
}

// Forget closes the connections that are idle, since they may lead nowhere any more. New ones are opened when they are needed.
func (p *Pool) Forget() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// Size is how many connections are idle, and how many are open.
func (p *Pool) Size() (idle, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle), p.open
}

func (p *Pool) gone() {
	p.mu.Lock()
	p.open--
	p.mu.Unlock()
}

func (c *carrier) close() {
	_ = c.conn.Close()
	c.pool.gone()
}
