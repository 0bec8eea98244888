package main

import (
	"fmt"
	"slices"
	"strings"
)

// protocol is what clients speak.
type protocol string

const (
	http1  protocol = "HTTP/1.1"
	https1 protocol = "HTTP/1.1 over TLS 1.3"
	https2 protocol = "HTTP/2 over TLS 1.3"
)

// loadKind is how fast requests come.
type loadKind string

const (
	saturation loadKind = "saturation" // a request as soon as a connection has its answer: as many as the proxy can do
	low        loadKind = "low"        // 30 % of what nginx does at saturation: the same for everybody
	half       loadKind = "half"       // half of what the subject itself does at saturation
	idle       loadKind = "idle"       // 10,000 connections, each after one request
)

const (
	lowShare  = 0.3
	halfShare = 0.5
)

// tool is what makes the load.
type tool string

const (
	toolWrk    tool = "wrk"
	toolLoader tool = "loader" // ours, open-loop
	toolTLS    tool = "loader over TLS"
	toolH2load tool = "h2load"
	toolIdle   tool = "idle" // this program
)

// scenario is one way of asking, measured for each subject in turn.
type scenario struct {
	Name        string
	About       string
	Cores       int // of the proxy
	Policies    bool
	Large       bool // answers of 1 MiB instead of 1 KiB
	Upload      bool // requests that bring 1 MiB
	Protocol    protocol
	Load        loadKind
	Connections int
	Handshakes  bool // a new connection for each request
	Rounds      int
	Seconds     int // of one measurement
	Quick       bool
	Routes      int  // so many routes stand in the configuration, beside plain and policies
	Hot         bool // of many routes, only a hundred are asked for
	Only        []string
}

func (s scenario) tool() tool {
	switch {
	case s.Load == idle:
		return toolIdle
	case s.Protocol == https2:
		return toolH2load
	case s.Protocol == https1 && s.Load != saturation:
		return toolTLS
	case s.Load == saturation:
		return toolWrk
	default:
		return toolLoader
	}
}

// measures reports whether a subject takes part.
func (s scenario) measures(x subject) bool {
	switch {
	case len(s.Only) > 0:
		return slices.Contains(s.Only, x.Name)
	case x.Name == direct:
		return s.Protocol == http1 && s.Load != idle // as what the rest of a latency is
	case x.Bare:
		return s.Policies // elsewhere nginx itself is bare
	}
	return true
}

// called reports whether a word of the command line means this scenario.
func (s scenario) called(word string) bool {
	prefix, found := strings.CutSuffix(word, "*")
	return word == s.Name || found && strings.HasPrefix(s.Name, prefix)
}

// path is what is asked for.
func (s scenario) path(bare bool) string {
	if s.Large {
		return largePath(s.Policies && !bare)
	}
	return smallPath(s.Policies && !bare)
}

func smallPath(policies bool) string { return prefix(policies) + "items/42" }

func largePath(policies bool) string { return prefix(policies) + "items/1m" }

// echoPath is answered with the head of the request that the upstream got.
const echoPath = "/policies/items/echo"

func prefix(policies bool) string {
	if policies {
		return "/policies/"
	}
	return "/plain/"
}

const (
	often  = 5 // rounds
	seldom = 3
	long   = 3 // seconds
	short  = 2
)

// allScenarios are in the order in which they are measured. Rates come from saturation, so that comes first.
func allScenarios() []scenario {
	base := scenario{Cores: 1, Protocol: http1, Load: saturation, Connections: 64, Rounds: seldom, Seconds: short}
	with := func(name, about string, change func(*scenario)) scenario {
		s := base
		s.Name, s.About = name, about
		change(&s)
		return s
	}
	all := []scenario{
		with("policies", "key and limit, headers, request id; saturation", func(s *scenario) { s.Policies, s.Rounds, s.Seconds, s.Quick = true, often, long, true }),
		with("policies-low", "key and limit, headers, request id; 30 % of nginx's saturation", func(s *scenario) {
			s.Policies, s.Load, s.Rounds, s.Seconds, s.Quick = true, low, often, long, true
		}),
		with("policies-half", "key and limit, headers, request id; half of each one's own saturation", func(s *scenario) {
			s.Policies, s.Load, s.Rounds, s.Seconds = true, half, often, long
		}),
		with("plain", "forwarding alone; saturation", func(s *scenario) { s.Rounds, s.Quick = seldom, true }),
		with("plain-low", "forwarding alone; 30 % of nginx's saturation", func(s *scenario) { s.Load = low }),
		with("plain-half", "forwarding alone; half of each one's own saturation", func(s *scenario) { s.Load = half }),
		with("large", "answers of 1 MiB; forwarding alone", func(s *scenario) { s.Large, s.Connections = true, 16 }),
		with("upload", "requests that bring 1 MiB; forwarding alone", func(s *scenario) { s.Upload, s.Connections = true, 16 }),
		with("tls", "key and limit over TLS 1.3, connections kept", func(s *scenario) { s.Policies, s.Protocol = true, https1 }),
		with("tls-low", "key and limit over TLS 1.3, connections kept; 30 % of nginx's saturation", func(s *scenario) { s.Policies, s.Protocol, s.Load = true, https1, low }),
		with("tls-handshakes", "forwarding alone over TLS 1.3, a full handshake for each request", func(s *scenario) { s.Protocol, s.Handshakes = https1, true }),
		with("h2", "key and limit over HTTP/2, 32 connections of 8 streams", func(s *scenario) { s.Policies, s.Protocol, s.Connections = true, https2, 32 }),
		with("idle", "10,000 idle connections, each after one request", func(s *scenario) { s.Load, s.Rounds, s.Connections = idle, 1, 10000 }),
	}
	for _, s := range slices.Clone(all) {
		switch s.Name {
		case "policies", "policies-low", "policies-half", "plain", "tls":
			s.Name, s.About, s.Cores, s.Connections = s.Name+"-2", s.About+"; two processors", 2, 128
			s.Rounds, s.Seconds, s.Quick = seldom, short, false
			all = append(all, s)
		}
	}
	return append(all, routeScenarios(base)...)
}

func describeScenarios() string {
	var out strings.Builder
	for _, s := range allScenarios() {
		fmt.Fprintf(&out, "  %-20s %s\n", s.Name, s.About)
	}
	return out.String()
}
