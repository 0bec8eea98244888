package telemetry_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	"tidegate.dev/controlplane/telemetry"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // but for the shared Postgres of the tests, if this process started it
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"),
		goleak.IgnoreAnyFunction("tidegate.dev/controlplane/local.(*Postgres).stay"))
}

// intake is a collector behind a real gRPC socket, with one fleet.
type intake struct {
	t       *testing.T
	store   *store.Store
	fleet   store.Fleet
	sql     *pgx.Conn
	querier *telemetry.Querier
}

func newIntake(t *testing.T) *intake {
	t.Helper()
	databaseURL, _ := pgtest.Schema(t)
	s, err := store.Open(t.Context(), store.Config{DatabaseURL: databaseURL, MaxConnections: 6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	connection, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
	return &intake{t: t, store: s, fleet: storetest.Fleet(t, s, "default"), sql: connection, querier: telemetry.NewQuerier(s)}
}

// service takes the agent's word for who it is; the real one is fleet's.
type service struct {
	agentv1.UnimplementedAgentServiceServer
	collector *telemetry.Collector
	agentID   string
}

func (s *service) ReportTelemetry(stream grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse]) error {
	return s.collector.Handle(stream.Context(), 0, s.agentID, stream)
}

// replica starts a collector, as each replica has one.
func (i *intake) replica() *telemetry.Collector {
	i.t.Helper()
	collector := telemetry.NewCollector(i.store, slog.New(slog.NewTextHandler(i.t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.WithoutCancel(i.t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- collector.Run(ctx) }()
	i.t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			i.t.Error(err)
		}
	})
	return collector
}

func (i *intake) agent(name string) (id string) {
	i.t.Helper()
	id = uuid.NewString()
	err := i.store.InTx(i.t.Context(), func(tx *store.Tx) error {
		return tx.AddAgent(i.t.Context(), store.AgentIdentity{ID: id, FleetID: i.fleet.ID, Name: name}, nil, time.Now().Add(time.Hour))
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return id
}

type reporter struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse]
}

// connect opens an agent's telemetry stream to a collector.
func (i *intake) connect(collector *telemetry.Collector, agentID string) *reporter {
	i.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		i.t.Fatal(err)
	}
	server := grpc.NewServer()
	agentv1.RegisterAgentServiceServer(server, &service{collector: collector, agentID: agentID})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	connection, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() {
		_ = connection.Close()
		server.Stop()
		if err := <-served; err != nil {
			i.t.Error(err)
		}
	})
	stream, err := agentv1.NewAgentServiceClient(connection).ReportTelemetry(i.t.Context())
	if err != nil {
		i.t.Fatal(err)
	}
	return &reporter{t: i.t, stream: stream}
}

func (r *reporter) send(boot string, sequence int64, cells ...*agentv1.Cell) {
	r.t.Helper()
	if err := r.stream.Send(&agentv1.ReportTelemetryRequest{BootId: boot, Sequence: sequence, Cells: cells}); err != nil {
		r.t.Fatal(err)
	}
}

// stored waits until the boot's reports are acknowledged up to a sequence.
func (r *reporter) stored(boot string, sequence int64) {
	r.t.Helper()
	for {
		response, err := r.stream.Recv()
		if err != nil {
			r.t.Fatal(err)
		}
		if response.GetBootId() == boot && response.GetAcknowledgedSequence() >= sequence {
			return
		}
	}
}

// rollout makes a rollout whose candidate the agents were given.
func (i *intake) rollout(agents ...string) (id int64) {
	i.t.Helper()
	ctx := i.t.Context()
	err := i.store.InTx(ctx, func(tx *store.Tx) error {
		head, err := tx.LockHead(ctx, i.fleet.ID)
		if err != nil {
			return err
		}
		body, err := revision.Encode(&configv1.Service{Url: "http://127.0.0.1:1"})
		if err != nil {
			return err
		}
		made, _, err := tx.CommitRevision(ctx, head, store.Commit{Origin: store.OriginPublish, Author: "test", Changes: []store.Change{{
			Key: revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: "a"}, Body: body,
		}}})
		if err != nil {
			return err
		}
		id, err = tx.QueueRollout(ctx, store.QueuedRollout{
			FleetID: i.fleet.ID, Revision: made.Number, Strategy: "s", Spec: []byte{}, Author: "test",
		})
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	for _, agent := range agents {
		i.execute("INSERT INTO rollout_members (rollout_id, agent_id, name, step) VALUES ($1, $2, 'x', 0)", id, agent)
	}
	return id
}

func (i *intake) execute(statement string, arguments ...any) {
	i.t.Helper()
	if _, err := i.sql.Exec(i.t.Context(), statement, arguments...); err != nil {
		i.t.Fatal(err)
	}
}

// evidence reads the sums of a rollout as "metric route share: candidate control".
func (i *intake) evidence(rollout int64) map[string]string {
	i.t.Helper()
	rows, err := i.sql.Query(i.t.Context(), "SELECT metric, route, share_ppm, candidate, control FROM rollout_evidence WHERE rollout_id = $1", rollout)
	if err != nil {
		i.t.Fatal(err)
	}
	defer rows.Close()
	sums := map[string]string{}
	for rows.Next() {
		var metric, route string
		var share, candidate, control int64
		if err := rows.Scan(&metric, &route, &share, &candidate, &control); err != nil {
			i.t.Fatal(err)
		}
		sums[fmt.Sprintf("%s %s %d", metric, route, share)] = fmt.Sprintf("%d %d", candidate, control)
	}
	return sums
}

func (i *intake) query(query telemetry.Query) []telemetry.Series {
	i.t.Helper()
	query.FleetID = i.fleet.ID
	series, err := i.querier.Query(i.t.Context(), query)
	if err != nil {
		i.t.Fatal(err)
	}
	return series
}

// requests adds up a query's points.
func requests(series []telemetry.Series) (sum int64) {
	for _, each := range series {
		for _, point := range each.Points {
			sum += point.Requests
		}
	}
	return sum
}
