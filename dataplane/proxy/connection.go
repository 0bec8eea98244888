package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/netip"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/listener"
)

// connection is what is known of a client's connection, for all of its exchanges.
type connection struct {
	peer     netip.Addr
	peerText string
	trusted  bool
	// tls is nil in clear text.
	tls *tls.ConnectionState
	// proof is nil if the client did not prove who it is; policy says to whom it did.
	proof  *proof
	policy [sha256.Size]byte
	// recollection is of the exchanges of HTTP/1.1, of which there is one at a time.
	recollection lane.Recollection
}

type connectionKey struct{}

// nobody stands for a connection that is not known.
var nobody = &connection{peer: netip.IPv4Unspecified(), peerText: "0.0.0.0"}

func (p *Proxy) connectionOf(conn net.Conn) *connection {
	c := &connection{peer: nobody.peer}
	accepted := listener.Of(conn)
	if accepted != nil && accepted.Source().IsValid() {
		c.peer = accepted.Source().Addr()
	}
	c.peerText = c.peer.String()
	c.trusted = p.trusted.has(c.peer)
	secure, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return c
	}
	state := secure.ConnectionState()
	c.tls = &state
	if accepted != nil && accepted.ClientAuth() != nil && len(state.VerifiedChains) > 0 {
		c.proof, c.policy = newProof(state.PeerCertificates[0]), accepted.ClientAuth().Fingerprint
	}
	return c
}

// provedTo tells whether the client proved who it is under a policy.
func (c *connection) provedTo(policy [sha256.Size]byte) bool {
	return c.proof != nil && c.policy == policy
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
