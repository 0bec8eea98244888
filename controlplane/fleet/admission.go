package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// Bounds of what agents that come at once may ask.
const (
	// arrivalsAtOnce is how many agents are brought up to date at a time; each gives its place back when it has its first state, or
	// after arrivalTimeout, since one behind a slow line must not keep the others out.
	arrivalsAtOnce = 128
	arrivalTimeout = 10 * time.Second
	// arrivalsWaiting is how many more may wait for a place, and arrivalPatience how long: to wait costs less than to come again.
	arrivalsWaiting = 4096
	arrivalPatience = 20 * time.Second
	// handshakesAtOnce is how many TLS handshakes are under way at a time, and handshakePatience how long one waits. Each waits for the
	// other side most of the time, so the bound is on memory, and far above what the processors do at once.
	handshakesAtOnce  = 1024
	handshakePatience = handshakeTimeout / 2
	// leastRetry and mostRetry are between what agents are told to wait.
	leastRetry = time.Second
	mostRetry  = 8 * time.Second
)

// errBusy: more agents come at once than can be served.
var errBusy = errors.New("many agents connect to this replica of the control plane at this moment; try again a little later")

// admission lets agents in so many at a time. When all connections of a large fleet break at once, most of them wait a moment, and
// those for whom there is no room are told to come back at different times. It is safe for concurrent use.
type admission struct {
	places  chan struct{}
	waiting atomic.Int64
	limit   int64
	wait    time.Duration
}

func newAdmission(places, waiting int, patience time.Duration) *admission {
	return &admission{places: make(chan struct{}, places), limit: int64(waiting), wait: patience}
}

// enter waits for a place. leave gives it back, and may be called more than once. errBusy: there is none.
func (a *admission) enter(ctx context.Context) (leave func(), err error) {
	if a.waiting.Add(1) > a.limit+int64(cap(a.places)) {
		a.waiting.Add(-1)
		return nil, errBusy
	}
	defer a.waiting.Add(-1)
	timer := time.NewTimer(a.wait)
	defer timer.Stop()
	select {
	case a.places <- struct{}{}:
		return sync.OnceFunc(func() { <-a.places }), nil
	case <-timer.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// retryDelay is what an agent is told to wait: a different time for each.
func retryDelay() time.Duration { return leastRetry + rand.N(mostRetry-leastRetry) }

// admittedTLS bounds the handshakes that are under way.
type admittedTLS struct {
	credentials.TransportCredentials
	admission *admission
}

func newAdmittedTLS(tls credentials.TransportCredentials) *admittedTLS {
	return &admittedTLS{TransportCredentials: tls, admission: newAdmission(handshakesAtOnce, maxConnections, handshakePatience)}
}

// ServerHandshake implements credentials.TransportCredentials.
func (t *admittedTLS) ServerHandshake(connection net.Conn) (net.Conn, credentials.AuthInfo, error) {
	leave, err := t.admission.enter(context.Background())
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for a handshake: %w", err)
	}
	defer leave()
	return t.TransportCredentials.ServerHandshake(connection)
}

// Clone implements credentials.TransportCredentials.
func (t *admittedTLS) Clone() credentials.TransportCredentials {
	return &admittedTLS{TransportCredentials: t.TransportCredentials.Clone(), admission: t.admission}
}
