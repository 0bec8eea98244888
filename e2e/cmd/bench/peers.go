package main

import (
	"context"
	"embed"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

//go:embed peers
var peerFiles embed.FS

// peer is another proxy, run with a configuration of ours.
type peer struct {
	name     string // unique
	binary   string
	template string // its configuration, in peers
	fast     bool   // Traefik's experimental engine
	routes   []string
	command  func(path string, c peerConfig) (arguments []string)
}

// peerConfig is what the configurations are filled with.
type peerConfig struct {
	Dir               string // of this peer alone
	File              string // its configuration
	Cores             int
	HTTP, TLS         int // ports to listen on
	Upstream          int // port
	Key               string
	KeyMap            string // a file of keys and whose they are
	Certificate       string // files in PEM
	CertificateKey    string
	CertificateBundle string   // both in one file
	Routes            []string // prefixes, one location each
	Fast              bool
	Root              bool // we are root
}

func (p *peer) program() string { return p.binary }

func (p *peer) start(ctx context.Context, a *arena, place placement) (*instance, error) {
	path, err := findProgram(p.binary)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c := a.peerConfig(p, place, ports)
	if err := p.write(c); err != nil {
		return nil, err
	}
	run, err := startProcess(ctx, place.Proxy, p.name, nil, []string{"BENCH_KEY=" + a.key}, path, p.command(path, c)...)
	if err != nil {
		return nil, err
	}
	if err := run.await(ctx, answering(c.HTTP, smallPath(false), "")); err != nil {
		run.stop()
		return nil, err
	}
	return &instance{process: run, http: c.HTTP, tls: c.TLS, stop: run.stop}, nil
}

// write writes the peer's configuration, in a folder of its own.
func (p *peer) write(c peerConfig) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("making a folder for %s: %w", p.name, err)
	}
	files := []string{p.template}
	if p.binary == "traefik" {
		files = append(files, "traefik-routes.yaml")
	}
	for _, name := range files {
		if err := fill("peers/"+name, filepath.Join(c.Dir, name), c); err != nil {
			return err
		}
	}
	return nil
}

// fill writes a file from a template.
func fill(name, path string, data any) error {
	t, err := template.ParseFS(peerFiles, name)
	if err != nil {
		return fmt.Errorf("reading the template %s: %w", name, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making a configuration: %w", err)
	}
	if err := t.Execute(file, data); err != nil {
		_ = file.Close()
		return fmt.Errorf("filling %s: %w", name, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing a configuration: %w", err)
	}
	return nil
}

func nginxCommand(_ string, c peerConfig) []string {
	return []string{"-p", c.Dir, "-e", "stderr", "-c", c.File}
}

func haproxyCommand(_ string, c peerConfig) []string { return []string{"-f", c.File, "-db"} }

func caddyCommand(_ string, c peerConfig) []string {
	return []string{"run", "--adapter", "caddyfile", "--config", c.File}
}

func traefikCommand(_ string, c peerConfig) []string { return []string{"--configfile=" + c.File} }

// listening is a check that something takes connections on a port.
func listening(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", loopback(port))
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		return c.Close()
	}
}

// answering is a check that a request is answered 200.
func answering(port int, path, key string) func(context.Context) error {
	return func(ctx context.Context) error {
		status, _, err := ask(ctx, http.DefaultClient, "http://"+loopback(port)+path, key)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("it answers %d", status)
		}
		return err
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// freePorts are ports that nobody listened on a moment ago.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait for anything
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // all at the end, so that no port is found twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// findProgram finds a program beside our own, where `make` puts what it builds, or on the PATH.
func findProgram(name string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	for _, folder := range []string{"bin", ".bin"} {
		path := filepath.Join(root, folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not there; %s", name, howToInstall(name))
}

// repository is the folder that this program was built in: it lies in its bin.
func repository() (string, error) {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return "", fmt.Errorf("finding where this program lies: %w", err)
	}
	return filepath.Dir(filepath.Dir(program)), nil
}
