package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed native
var nativeFiles embed.FS

// arena is what all subjects share: a folder, an upstream, the load's programs, a certificate, and a stack of Tidegate that
// gives out the key.
type arena struct {
	dir          string
	load         string // processors of load, upstream and the stack around the agent
	runsFirst    bool   // load at a fixed rate, and the upstream, run before all else there
	upstream     *process
	upstreamPort int
	certificate  certificate
	stack        *stack // nil if Tidegate is not measured
	key          string
	closers      []func()
}

// openArena prepares everything that is there before a subject starts.
func openArena(ctx context.Context, load string, withStack bool) (a *arena, err error) {
	a = &arena{load: load, runsFirst: mayRunFirst(ctx)}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.dir, err = os.MkdirTemp("", "tidegate-bench-*"); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	a.closers = append(a.closers, func() { _ = os.RemoveAll(a.dir) })
	if err := os.Chmod(a.dir, 0o711); err != nil { //nolint:gosec // Postgres's account must pass; what is secret inside has a mode of its own
		return nil, fmt.Errorf("opening the folder: %w", err)
	}
	if a.certificate, err = writeCertificate(a.dir); err != nil {
		return nil, err
	}
	if err := a.compile(ctx); err != nil {
		return nil, err
	}
	if err := a.startUpstream(ctx); err != nil {
		return nil, err
	}
	a.key = "tg_no-stack-runs-so-any-word-is-as-good-as-another"
	if withStack {
		if a.stack, err = startStack(ctx, a); err != nil {
			return nil, err
		}
		a.closers = append(a.closers, a.stack.close)
		a.key = a.stack.key
	}
	return a, os.WriteFile(a.keyMap(), []byte(a.key+" bench\n"), 0o600)
}

// close ends everything in the reverse order.
func (a *arena) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

func (a *arena) file(elements ...string) string {
	return filepath.Join(append([]string{a.dir}, elements...)...)
}

func (a *arena) keyMap() string { return a.file("keys.map") }

// compile builds the upstream and the loader, which are in C so that they cost next to nothing, and writes wrk's script.
func (a *arena) compile(ctx context.Context) error {
	for _, name := range []string{"upstream.c", "loader.c", "report.lua"} {
		text, err := nativeFiles.ReadFile("native/" + name)
		if err == nil {
			err = os.WriteFile(a.file(name), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	for _, name := range []string{"upstream", "loader"} {
		if _, err := runTool(ctx, "", nil, "", "gcc", "-O2", "-o", a.file(name), a.file(name+".c"), "-lm"); err != nil {
			return err
		}
	}
	return nil
}

func (a *arena) startUpstream(ctx context.Context) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	a.upstreamPort = ports[0]
	a.upstream, err = startProcess(ctx, a.load, "the upstream", nil, nil, a.file("upstream"), strconv.Itoa(a.upstreamPort))
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.upstream.stop)
	return a.upstream.await(ctx, listening(a.upstreamPort))
}

func (a *arena) peerConfig(p *peer, place placement, ports []int) peerConfig {
	dir := a.file(fmt.Sprintf("%s-%d", p.name, place.Cores))
	return peerConfig{
		Dir: dir, File: filepath.Join(dir, p.template), Cores: place.Cores, HTTP: ports[0], TLS: ports[1],
		Upstream: a.upstreamPort, Key: a.key, KeyMap: a.keyMap(), Routes: p.routes, Fast: p.fast, Root: os.Geteuid() == 0,
		Certificate: a.certificate.file, CertificateKey: a.certificate.keyFile, CertificateBundle: a.certificate.bundle,
	}
}

var errNoStack = errors.New("tidegate is measured, but no stack was started")
