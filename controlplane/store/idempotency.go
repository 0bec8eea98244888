package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/store/queries"
)

// ErrOtherRequest says that the Idempotency-Key was used with another request.
var ErrOtherRequest = errors.New("the idempotency key was used with another request")

// Request is a write that must have one effect however often it is sent.
type Request struct {
	// Actor scopes Key: two actors may use the same key.
	Actor string
	// Key is what the client sent as Idempotency-Key. "": there is nothing to remember; the effect simply runs.
	Key string
	// Hash is over everything that the client asked for.
	Hash []byte
}

// Answer is what is answered to a request, now and to a repetition.
type Answer struct {
	// Body is the encoded answer. A caller that shows a secret seals it first.
	Body []byte
	// Headers are what the answer carries beside its body.
	Headers map[string]string
}

// Once runs effect in one transaction with the record of its request, so that the request has one effect: also when the
// connection broke at COMMIT and the client, who cannot know, asks again. It returns the answer of effect, or, if the
// request was carried out before, the answer of that time (replayed). ErrOtherRequest: the key belongs to another request.
//
// The context that effect receives carries the transaction: InTx and View of this store join it, so effect can be a whole
// handler of several rooms. As in InTx, effect may run more than once and must have no effects besides the database. A
// repetition that arrives while the first is under way waits for it. An effect that fails is not remembered.
func (s *Store) Once(ctx context.Context, request Request, effect func(context.Context) (Answer, error)) (answer Answer, replayed bool, err error) {
	err = s.run(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx *Tx) error {
		answer, replayed, err = tx.once(ctx, request, effect)
		return err
	})
	if err != nil {
		return Answer{}, false, err
	}
	return answer, replayed, nil
}

func (tx *Tx) once(ctx context.Context, request Request, effect func(context.Context) (Answer, error)) (Answer, bool, error) {
	joined := withTx(ctx, tx)
	if request.Key == "" {
		answer, err := effect(joined)
		return answer, false, err
	}
	parameters := queries.InsertIdempotencyKeyParams{Actor: request.Actor, Key: request.Key, RequestHash: request.Hash}
	inserted, err := tx.queries.InsertIdempotencyKey(ctx, parameters)
	if err != nil {
		return Answer{}, false, fmt.Errorf("recording the idempotency key: %w", translate(err))
	}
	if inserted == 0 {
		answer, err := tx.replay(ctx, request)
		return answer, err == nil, err
	}
	answer, err := effect(joined)
	if err != nil {
		return Answer{}, false, err
	}
	return answer, false, tx.rememberAnswer(ctx, request, answer)
}

func (tx *Tx) replay(ctx context.Context, request Request) (Answer, error) {
	row, err := tx.queries.GetIdempotencyKey(ctx, queries.GetIdempotencyKeyParams{Actor: request.Actor, Key: request.Key})
	if err != nil {
		return Answer{}, fmt.Errorf("reading the idempotency key: %w", translate(err))
	}
	if subtle.ConstantTimeCompare(row.RequestHash, request.Hash) != 1 {
		return Answer{}, ErrOtherRequest
	}
	return Answer{Body: row.Response, Headers: row.Headers}, nil
}

func (tx *Tx) rememberAnswer(ctx context.Context, request Request, answer Answer) error {
	headers := answer.Headers
	if headers == nil {
		headers = map[string]string{}
	}
	err := tx.queries.SetIdempotencyResponse(ctx, queries.SetIdempotencyResponseParams{
		Actor: request.Actor, Key: request.Key, Response: answer.Body, Headers: headers,
	})
	if err != nil {
		return fmt.Errorf("recording the answer to an idempotency key: %w", translate(err))
	}
	return nil
}

// ForgetRequests removes the records of requests that are older than age (whole hours).
func (tx *Tx) ForgetRequests(ctx context.Context, age time.Duration) (int64, error) {
	removed, err := tx.queries.DeleteIdempotencyKeysBefore(ctx, int32(age/time.Hour))
	if err != nil {
		return 0, fmt.Errorf("removing old idempotency keys: %w", translate(err))
	}
	return removed, nil
}
