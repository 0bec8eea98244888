package configv1

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// NewSpec makes an empty spec of a kind; nil if the kind is unknown.
func NewSpec(kind Kind) proto.Message {
	switch kind {
	case Kind_KIND_SERVICE:
		return new(Service)
	case Kind_KIND_ROUTE:
		return new(Route)
	case Kind_KIND_PLUGIN:
		return new(Plugin)
	case Kind_KIND_PLAN:
		return new(Plan)
	case Kind_KIND_TEST:
		return new(Test)
	case Kind_KIND_CONSUMER:
		return new(Consumer)
	case Kind_KIND_KEY:
		return new(Key)
	case Kind_KIND_CERTIFICATE:
		return new(Certificate)
	case Kind_KIND_SECRET:
		return new(Secret)
	case Kind_KIND_BLOCK:
		return new(Block)
	case Kind_KIND_UNSPECIFIED:
	}
	return nil
}

// Reference is one resource naming another.
type Reference struct {
	// Field is the path of the naming field in the spec: "scope.route".
	Field string
	Kind  Kind
	Name  string
}

// References lists what a spec refers to, in the order of its fields. Settings of plugins count too.
func References(spec proto.Message) []Reference {
	var out []Reference
	add := func(field string, kind Kind, name string) {
		if name != "" {
			out = append(out, Reference{Field: field, Kind: kind, Name: name})
		}
	}
	switch s := spec.(type) {
	case *Route:
		add("service", Kind_KIND_SERVICE, s.GetService())
		for i, backend := range s.GetBackends() {
			add(fmt.Sprintf("backends[%d].service", i), Kind_KIND_SERVICE, backend.GetService())
		}
		add("mirror.service", Kind_KIND_SERVICE, s.GetMirror().GetService())
	case *Service:
		add("discovery.consul.token_secret", Kind_KIND_SECRET, s.GetDiscovery().GetConsul().GetTokenSecret())
	case *Test:
		add("expect.route", Kind_KIND_ROUTE, s.GetExpect().GetRoute())
		add("expect.service", Kind_KIND_SERVICE, s.GetExpect().GetService())
	case *Consumer:
		add("plan", Kind_KIND_PLAN, s.GetPlan())
	case *Block:
		add("consumer", Kind_KIND_CONSUMER, s.GetConsumer())
	case *Plugin:
		add("scope.service", Kind_KIND_SERVICE, s.GetScope().GetService())
		add("scope.route", Kind_KIND_ROUTE, s.GetScope().GetRoute())
		add("scope.consumer", Kind_KIND_CONSUMER, s.GetScope().GetConsumer())
		add("scope.plan", Kind_KIND_PLAN, s.GetScope().GetPlan())
		if settings, err := s.Settings(); err == nil {
			if h, ok := settings.(*HeaderTransform); ok {
				for _, at := range h.secretFields() {
					add("config."+at.Field, Kind_KIND_SECRET, at.Name)
				}
			}
		}
	}
	return out
}

// Services are the names of the services that answer a route's requests, each once.
func (r *Route) Services() []string {
	if r.GetService() != "" {
		return []string{r.GetService()}
	}
	names := make([]string, len(r.GetBackends()))
	for i, backend := range r.GetBackends() {
		names[i] = backend.GetService()
	}
	return names
}
