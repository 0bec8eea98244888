package up

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"tidegate.dev/controlplane/local"
)

// Ports are where things listen, all on 127.0.0.1. Those of agents and upstreams are the first of a row. 0 is any free one.
type Ports struct {
	Admin, Agent, Ops              int
	Proxy, TLS, AgentOps, Upstream int
	Postgres                       int
}

// DefaultPorts are those of the documentation.
func DefaultPorts() Ports {
	return Ports{Admin: 9080, Agent: 9081, Ops: 9082, Proxy: 8080, TLS: 8443, AgentOps: 9180, Upstream: 9001}
}

// demoUpstreams are the names of the demo's upstreams. In the demo's files they are at the default ports from Upstream on.
func demoUpstreams() []string { return []string{"orders", "payments"} }

const host = "127.0.0.1"

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// endpoint is one port that something will listen on.
type endpoint struct {
	port *int
	name string
	flag string
}

// layout is where everything listens.
type layout struct {
	controlPorts // of the first replica of the control plane
	// others are the ports of its other replicas, any free ones.
	others    []controlPorts
	agent     []agentPorts
	upstreams []int

	// held keeps the ports that were found from others until what listens on them does, also when it is started again.
	held *local.HeldPorts
}

type controlPorts struct{ admin, agents, ops int }

type agentPorts struct{ proxy, tls, ops int }

// row is the n-th port from first on; 0 stays any.
func row(first, n int) int {
	if first == 0 {
		return 0
	}
	return first + n
}

// plan chooses a port for everything: the given ones must be free, the others are found.
func (p Ports) plan(controlPlanes, agents int, demo bool) (*layout, error) {
	l := &layout{
		controlPorts: controlPorts{admin: p.Admin, agents: p.Agent, ops: p.Ops},
		others:       make([]controlPorts, controlPlanes-1), agent: make([]agentPorts, agents),
	}
	endpoints := []endpoint{
		{&l.admin, "admin API and console", "--admin-port"},
		{&l.agents, "streams of agents", "--agent-port"},
		{&l.ops, "metrics of the control plane", "--ops-port"},
	}
	for i := range l.others {
		o := &l.others[i]
		name := replicaName(i + 1)
		endpoints = append(endpoints, endpoint{&o.admin, "admin API of " + name, ""},
			endpoint{&o.agents, "streams of agents at " + name, ""}, endpoint{&o.ops, "metrics of " + name, ""})
	}
	for i := range l.agent {
		a := &l.agent[i]
		*a = agentPorts{proxy: row(p.Proxy, i), tls: row(p.TLS, i), ops: row(p.AgentOps, i)}
		name := agentName(i)
		endpoints = append(endpoints,
			endpoint{&a.proxy, "proxy of " + name, "--proxy-port"},
			endpoint{&a.tls, "TLS proxy of " + name, "--tls-port"},
			endpoint{&a.ops, "metrics of " + name, "--agent-ops-port"})
	}
	if demo {
		l.upstreams = make([]int, len(demoUpstreams()))
		for i, name := range demoUpstreams() {
			l.upstreams[i] = row(p.Upstream, i)
			endpoints = append(endpoints, endpoint{&l.upstreams[i], "demo upstream " + name, "--upstream-port"})
		}
	}
	var err error
	l.held, err = choose(endpoints)
	return l, err
}

func choose(endpoints []endpoint) (*local.HeldPorts, error) {
	taken := make(map[int]string)
	var wrong []error
	unset := 0
	for _, e := range endpoints {
		if *e.port == 0 {
			unset++
			continue
		}
		if other, twice := taken[*e.port]; twice {
			wrong = append(wrong, fmt.Errorf("port %d is wanted by both %s and %s; move one with %s", *e.port, other, e.name, e.flag))
			continue
		}
		taken[*e.port] = e.name
		wrong = append(wrong, local.CheckPort(host, *e.port, e.name, e.flag))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("%w\n(--ports auto finds free ones for everything)", err)
	}
	held, err := local.HoldPorts(unset)
	if err != nil {
		return nil, err
	}
	free := held.Ports
	for _, e := range endpoints {
		if *e.port == 0 {
			*e.port, free = free[0], free[1:]
		}
	}
	return held, nil
}

// replicas are the ports of every replica of the control plane.
func (l *layout) replicas() []controlPorts {
	return append([]controlPorts{l.controlPorts}, l.others...)
}

// agentAddresses are where agents find the control plane.
func (l *layout) agentAddresses() string {
	var addresses []string
	for _, replica := range l.replicas() {
		addresses = append(addresses, address(replica.agents))
	}
	return strings.Join(addresses, ",")
}

// replicaName is the name of the i-th replica of the control plane.
func replicaName(i int) string {
	if i == 0 {
		return "controlplane"
	}
	return fmt.Sprintf("controlplane-%d", i+1)
}

func agentName(i int) string { return fmt.Sprintf("agent-%d", i+1) }
