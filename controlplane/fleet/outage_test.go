package fleet_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"tidegate.dev/controlplane/local/pgtest"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestAStreamOutlivesPostgres(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Private(t)
	p := newPlaneOn(t, postgres.URL())
	address := p.start("a").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.untilStable(1)
	if err := postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	// What the agent says meanwhile is kept.
	agent.acknowledge(serving, agent.serving())
	heartbeat := &agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{Serving: agent.serving()}}}
	agent.say(heartbeat)
	if err := postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the acknowledgement in the store", func() bool {
		seen, err := p.directory.Agent(t.Context(), "default", agent.id)
		return err == nil && seen.Status == "serving" && seen.Alive
	})
	back := time.Now()
	p.publish(map[string]string{"a": "http://127.0.0.1:2"})
	agent.untilStable(2)
	t.Logf("publish to agent after the restart: %v", time.Since(back))
}

func TestATelemetryStreamBelongsToTheAgentOfItsCertificate(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	replica := p.start("a")
	agent := p.enrolled(replica.address, "one")
	stream, err := agentv1.NewAgentServiceClient(dial(t, replica.address, agent.tls())).ReportTelemetry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stream", func() bool { return p.telemetry.fleetOf(agent.id) == p.fleet.ID })
	nobody, err := agentv1.NewAgentServiceClient(dial(t, replica.address, trusting(p.joinToken()))).ReportTelemetry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = nobody.Recv()
	wantCode(t, err, codes.Unauthenticated)
	replica.stop()
	_, err = stream.Recv()
	wantCode(t, err, codes.Unavailable)
}
