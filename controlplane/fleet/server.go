package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Bounds of what agents may ask of one replica.
const (
	maxConnections     = 20_000
	maxStreams         = 40_000
	maxEnrolments      = 16
	maxMessage         = 4 << 20 // bytes
	streamsAConnection = 8
	handshakeTimeout   = 10 * time.Second
	enrolmentTimeout   = 10 * time.Second
	stopTimeout        = 5 * time.Second
)

// TelemetryHandler serves an agent's telemetry stream to its end, and returns why it ended. An error with a method
// AgentAtFault() bool that answers true is one of the agent's making.
type TelemetryHandler interface {
	Handle(ctx context.Context, fleetID int64, agentID string,
		stream grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse]) error
}

// Config is what a Server needs. All fields are required, but for CertificateLifetime and BalanceInterval.
type Config struct {
	Store   *store.Store
	Watcher *store.Watcher
	Keyring *keyring.Keyring
	// Replica is the name of this process among those that share the database, the same after a restart.
	Replica string
	// Hosts are the names and addresses by which agents reach this replica.
	Hosts     []string
	Telemetry TelemetryHandler
	Log       *slog.Logger
	// CertificateLifetime is how long agents' certificates are valid, at most and by default keyring.MaxAgentLifetime.
	CertificateLifetime time.Duration
	// BalanceInterval is the time between two looks at how agents are spread over replicas; 0: 5 s.
	BalanceInterval time.Duration
}

// Server is what agents connect to.
type Server struct {
	store               *store.Store
	keyring             *keyring.Keyring
	replica             string
	telemetry           TelemetryHandler
	log                 *slog.Logger
	certificateLifetime time.Duration
	certificate         *keyring.ServerCertificate
	contents            *contents
	lanes               *lanes
	feeds               *feeds
	board               *board
	streams             *streams
	arrivals            *admission
	balanceInterval     time.Duration
	enrolments          chan struct{} // a place for each enrolment under way
	metrics             *metrics
	goroutines          sync.WaitGroup
}

// NewServer returns a server that begins with Run.
func NewServer(config Config) (*Server, error) {
	certificate, err := config.Keyring.Authority().ServerCertificate(config.Hosts)
	if err != nil {
		return nil, fmt.Errorf("making the certificate for agents: %w", err)
	}
	if config.Replica == "" || config.Telemetry == nil {
		return nil, errors.New("the server for agents needs a replica's name and a handler of telemetry")
	}
	server := &Server{
		store: config.Store, keyring: config.Keyring, replica: config.Replica, telemetry: config.Telemetry, log: config.Log,
		certificateLifetime: config.CertificateLifetime,
		certificate:         certificate,
		contents:            newContents(config.Store),
		lanes:               newLanes(config.Store, config.Keyring, config.Log),
		feeds:               newFeeds(config.Store, config.Watcher, config.Keyring.StickySecret, config.Log),
		streams:             newStreams(maxStreams),
		arrivals:            newAdmission(arrivalsAtOnce, arrivalsWaiting, arrivalPatience),
		balanceInterval:     config.BalanceInterval,
		enrolments:          make(chan struct{}, maxEnrolments),
	}
	if server.balanceInterval <= 0 {
		server.balanceInterval = balanceInterval
	}
	if server.certificateLifetime <= 0 {
		server.certificateLifetime = keyring.MaxAgentLifetime
	}
	server.metrics = newMetrics(server.streams)
	server.board = newBoard(config.Store, config.Log, server.streams.supersede)
	return server, nil
}

// Run serves agents on the listener until ctx ends; then it ends the streams, so that agents look for another replica, and
// writes what they said last. A server runs once.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	// A former life of this replica may have ended without saying that its streams did.
	if err := s.disconnectAll(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	var writer sync.WaitGroup
	writer.Go(func() { s.board.run(writing) })
	balancing, stopBalancing := context.WithCancel(ctx)
	s.goroutines.Go(func() { s.balance(balancing) })

	server := s.grpcServer()
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	var err error
	select {
	case err = <-served:
		s.streams.close()
		server.Stop()
	case <-ctx.Done():
		s.streams.close()
		stop(server)
		err = <-served
	}
	if err != nil {
		err = fmt.Errorf("serving agents: %w", err)
	}
	stopBalancing()
	s.goroutines.Wait()
	s.feeds.running.Wait()
	stopWriting()
	writer.Wait()
	return errors.Join(err, s.disconnectAll(context.WithoutCancel(ctx)))
}

// stop lets calls end, for a moment.
func stop(server *grpc.Server) {
	timer := time.AfterFunc(stopTimeout, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}

func (s *Server) disconnectAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.DisconnectReplica(ctx, s.replica), tx.ForgetReplica(ctx, s.replica))
	})
}

func (s *Server) grpcServer() *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(newAdmittedTLS(credentials.NewTLS(s.tlsConfig()))),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ForceServerCodecV2(newSharingCodec()),
		grpc.MaxConcurrentStreams(streamsAConnection),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(16<<10),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	service := &service{server: s}
	agentv1.RegisterEnrolmentServiceServer(server, service)
	agentv1.RegisterAgentServiceServer(server, service)
	return server
}

// tlsConfig asks for a client certificate but does not demand one, since who enrols has none yet; whatever needs one looks.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: s.certificate.Get,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      s.keyring.Authority().Pool(),
		NextProtos:     []string{"h2"},
		// Each connection proves its certificate anew.
		SessionTicketsDisabled: true,
	}
}
