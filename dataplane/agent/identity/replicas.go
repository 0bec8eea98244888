package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// replicas are where the control plane can be reached: one address, host:port, or several.
type replicas []resolver.Address

// parseReplicas reads addresses that are separated by commas. They come in an order of chance, so that the agents of a fleet are
// spread; each agent goes through its own from the front whenever it has lost its connection.
func parseReplicas(list string) (replicas, error) {
	var found replicas
	for text := range strings.SplitSeq(list, ",") {
		address := strings.TrimSpace(text)
		host, _, err := net.SplitHostPort(address)
		if err != nil || host == "" {
			return nil, fmt.Errorf("the control plane's address %q is not host:port", address)
		}
		found = append(found, resolver.Address{Addr: address, ServerName: host, Attributes: attributes.New(addressKey{}, address)})
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found, nil
}

// addressKey finds, in a handshake, the address as it was given.
type addressKey struct{}

// without is the order of chance in which the others are tried before the one at the address.
func (r replicas) without(address string) replicas {
	var others, last replicas
	for _, one := range r {
		if one.Addr == address {
			last = append(last, one)
		} else {
			others = append(others, one)
		}
	}
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append(others, last...)
}

// dial makes a connection to whichever replica answers. Each must prove the name by which it was called; shape makes the TLS
// settings of a name. connected is told the address of each that answers; it may be nil.
func (r replicas) dial(shape func(host string) *tls.Config, connected func(address string), options ...grpc.DialOption) (*grpc.ClientConn, error) {
	known := manual.NewBuilderWithScheme("replicas")
	known.InitialState(resolver.State{Addresses: r})
	return grpc.NewClient(known.Scheme()+":///control-plane",
		append(options, grpc.WithResolvers(known), grpc.WithTransportCredentials(&named{shape: shape, connected: connected}))...)
}

// named is TLS to servers of several names.
type named struct {
	shape     func(host string) *tls.Config
	connected func(address string) // may be nil
}

var errNotServer = errors.New("these credentials are a client's")

// ClientHandshake implements credentials.TransportCredentials.
func (n *named) ClientHandshake(ctx context.Context, host string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := credentials.NewTLS(n.shape(host)).ClientHandshake(ctx, host, conn)
	address, known := credentials.ClientHandshakeInfoFromContext(ctx).Attributes.Value(addressKey{}).(string)
	if err == nil && known && n.connected != nil {
		n.connected(address)
	}
	return secured, info, err
}

// ServerHandshake implements credentials.TransportCredentials.
func (n *named) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errNotServer
}

// Info implements credentials.TransportCredentials.
func (n *named) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13}).Info()
}

// Clone implements credentials.TransportCredentials.
func (n *named) Clone() credentials.TransportCredentials {
	return &named{shape: n.shape, connected: n.connected}
}

// OverrideServerName implements credentials.TransportCredentials. Every address has a name of its own.
func (n *named) OverrideServerName(string) error { return nil }
