package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidegate.dev/dataplane/listener"
)

const (
	opsTimeout      = 10 * time.Second
	opsShutdownTime = 2 * time.Second
)

// newMetrics is where every part registers what it measures.
func newMetrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tidegate_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry.MustRegister(build)
	return registry
}

// opsHandler serves /metrics, /healthz (the process lives), /readyz (it can serve clients), /debug/config (what it serves,
// which holds no secret: those travel apart), /debug/upstreams (how the targets fare) and /debug/discovery (how those fare that
// know the targets).
func opsHandler(stopping context.Context, p *parts) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{Registry: p.metrics}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status := p.agent.Status()
		switch {
		case stopping.Err() != nil:
			answer(w, http.StatusServiceUnavailable, "stopping")
		case !status.Configured:
			answer(w, http.StatusServiceUnavailable, "no configuration yet")
		case status.Draining:
			answer(w, http.StatusServiceUnavailable, "draining")
		default:
			answer(w, http.StatusOK, "ok")
		}
	})
	mux.HandleFunc("GET /debug/config", func(w http.ResponseWriter, _ *http.Request) { show(w, p.agent.Configuration()) })
	mux.HandleFunc("GET /debug/upstreams", func(w http.ResponseWriter, _ *http.Request) { show(w, p.upstreams.States()) })
	mux.HandleFunc("GET /debug/discovery", func(w http.ResponseWriter, _ *http.Request) { show(w, p.sources.Statuses()) })
	return mux
}

func show(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client is gone: nobody is left to tell
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the client is gone: nobody is left to tell
}

// listenOps opens the port; one that is taken is named with the flag that moves it.
func listenOps(ctx context.Context, sockets *listener.Sockets, address string) (*net.TCPListener, error) {
	socket, err := sockets.Listen(ctx, "ops", "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken; choose another address with --ops-address", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s (--ops-address): %w", address, err)
	}
	return socket, nil
}

// serveOps serves handler until ctx ends.
func serveOps(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadTimeout: opsTimeout, WriteTimeout: opsTimeout, IdleTimeout: time.Minute, ConnContext: withOperator,
	}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), opsShutdownTime)
		defer cancel()
		if err := server.Shutdown(ending); err != nil {
			_ = server.Close() // it ends either way
		}
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving /metrics and /readyz: %w", err)
	}
	return nil
}
