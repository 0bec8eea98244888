package admin

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"sync"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/identity"
)

// Names of metadata, and of the headers that they are over HTTP.
const (
	headerRequestID      = "x-request-id"
	headerIfMatch        = "if-match"
	headerIfNoneMatch    = "if-none-match"
	headerIdempotencyKey = "idempotency-key"
	headerAuthorization  = "authorization"
	headerETag           = "etag"
	headerRevision       = "tidegate-revision"
	headerRollout        = "tidegate-rollout"
	headerReplayed       = "idempotency-replayed"
)

// call is what is known about one request besides its message. One is made for each request, by the HTTP handler or by the
// first interceptor, and travels in the context.
type call struct {
	requestID string
	source    netip.Addr
	query     url.Values // what stands behind "?"; nil for gRPC

	// Set by identify; before that, nobody.
	who identity.Principal
	// identified says that the HTTP handler found out who asks already.
	identified bool
	// session is the cookie that came along, for signing out.
	session string
	// secure says that the client came by HTTPS, to us or to a proxy in front of us.
	secure bool

	// left is what check found within the resources of the request and left to package config.
	left *problem

	mu sync.Mutex
	// answer are headers of the answer that handlers have set.
	answer map[string]string
	// cookie is what the answer sets, if anything. Sessions are never remembered for an idempotency key.
	cookie *http.Cookie
	// afterCommit makes the answer of a write once its effect is committed, where the effect's own answer is not the last word.
	afterCommit func(context.Context) (proto.Message, error)
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf is the call of a context; an empty one if there is none.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// setHeader sets a header of the answer, unless value is empty. An effect that runs again sets it again.
func (c *call) setHeader(name, value string) {
	if value == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answer == nil {
		c.answer = make(map[string]string)
	}
	c.answer[name] = value
}

func (c *call) headers() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := make(map[string]string, len(c.answer))
	for name, value := range c.answer {
		copied[name] = value
	}
	return copied
}

// acceptableRequestID is what we take over from a client: what cannot break a log or a header.
var acceptableRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID keeps the client's id if it is a decent one, and else makes one.
func requestID(offered string) string {
	if acceptableRequestID.MatchString(offered) {
		return offered
	}
	return rand.Text()
}

// incoming is the first value of a metadata key that the client sent.
func incoming(ctx context.Context, name string) string {
	if values := metadata.ValueFromIncomingContext(ctx, name); len(values) > 0 {
		return values[0]
	}
	return ""
}
