package fleet_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	manyAgents    = 1000
	manyResources = 10_000
)

// lightAgent says that it holds a revision, and acknowledges whatever it is told without looking.
type lightAgent struct {
	id         string
	stream     grpc.BidiStreamingClient[agentv1.ConnectRequest, agentv1.ConnectResponse]
	bytes      int
	generation chan int64
}

// BenchmarkPublish publishes one changed resource of 10,000 to 1,000 connected agents, and reports how long it takes from
// before the publish until the last acknowledgement is in the store, how long until 99 of 100 agents have it, and the bytes
// that one agent receives.
func BenchmarkPublish(b *testing.B) {
	p := newPlane(b)
	address := p.start("a").address
	many := map[string]string{}
	for i := range manyResources {
		many[fmt.Sprintf("service-%05d", i)] = "http://127.0.0.1:9001/" + strings.Repeat("x", 200)
	}
	first := p.publish(many)
	root := first.Root
	agents := p.lightAgents(b, address, manyAgents, &agentv1.RevisionReference{Revision: first.Number, Root: root[:]})
	var stored, delivered []time.Duration
	bytes := 0
	for n := 0; b.Loop(); n++ {
		before := agents[0].bytes
		began := time.Now()
		p.publish(map[string]string{"service-00001": fmt.Sprint("http://127.0.0.1:9001/", n)})
		head := p.head()
		took := awaitAll(b, agents, head.Generation, began)
		delivered = append(delivered, took[len(took)*99/100])
		until(b, "all acknowledgements in the store", func() bool { return p.servingAt(head.Generation) == manyAgents })
		stored = append(stored, time.Since(began))
		bytes = agents[0].bytes - before
	}
	slices.Sort(stored)
	slices.Sort(delivered)
	b.ReportMetric(float64(stored[len(stored)/2].Milliseconds()), "ms-to-all-stored-p50")
	b.ReportMetric(float64(stored[len(stored)*99/100].Milliseconds()), "ms-to-all-stored-p99")
	b.ReportMetric(float64(delivered[len(delivered)*99/100].Milliseconds()), "ms-to-99%-of-agents")
	b.ReportMetric(float64(bytes), "bytes/agent")
}

// awaitAll waits until each agent was told of the generation; it returns how long each took, sorted.
func awaitAll(b *testing.B, agents []*lightAgent, generation int64, began time.Time) (took []time.Duration) {
	b.Helper()
	deadline := time.After(30 * time.Second)
	for _, agent := range agents {
		for got := int64(0); got < generation; {
			select {
			case got = <-agent.generation:
			case <-deadline:
				b.Fatal("an agent was not told in time")
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took
}

func (p *plane) head() (head store.Head) {
	p.inTx(func(tx *store.Tx) (err error) {
		head, err = tx.Head(p.t.Context(), p.fleet.ID)
		return err
	})
	return head
}

func (p *plane) servingAt(generation int64) (count int) {
	agents, err := p.directory.Agents(p.t.Context(), p.fleet.Name, "", 10*manyAgents)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, agent := range agents {
		if agent.Generation == generation && agent.Status == "serving" {
			count++
		}
	}
	return count
}

// lightAgents connects agents that were never enrolled over the wire, which would take longer than what is measured.
func (p *plane) lightAgents(b *testing.B, address string, count int, holds *agentv1.RevisionReference) []*lightAgent {
	b.Helper()
	request, key := signingRequest(b)
	agents := make([]*lightAgent, count)
	places := make(chan struct{}, 16)
	var group sync.WaitGroup
	for i := range agents {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			identity := store.AgentIdentity{ID: uuid.NewString(), FleetID: p.fleet.ID, Fleet: p.fleet.Name, Name: fmt.Sprint("agent-", i)}
			chain, notAfter, err := p.keyring.Authority().IssueAgent(request, keyring.Identity{Fleet: identity.Fleet, AgentID: identity.ID}, time.Hour)
			if err != nil {
				b.Error(err)
				return
			}
			p.inTx(func(tx *store.Tx) error { return tx.AddAgent(b.Context(), identity, nil, notAfter) })
			config := &tls.Config{
				MinVersion: tls.VersionTLS13, RootCAs: p.keyring.Authority().Pool(), ServerName: "127.0.0.1",
				Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: key}},
			}
			agents[i] = &lightAgent{id: identity.ID, generation: make(chan int64, 1024)}
			if err := agents[i].connect(b, address, config, holds); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return agents
}

func (a *lightAgent) connect(b *testing.B, address string, config *tls.Config, holds *agentv1.RevisionReference) error {
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return err
	}
	b.Cleanup(func() { _ = connection.Close() })
	if a.stream, err = agentv1.NewAgentServiceClient(connection).Connect(context.WithoutCancel(b.Context())); err != nil {
		return err
	}
	hello := &agentv1.Hello{BootId: "boot", Holds: []*agentv1.RevisionReference{holds}}
	if err := a.stream.Send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: hello}}); err != nil {
		return err
	}
	ready := make(chan error, 1)
	go a.run(ready)
	return <-ready
}

// run acknowledges states until the stream ends; ready gets the outcome of the first.
func (a *lightAgent) run(ready chan<- error) {
	for first := true; ; {
		message, err := a.stream.Recv()
		if err != nil {
			if first {
				ready <- errors.Join(errors.New("no first state"), err)
			}
			return
		}
		a.bytes += proto.Size(message)
		if message.GetDesiredState() == nil {
			continue
		}
		state := &agentv1.DesiredState{}
		if err := proto.Unmarshal(message.GetDesiredState().GetPayload(), state); err != nil {
			return
		}
		_ = a.stream.Send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Acknowledgement{Acknowledgement: &agentv1.Acknowledgement{
			Epoch: state.GetEpoch(), Generation: state.GetGeneration(), Status: serving,
			Serving: &agentv1.Serving{StableRevision: state.GetStable().GetRevision()},
		}}})
		a.generation <- state.GetGeneration()
		if first {
			first = false
			ready <- nil
		}
	}
}
