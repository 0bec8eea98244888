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
}

type connectionKey struct{}

// nobody stands for a connection that is not known.
var nobody = &connection{peer: netip.IPv4Unspecified(), peerText: "0.0.0.0"}

func (p *Proxy) connectionOf(conn net.Conn) *connection {
	c := &connection{peer: nobody.peer}
	if address, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.peer = address.Addr().Unmap().WithZone("")
	}
	c.peerText = c.peer.String()
	c.trusted = p.trusted.has(c.peer)
	for conn != nil {
		if secure, ok := conn.(*tls.Conn); ok {
			state := secure.ConnectionState()
			c.tls = &state
			break
		}
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	return c
}

func (c *connection) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

func (p *Proxy) connectionContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, p.connectionOf(conn))
}

func connectionIn(ctx context.Context) *connection {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		return c
	}
	return nobody
}
