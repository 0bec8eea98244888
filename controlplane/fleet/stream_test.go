package fleet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const serving = agentv1.Acknowledgement_STATUS_SERVING

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("code %v (%v), want %v", got, err, want)
	}
}

func TestAnAgentGetsTheWholeThenOnlyTheChange(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	many := map[string]string{}
	for i := range 3000 {
		many[fmt.Sprintf("service-%04d", i)] = "http://127.0.0.1:9001/" + strings.Repeat("x", 200)
	}
	first := p.publish(many)
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.untilStable(first.Number)
	if agent.welcome.GetHeartbeatIntervalMs() != 1000 || string(agent.welcome.GetKeyHashKey()) != string(p.keyring.KeyHashKey()) {
		t.Errorf("welcome %v", agent.welcome.GetHeartbeatIntervalMs())
	}
	if agent.upserts != 3000 || agent.desired.GetCandidate() != nil {
		t.Errorf("%d resources, state %v", agent.upserts, agent.desired)
	}
	agent.acknowledge(serving, agent.serving())
	until(t, "the acknowledgement in the store", func() bool {
		seen := p.agent(agent.id)
		return seen.Status == "serving" && seen.Stable == first.Number && seen.Generation == agent.desired.GetGeneration()
	})

	agent.bytes, agent.upserts = 0, 0
	second := p.publish(map[string]string{"service-0007": "http://127.0.0.1:9002", "service-0008": "", "new": "http://127.0.0.1:9003"})
	agent.untilStable(second.Number)
	if agent.upserts != 2 || agent.bytes > 2000 {
		t.Errorf("a change of three of 3000 took %d resources and %d bytes", agent.upserts, agent.bytes)
	}
	if got := agent.contents[second.Number].Len(); got != 3000 {
		t.Errorf("%d resources held", got)
	}
}

func TestAnAgentThatComesBackGetsOnlyWhatItMissed(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	former := p.start("a")
	p.publish(map[string]string{"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:1"})
	agent := p.enrolled(former.address, "one")
	agent.connect(former.address)
	agent.untilStable(1)
	agent.acknowledge(serving, agent.serving())
	until(t, "the acknowledgement", func() bool { return p.agent(agent.id).Stable == 1 })
	former.stop()
	wantCode(t, agent.ended(), codes.Unavailable)
	if seen := p.agent(agent.id); seen.Connected {
		t.Error("the agent counts as connected to a replica that stopped")
	}

	p.publish(map[string]string{"b": "http://127.0.0.1:2"})
	p.lane(store.LaneWrite{
		Key:  revision.Key{Kind: configv1.Kind_KIND_CONSUMER, Name: "acme"},
		Body: p.encode(&configv1.Consumer{Disabled: true}),
	})
	again := p.start("a")
	agent.connect(again.address)
	agent.untilStable(2)
	if agent.upserts != 1 {
		t.Errorf("%d resources were sent for one that changed", agent.upserts)
	}
	if !agent.lane["acme"].GetConsumer().GetDisabled() {
		t.Errorf("the lane is %v", agent.lane)
	}
	seen := p.agent(agent.id)
	if !seen.Alive || seen.Version != "test" || seen.Labels["zone"] != "b" || len(seen.Listeners) != 1 {
		t.Errorf("the agent is shown as %+v", seen)
	}
}

func TestTheWayBackIsADeltaToo(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:1", "c": "http://127.0.0.1:1"})
	p.publish(map[string]string{"a": "http://127.0.0.1:2", "b": "", "d": "http://127.0.0.1:1"})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.untilStable(2)
	agent.upserts = 0
	p.promote(1)
	agent.untilStable(1)
	if agent.upserts != 2 || agent.contents[1].Len() != 3 {
		t.Errorf("%d resources were sent, %d are held", agent.upserts, agent.contents[1].Len())
	}
}

