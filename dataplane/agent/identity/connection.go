package identity

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// largestMessage is the largest message that is taken from the control plane, in bytes.
const largestMessage = 16 << 20

// Connection leads to the control plane. It proves the identity when it is made, so it is made anew when that changed. It is
// safe for concurrent use.
type Connection struct {
	store   *Store
	current atomic.Pointer[grpc.ClientConn]

	mu       sync.Mutex // guards replicas, and is held while the connection is made anew
	replicas replicas
	// connected is the address that answered last. Atomic.
	connected atomic.Pointer[string]
}

// Dial makes a connection to the control plane at host:port, or at any of several that are separated by commas. It does not wait
// for it.
func Dial(addresses string, store *Store) (*Connection, error) {
	found, err := parseReplicas(addresses)
	if err != nil {
		return nil, err
	}
	c := &Connection{replicas: found, store: store}
	return c, c.Redial()
}

// Move makes the connection anew with the present replica as the last to be tried. With one replica alone it does nothing.
func (c *Connection) Move() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.replicas) < 2 {
		return nil
	}
	if present := c.connected.Load(); present != nil {
		c.replicas = c.replicas.without(*present)
	}
	return c.redial()
}

// Redial makes the connection anew. The streams of the former one end.
func (c *Connection) Redial() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.redial()
}

func (c *Connection) redial() error {
	connected := func(address string) { c.connected.Store(&address) }
	conn, err := c.replicas.dial(c.store.TLS, connected,
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// A network that swallows packets is noticed after a quarter of a minute.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestMessage)),
	)
	if err != nil {
		return fmt.Errorf("connecting to the control plane: %w", err)
	}
	if before := c.current.Swap(conn); before != nil {
		return before.Close()
	}
	return nil
}

// Close ends the connection and its streams.
func (c *Connection) Close() error { return c.current.Load().Close() }

// Invoke implements grpc.ClientConnInterface.
func (c *Connection) Invoke(ctx context.Context, method string, in, out any, options ...grpc.CallOption) error {
	return c.current.Load().Invoke(ctx, method, in, out, options...)
}

// NewStream implements grpc.ClientConnInterface.
func (c *Connection) NewStream(ctx context.Context, stream *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.current.Load().NewStream(ctx, stream, method, options...)
}
