package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// hotRoutes is how many routes a hot set has.
const hotRoutes = 100

// routeScenarios ask for paths of many routes.
func routeScenarios(base scenario) []scenario {
	var all []scenario
	for _, n := range []int{1, 1000, 100000} {
		s := base
		s.Routes, s.Only = n, []string{"tidegate", reference}
		plural := map[bool]string{true: "s"}[n > 1]
		if n > 1 {
			s.Name, s.About, s.Hot = fmt.Sprintf("routes-%d-hot", n), fmt.Sprintf("forwarding alone, %d routes, of which 100 are asked for", n), true
			all = append(all, s)
		}
		s.Name, s.About, s.Hot = fmt.Sprintf("routes-%d", n), fmt.Sprintf("forwarding alone, %d route%s in random order", n, plural), false
		all = append(all, s)
	}
	return all
}

// routePrefix is the beginning of a route's paths. The names are spread as those of an API are: some common segments first.
func routePrefix(i int) string { return fmt.Sprintf("/api/v1/area-%d/resource-%d/", i%97, i) }

// routePrefixes are those of n routes, in the order of their names: nginx takes minutes to sort many that are not.
func routePrefixes(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = routePrefix(i)
	}
	slices.Sort(out)
	return out
}

// writeRoutes writes a file with the paths that are asked for, one a line.
func writeRoutes(path string, s scenario) error {
	n := s.Routes
	if s.Hot {
		n = min(n, hotRoutes)
	}
	order := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same routes each time
	var text strings.Builder
	for range n {
		fmt.Fprintf(&text, "%sitems/%d\n", routePrefix(order.IntN(s.Routes)), order.IntN(1000))
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("writing the paths of routes: %w", err)
	}
	return nil
}

// publishRoutes publishes the routes as one revision that reaches traffic at once.
func (s *stack) publishRoutes(ctx context.Context, n int) error {
	var text strings.Builder
	text.WriteString("fleet: default\nroutes:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {name: resource-%d, service: origin, match: {paths: [\"%sitems/{id}\"]}}\n", i, routePrefix(i))
	}
	_, err := s.cli(ctx, text.String(), "apply", "-f", "-", "--strategy", "immediate", "--message", fmt.Sprintf("routes: %d", n))
	return err
}
