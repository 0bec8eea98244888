package up

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/declarative"
	"tidegate.dev/controlplane/cli/login"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// upstreamsName is the file that remembers where the demo's upstreams were the last time.
const upstreamsName = "demo-upstreams.json"

func (s *stack) rememberUpstreams(upstreams []upstream) error {
	content, err := json.Marshal(upstreams)
	if err != nil {
		return fmt.Errorf("encoding where the upstreams are: %w", err)
	}
	return login.WritePrivate(s.config.file(upstreamsName), content)
}

// moveUpstreams publishes where the demo's upstreams are now, for services that still point to where they were the last time:
// other ports were asked for. A service that somebody has pointed elsewhere is left alone.
func (s *stack) moveUpstreams(ctx context.Context, upstreams []upstream) error {
	var before []upstream
	content, err := os.ReadFile(s.config.file(upstreamsName))
	if err != nil || json.Unmarshal(content, &before) != nil || slices.Equal(before, upstreams) {
		return nil //nolint:nilerr // nothing is remembered: the demo was never published from here
	}
	var moved []*adminv1.Resource
	for _, old := range before {
		i := slices.IndexFunc(upstreams, func(u upstream) bool { return u.Name == old.Name })
		var service adminv1.Service
		err := s.client.Get(ctx, client.Path("fleets", fleet, "services", old.Name), nil, &service)
		if err != nil && !client.IsNotFound(err) {
			return err
		}
		if i < 0 || err != nil || service.GetSpec().GetUrl() != old.URL || old.URL == upstreams[i].URL {
			continue
		}
		service.Spec.Url = upstreams[i].URL
		moved = append(moved, declarative.NewResource(old.Name, service.GetLabels(), service.GetSpec()))
	}
	if len(moved) > 0 {
		request := &adminv1.ApplyRequest{Fleet: fleet, Resources: moved, Message: "the demo's upstreams moved", Strategy: "immediate"}
		var applied adminv1.ApplyResponse
		if err := s.client.Post(ctx, client.Path("fleets", fleet, ":apply"), request, &applied); err != nil {
			return err
		}
		s.config.say("demo: its upstreams moved, which is published as revision %d", applied.GetPublished().GetRevision())
		if err := s.awaitRollout(ctx, applied.GetPublished().GetRollout()); err != nil {
			return err
		}
	}
	return s.rememberUpstreams(upstreams)
}
