package listener

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
)

// Conn is a client's connection. It is a socket like any other, so that whoever serves it can use what sockets can; only its
// end is counted, and its remote address is the client's where a proxy told it.
type Conn struct {
	*net.TCPConn

	// Set once, before it is handed out.
	gate   *Gate
	name   string
	source netip.AddrPort
	peer   netip.Addr // what is counted for its ceiling; invalid: nothing
	auth   *ClientAuth

	closed atomic.Bool
}

type tlsConn interface {
	net.Conn
	NetConn() net.Conn
	ConnectionState() tls.ConnectionState
}

// Of finds the connection that was accepted below what is served: conn itself, or what it encrypts or wraps. nil: conn does not
// come from a listener.
func Of(conn net.Conn) *Conn {
	for {
		switch c := conn.(type) {
		case *Conn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// Source is the address of the client: the peer's, or what a trusted proxy said it is.
func (c *Conn) Source() netip.AddrPort { return c.source }

// RemoteAddr implements net.Conn: Source.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.source) }

// ClientAuth is the policy for client certificates under which the handshake was done; nil: none was asked for.
func (c *Conn) ClientAuth() *ClientAuth { return c.auth }

// Close implements net.Conn.
func (c *Conn) Close() error {
	err := c.TCPConn.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.gate.release(c)
	}
	return err
}

func addressOf(address net.Addr) netip.AddrPort {
	if tcp, ok := address.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
	}
	return netip.AddrPort{}
}

// Prefixes are sets of addresses.
type Prefixes []netip.Prefix

// Has tells whether an address is in one of them.
func (p Prefixes) Has(address netip.Addr) bool {
	address = address.Unmap()
	for _, prefix := range p {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
