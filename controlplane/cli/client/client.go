// Package client speaks the admin API over REST, for the command line: JSON as the schema's messages, an idempotency key on
// every write so that it can be sent again after a broken connection, problem documents as errors that name fields, and
// streams that are watched.
//
// It knows one server and one token. It must never know commands, files or terminals.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Config says where the API is and who asks.
type Config struct {
	// Server is the base URL: "http://127.0.0.1:9080".
	Server string
	// Token authenticates; it is sent to Server alone. Empty: nothing is sent.
	Token string
	// UserAgent is sent along.
	UserAgent string
	// Timeout bounds each attempt of a call, but not streams. Default: 60 seconds.
	Timeout time.Duration
	// Attempts is how often a call is tried when the connection breaks or the server is unavailable. Default: 4.
	Attempts int
	// FirstPause is waited before the second attempt; it doubles. Default: 200 ms.
	FirstPause time.Duration
}

// Client is one caller of one server. It may be used from several goroutines.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
}

// New checks the configuration; it connects to nothing.
func New(config Config) (*Client, error) {
	base, err := url.Parse(config.Server)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("the server %q is not a URL such as http://127.0.0.1:9080", config.Server)
	}
	if base.User != nil {
		return nil, errors.New("the server's URL must not hold a user or a password; the admin token authenticates")
	}
	if config.Timeout == 0 {
		config.Timeout = 60 * time.Second
	}
	if config.Attempts == 0 {
		config.Attempts = 4
	}
	if config.FirstPause == 0 {
		config.FirstPause = 200 * time.Millisecond
	}
	// A server that answers with a redirect is not the admin API; the token must not follow it.
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{config: config, base: base, http: &http.Client{CheckRedirect: noRedirect}}, nil
}

// Server is the base URL.
func (c *Client) Server() string { return strings.TrimSuffix(c.base.String(), "/") }

// Path joins segments to a path of the API, escaping each: Path("fleets", "default", "routes", name). A method at the end
// (":publish") is added to the segment before it.
func Path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, segment := range segments {
		if !strings.HasPrefix(segment, ":") {
			b.WriteByte('/')
		}
		b.WriteString(strings.ReplaceAll(url.PathEscape(segment), "%3A", ":"))
	}
	return b.String()
}

// Get reads what is at a path.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into proto.Message) error {
	_, err := c.Do(ctx, Call{Method: http.MethodGet, Path: path, Query: query}, into)
	return err
}

// Post sends a message and reads the answer.
func (c *Client) Post(ctx context.Context, path string, body, into proto.Message) error {
	_, err := c.Do(ctx, Call{Method: http.MethodPost, Path: path, Body: body}, into)
	return err
}

// Call is one request.
type Call struct {
	Method  string
	Path    string // as Path makes it
	Query   url.Values
	Body    proto.Message // nil: none
	IfMatch string        // an ETag; empty: whatever is there
}

// Do carries out a call and reads the answer into a message, unless that is nil. A write carries an idempotency key, so it is
// tried again as safely as a read. It returns the headers of the answer. What the server refuses is a *Problem, what could
// not be reached an *Unreachable.
func (c *Client) Do(ctx context.Context, call Call, into proto.Message) (http.Header, error) {
	var body []byte
	if call.Body != nil {
		encoded, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(call.Body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		body = encoded
	}
	key := ""
	if call.Method != http.MethodGet {
		key = rand.Text()
	}
	pause := c.config.FirstPause
	for attempt := 1; ; attempt++ {
		header, err := c.attempt(ctx, call, key, body, into)
		if err == nil || attempt >= c.config.Attempts || !again(err) {
			return header, err
		}
		wait := max(pause, retryAfter(err))
		pause *= 2
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
	}
}

func (c *Client) attempt(ctx context.Context, call Call, key string, body []byte, into proto.Message) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	response, err := c.send(ctx, call, key, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, &Unreachable{Server: c.Server(), Err: err}
	}
	if len(content) > maxAnswer {
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB", c.Server(), maxAnswer>>20)
	}
	if response.StatusCode/100 != 2 {
		return nil, problemOf(response, content)
	}
	if into == nil || len(bytes.TrimSpace(content)) == 0 {
		return response.Header, nil
	}
	if err := decode(content, into); err != nil {
		return nil, fmt.Errorf("%s answered %s with what is not the admin API's: %w", c.Server(), response.Status, err)
	}
	return response.Header, nil
}

// maxAnswer bounds what is read of an answer, in bytes. A page has at most 1,000 resources.
const maxAnswer = 256 << 20

// decode reads a message, ignoring fields of a newer server.
func decode(content []byte, into proto.Message) error {
	proto.Reset(into)
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(content, into)
}

// send makes one HTTP request; the caller closes the answer's body.
func (c *Client) send(ctx context.Context, call Call, key string, body []byte) (*http.Response, error) {
	target := c.Server() + call.Path
	if len(call.Query) > 0 {
		target += "?" + call.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, call.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	header := request.Header
	header.Set("Accept", "application/json, application/problem+json")
	if call.Body != nil {
		header.Set("Content-Type", "application/json")
	}
	for name, value := range map[string]string{"User-Agent": c.config.UserAgent, "Idempotency-Key": key, "If-Match": call.IfMatch} {
		if value != "" {
			header.Set(name, value)
		}
	}
	if c.config.Token != "" {
		header.Set("Authorization", "Bearer "+c.config.Token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, &Unreachable{Server: c.Server(), Err: cause(err)}
	}
	return response, nil
}

// cause drops the method and URL that net/http puts before what happened.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