func TestTheFastLaneCarriesItsMaterial(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	seal := func(kind configv1.Kind, name string, body []byte) []byte {
		sealed, err := p.keyring.Seal(body, keyring.ResourceContext(p.fleet.ID, kind, name))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	certificate := p.encode(&configv1.Certificate{ServerNames: []string{"example.com"}, CertificatePem: "C", PrivateKeyPem: "K"})
	p.lane(
		store.LaneWrite{Key: revision.Key{Kind: configv1.Kind_KIND_CONSUMER, Name: "acme"}, Body: p.encode(&configv1.Consumer{Plan: "gold"})},
		store.LaneWrite{
			Key: revision.Key{Kind: configv1.Kind_KIND_KEY, Name: "k1"}, Owner: "acme", KeyHash: p.keyring.KeyHash("tg_1"),
			Body: p.encode(&configv1.Key{ExpiresAt: "2030-01-01T00:00:00Z", Scopes: []string{"read"}}),
		},
		store.LaneWrite{
			Key:  revision.Key{Kind: configv1.Kind_KIND_CERTIFICATE, Name: "tls"},
			Body: seal(configv1.Kind_KIND_CERTIFICATE, "tls", certificate),
		},
		store.LaneWrite{
			Key:  revision.Key{Kind: configv1.Kind_KIND_SECRET, Name: "moved"},
			Body: seal(configv1.Kind_KIND_SECRET, "elsewhere", p.encode(&configv1.Secret{Value: "s"})),
		},
		store.LaneWrite{
			Key:  revision.Key{Kind: configv1.Kind_KIND_SECRET, Name: "token"},
			Body: seal(configv1.Kind_KIND_SECRET, "token", p.encode(&configv1.Secret{Value: "s3cret"})),
		},
	)
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	key := agent.lane["k1"].GetKey()
	if key.GetConsumer() != "acme" || key.GetExpiresAt() != time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Unix() ||
		string(key.GetHash()) != string(p.keyring.KeyHash("tg_1")) || len(key.GetScopes()) != 1 {
		t.Errorf("key %v", key)
	}
	if agent.lane["acme"].GetConsumer().GetPlan() != "gold" {
		t.Errorf("consumer %v", agent.lane["acme"])
	}
	if shown := agent.lane["tls"].GetCertificate(); shown.GetPrivateKeyPem() != "K" || shown.GetServerNames()[0] != "example.com" {
		t.Errorf("certificate %v", shown)
	}
	if agent.lane["token"].GetSecret().GetValue() != "s3cret" {
		t.Errorf("secret %v", agent.lane["token"])
	}
	if agent.lane["moved"] != nil {
		t.Error("a secret that was sealed for another name was delivered")
	}
	if agent.laneSeen != 5 {
		t.Errorf("the lane is held up to %d", agent.laneSeen)
	}
}

func TestARevocationReachesAConnectedAgentAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	key := revision.Key{Kind: configv1.Kind_KIND_KEY, Name: "k1"}
	p.lane(store.LaneWrite{Key: key, Owner: "acme", KeyHash: p.keyring.KeyHash("tg_1"), Body: p.encode(&configv1.Key{})})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	if agent.lane["k1"] == nil {
		t.Fatal("the key did not come")
	}
	sequence := p.lane(store.LaneWrite{Key: key, Owner: "acme", Delete: true})
	committed := time.Now()
	for agent.laneSeen < sequence {
		if _, err := agent.next(); err != nil {
			t.Fatal(err)
		}
	}
	if agent.lane["k1"] != nil {
		t.Error("the key is still there")
	}
	if took := time.Since(committed); took > time.Second {
		t.Errorf("it took %v", took)
	} else {
		t.Logf("commit to agent: %v", took)
	}
}

