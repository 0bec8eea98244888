package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// SessionCookie is the name of the cookie that holds a console session.
const SessionCookie = "tidegate_session"

// maxSignIn is what somebody may send who is not known yet.
const maxSignIn = 4 << 10

// handler is everything that the admin address serves: gRPC by its content type, the REST API under /v1, the OpenAPI
// document, and the console for all else.
type handler struct {
	server  *Server
	rpc     *grpc.Server
	api     http.Handler
	console http.Handler
	origin  *http.CrossOriginProtection
	// bodyTimeout is how long the body of a request may take to arrive.
	bodyTimeout time.Duration
	log         *slog.Logger
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		h.serveRPC(w, r)
		return
	}
	began := time.Now()
	c := newCall(r)
	r = r.WithContext(withCall(r.Context(), c))
	recorded := &recorder{ResponseWriter: w}
	recorded.Header().Set("X-Request-Id", c.requestID)
	recorded.Header().Set("X-Content-Type-Options", "nosniff")
	defer h.finish(recorded, r, began)
	switch {
	case r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/"):
		h.serveAPI(recorded, r, c)
	case r.URL.Path == "/openapi.json":
		serveOpenAPI(recorded, r)
	default:
		h.console.ServeHTTP(recorded, r)
	}
}

// finish answers for a panic and writes the access log.
func (h *handler) finish(w *recorder, r *http.Request, began time.Time) {
	c := callOf(r.Context())
	if cause := recover(); cause != nil {
		if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so too
			panic(cause)
		}
		h.log.ErrorContext(r.Context(), "a request panicked", "request_id", c.requestID, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		if w.status != 0 {
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
		writeProblem(w, r, newProblem(problemInternal, "the request ended unexpectedly; the log has more under the request id"))
	}
	h.log.InfoContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", w.status,
		"duration_ms", time.Since(began).Milliseconds(), "request_id", c.requestID, "actor", c.who.Name, "source", c.source.String())
}

// serveRPC lets a gRPC call through when its caller is known: else megabytes could be sent before the interceptors look. The
// answer to others is a status alone (gRPC over HTTP/2, "Trailers-Only").
func (h *handler) serveRPC(w http.ResponseWriter, r *http.Request) {
	c := &call{requestID: requestID(r.Header.Get("X-Request-Id")), source: newCall(r).source}
	r = r.WithContext(withCall(r.Context(), c))
	if r.URL.Path == adminv1.IdentityService_CreateSession_FullMethodName {
		r.Body = http.MaxBytesReader(w, r.Body, maxSignIn)
	} else if err := h.server.identify(r.Context(), c, r.Header.Get("Authorization")); err != nil {
		p := problemOf(h.server.failure(r.Context(), r.URL.Path, err))
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", strconv.Itoa(int(p.kind.code)))
		w.Header().Set("Grpc-Message", p.detail)
		w.Header().Set("X-Request-Id", c.requestID)
		w.WriteHeader(http.StatusOK)
		return
	}
	h.rpc.ServeHTTP(w, r)
}

// serveAPI lets a request through to the gateway when its origin, its caller and its body are in order.
func (h *handler) serveAPI(w http.ResponseWriter, r *http.Request, c *call) {
	w.Header().Set("Cache-Control", "no-store")
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		// A browser sends the cookie along with whatever page made the request; a header it does not.
		if err := h.origin.Check(r); err != nil {
			writeProblem(w, r, newProblem(problemCrossOrigin, "this request comes from another origin than the console's"))
			return
		}
	}
	c.query = r.URL.Query()
	if hasBody(r) {
		// Nobody gets to send megabytes before we know who it is.
		if !signsIn(r) {
			if err := h.server.identify(r.Context(), c, authorization); err != nil {
				writeProblem(w, r, problemOf(h.server.failure(r.Context(), r.Method+" "+r.URL.Path, err)))
				return
			}
		}
		if p := readBody(w, r, h.bodyTimeout); p != nil {
			writeProblem(w, r, p)
			return
		}
	}
	if watches(r) {
		w = &patientWriter{ResponseWriter: w}
	} else {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // unsupported: no slow reader either
	}
	h.api.ServeHTTP(&cookieWriter{ResponseWriter: w, call: c}, r)
}

func signsIn(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/v1/sessions"
}

func watches(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ":watch")
}

func newCall(r *http.Request) *call {
	c := &call{requestID: requestID(r.Header.Get("X-Request-Id"))}
	c.secure = r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
	if address, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.source = address.Addr().Unmap()
	}
	if cookie, err := r.Cookie(SessionCookie); err == nil {
		c.session = cookie.Value
	}
	return c
}
