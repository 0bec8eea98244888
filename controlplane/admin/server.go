package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/telemetry"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

const (
	// maxConnections bounds what clients of the admin address can hold at once.
	maxConnections = 1024
	idleTimeout    = 2 * time.Minute
	// answerTimeout bounds one call and how long a slow reader may take for its answer. Streams bound each piece instead.
	answerTimeout   = 5 * time.Minute
	maxHeaderBytes  = 64 << 10
	maxStreams      = 100
	shutdownTimeout = 15 * time.Second

	defaultHeaderTimeout = 10 * time.Second
	defaultBodyTimeout   = 20 * time.Second
)

// Config is what a server is made of. All fields up to Log are required.
type Config struct {
	Store     *store.Store
	Keyring   *keyring.Keyring
	Identity  *identity.Service
	Config    *config.Service
	Rollouts  *rollout.Service
	Directory *fleet.Directory
	Telemetry *telemetry.Querier
	Log       *slog.Logger
	// Metrics is where the server registers what it measures; nil: nowhere.
	Metrics prometheus.Registerer
	// Console is the built console; nil serves none.
	Console fs.FS
	// HeaderTimeout is how long the header of a request may take to arrive. Default 10 s.
	HeaderTimeout time.Duration
	// BodyTimeout is how long its body may take; that of a call that carries many resources, six times as long. Default 20 s.
	BodyTimeout time.Duration
}

// Server is the admin API. It is safe for concurrent use.
type Server struct {
	store     *store.Store
	keyring   *keyring.Keyring
	identity  *identity.Service
	config    *config.Service
	rollouts  *rollout.Service
	directory *fleet.Directory
	telemetry *telemetry.Querier
	log       *slog.Logger

	headerTimeout time.Duration

	metrics *metrics
	methods map[string]method
	rules   map[string]*annotations.HttpRule
	handler http.Handler

	// ending ends when the server begins to stop; streams end by it.
	ending context.Context
	end    context.CancelFunc
}

// New makes a server. It does no I/O.
func New(c Config) (*Server, error) {
	measures, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering the metrics: %w", err)
	}
	s := &Server{
		store: c.Store, keyring: c.Keyring, identity: c.Identity, config: c.Config, rollouts: c.Rollouts,
		directory: c.Directory, telemetry: c.Telemetry, log: c.Log, metrics: measures, methods: methods(), rules: httpRules(),
	}
	s.headerTimeout = cmp.Or(c.HeaderTimeout, defaultHeaderTimeout)
	s.ending, s.end = context.WithCancel(context.Background())
	rpc := grpc.NewServer(grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream), grpc.MaxRecvMsgSize(maxLargeBody))
	local := &connection{unary: s.unary, stream: s.stream, methods: map[string]unaryMethod{}, streams: map[string]streamMethod{}}
	for _, registrar := range []grpc.ServiceRegistrar{rpc, local} {
		s.register(registrar)
	}
	api, err := newGateway(local)
	if err != nil {
		return nil, err
	}
	s.handler = &handler{
		server: s, rpc: rpc, api: api, console: newConsole(c.Console),
		origin: http.NewCrossOriginProtection(), bodyTimeout: cmp.Or(c.BodyTimeout, defaultBodyTimeout), log: c.Log,
	}
	return s, nil
}

// register adds all services.
func (s *Server) register(to grpc.ServiceRegistrar) {
	adminv1.RegisterServiceServiceServer(to, newServiceServer(s))
	adminv1.RegisterRouteServiceServer(to, newRouteServer(s))
	adminv1.RegisterPluginServiceServer(to, newPluginServer(s))
	adminv1.RegisterPlanServiceServer(to, newPlanServer(s))
	adminv1.RegisterTestServiceServer(to, newTestServer(s))
	adminv1.RegisterBlockServiceServer(to, newBlockServer(s))
	adminv1.RegisterConsumerServiceServer(to, newConsumerServer(s))
	adminv1.RegisterCertificateServiceServer(to, newCertificateServer(s))
	adminv1.RegisterSecretServiceServer(to, newSecretServer(s))
	adminv1.RegisterKeyServiceServer(to, &keyServer{Server: s})
	adminv1.RegisterChangeSetServiceServer(to, &changeSetServer{Server: s})
	adminv1.RegisterRevisionServiceServer(to, &revisionServer{Server: s})
	adminv1.RegisterRolloutServiceServer(to, &rolloutServer{Server: s})
	adminv1.RegisterStrategyServiceServer(to, &strategyServer{Server: s})
	adminv1.RegisterFleetServiceServer(to, &fleetServer{Server: s})
	adminv1.RegisterIdentityServiceServer(to, &identityServer{Server: s})
	adminv1.RegisterTelemetryServiceServer(to, &telemetryServer{Server: s})
}

// Handler is what the admin address serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves on listener until ctx ends, then lets running calls finish for a while.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s.handler, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: s.headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.end()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := server.Shutdown(ending)
		if err != nil {
			err = errors.Join(fmt.Errorf("calls were still running after %s: %w", shutdownTimeout, err), server.Close())
		}
		stopped <- err
	})
	err := server.Serve(netutil.LimitListener(listener, maxConnections))
	if !stop() { // ctx has ended, so Serve returned because of Shutdown
		return <-stopped
	}
	return fmt.Errorf("serving the admin API: %w", err)
}
