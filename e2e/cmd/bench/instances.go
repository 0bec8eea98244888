package main

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// prepare puts in place what a scenario needs: the number of processors, the routes.
func (r *runner) prepare(ctx context.Context, s scenario) error {
	place, err := placementFor(s.Cores, r.results.Machine.Processors)
	if err != nil {
		return err
	}
	if place != r.place || s.Load == idle {
		r.stopAll()
		r.place = place
	}
	r.arena.load = place.Load
	if err := r.arena.rank(ctx, s.Load == low || s.Load == half); err != nil {
		return err
	}
	if s.Routes == 0 {
		return nil
	}
	if err := writeRoutes(r.arena.file("paths"), s); err != nil {
		return err
	}
	if s.Routes == r.routes {
		return nil
	}
	r.stopAll() // nginx needs another configuration; the agent is started again beside it, so that both begin alike
	r.routes = s.Routes
	if r.arena.stack == nil {
		return nil
	}
	began := time.Now()
	err = r.arena.stack.publishRoutes(ctx, s.Routes)
	say("  routes published: %d, in %s", s.Routes, time.Since(began).Round(100*time.Millisecond))
	return err
}

// instance is a subject that runs, is checked, and waits for load. It is started when it is first needed.
func (r *runner) instance(ctx context.Context, x subject, s scenario) (*instance, error) {
	if i := r.running[x.server]; i != nil {
		return i, errors.Join(i.process.alive())
	}
	if p, ok := x.server.(*peer); ok {
		p.routes = routePrefixes(s.Routes)
	}
	i, err := x.server.start(ctx, r.arena, r.place)
	if err != nil {
		return nil, err
	}
	if err := verify(ctx, x, i, r.arena.key); err != nil {
		i.stop()
		return nil, fmt.Errorf("it does not do what is measured: %w", err)
	}
	if s.Routes > 0 { // the agent answers with what it had before it gets the new revision
		last := routePrefix(s.Routes-1) + "items/1"
		if err := i.process.await(ctx, answering(i.http, last, "")); err != nil {
			i.stop()
			return nil, err
		}
	}
	r.running[x.server] = i
	return i, nil
}

func (r *runner) stopAll() {
	for s, i := range r.running {
		i.stop()
		delete(r.running, s)
	}
	clear(r.warm)
}

var versionNumber = regexp.MustCompile(`v?\d+\.\d+(\.\d+)?[^\s,()]*`)

// versions asks programs for their versions; one that does not say is left out.
func versions(ctx context.Context, programs []string) map[string]string {
	ask := map[string]string{
		"nginx": "-v", "haproxy": "-v", "wrk": "-v", "h2load": "--version", "gcc": "--version", "tidegate": "version",
	}
	modules := map[string]string{"caddy": "github.com/caddyserver/caddy/v2", "traefik": "github.com/traefik/traefik/v3"}
	out := map[string]string{}
	for _, name := range programs {
		path, err := findProgram(name)
		switch {
		case err != nil:
		case modules[name] != "":
			out[name] = moduleVersion(path, modules[name])
		case ask[name] != "":
			text, _ := exec.CommandContext(ctx, path, ask[name]).CombinedOutput() // wrk says it and complains
			first, _, _ := strings.Cut(string(text), "\n")
			out[name] = cmp.Or(versionNumber.FindString(first), strings.TrimSpace(strings.TrimPrefix(first, name)))
		}
	}
	return out
}

// moduleVersion is the version of a module that a program was built from; programs that were not built where they are released
// do not know theirs.
func moduleVersion(path, module string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version
		}
	}
	return "unknown"
}
