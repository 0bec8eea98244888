package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestWhatManyNeedIsLoadedOnce(t *testing.T) {
	t.Parallel()
	cache := newShared[int](1000, func(text string) int { return len(text) })
	var loads atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			value, err := cache.get(t.Context(), 7, func(context.Context) (string, error) {
				loads.Add(1)
				return "seven", nil
			})
			if err != nil || value != "seven" {
				t.Errorf("%q, %v", value, err)
			}
		})
	}
	group.Wait()
	if loads.Load() != 1 {
		t.Errorf("it was loaded %d times", loads.Load())
	}
}

func TestWhatIsKeptIsBoundedAndErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	cache := newShared[int](25, func(text string) int { return len(text) })
	load := func(value string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return value, err }
	}
	get := func(key int, value string) string {
		got, err := cache.get(t.Context(), key, load(value, nil))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	get(1, "0123456789")
	get(2, "0123456789")
	get(1, "is kept") // and is now the most recently used
	get(3, "0123456789")
	if get(1, "was lost") != "0123456789" || get(2, "was lost") != "was lost" {
		t.Error("what was used last was forgotten first")
	}
	if get(4, strings.Repeat("x", 26)) == "" || cache.bytes > 25 {
		t.Errorf("%d bytes are kept", cache.bytes)
	}
	fault := errors.New("fault")
	if _, err := cache.get(t.Context(), 5, load("", fault)); !errors.Is(err, fault) {
		t.Error(err)
	}
	if get(5, "better") != "better" {
		t.Error("an error was kept")
	}
}

func TestADeltaIsCutIntoChunks(t *testing.T) {
	t.Parallel()
	var upserts []store.ContentUpsert
	for i := range 40 {
		upserts = append(upserts, store.ContentUpsert{
			Kind: configv1.Kind_KIND_ROUTE, Name: fmt.Sprint(i), Body: bytes.Repeat([]byte{1}, 20_000),
		})
	}
	upserts = append(upserts, store.ContentUpsert{Kind: configv1.Kind_KIND_ROUTE, Name: "huge", Body: make([]byte, chunkLimit+1)})
	deletes := []store.ContentDelete{{Kind: configv1.Kind_KIND_ROUTE, Name: "gone"}}
	messages := chunked(store.RevisionReference{Number: 1}, store.RevisionReference{Number: 2}, upserts, deletes)
	count := 0
	for i, message := range messages {
		chunk := message.GetContent()
		count += len(chunk.GetUpserts()) + len(chunk.GetDeletes())
		if int(chunk.GetIndex()) != i || chunk.GetLast() != (i == len(messages)-1) || chunk.GetTo().GetRevision() != 2 {
			t.Errorf("chunk %d: index %d, last %v", i, chunk.GetIndex(), chunk.GetLast())
		}
		if proto.Size(message) > chunkLimit+1000 && len(chunk.GetUpserts()) > 1 {
			t.Errorf("chunk %d has %d bytes", i, proto.Size(message))
		}
	}
	if count != 42 || len(messages) < 5 {
		t.Errorf("%d resources in %d chunks", count, len(messages))
	}
	if empty := chunked(store.RevisionReference{}, store.RevisionReference{}, nil, nil); len(empty) != 1 || !empty[0].GetContent().GetLast() {
		t.Errorf("an empty delta is %v", empty)
	}
}

func TestTheBaseOfADelta(t *testing.T) {
	t.Parallel()
	root := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }
	revision := func(n int64) store.RevisionReference { return store.RevisionReference{Number: n, Root: root(byte(n))} }
	said := func(numbers ...int64) (references []*agentv1.RevisionReference) {
		for _, n := range numbers {
			references = append(references, reference(revision(n)))
		}
		return references
	}
	roots := map[int64][]byte{1: root(1), 2: root(2), 3: root(99)}
	for _, c := range []struct {
		name   string
		hold   func() holding
		wanted store.RevisionReference
		want   int64
	}{
		{"nothing held", func() holding { return newHolding(nil, roots) }, revision(5), 0},
		{"the nearest", func() holding { return newHolding(said(1, 2), roots) }, revision(5), 2},
		{"another root under the number", func() holding { return newHolding(said(1, 3), roots) }, revision(5), 1},
		{"the same content", func() holding { return newHolding(said(1, 2), roots) }, store.RevisionReference{Number: 9, Root: root(1)}, 1},
		{"what is certain before what was sent", func() holding {
			h := newHolding(said(1), roots)
			h.add(revision(2))
			return h
		}, revision(3), 1},
		{"what it serves is certain", func() holding {
			h := newHolding(said(1), roots)
			h.add(revision(2))
			h.serves(&agentv1.Serving{StableRevision: 1, CandidateRevision: 2})
			return h
		}, revision(3), 2},
		{"what it refused is not", func() holding {
			h := newHolding(said(1), roots)
			h.add(revision(2))
			h.distrust(&agentv1.Serving{StableRevision: 1})
			return h
		}, revision(3), 1},
		{"what the last state does not name", func() holding {
			h := newHolding(said(1, 2), roots)
			h.keepOnly(&agentv1.DesiredState{Stable: reference(revision(1))})
			return h
		}, revision(3), 1},
	} {
		h := c.hold()
		if got := h.base(c.wanted); got.Number != c.want {
			t.Errorf("%s: from revision %d, want %d", c.name, got.Number, c.want)
		}
	}
}

