package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	defaultConsulAddress = "http://127.0.0.1:8500"
	defaultZoneKey       = "zone"
	// consulWait is how long a question may wait for a change. It is short enough for a connection that is dead without a word.
	consulWait = time.Minute
	// consulGrace is what comes on top: Consul waits up to a sixteenth longer, so that not all come back at once.
	consulGrace = consulWait/16 + 10*time.Second
	// consulPause is the least between two questions, whatever changes; consulIdlePause if nothing had changed.
	consulPause     = 100 * time.Millisecond
	consulIdlePause = time.Second
	// longestAnswer bounds what is read of an answer.
	longestAnswer = 16 << 20
)

// errNonePasses says that Consul knows no instance that passes its checks. It is what Consul also says to a token that may not
// see the instances, or when its own network is cut, so nothing is taken away.
var errNonePasses = errors.New("no instance passes its checks, or the token may not see any")

// consulFollower watches the health endpoint by blocking queries
// (https://developer.hashicorp.com/consul/api-docs/features/blocking).
type consulFollower struct {
	config  ConsulConfig
	address string
	dial    DialFunc
	secret  func(string) (string, bool)
	// index is up to where the last answer reached.
	index uint64
}

func newConsulFollower(c ConsulConfig, e *Environment) *consulFollower {
	f := &consulFollower{config: c, address: c.Address, dial: e.Dial, secret: e.Secret}
	if f.address == "" {
		// The operator of the machine chose this one.
		f.address, f.dial = cmp.Or(e.ConsulAddress, defaultConsulAddress), new(net.Dialer).DialContext
	}
	f.address = strings.TrimSuffix(f.address, "/")
	f.config.ZoneKey = cmp.Or(c.ZoneKey, defaultZoneKey)
	return f
}

func (f *consulFollower) follow(ctx context.Context, r *report) error {
	// What failed may be a server that forgot; the first answer then comes at once.
	f.index = 0
	transport := &consulTransport{transport: &http.Transport{
		DialContext: f.dial, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 2 * consulWait, MaxResponseHeaderBytes: 64 << 10,
	}}
	defer transport.transport.CloseIdleConnections()
	client, err := api.NewClient(&api.Config{Address: f.address, HttpClient: &http.Client{
		Transport: transport,
		// A token is for the one that it was configured for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if err != nil {
		return fmt.Errorf("making a client for Consul: %w", err)
	}
	for {
		began, before := time.Now(), f.index
		if err := f.ask(ctx, client, transport, r); err != nil {
			return err
		}
		pause := consulPause
		if f.index <= before && time.Since(began) < consulIdlePause {
			pause = consulIdlePause // it does not wait
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// ask asks for what is other than at the index, and waits for that.
func (f *consulFollower) ask(ctx context.Context, client *api.Client, transport *consulTransport, r *report) error {
	token, err := f.token()
	if err != nil {
		return err
	}
	transport.token = token
	ctx, cancel := context.WithTimeout(ctx, consulWait+consulGrace)
	defer cancel()
	options := &api.QueryOptions{Datacenter: f.config.Datacenter, WaitIndex: f.index, WaitTime: consulWait}
	var tags []string
	for _, tag := range f.config.Tags {
		if tag != "" {
			tags = append(tags, tag)
		}
	}
	entries, meta, err := client.Health().ServiceMultipleTags(f.config.Service, tags, true, options.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("asking Consul: %w", brief(err))
	}
	f.index = nextIndex(f.index, meta.LastIndex)
	targets := f.targets(entries)
	if len(targets) == 0 {
		r.failed(errNonePasses)
		return nil
	}
	r.found(targets, nil)
	return nil
}

// nextIndex is what to wait for after an answer: from the beginning if the index went back, as it does when Consul's state was
// restored, and never 0 else, which would not wait.
func nextIndex(before, answered uint64) uint64 {
	if answered < before {
		return 0
	}
	return max(1, answered)
}

func (f *consulFollower) token() (string, error) {
	if f.config.TokenSecret == "" {
		return "", nil
	}
	if f.secret != nil {
		if token, ok := f.secret(f.config.TokenSecret); ok {
			return strings.TrimSpace(token), nil
		}
	}
	return "", fmt.Errorf("the secret %q is not here", f.config.TokenSecret)
}

func (f *consulFollower) targets(entries []*api.ServiceEntry) (targets []Target) {
	for _, entry := range entries {
		if entry == nil || entry.Service == nil {
			continue
		}
		host, zone := entry.Service.Address, entry.Service.Meta[f.config.ZoneKey]
		if entry.Node != nil {
			host, zone = cmp.Or(host, entry.Node.Address), cmp.Or(zone, entry.Node.Meta[f.config.ZoneKey])
		}
		if address, ok := joinAddress(host, entry.Service.Port); ok {
			weight := uint32(min(max(1, entry.Service.Weights.Passing), MaxWeight))
			targets = append(targets, Target{Address: address, Weight: weight, Zone: zone})
		}
	}
	return targets
}

// consulTransport sends the token of the configuration and no other, whatever the library finds in the process's environment,
// and bounds what is read. It belongs to one goroutine.
type consulTransport struct {
	transport *http.Transport
	token     string
}

// RoundTrip is [http.RoundTripper]'s.
func (t *consulTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Del("Authorization")
	request.Header.Del("X-Consul-Token")
	if t.token != "" {
		request.Header.Set("X-Consul-Token", t.token)
	}
	response, err := t.transport.RoundTrip(request)
	if err == nil {
		response.Body = boundBody(response.Body, longestAnswer)
	}
	return response, err
}

// boundedBody fails when more is read than may be.
type boundedBody struct {
	io.Closer
	reader *io.LimitedReader
}

func boundBody(body io.ReadCloser, most int64) *boundedBody {
	return &boundedBody{Closer: body, reader: &io.LimitedReader{R: body, N: most}}
}

// Read is [io.Reader]'s.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.reader.N <= 0 {
		return 0, errors.New("the answer is too long")
	}
	return b.reader.Read(p)
}

// brief shortens an error that holds an answer's text.
func brief(err error) error {
	const longest = 300
	var status api.StatusError
	if errors.As(err, &status) {
		text := strings.TrimSpace(status.Body)
		return fmt.Errorf("the answer is %d %.*q", status.Code, longest, text)
	}
	return err
}
