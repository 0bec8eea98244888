package discovery

import (
	"fmt"
	"strconv"
)

// endpointSlice is what we read of an EndpointSlice of discovery.k8s.io/v1. The rest would bring half of Kubernetes' schema
// into the program.
type endpointSlice struct {
	Metadata    objectMeta     `json:"metadata"`
	AddressType string         `json:"addressType"`
	Endpoints   []endpoint     `json:"endpoints"`
	Ports       []endpointPort `json:"ports"`
}

type objectMeta struct {
	Name            string `json:"name"`
	ResourceVersion string `json:"resourceVersion"`
}

type endpoint struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready       *bool `json:"ready"`
		Serving     *bool `json:"serving"`
		Terminating *bool `json:"terminating"`
	} `json:"conditions"`
	Zone string `json:"zone"`
}

// ready tells whether an endpoint is to be used. What is not said counts as in Kubernetes: ready, and not terminating.
func (e *endpoint) ready() bool {
	c := e.Conditions
	return (c.Ready == nil || *c.Ready) && (c.Terminating == nil || !*c.Terminating)
}

// leaving tells whether an endpoint still serves but will end.
func (e *endpoint) leaving() bool {
	c := e.Conditions
	return c.Terminating != nil && *c.Terminating && c.Serving != nil && *c.Serving
}

type endpointPort struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

const addressTypeIPv6 = "IPv6"

// endpointTargets makes targets of the slices of a service: of those endpoints that are ready, else of those that still serve
// until they end. Of a service that has both families, pods are known by one, IPv4, lest each counts twice. No target and no
// error means that the service has no endpoints.
func endpointTargets(slices map[string]endpointSlice, port string) ([]Target, error) {
	for _, wanted := range []func(*endpoint) bool{(*endpoint).ready, (*endpoint).leaving} {
		for _, ipv6 := range []bool{false, true} {
			targets, err := selectEndpoints(slices, port, func(s *endpointSlice, e *endpoint) bool {
				return (s.AddressType == addressTypeIPv6) == ipv6 && wanted(e)
			})
			if len(targets) > 0 || err != nil {
				return targets, err
			}
		}
	}
	listed := 0
	for _, s := range slices {
		listed += len(s.Endpoints)
	}
	if listed > 0 {
		return nil, fmt.Errorf("none of the %d endpoints is ready", listed)
	}
	return nil, nil
}

func selectEndpoints(slices map[string]endpointSlice, port string, wanted func(*endpointSlice, *endpoint) bool) ([]Target, error) {
	var targets []Target
	var problem error
	for _, s := range slices {
		number, err := s.port(port)
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			if !wanted(&s, e) || len(e.Addresses) == 0 {
				continue
			}
			if err != nil {
				problem = err
				continue
			}
			// The addresses of an endpoint are the same to us; the first is the one that is used everywhere.
			if address, ok := joinAddress(e.Addresses[0], number); ok {
				targets = append(targets, Target{Address: address, Weight: 1, Zone: e.Zone})
			}
		}
	}
	if len(targets) > 0 {
		problem = nil // slices of other ports do not matter
	}
	return targets, problem
}

// port finds a port by its name or number; without either there must be one alone. A slice that names no ports stands for all.
func (s *endpointSlice) port(wanted string) (int, error) {
	number, err := strconv.Atoi(wanted)
	numbered := err == nil
	if len(s.Ports) == 0 && numbered {
		return number, nil
	}
	var only []int
	for _, p := range s.Ports {
		switch {
		case p.Protocol != "" && p.Protocol != "TCP":
		case wanted == "":
			only = append(only, p.Port)
		case p.Name == wanted || numbered && p.Port == number:
			return p.Port, nil
		}
	}
	switch {
	case wanted != "":
		return 0, fmt.Errorf("the service's endpoints have no TCP port %q", wanted)
	case len(only) != 1:
		return 0, fmt.Errorf("the service's endpoints have %d TCP ports; say which one", len(only))
	}
	return only[0], nil
}
