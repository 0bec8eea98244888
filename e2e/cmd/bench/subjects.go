package main

import (
	"context"
	"slices"
)

// subject is one thing that is measured.
type subject struct {
	Name string
	// About says what it does for a request with policies, and what it does not.
	About string
	// server tells which program with which configuration it is; subjects with the same one share its processes.
	server server
	// Bare asks the server for plain proxying where the others have policies.
	Bare bool
	// NoRequestID says that it gives requests with policies no id.
	NoRequestID bool
}

// server is a proxy that can be started.
type server interface {
	// start runs it on so many processors and returns when it answers.
	start(ctx context.Context, a *arena, p placement) (*instance, error)
	// program is what must be installed for it: a name that install knows, or nothing.
	program() string
}

// instance is a server that runs.
type instance struct {
	process   *process
	http, tls int // ports
	stop      func()
}

// reference is what ratios are to.
const reference = "nginx"

// allSubjects are in the order in which they are shown.
func allSubjects() []subject {
	nginx := func(name string) server {
		return &peer{name: name, binary: "nginx", template: "nginx.conf", command: nginxCommand}
	}
	first := nginx("nginx")
	return []subject{
		{
			Name: "tidegate", server: gateway{},
			About: "key by keyed hash, token bucket, request id, headers, counters and histogram by route, evidence of a rollout",
		},
		{Name: reference, server: first, About: "key by map, limit_req, request id, headers; no counters by route"},
		{Name: "nginx-again", server: nginx("nginx-again"), About: "the same, once more: what differs from nginx is noise"},
		{Name: "nginx-bare", server: first, Bare: true, About: "nothing but forwarding: no key, no limit, no headers"},
		{
			Name: "haproxy", server: &peer{name: "haproxy", binary: "haproxy", template: "haproxy.cfg", command: haproxyCommand},
			About: "key by map, stick table, request id, headers, its counters by backend",
		},
		{
			Name: "traefik-fast", NoRequestID: true, server: &peer{name: "traefik-fast", binary: "traefik", template: "traefik.yaml", command: traefikCommand, fast: true},
			About: "as traefik, with its experimental fastProxy",
		},
		{
			Name: "traefik", NoRequestID: true, server: &peer{name: "traefik", binary: "traefik", template: "traefik.yaml", command: traefikCommand},
			About: "key by a condition of the route, limit, headers; no request id, no counters",
		},
		{
			Name: "caddy", server: &peer{name: "caddy", binary: "caddy", template: "Caddyfile", command: caddyCommand},
			About: "key by a condition of the route, request id, headers; no limit, no counters",
		},
		{Name: direct, server: origin{}, About: "no proxy: the load asks the upstream itself"},
	}
}

// direct is the subject without a proxy. It shows what of a latency the load and the upstream make.
const direct = "direct"

func quickSubjects() []string {
	return []string{"tidegate", reference, "nginx-again", "nginx-bare", "haproxy"}
}

func subjectNames() []string {
	var names []string
	for _, s := range allSubjects() {
		names = append(names, s.Name)
	}
	return names
}

// subjectByName is one of allSubjects; the name must be one of theirs.
func subjectByName(name string) subject {
	all := allSubjects()
	return all[slices.IndexFunc(all, func(s subject) bool { return s.Name == name })]
}

func (s subject) program() string { return s.server.program() }

// origin is the upstream itself, as if it were a proxy.
type origin struct{}

func (origin) program() string { return "" }

func (origin) start(_ context.Context, a *arena, _ placement) (*instance, error) {
	return &instance{process: a.upstream, http: a.upstreamPort, stop: func() {}}, nil
}
