package fleetagent

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Config shapes an agent. Identity and Addresses must be set.
type Config struct {
	Identity *Identity
	// Addresses are the replicas of the control plane, host:port. The agent begins with the first, and goes on with the next
	// whenever it has lost one or is asked to move.
	Addresses []string
	// Contents may be shared by many agents; nil: its own.
	Contents *Contents
	// Dial may be nil.
	Dial Dialer

	// Answer says what the agent answers a desired state with, given what a good agent would say: it may send that at once,
	// later, twice, something else, or never. It has a goroutine of its own for each state, and ctx ends with the stream.
	// nil: what a good agent would say, at once.
	Answer func(ctx context.Context, answer *agentv1.Acknowledgement, send func(*agentv1.Acknowledgement))
	// Served is called when a good answer to a state was sent, and Delivered when the fast lane is held up to a sequence. Both
	// may be nil, and must not take long.
	Served    func(state *agentv1.DesiredState)
	Delivered func(batch *agentv1.LaneBatch)

	// Report makes the cells of one report, which covers ReportInterval (0: one second); nil: the agent reports nothing.
	Report         func() []*agentv1.Cell
	ReportInterval time.Duration
	// Labels are told to the control plane.
	Labels map[string]string
}

// Agent is one agent. Its methods may be called from any goroutine; Run once.
type Agent struct {
	// set once
	config Config
	bootID string

	// of the stream's goroutine
	partial        transfer
	chunksOfStream int
	parts          *agentv1.PartialLane // of a lane from nothing that is not whole; nil: none
	partEntries    int64

	// guarded by mu
	mu         sync.Mutex
	state      State
	holds      map[revision.Digest]held
	desired    *agentv1.DesiredState
	connection *grpc.ClientConn
	changed    chan struct{} // closed and made anew by every change

	// safe by themselves
	received atomic.Int64
	reports  reports
}

// held is a content, and the revision that it was received as.
type held struct {
	reference *agentv1.RevisionReference
	content   *revision.Content
}

// State is what an agent holds, serves and has seen.
type State struct {
	// Connected says that the configuration stream is welcomed, and Address where it leads.
	Connected bool
	Address   string
	// Epoch and Generation are those of the state that it serves.
	Epoch, Generation int64
	// Stable, Candidate and SharePPM are what it serves; 0: nothing.
	Stable, Candidate int64
	SharePPM          uint32
	// LaneEpoch and LaneSequence say how far it holds the fast lane, and LaneEntries how many resources it was told of.
	LaneEpoch, LaneSequence, LaneEntries int64
	// Sessions counts its streams that were welcomed, Refused what it did not get a stream for, Moves how often it was asked
	// to go to another replica, and Resets how often the lane began from nothing.
	Sessions, Refused, Moves, Resets int64
	// Chunks counts the parts of contents that it was sent, and Resumed the transfers that went on where another had stopped.
	Chunks, Resumed int64
	// ReportsStored counts the reports that the control plane has acknowledged.
	ReportsStored int64
	// Fault is why the last stream ended, or the last state was refused.
	Fault string
}

// New makes an agent that does nothing before Run.
func New(config Config) *Agent {
	if config.Contents == nil {
		config.Contents = NewContents()
	}
	if config.Dial == nil {
		config.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	if config.ReportInterval == 0 {
		config.ReportInterval = time.Second
	}
	return &Agent{
		config: config, bootID: rand.Text(), holds: map[revision.Digest]held{}, changed: make(chan struct{}),
		desired: new(agentv1.DesiredState),
	}
}

// ID is the agent's id.
func (a *Agent) ID() string { return a.config.Identity.AgentID }

// BytesReceived is what came over its connections, with TLS and all.
func (a *Agent) BytesReceived() int64 { return a.received.Load() }

// State returns what the agent holds and serves now.
func (a *Agent) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// Await waits until the agent's state satisfies a condition.
func (a *Agent) Await(ctx context.Context, is func(State) bool) (State, error) {
	for {
		a.mu.Lock()
		state, changed := a.state, a.changed
		a.mu.Unlock()
		if is(state) {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, context.Cause(ctx)
		}
	}
}

// update changes the state and tells those who wait.
func (a *Agent) update(change func(*State)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.state)
	close(a.changed)
	a.changed = make(chan struct{})
}

// Cut breaks the agent's connection, and with it its streams. It connects again.
func (a *Agent) Cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.connection != nil {
		_ = a.connection.Close() // it is broken either way
	}
}

// counted counts what a connection brings.
type counted struct {
	net.Conn
	received *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// dial is the dialer of the agent's connections.
func (a *Agent) dial(ctx context.Context, address string) (net.Conn, error) {
	connection, err := a.config.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: connection, received: &a.received}, nil
}
