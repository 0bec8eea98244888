package listener

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound connections. Zero fields take the defaults.
type Limits struct {
	// Connections is the number of connections in all. Default 20,000.
	Connections int
	// PerClient is the number of connections of one client: an address, of IPv6 a /64 network, since that is what one client
	// gets. Trusted proxies are not counted; the clients that they name are. Default half of Connections.
	PerClient int
	// Handshakes is the number of TLS handshakes at a time, and HandshakeQueue how many may wait for their turn. Beyond that
	// connections are closed. Defaults 2,000 and 8,000.
	Handshakes     int
	HandshakeQueue int
	// Handshake is how long a handshake may take, waiting included. Default 10 s.
	Handshake time.Duration
	// ProxyHeader is how long the header of the PROXY protocol may take. Default 5 s.
	ProxyHeader time.Duration
	// Full, if it is not nil, tells whether no connection can be taken now, for want of memory.
	Full func() bool
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Connections, 20_000)
	setDefault(&l.PerClient, max(1, l.Connections/2))
	setDefault(&l.Handshakes, 2_000)
	setDefault(&l.HandshakeQueue, 8_000)
	setDefault(&l.Handshake, 10*time.Second)
	setDefault(&l.ProxyHeader, 5*time.Second)
	return l
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Refusal is why a connection was not admitted.
type Refusal uint8

// Why connections are refused.
const (
	// RefusedConnections: there are as many as there may be.
	RefusedConnections Refusal = iota
	// RefusedClient: one client has as many as it may.
	RefusedClient
	// RefusedDescriptors: the process, or the system, has no descriptor left.
	RefusedDescriptors
	// RefusedProxyProtocol: the header of the PROXY protocol is missing, malformed, late, or from somebody who is not trusted.
	RefusedProxyProtocol
	// RefusedHandshakes: too many handshakes wait already.
	RefusedHandshakes
	// RefusedMemory: there is no memory for one more.
	RefusedMemory
	refusals
	admitted = refusals
)

var refusalNames = [refusals]string{"connections", "client", "descriptors", "proxy_protocol", "handshakes", "memory"}

// Gate bounds and counts the connections of all listeners of a process. Its methods may be called by several goroutines.
type Gate struct {
	// Set once.
	limits  Limits
	turns   chan struct{} // one is taken for each handshake
	clients [clientShards]clientShard

	// Atomic.
	open         atomic.Int64
	accepted     atomic.Uint64
	acceptErrors atomic.Uint64
	handshaking  atomic.Int64
	refused      [refusals]atomic.Uint64
	handshakes   atomic.Uint64
	resumed      atomic.Uint64
	failures     [failures]atomic.Uint64
	excesses     [excesses]atomic.Uint64
}

const clientShards = 64

// clientShard counts the connections of some clients.
type clientShard struct {
	mu     sync.Mutex
	counts map[netip.Addr]int
}

// NewGate makes a gate.
func NewGate(limits Limits) *Gate {
	g := &Gate{limits: limits.withDefaults()}
	g.turns = make(chan struct{}, g.limits.Handshakes)
	for i := range g.clients {
		g.clients[i].counts = make(map[netip.Addr]int)
	}
	return g
}

// admit makes a connection of a socket, if there is room for it.
func (g *Gate) admit(socket *net.TCPConn, name string, exempt bool) (*Conn, Refusal) {
	if g.limits.Full != nil && g.limits.Full() {
		return nil, RefusedMemory
	}
	if g.open.Add(1) > int64(g.limits.Connections) {
		g.open.Add(-1)
		return nil, RefusedConnections
	}
	c := &Conn{TCPConn: socket, gate: g, name: name, source: addressOf(socket.RemoteAddr())}
	if !exempt && !g.enter(c, c.source.Addr()) {
		g.open.Add(-1)
		return nil, RefusedClient
	}
	g.accepted.Add(1)
	return c, admitted
}

// rename counts a connection for the client that a proxy named. It tells whether there is room.
func (g *Gate) rename(c *Conn, source netip.AddrPort) bool {
	g.leave(c)
	c.source = source
	return g.enter(c, source.Addr())
}

func (g *Gate) enter(c *Conn, address netip.Addr) bool {
	peer := clientOf(address)
	shard := g.shard(peer)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.counts[peer] >= g.limits.PerClient {
		return false
	}
	shard.counts[peer]++
	c.peer = peer
	return true
}

func (g *Gate) leave(c *Conn) {
	if !c.peer.IsValid() {
		return
	}
	shard := g.shard(c.peer)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.counts[c.peer]--; shard.counts[c.peer] <= 0 {
		delete(shard.counts, c.peer)
	}
	c.peer = netip.Addr{}
}

func (g *Gate) release(c *Conn) {
	g.leave(c)
	g.open.Add(-1)
}

func (g *Gate) shard(peer netip.Addr) *clientShard {
	bytes := peer.As16()
	// The last bytes tell addresses of IPv4 apart, the seventh and eighth networks of IPv6.
	return &g.clients[(bytes[15]^bytes[14]*7^bytes[7]*31^bytes[6]*13)%clientShards]
}

// clientOf is what counts as one client.
func clientOf(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return address
}

// Counts is what a gate has counted.
type Counts struct {
	// Open is how many connections there are, Handshaking how many of them are in a handshake or wait for one.
	Open, Handshaking int64
	// Accepted, AcceptErrors, Handshakes and Resumed count since the start: connections that were admitted, errors of accepting,
	// handshakes that were done, and those of them that resumed a session.
	Accepted, AcceptErrors, Handshakes, Resumed uint64
	// Refused, Failed and Excesses are by cause: connections that were refused, handshakes that failed, and connections of HTTP/2
	// that were ended since their clients did too much.
	Refused, Failed, Excesses map[string]uint64
}

// Counts tells what was counted so far.
func (g *Gate) Counts() Counts {
	resumed := g.resumed.Load() // before the handshakes, of which they are a part
	c := Counts{
		Open: g.open.Load(), Handshaking: g.handshaking.Load(), Accepted: g.accepted.Load(), AcceptErrors: g.acceptErrors.Load(),
		Handshakes: g.handshakes.Load(), Resumed: resumed,
		Refused: make(map[string]uint64, refusals), Failed: make(map[string]uint64, failures), Excesses: make(map[string]uint64, excesses),
	}
	for i, name := range refusalNames {
		c.Refused[name] = g.refused[i].Load()
	}
	for i, name := range failureNames {
		c.Failed[name] = g.failures[i].Load()
	}
	for i, name := range excessNames {
		c.Excesses[name] = g.excesses[i].Load()
	}
	return c
}

// GuardHTTP2 guards a connection of HTTP/2 as the function of that name does, and counts excesses.
func (g *Gate) GuardHTTP2(conn net.Conn, limits HTTP2Limits) net.Conn {
	return GuardHTTP2(conn, limits, func(excess Excess) { g.excesses[excess].Add(1) })
}
