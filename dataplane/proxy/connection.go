package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
)

// connection is what is known of a client's connection, for all of its exchanges.
type connection struct {
	peer     netip.Addr
	peerText string
	trusted  bool
	// tls is nil in clear text.
	tls *tls.ConnectionState
	// framing watches the heads that arrive over HTTP/1.1; nil for HTTP/2, which has no such ambiguity.
	framing *framing
}

type connectionKey struct{}

// nobody stands for a connection that is not known.
var nobody = &connection{peer: netip.IPv4Unspecified(), peerText: "0.0.0.0"}

func (p *Proxy) connectionContext(ctx context.Context, conn net.Conn) context.Context {
	c := &connection{peer: nobody.peer}
	if address, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.peer = address.Addr().Unmap().WithZone("")
	}
	c.peerText = c.peer.String()
	c.trusted = p.trusted.has(c.peer)
	if watched, ok := conn.(*watchedConn); ok {
		c.framing = &watched.framing
		conn = watched.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		c.tls = &state
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

func connectionOf(ctx context.Context) *connection {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		return c
	}
	return nobody
}

// ambiguous tells whether a message arrived whose length can be read in two ways.
func (c *connection) ambiguous() bool { return c.framing != nil && c.framing.ambiguous.Load() }
