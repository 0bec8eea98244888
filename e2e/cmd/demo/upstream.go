package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	// longestDelay bounds ?delay=.
	longestDelay = 5 * time.Minute
	// echoed is how much of a body is given back.
	echoed = 64 << 10
	// upstreamStop bounds the end of what is still being answered.
	upstreamStop = 3 * time.Second
)

func runUpstream(ctx context.Context, arguments []string) error {
	flags := newFlags("upstream", `An HTTP server (HTTP/1.1 and h2c) that answers every request with what it received, as JSON.

  /healthz          answers ok
  /events           server-sent events: ?count=5 of them, ?every=200ms
  /ws               a WebSocket that sends back what it gets
  ?status=503       answers with that status
  ?delay=200ms      waits before it answers`)
	address := flags.String("address", "127.0.0.1:9001", "where to listen")
	name := flags.String("name", "upstream", "the name that it answers with, in the body and in x-upstream")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
	if err != nil {
		return fmt.Errorf("listening on %s (--address): %w", *address, err)
	}
	return serveUpstream(ctx, listener, newUpstream(*name))
}

// serveUpstream serves until the context ends.
func serveUpstream(ctx context.Context, listener net.Listener, handler http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: handler, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), upstreamStop)
		defer cancel()
		if err := server.Shutdown(ending); err != nil {
			_ = server.Close() // it ends either way
		}
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// upstream answers requests under a name.
type upstream struct{ name string }

func newUpstream(name string) http.Handler {
	u := &upstream{name: name}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("/events", u.events)
	mux.HandleFunc("/ws", u.socket)
	mux.HandleFunc("/", u.echo)
	// A prefix before /events and /ws is fine: what routes them may not be able to take it away.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Upstream", name)
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			u.events(w, r)
		case strings.HasSuffix(r.URL.Path, "/ws"):
			u.socket(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// echo is what the upstream received.
type echo struct {
	Upstream string              `json:"upstream"`
	Method   string              `json:"method"`
	Path     string              `json:"path"`
	Query    string              `json:"query,omitempty"`
	Host     string              `json:"host"`
	Protocol string              `json:"protocol"`
	Headers  map[string][]string `json:"headers"`
	Body     string              `json:"body,omitempty"`
}

func (u *upstream) echo(w http.ResponseWriter, r *http.Request) {
	delay, status, err := wishes(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !pause(r.Context(), delay) {
		return // the client is gone
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, echoed))
	if err != nil {
		return // the client is gone
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(echo{ // the client is gone: nobody is left to tell
		Upstream: u.name, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host, Protocol: r.Proto,
		Headers: r.Header, Body: string(body),
	})
}

// wishes are what a request asks for: ?delay= and ?status=.
func wishes(r *http.Request) (delay time.Duration, status int, err error) {
	query := r.URL.Query()
	status = http.StatusOK
	if text := query.Get("status"); text != "" {
		if status, err = strconv.Atoi(text); err != nil || status < 200 || status > 599 {
			return 0, 0, fmt.Errorf("?status=%q is not between 200 and 599", text)
		}
	}
	if text := query.Get("delay"); text != "" {
		if delay, err = time.ParseDuration(text); err != nil || delay < 0 || delay > longestDelay {
			return 0, 0, fmt.Errorf("?delay=%q is not a duration up to %s", text, longestDelay)
		}
	}
	return delay, status, nil
}

// events sends server-sent events.
func (u *upstream) events(w http.ResponseWriter, r *http.Request) {
	events, err := strconv.Atoi(first(r.URL.Query().Get("count"), "5"))
	if err != nil || events < 0 {
		http.Error(w, "?count= is not a number", http.StatusBadRequest)
		return
	}
	every, err := time.ParseDuration(first(r.URL.Query().Get("every"), "200ms"))
	if err != nil || every < 0 {
		http.Error(w, "?every= is not a duration", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	for i := range events {
		if i > 0 && !pause(r.Context(), every) {
			return
		}
		if _, err := fmt.Fprintf(w, "id: %d\ndata: {\"upstream\":%q,\"event\":%d}\n\n", i+1, u.name, i+1); err != nil {
			return
		}
		if err := flusher.Flush(); err != nil {
			return
		}
	}
}

// socket sends back each message of a WebSocket.
func (u *upstream) socket(w http.ResponseWriter, r *http.Request) {
	connection, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // any origin may try the demo
	if err != nil {
		return // it has answered
	}
	defer connection.CloseNow() //nolint:errcheck // closed properly below, if it can be
	for {
		kind, message, err := connection.Read(r.Context())
		if err != nil {
			_ = connection.Close(websocket.StatusNormalClosure, "")
			return
		}
		if err := connection.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// pause waits; false if the context ended before.
func pause(ctx context.Context, length time.Duration) bool {
	if length <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
