package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Response is an answer with its body read.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// Reason is why the gateway made the answer; empty when the upstream did.
func (r Response) Reason() string { return r.Header.Get("X-Tidegate-Reason") }

// client keeps no connection, so that a request never meets one that a killed process left behind.
var client = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   15 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

// Get sends one GET and returns the answer, or an error if there was none.
func Get(ctx context.Context, url string, headers ...string) (Response, error) {
	return Send(ctx, http.MethodGet, url, "", headers...)
}

// Send sends one request; headers are "name: value".
func Send(ctx context.Context, method, url, body string, headers ...string) (Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Response{}, fmt.Errorf("making a request for %s: %w", url, err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return Response{}, fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	return Response{Status: response.StatusCode, Header: response.Header, Body: string(text)}, nil
}

// Admin calls the admin API with the bootstrap token and decodes the answer into out, if it is not nil. It returns the
// answer; a connection that fails fails the test.
func (s *Stack) Admin(method, path string, in, out any, headers ...string) Response {
	s.t.Helper()
	response, err := s.TryAdmin(method, path, in, out, headers...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response
}

// TryAdmin is Admin for when the control plane may be away.
func (s *Stack) TryAdmin(method, path string, in, out any, headers ...string) (Response, error) {
	s.t.Helper()
	body := ""
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			s.t.Fatalf("encoding the body of %s %s: %v", method, path, err)
		}
		body = string(encoded)
	}
	headers = append([]string{"Authorization: Bearer " + s.Token(), "Content-Type: application/json"}, headers...)
	response, err := Send(s.t.Context(), method, s.Ready.Admin+path, body, headers...)
	if err != nil {
		return Response{}, err
	}
	if out != nil && response.Status < 300 {
		if err := json.NewDecoder(bytes.NewBufferString(response.Body)).Decode(out); err != nil {
			return response, fmt.Errorf("decoding %q: %w", response.Body, err)
		}
	}
	return response, nil
}

// Ask calls the admin API of one replica with the bootstrap token and a body of JSON. It may be called from any goroutine.
func (s *Stack) Ask(ctx context.Context, replica Replica, method, path, body string, headers ...string) (Response, error) {
	headers = append([]string{"Authorization: Bearer " + s.Token(), "Content-Type: application/json"}, headers...)
	return Send(ctx, method, replica.Admin+path, body, headers...)
}

// Errorf fails the stack's test and lets it go on. It may be called from any goroutine.
func (s *Stack) Errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf(format, args...)
}

// Token is the bootstrap admin token.
func (s *Stack) Token() string {
	s.t.Helper()
	text, err := os.ReadFile(s.Ready.TokenFile)
	if err != nil {
		s.t.Fatalf("reading the admin token: %v", err)
	}
	return strings.TrimSpace(string(text))
}

// Eventually waits until check returns no error; the last error fails the test.
func Eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		<-tick.C
	}
}