func TestReportsOfASessionAreMerged(t *testing.T) {
	t.Parallel()
	acknowledgement := &store.AgentAcknowledgement{Generation: 3}
	b := newBoard(nil, nil, nil)
	b.add(store.AgentReport{ID: "a", Session: 1, Connected: true, Seen: true, Acknowledgement: acknowledgement, FailedRollout: 4})
	b.add(store.AgentReport{ID: "a", Session: 1, Connected: true, Seen: true, Serving: &store.AgentServing{Stable: 2}})
	b.add(store.AgentReport{ID: "a", Session: 1})
	b.add(store.AgentReport{ID: "a", Session: 1, Connected: true, Seen: true})
	b.add(store.AgentReport{ID: "b", Session: 7, Connected: true})
	b.add(store.AgentReport{ID: "b", Session: 5})
	reports := map[string]store.AgentReport{}
	for _, report := range b.take() {
		reports[report.ID] = report
	}
	a := reports["a"]
	if a.Connected || !a.Seen || a.Acknowledgement != acknowledgement || a.Serving.Stable != 2 || a.FailedRollout != 4 {
		t.Errorf("a: %+v", a)
	}
	if reports["b"].Session != 7 || len(reports) != 2 {
		t.Errorf("b: %+v", reports["b"])
	}
	// What could not be written comes behind what was said since.
	b.add(store.AgentReport{ID: "a", Session: 1, Seen: true, Acknowledgement: &store.AgentAcknowledgement{Generation: 4}})
	b.giveBack([]store.AgentReport{a})
	if again := b.take(); len(again) != 1 || again[0].Acknowledgement.Generation != 4 || again[0].FailedRollout != 4 {
		t.Errorf("again: %+v", again)
	}
}

func TestAlphaIsSharedByTheAgentsThatMayHoldTheCandidate(t *testing.T) {
	t.Parallel()
	one, many := &configv1.Step{Agents: 1, TrafficPercent: 10}, &configv1.Step{AgentsPercent: 100, TrafficPercent: 50}
	for _, c := range []struct {
		name   string
		steps  []*configv1.Step
		agents int64
		judged int32
		want   float64
	}{
		{"one agent of a hundred", []*configv1.Step{one}, 100, 0, 1},
		{"all of three are four", []*configv1.Step{one, many}, 3, 0, 4},
		{"all of four", []*configv1.Step{many}, 4, 0, 4},
		{"a tenth", []*configv1.Step{{AgentsPercent: 10}}, 1000, 0, 103},
		{"none yet", []*configv1.Step{many}, 0, 0, 1},
		{"what the rollout fixed", []*configv1.Step{many}, 3, 17, 17},
	} {
		encoded, err := proto.Marshal(&configv1.Strategy{Steps: c.steps})
		if err != nil {
			t.Fatal(err)
		}
		guard, err := guardOf(&store.DeliveredRollout{Strategy: encoded, JudgedAgents: c.judged}, c.agents)
		if err != nil {
			t.Fatal(err)
		}
		want := c.want * guardComparisons * 2 / 0.01
		if math.Abs(guard.GetThreshold()-want) > 1e-6*want || guard.GetTolerance() != 1.1 {
			t.Errorf("%s: threshold %v, want %v, tolerance %v", c.name, guard.GetThreshold(), want, guard.GetTolerance())
		}
	}
}

func TestReasonsFitAndAreText(t *testing.T) {
	t.Parallel()
	faults := make([]*agentv1.ResourceError, 1000)
	for i := range faults {
		faults[i] = &agentv1.ResourceError{Resource: "routes/é", Code: "compile", Message: "x\x00y"}
	}
	text := reasons(faults)
	if len(text) > errorLimit || strings.ContainsRune(text, 0) || !strings.HasPrefix(text, "routes/é: compile: xy\n") {
		t.Errorf("%d bytes: %.40q", len(text), text)
	}
}