func TestALongLaneComesInPartsWithoutAGap(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	fill := func(prefix string, count int) {
		writes := make([]store.LaneWrite, count)
		for i := range writes {
			name := fmt.Sprintf("%s%05d", prefix, i)
			writes[i] = store.LaneWrite{
				Key: revision.Key{Kind: configv1.Kind_KIND_KEY, Name: name}, Owner: "acme", KeyHash: p.keyring.KeyHash(name),
				Body: p.encode(&configv1.Key{Scopes: []string{strings.Repeat("s", 60)}}),
			}
		}
		p.lane(writes...)
	}
	fill("early", 1200)
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	if len(agent.lane) != 1200 {
		t.Fatalf("%d keys", len(agent.lane))
	}
	fill("late", 6000)
	for agent.laneSeen < 7200 {
		if _, err := agent.next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(agent.lane) != 7200 {
		t.Errorf("%d keys", len(agent.lane))
	}
}

func TestAStateWaitsForTheLaneThatItsRevisionNeeds(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	for round := range 10 {
		p.lane(store.LaneWrite{
			Key: revision.Key{Kind: configv1.Kind_KIND_CONSUMER, Name: fmt.Sprint("c", round)}, Body: p.encode(&configv1.Consumer{}),
		})
		made := p.publish(map[string]string{"a": fmt.Sprintf("http://127.0.0.1:%d", round+1)})
		agent.untilStable(made.Number) // the agent fails the test if the lane does not reach
		if made.LaneSequence != int64(round+1) {
			t.Errorf("revision %d needs the lane up to %d", made.Number, made.LaneSequence)
		}
	}
}

func TestTheNewestStreamOfAnAgentWins(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	a, b := p.start("a").address, p.start("b").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	for name, addresses := range map[string][2]string{"same replica": {a, a}, "another replica": {a, b}} {
		first := p.enrolled(addresses[0], name)
		first.connect(addresses[0])
		first.untilStable(1)
		second := *first
		second.connect(addresses[1])
		second.bytes = 0
		second.desired = nil
		second.nextDesired()
		// What the old stream still says changes nothing; on another replica it is how the old one notices.
		_ = first.stream.Send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{
			Serving: &agentv1.Serving{StableRevision: 99},
		}}})
		wantCode(t, first.ended(), codes.Aborted)
		second.acknowledge(serving, second.serving())
		until(t, "the second stream's acknowledgement", func() bool { return p.agent(first.id).Status == "serving" })
		if seen := p.agent(first.id); seen.Stable != 1 || !seen.Connected {
			t.Errorf("%s: the agent is shown as %+v", name, seen)
		}
	}
}

func TestARefusalNamesTheRolloutAndTheReason(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	candidate := p.commit(map[string]string{"a": "http://127.0.0.1:2"})
	agent, other := p.enrolled(address, "one"), p.enrolled(address, "two")
	for _, each := range []*fakeAgent{agent, other} {
		each.connect(address)
		each.untilStable(1)
		each.acknowledge(serving, each.serving())
	}
	rollout := p.rollOut(candidate.Number, 100_000, agent.id)
	for agent.desired.GetCandidate() == nil {
		agent.nextDesired()
	}
	guard := agent.desired.GetGuard()
	if agent.desired.GetCandidateSharePpm() != 100_000 || agent.desired.GetRolloutId() != fmt.Sprint(rollout) ||
		guard.GetTolerance() != 1.5 || guard.GetThreshold() != 2*2*40/0.02 {
		t.Errorf("state %v", agent.desired)
	}
	other.nextDesired()
	if other.desired.GetCandidate() != nil || other.desired.GetGuard() != nil || other.contents[2] != nil {
		t.Errorf("who is not in the rollout got %v", other.desired)
	}

	agent.acknowledge(agentv1.Acknowledgement_STATUS_REFUSED, &agentv1.Serving{StableRevision: 1},
		&agentv1.ResourceError{Resource: "services/a", Field: "url", Code: "compile", Message: "no such port"})
	until(t, "the refusal in the store", func() bool { return p.agent(agent.id).Status == "refused" })
	seen := p.agent(agent.id)
	if seen.FailedRollout != rollout || seen.Error != "services/a: url: compile: no such port" || seen.Candidate != 0 || seen.Stable != 1 {
		t.Errorf("the agent is shown as %+v", seen)
	}

	// What comes next does not start from the refused content, which the agent may have thrown away.
	delete(agent.contents, 2)
	third := p.publish(map[string]string{"b": "http://127.0.0.1:1"})
	agent.untilStable(third.Number)
}

func TestBrokenContentIsSentWhole(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:1", "c": "http://127.0.0.1:1"})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.untilStable(1)
	p.publish(map[string]string{"a": "http://127.0.0.1:2"})
	agent.untilStable(2)
	agent.upserts, agent.contents = 0, map[int64]*revision.Content{}
	agent.acknowledge(agentv1.Acknowledgement_STATUS_REFUSED, &agentv1.Serving{StableRevision: 1},
		&agentv1.ResourceError{Code: "root_mismatch", Message: "bits fell over"})
	agent.nextDesired()
	if agent.upserts != 3 {
		t.Errorf("%d resources were sent again, of 3", agent.upserts)
	}
	agent.acknowledge(agentv1.Acknowledgement_STATUS_REFUSED, &agentv1.Serving{StableRevision: 1},
		&agentv1.ResourceError{Code: "root_mismatch", Message: "again"})
	until(t, "the second complaint in the store", func() bool { return p.agent(agent.id).Status == "refused" })
}

