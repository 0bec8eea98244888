package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// api is the admin API of a running stack, as any program would call it.
type api struct {
	base, token string
	client      *http.Client
}

func newAPI(base, tokenFile string) (*api, error) {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the admin token: %w", err)
	}
	return &api{base: base, token: strings.TrimSpace(string(token)), client: &http.Client{Timeout: 30 * time.Second}}, nil
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// call sends a request, with a body unless that is nil, and reads the answer into a message.
func (a *api) call(ctx context.Context, method, path string, body, into proto.Message) error {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = (protojson.MarshalOptions{UseProtoNames: true}).Marshal(body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+"/v1/fleets/default"+path, bytes.NewReader(encoded))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", rand.Text())
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the control plane: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("reading the control plane's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(content))
	}
	if into == nil {
		return nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading the control plane's answer: %w", err)
	}
	return nil
}

func (a *api) get(ctx context.Context, path string, into proto.Message) error {
	return a.call(ctx, http.MethodGet, path, nil, into)
}

func (a *api) post(ctx context.Context, path string, body, into proto.Message) error {
	return a.call(ctx, http.MethodPost, path, body, into)
}
