package upstream

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatal("not in time:", what)
		case <-tick.C:
		}
	}
}

// quick is a health check for tests.
func quick(kind HealthType) HealthConfig {
	return HealthConfig{Type: kind, Path: "/healthz", Interval: 10 * time.Millisecond, Timeout: 5 * time.Second}
}

func used(s *Service, t *Target) bool { return picks(s, 1, time.Now(), 20)[t] > 0 }

func TestATargetThatIsDownIsNotUsed(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() || r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(answers.Close)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, status := grpc.NewServer(), health.NewServer()
	healthv1.RegisterHealthServer(server, status)
	status.SetServingStatus("orders", healthv1.HealthCheckResponse_SERVING)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	grpcCheck := quick(HealthGRPC)
	grpcCheck.Service = "orders"
	cases := map[string]struct {
		url    string
		health HealthConfig
		set    func(up bool)
	}{
		"http": {answers.URL, quick(HealthHTTP), func(up bool) { down.Store(!up) }},
		"grpc": {"http://" + listener.Addr().String(), grpcCheck, func(up bool) {
			next := healthv1.HealthCheckResponse_NOT_SERVING
			if up {
				next = healthv1.HealthCheckResponse_SERVING
			}
			status.SetServingStatus("orders", next)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The other target answers to nobody, and is found out by its first answer.
			s := acquire(t, NewRegistry(Environment{}), Config{
				Name: "s", Targets: []TargetConfig{{URL: c.url}, {URL: "http://127.0.0.1:1"}}, Health: c.health,
			})
			target, dead := s.Targets()[0], s.Targets()[1]
			eventually(t, "the dead target is left out", func() bool { return !used(s, dead) })
			if !used(s, target) {
				t.Error("the live one is left out")
			}
			c.set(false)
			eventually(t, "with both down, both are used", func() bool { return used(s, dead) && used(s, target) })
			c.set(true)
			eventually(t, "it is used alone again", func() bool { return !used(s, dead) && used(s, target) })
		})
	}
}

func TestConnectionsAsHealth(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	s := acquire(t, NewRegistry(Environment{}), Config{
		Name: "s", Targets: []TargetConfig{{URL: "http://" + listener.Addr().String()}, {URL: "http://127.0.0.1:1"}}, Health: quick(HealthTCP),
	})
	eventually(t, "the dead one is left out", func() bool { return !used(s, s.Targets()[1]) })
	_ = listener.Close()
	eventually(t, "both are down", func() bool { return used(s, s.Targets()[1]) })
}

func TestOneProberATarget(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "fine")
	}))
	t.Cleanup(server.Close)
	r := NewRegistry(Environment{})
	config := Config{Name: "s", Targets: []TargetConfig{{URL: server.URL}, {URL: server.URL, Weight: 2}}, Health: quick(HealthHTTP)}
	first, err := r.Acquire(config)
	if err != nil {
		t.Fatal(err)
	}
	config.IdleTimeout = time.Hour
	second, err := r.Acquire(config)
	if err != nil {
		t.Fatal(err)
	}
	if first == second || first.current.Load().members[0].prober != second.current.Load().members[1].prober || len(r.probers) != 1 {
		t.Error("each has a prober of its own:", len(r.probers))
	}
	first.Release()
	before := asked.Load()
	eventually(t, "the prober lives on", func() bool { return asked.Load() > before+2 })
	second.Release()
	if len(r.probers) != 0 {
		t.Error("the prober is kept")
	}
}