func TestDrainAndDeleteReachTheAgent(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	if _, err := p.directory.Drain(t.Context(), "default", agent.id, true); err != nil {
		t.Fatal(err)
	}
	if !agent.nextDesired().GetDrain() {
		t.Error("the agent is not told to drain")
	}
	if err := p.directory.Delete(t.Context(), "default", agent.id); err != nil {
		t.Fatal(err)
	}
	agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}})
	if err := agent.ended(); err == nil {
		t.Error("the stream goes on")
	}
	agent.open(address)
	wantCode(t, agent.ended(), codes.Unauthenticated)
}

func TestTheStreamKeepsToItsProtocol(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	agent := p.enrolled(address, "one")
	heartbeat := &agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}
	agent.open(address)
	agent.say(heartbeat)
	wantCode(t, agent.ended(), codes.InvalidArgument)

	agent.open(address)
	agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: &agentv1.Hello{BootId: strings.Repeat("x", 1000)}}})
	wantCode(t, agent.ended(), codes.InvalidArgument)

	agent.open(address)
	agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: &agentv1.Hello{Labels: map[string]string{"a": "\x00"}}}})
	wantCode(t, agent.ended(), codes.InvalidArgument)

	agent.open(address)
	agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: &agentv1.Hello{}}})
	agent.nextDesired()
	agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: &agentv1.Hello{}}})
	wantCode(t, agent.ended(), codes.InvalidArgument)
	until(t, "the end of the stream in the store", func() bool { return !p.agent(agent.id).Connected })
}

func TestANewEpochBeginsTheLaneAnew(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.lane(store.LaneWrite{Key: revision.Key{Kind: configv1.Kind_KIND_CONSUMER, Name: "acme"}, Body: p.encode(&configv1.Consumer{})})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	agent.lane["ghost"] = &agentv1.LaneEntry{Name: "ghost"}
	p.inTx(func(tx *store.Tx) error {
		_, err := tx.RaiseEpoch(t.Context(), p.fleet.ID)
		return err
	})
	state := agent.nextDesired()
	if state.GetEpoch() != 2 || agent.epoch != 2 || agent.lane["ghost"] != nil || agent.lane["acme"] == nil {
		t.Errorf("epoch %d, lane %v", state.GetEpoch(), agent.lane)
	}
}

// A database that was restored twice may not know the epoch that agents are in already.
func TestANewEpochIsAboveThoseThatAgentsKnow(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	agent := p.enrolled(address, "one")
	agent.epoch = 7
	agent.connect(address)
	agent.nextDesired()
	agent.acknowledge(agentv1.Acknowledgement_STATUS_REFUSED, nil, &agentv1.ResourceError{Code: "stale_generation"})
	until(t, "the refusal in the store", func() bool { return p.agent(agent.id).Status == "refused" })
	epoch, err := p.directory.OpenEpoch(t.Context(), p.fleet.Name)
	if err != nil || epoch != 8 {
		t.Errorf("epoch %d, %v, want 8", epoch, err)
	}
	if state := agent.nextDesired(); state.GetEpoch() != 8 {
		t.Errorf("the agent is asked for epoch %d", state.GetEpoch())
	}
}

func TestAnAnswerBehindANewerOneTakesNothingBack(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.untilStable(1)
	old := proto.CloneOf(agent.desired)
	agent.acknowledge(serving, agent.serving())
	p.publish(map[string]string{"a": "http://127.0.0.1:2"})
	agent.untilStable(2)
	agent.acknowledge(serving, agent.serving())
	newest := agent.desired
	agent.desired = old
	agent.acknowledge(serving, &agentv1.Serving{StableRevision: 1})
	agent.acknowledge(agentv1.Acknowledgement_STATUS_REFUSED, &agentv1.Serving{StableRevision: 1})
	agent.desired = newest
	// The answer to this comes when all before it was heard, and the heartbeat is written with it or behind it.
	agent.tell(&agentv1.LocalAction{BootId: "boot", Sequence: 1, Command: "pin"})
	agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{
		Serving: &agentv1.Serving{StableRevision: 2, LaneSequence: 77},
	}}})
	until(t, "the heartbeat in the store", func() bool { return p.agent(agent.id).LaneSequence == 77 })
	seen := p.agent(agent.id)
	if seen.Status != "serving" || seen.Generation != newest.GetGeneration() || seen.Stable != 2 {
		t.Errorf("the agent is shown as %+v", seen)
	}
}
