package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"tidegate.dev/controlplane/store"
)

// maxIdempotencyKey is how long a key may be, in bytes.
const maxIdempotencyKey = 255

// errNoEffect ends a transaction whose effect wants nothing kept, without being an error to the caller.
var errNoEffect = errors.New("nothing to keep")

// transact carries a write out in one transaction: its effect, its audit row and the memory of its idempotency key, or none
// of them.
func (s *Server) transact(ctx context.Context, m method, fullMethod string, request any, handler grpc.UnaryHandler) (any, error) {
	asked, err := s.asked(ctx, m, fullMethod, request.(proto.Message))
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	var made any
	answer, replayed, err := s.store.Once(ctx, asked, func(ctx context.Context) (remembered store.Answer, err error) {
		c.afterCommit = nil
		if made, err = handler(ctx, request); err != nil {
			return store.Answer{}, err
		}
		if c.left != nil {
			return store.Answer{}, c.left
		}
		if dry(request) {
			return store.Answer{}, errNoEffect
		}
		if err := s.audit(ctx, m, request.(proto.Message), made.(proto.Message)); err != nil {
			return store.Answer{}, err
		}
		if asked.Key == "" {
			return store.Answer{}, nil
		}
		return s.remember(m, c, made.(proto.Message))
	})
	if errors.Is(err, errNoEffect) {
		return made, nil
	}
	switch {
	case err != nil:
		return nil, err
	case replayed:
		return s.recall(m, c, answer)
	case c.afterCommit != nil:
		return c.afterCommit(ctx)
	}
	return made, nil
}

// asked identifies the request for its idempotency key: the caller, the key, and a digest of all that was asked.
func (s *Server) asked(ctx context.Context, m method, fullMethod string, request proto.Message) (store.Request, error) {
	c, key := callOf(ctx), incoming(ctx, headerIdempotencyKey)
	if m.forgetful || key == "" {
		return store.Request{Actor: c.who.Name}, nil
	}
	if len(key) > maxIdempotencyKey {
		return store.Request{}, newProblem(problemMalformed, fmt.Sprintf("Idempotency-Key is longer than %d bytes", maxIdempotencyKey))
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return store.Request{}, fmt.Errorf("encoding the request: %w", err)
	}
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(fullMethod), []byte(incoming(ctx, headerIfMatch)), []byte(incoming(ctx, headerIfNoneMatch)), encoded} {
		fmt.Fprintf(digest, "%d:", len(part))
		digest.Write(part)
	}
	return store.Request{Actor: c.who.Name, Key: key, Hash: digest.Sum(nil)}, nil
}

// remember encodes an answer for its repetition; sealed if it shows a secret.
func (s *Server) remember(m method, c *call, answer proto.Message) (store.Answer, error) {
	wrapped, err := anypb.New(answer)
	if err != nil {
		return store.Answer{}, fmt.Errorf("wrapping the answer: %w", err)
	}
	body, err := proto.Marshal(wrapped)
	if err != nil {
		return store.Answer{}, fmt.Errorf("encoding the answer: %w", err)
	}
	if m.secret {
		if body, err = s.keyring.Seal(body, []byte(sealedAnswer)); err != nil {
			return store.Answer{}, err
		}
	}
	return store.Answer{Body: body, Headers: c.headers()}, nil
}

// sealedAnswer binds what remember seals to its place.
const sealedAnswer = "idempotency answer"

// recall gives the answer of the first time.
func (s *Server) recall(m method, c *call, answer store.Answer) (any, error) {
	body := answer.Body
	if m.secret {
		var err error
		if body, err = s.keyring.Unseal(body, []byte(sealedAnswer)); err != nil {
			return nil, err
		}
	}
	var wrapped anypb.Any
	if err := proto.Unmarshal(body, &wrapped); err != nil {
		return nil, fmt.Errorf("decoding the remembered answer: %w", err)
	}
	for name, value := range answer.Headers {
		c.setHeader(name, value)
	}
	c.setHeader(headerReplayed, "true")
	return wrapped.UnmarshalNew()
}

// dry says whether the request asks to change nothing.
func dry(request any) bool {
	r, ok := request.(interface{ GetValidateOnly() bool })
	return ok && r.GetValidateOnly()
}

// audit notes what was done, in the transaction that does it.
func (s *Server) audit(ctx context.Context, m method, request, answer proto.Message) error {
	c := callOf(ctx)
	event := store.AuditEvent{
		Actor: c.who.Name, Action: m.action, Fleet: textField(request, "fleet"), Reason: textField(request, "reason"),
		RequestID: c.requestID, Source: c.source.String(),
	}
	if event.Actor == "" { // signing in: the answer says who it was
		event.Actor = textField(answer, "subject")
	}
	if m.collection != "" {
		event.Resource = m.collection + "/" + subject(request, answer)
	}
	if draft := textField(request, "change_set"); draft != "" {
		event.Action = "change_set.edit"
		event.Reason = "in change set " + draft
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error { return tx.Audit(ctx, event) })
}

// subject is the name of what was changed: as asked, or, of what was made, as answered.
func subject(request, answer proto.Message) string {
	if name := nameIn(request, ""); name != "" {
		return name
	}
	if name := nameIn(answer, ""); name != "" {
		return name
	}
	fields := answer.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); field.Message() != nil && !field.IsList() && !field.IsMap() {
			if name := nameIn(answer.ProtoReflect().Get(field).Message().Interface(), ""); name != "" {
				return name
			}
		}
	}
	return ""
}

// textField is a field of type string; empty if there is none of that name.
func textField(message proto.Message, name protoreflect.Name) string {
	m := message.ProtoReflect()
	field := m.Descriptor().Fields().ByName(name)
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
		return ""
	}
	return m.Get(field).String()
}
