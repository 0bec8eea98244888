package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func names(all []scenario) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.Name)
	}
	return out
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arguments string
		scenarios []string
		subjects  []string
	}{
		{"--quick", []string{"policies", "policies-low", "plain"}, quickSubjects()},
		{"--scenarios tls*,h2 --subjects nginx,tidegate", []string{"tls", "tls-low", "tls-handshakes", "h2", "tls-2"}, []string{"nginx", "tidegate"}},
		{"--scenarios idle", []string{"idle"}, subjectNames()},
	} {
		o, err := parseOptions(strings.Fields(c.arguments), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", c.arguments, err)
			continue
		}
		if got := names(o.Scenarios); !slices.Equal(got, c.scenarios) {
			t.Errorf("%s: scenarios %v, not %v", c.arguments, got, c.scenarios)
		}
		if !slices.Equal(o.Subjects, c.subjects) {
			t.Errorf("%s: subjects %v, not %v", c.arguments, o.Subjects, c.subjects)
		}
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{
		"--scenarios nothing", "--subjects envoy", "-o xml", "--rounds -1", "--rounds 1000", "--duration 1500ms", "policies", "--unknown",
	} {
		if _, err := parseOptions(strings.Fields(arguments), io.Discard); err == nil {
			t.Errorf("%s was taken", arguments)
		}
	}
}

func TestOnlyWhatIsMeasuredMustBeInstalled(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--scenarios", "routes*"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.needs(); slices.Contains(got, "caddy") || slices.Contains(got, "h2load") || !slices.Contains(got, "nginx") {
		t.Errorf("routes need %v", got)
	}
	if o, err = parseOptions([]string{"--quick"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := o.needs(); slices.Contains(got, "traefik") || !slices.Contains(got, "haproxy") || !slices.Contains(got, "tidegate") {
		t.Errorf("the quick form needs %v", got)
	}
}

func TestScenariosAreToldApart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range allScenarios() {
		if seen[s.Name] || s.Name == "" || s.About == "" || s.Rounds == 0 || s.Connections == 0 {
			t.Errorf("scenario %+v", s)
		}
		seen[s.Name] = true
	}
	for _, g := range allGoals() {
		if !seen[g.scenario] || !slices.Contains(subjectNames(), g.subject) {
			t.Errorf("the goal %q is about nothing that is measured", g.about)
		}
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cores, available int
		proxy, load      string
	}{
		{1, 2, "0", "1"},
		{2, 2, "0-1", "0-1"},
		{1, 4, "0", "1-3"},
		{2, 8, "0-1", "2-7"},
	} {
		got, err := placementFor(c.cores, c.available)
		if err != nil || got != (placement{Cores: c.cores, Proxy: c.proxy, Load: c.load}) {
			t.Errorf("%d of %d: %+v, %v", c.cores, c.available, got, err)
		}
	}
	if _, err := placementFor(1, 1); err == nil {
		t.Error("one processor was found to be enough")
	}
}
