package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/declarative"
	"tidegate.dev/controlplane/cli/login"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// What the demo's files are known to hold: whose key is printed, and what it opens.
const (
	demoConsumer = "acme"
	demoPath     = "/orders/42"
)

// setUpDemo makes what the printed request needs: configuration (only in a fleet without revisions, so that nobody's edits
// are lost), a certificate, a key; and waits until the agents answer.
func (s *stack) setUpDemo(ctx context.Context, agents []Agent) (*Demo, error) {
	demo := &Demo{}
	var upstreams []upstream
	for i, name := range demoUpstreams() {
		u := upstream{Name: name, URL: "http://" + address(s.layout.upstreams[i])}
		upstreams, demo.Upstreams = append(upstreams, u), append(demo.Upstreams, u.URL)
	}
	if err := s.applyDemo(ctx, upstreams); err != nil {
		return nil, err
	}
	var err error
	if demo.Certificate, err = s.ensureCertificate(ctx); err != nil {
		return nil, err
	}
	if demo.Key, err = s.ensureKey(ctx); err != nil {
		return nil, err
	}
	demo.Curl = "curl -s " + agents[0].Proxy + demoPath
	if demo.Key != "" {
		demo.Curl = fmt.Sprintf("curl -s -H 'x-api-key: %s' %s%s", demo.Key, agents[0].Proxy, demoPath)
	}
	s.awaitAgents(ctx, agents, demo.Key)
	return demo, nil
}

// applyDemo publishes the demo's files to a fleet without revisions, and waits for the rollout.
func (s *stack) applyDemo(ctx context.Context, upstreams []upstream) error {
	var f adminv1.Fleet
	if err := s.client.Get(ctx, client.Path("fleets", fleet), nil, &f); err != nil {
		return err
	}
	if f.GetHeadRevision() > 0 {
		s.config.say("demo: the fleet has revision %d; its configuration stays as it is", f.GetHeadRevision())
		return s.moveUpstreams(ctx, upstreams)
	}
	set, err := declarative.Load([]string{s.config.DemoDir}, nil)
	if err != nil {
		return err
	}
	defaults := DefaultPorts()
	for _, r := range set.Resources {
		for i, u := range upstreams {
			if service := r.Value.GetService(); service != nil {
				service.Url = strings.Replace(service.Url, "http://"+address(row(defaults.Upstream, i)), u.URL, 1)
			}
		}
	}
	var applied adminv1.ApplyResponse
	request := &adminv1.ApplyRequest{Fleet: fleet, Resources: set.Messages(), Message: "the demo"}
	if err := s.client.Post(ctx, client.Path("fleets", fleet, ":apply"), request, &applied); err != nil {
		return err
	}
	s.config.say("demo: %d resources are published as revision %d", len(set.Resources), applied.GetPublished().GetRevision())
	if err := s.awaitRollout(ctx, applied.GetPublished().GetRollout()); err != nil {
		return err
	}
	return s.rememberUpstreams(upstreams)
}

// rolloutWait bounds the wait for the demo's rollout: it is the fleet's first, which agent gates alone decide.
const rolloutWait = time.Minute

func (s *stack) awaitRollout(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, rolloutWait, fmt.Errorf("rollout %s has not ended within %s", id, rolloutWait))
	defer cancel()
	var rollout adminv1.Rollout
	err := s.client.Watch(ctx, client.Path("fleets", fleet, "rollouts", id, ":watch"), &rollout, func() bool {
		return rollout.GetEndTime() != nil
	}, nil)
	if err != nil {
		return err
	}
	if rollout.GetState() != "completed" {
		return fmt.Errorf("rollout %s of the demo ended as %s: %s", id, rollout.GetState(), rollout.GetReason())
	}
	return nil
}

// savedKey is what the file with the demo's key holds.
type savedKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// ensureKey returns a key of the demo's consumer: the one of the last time if it still works, else a new one. If the consumer
// is gone, the key is empty.
func (s *stack) ensureKey(ctx context.Context) (string, error) {
	file := s.config.file("demo-key.json")
	keys := client.Path("fleets", fleet, "consumers", demoConsumer, "keys")
	var saved savedKey
	switch content, err := os.ReadFile(file); {
	case err == nil && json.Unmarshal(content, &saved) == nil && saved.ID != "":
		var key adminv1.Key
		err := s.client.Get(ctx, keys+"/"+saved.ID, nil, &key)
		if err == nil && key.GetState() == "active" {
			return saved.Secret, nil
		}
		if err != nil && !client.IsNotFound(err) {
			return "", err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("reading the demo's key: %w", err)
	}
	var made adminv1.CreateKeyResponse
	request := &adminv1.Key{Spec: &configv1.Key{Description: "made by tidegate up"}}
	if err := s.client.Post(ctx, keys, request, &made); client.IsNotFound(err) {
		s.config.say("demo: there is no consumer %s any more; no key was made", demoConsumer)
		return "", nil
	} else if err != nil {
		return "", err
	}
	content, err := json.Marshal(savedKey{ID: made.GetKey().GetId(), Secret: made.GetSecret()})
	if err != nil {
		return "", fmt.Errorf("encoding the demo's key: %w", err)
	}
	return made.GetSecret(), login.WritePrivate(file, content)
}

// agentWait bounds the wait for agents to serve what was published.
const agentWait = 20 * time.Second

// awaitAgents waits until every agent has configuration, and knows the key if there is one. It does not insist: people may
// have published what answers differently.
func (s *stack) awaitAgents(ctx context.Context, agents []Agent, key string) {
	ctx, cancel := context.WithTimeout(ctx, agentWait)
	defer cancel()
	for _, agent := range agents {
		if err := poll(ctx, func() bool { return answers(ctx, agent.Proxy+demoPath, key) }); err != nil {
			s.config.say("demo: %s%s does not answer as the demo would", agent.Proxy, demoPath)
		}
	}
}

func poll(ctx context.Context, done func() bool) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	return nil
}

func answers(ctx context.Context, url, key string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	request.Close = true
	if key != "" {
		request.Header.Set("x-api-key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
