package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// breakage is one way to break the demo by a change that every check lets pass.
type breakage struct {
	kind  string
	about string
	// path is what the load asks for.
	path string
	// change makes the broken resource of the healthy ones.
	change func(service *configv1.Service, route *configv1.Route) *adminv1.Resource
}

const loadPath = "/orders/42"

// breakages are the kinds that --kind takes.
func breakages() []breakage {
	return []breakage{
		{
			kind:  "dead-upstream",
			about: "the service orders moves to a port where nobody listens",
			path:  loadPath,
			change: func(service *configv1.Service, _ *configv1.Route) *adminv1.Resource {
				broken := proto.CloneOf(service)
				broken.Url, broken.Targets = "http://127.0.0.1:1", nil
				return serviceResource(broken)
			},
		},
		{
			kind:  "wrong-path",
			about: "the route orders is misspelt as /oders/**",
			path:  loadPath,
			change: func(_ *configv1.Service, route *configv1.Route) *adminv1.Resource {
				broken := proto.CloneOf(route)
				broken.Match.Paths = []string{"/oders/**"}
				return &adminv1.Resource{Name: "orders", Spec: &adminv1.Resource_Route{Route: broken}}
			},
		},
		{
			kind:  "broken-auth",
			about: "authentication looks for the key in another header than clients send",
			path:  loadPath,
			change: func(*configv1.Service, *configv1.Route) *adminv1.Resource {
				return pluginResource("orders-auth", "key-auth", map[string]any{"headers": []any{"x-new-api-key"}})
			},
		},
		{
			kind:  "strict-limit",
			about: "a limit of one request an hour",
			path:  loadPath,
			change: func(*configv1.Service, *configv1.Route) *adminv1.Resource {
				return pluginResource("orders-limit", "rate-limit", map[string]any{"requests": 1, "per": "1h"})
			},
		},
		{
			kind:  "slow",
			about: "the route orders takes 20ms longer; nothing fails",
			path:  loadPath,
			change: func(_ *configv1.Service, route *configv1.Route) *adminv1.Resource {
				broken := proto.CloneOf(route)
				broken.Fault = &configv1.Fault{Delay: &configv1.FaultDelay{Duration: "20ms"}}
				return &adminv1.Resource{Name: "orders", Spec: &adminv1.Resource_Route{Route: broken}}
			},
		},
	}
}

func breakageNames() string {
	var names []string
	for _, b := range breakages() {
		names = append(names, b.kind)
	}
	return strings.Join(names, ", ")
}

// findBreakages are those of a kind, or all.
func findBreakages(kind string) ([]breakage, error) {
	if kind == allKinds {
		return breakages(), nil
	}
	for _, b := range breakages() {
		if b.kind == kind {
			return []breakage{b}, nil
		}
	}
	return nil, fmt.Errorf("there is no --kind %s; there are %s, and %s", kind, breakageNames(), allKinds)
}

func serviceResource(service *configv1.Service) *adminv1.Resource {
	return &adminv1.Resource{Name: "orders", Spec: &adminv1.Resource_Service{Service: service}}
}

func pluginResource(name, kind string, settings map[string]any) *adminv1.Resource {
	config, err := structpb.NewStruct(settings)
	if err != nil { // the settings above are all plain values
		panic(err)
	}
	plugin := &configv1.Plugin{Type: kind, Scope: &configv1.Scope{Route: "orders"}, Config: config}
	return &adminv1.Resource{Name: name, Spec: &adminv1.Resource_Plugin{Plugin: plugin}}
}
