package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigurationsAreFilled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx.conf", "haproxy.cfg", "Caddyfile", "traefik.yaml", "traefik-routes.yaml"} {
		path := filepath.Join(t.TempDir(), name)
		c := peerConfig{Dir: "/somewhere", Cores: 2, HTTP: 1111, TLS: 2222, Upstream: 3333, Key: "tg_key", Routes: []string{"/api/"}}
		if err := fill("peers/"+name, path, c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "{{") || strings.Contains(string(text), "<no value>") {
			t.Errorf("%s has holes:\n%s", name, text)
		}
	}
}

func TestPathsOfRoutes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "paths")
	if err := writeRoutes(path, scenario{Routes: 1000, Hot: true}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]bool{}
	for _, p := range routePrefixes(1000) {
		routes[p] = true
	}
	lines := strings.Fields(string(text))
	if len(lines) != hotRoutes || len(routes) != 1000 {
		t.Errorf("%d paths of %d routes", len(lines), len(routes))
	}
	for _, line := range lines {
		prefix, _, found := strings.Cut(line, "items/")
		if !found || !routes[prefix] {
			t.Errorf("%s belongs to no route", line)
		}
	}
}
