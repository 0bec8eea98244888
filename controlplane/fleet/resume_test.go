package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// manyServices are some that come in several chunks.
func manyServices(count int) map[string]string {
	many := map[string]string{}
	for i := range count {
		many[fmt.Sprintf("service-%04d", i)] = "http://127.0.0.1:9001/" + strings.Repeat("x", 300)
	}
	return many
}

// takeChunks takes messages up to so many chunks of a content, and cuts the stream.
func (a *fakeAgent) takeChunks(count uint32) {
	a.t.Helper()
	for a.begun.GetChunks() < count {
		if _, err := a.next(); err != nil {
			a.t.Fatal(err)
		}
	}
	a.cut()
}

func TestATransferThatWasCutGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	first := p.publish(manyServices(4000))
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.takeChunks(2)
	had := agent.upserts
	if had == 0 || had >= 4000 {
		t.Fatalf("%d resources came in two chunks", had)
	}
	agent.connect(address)
	agent.takeChunks(3) // cut again
	had += agent.upserts
	agent.connect(address)
	agent.untilStable(first.Number)
	if had+agent.upserts != 4000 || agent.contents[first.Number].Len() != 4000 {
		t.Errorf("%d resources came before the cuts and %d after them, of 4000", had, agent.upserts)
	}
}

func TestATransferToWhatIsNotWantedAnyMoreIsMadeUseOf(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.publish(manyServices(4000))
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.takeChunks(2)
	had := agent.upserts
	second := p.publish(map[string]string{"service-0000": "http://127.0.0.1:9002"})
	agent.connect(address)
	agent.untilStable(second.Number)
	if had+agent.upserts != 4001 {
		t.Errorf("%d resources came before the cut and %d after it, want 4001 together", had, agent.upserts)
	}
}

func TestChunksThatAreNotTheSameAreNotBelieved(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	first := p.publish(manyServices(4000))
	agent := p.enrolled(address, "one")
	good := func() *agentv1.PartialContent {
		agent.connect(address)
		agent.takeChunks(2)
		return agent.begun
	}()
	for name, spoil := range map[string]func(*agentv1.PartialContent){
		"another digest":   func(c *agentv1.PartialContent) { c.Digest = make([]byte, 32) },
		"more than it has": func(c *agentv1.PartialContent) { c.Chunks = 3 },
		"all of it":        func(c *agentv1.PartialContent) { c.Chunks = 1000 },
		"another root": func(c *agentv1.PartialContent) {
			c.To = &agentv1.RevisionReference{Revision: 1, Root: make([]byte, 32)}
		},
		"from what is not held": func(c *agentv1.PartialContent) {
			c.From = &agentv1.RevisionReference{Revision: 1, Root: first.Root[:]}
		},
	} {
		agent.begun = &agentv1.PartialContent{From: good.GetFrom(), To: good.GetTo(), Chunks: good.GetChunks(), Digest: good.GetDigest()}
		spoil(agent.begun)
		agent.contents, agent.desired = map[int64]*revision.Content{}, nil
		agent.connect(address)
		agent.untilStable(first.Number)
		if agent.upserts != 4000 {
			t.Errorf("%s: %d resources were sent, want all 4000", name, agent.upserts)
		}
		agent.cut()
	}
}

func TestALaneFromNothingComesInPartsAndGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	const keys = 20_000
	var writes []store.LaneWrite
	for i := range keys {
		writes = append(writes, store.LaneWrite{
			Key: revision.Key{Kind: configv1.Kind_KIND_KEY, Name: fmt.Sprintf("key-%06d", i)}, Owner: "acme",
			KeyHash: fmt.Appendf(nil, "%032d", i), Body: p.encode(&configv1.Key{}),
		})
	}
	p.lane(writes...)
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	for agent.parts == nil {
		if _, err := agent.next(); err != nil {
			t.Fatal(err)
		}
	}
	agent.cut()
	had := len(agent.lane)
	if had == 0 || had == keys || agent.laneSeen != 0 {
		t.Fatalf("%d keys came in the first part, and the lane is held up to %d", had, agent.laneSeen)
	}
	// Meanwhile a key of the first part goes, and one comes.
	p.lane(store.LaneWrite{Key: revision.Key{Kind: configv1.Kind_KIND_KEY, Name: "key-000000"}, Owner: "acme", Delete: true},
		store.LaneWrite{Key: revision.Key{Kind: configv1.Kind_KIND_CONSUMER, Name: "acme"}, Body: p.encode(&configv1.Consumer{})})
	agent.connect(address)
	agent.nextDesired()
	if agent.parts != nil || agent.laneSeen != keys+2 || len(agent.lane) != keys || agent.lane["key-000000"] != nil {
		t.Errorf("the lane is held up to %d with %d entries; parts: %v", agent.laneSeen, len(agent.lane), agent.parts)
	}
	if agent.bytes > 90*keys {
		t.Errorf("after the cut %d bytes came, as if from the beginning", agent.bytes)
	}
}
