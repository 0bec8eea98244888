package main

import "fmt"

// goal bounds a figure of Tidegate, mostly by one of a peer in the same rounds.
type goal struct {
	about    string
	scenario string
	subject  string // whose figure bounds it
	of       func(sample) float64
	atMost   float64 // times that figure
}

func allGoals() []goal {
	return []goal{
		{"CPU per request, policies, ≤ 0.9 × nginx with key and limit", "policies", "nginx", cpu, 0.9},
		{"CPU per request, policies, ≤ 1.0 × haproxy with key and limit", "policies", "haproxy", cpu, 1},
		{"CPU per request, policies, ≤ 1.0 × nginx at its barest", "policies", "nginx-bare", cpu, 1},
		{"CPU per request, policies, ≤ 0.35 × Traefik", "policies", "traefik", cpu, 0.35},
		{"CPU per request, policies, ≤ 0.35 × Traefik's fastProxy", "policies", "traefik-fast", cpu, 0.35},
		{"CPU per request, policies, ≤ 0.25 × Caddy", "policies", "caddy", cpu, 0.25},
		{"the lead at 30 % of saturation: ≤ 0.9 × nginx", "policies-low", "nginx", cpu, 0.9},
		{"the lead with TLS: ≤ 0.9 × nginx", "tls", "nginx", cpu, 0.9},
		{"the lead with TLS at 30 %: ≤ 0.9 × nginx", "tls-low", "nginx", cpu, 0.9},
		{"the lead on two processors: ≤ 0.9 × nginx", "policies-2", "nginx", cpu, 0.9},
		{"the lead on two processors at 30 %: ≤ 0.9 × nginx", "policies-low-2", "nginx", cpu, 0.9},
		{"p99 at half of saturation ≤ nginx's", "policies-half", "nginx", p99, 1},
	}
}

// Goals that no peer bounds.
const (
	addedLatency = 1000.0    // microseconds at the 99th percentile, at half of saturation
	idleMemory   = 100 << 20 // bytes with 10,000 idle connections
	routeGrowth  = 2.0       // times the cost of one route, with 100,000
)

// goals compares what was measured with what is wanted.
func (r *results) goals() table {
	t := table{title: "Goals", header: []string{"goal", "measured", "min–max", ""}}
	add := func(about string, values []float64, bound float64, format string) {
		if len(values) > 0 {
			measured := spreadOf(values)
			t.rows = append(t.rows, []string{
				about, fmt.Sprintf(format, measured.Median), fmt.Sprintf(format+"–"+format, measured.Min, measured.Max), verdict(measured, bound),
			})
		}
	}
	for _, g := range allGoals() {
		add(g.about, ratios(r.find(g.scenario, "tidegate").values(g.of), r.find(g.scenario, g.subject).values(g.of)), g.atMost, "%.2f")
	}
	add("p99 at half of saturation less that without a proxy < 1 ms", r.addedLatency("policies-half"), addedLatency/1000, "%.2f ms")
	held := r.find("idle", "tidegate").values(func(s sample) float64 { return float64(s.Memory.PSS) / (1 << 20) })
	add("memory with 10,000 idle connections ≤ 100 MiB", held, idleMemory>>20, "%.0f MiB")
	one := r.find("routes-1", "tidegate").values(cpu)
	for _, name := range []string{"routes-100000-hot", "routes-100000"} {
		add(fmt.Sprintf("CPU per request, %s ≤ 2 × one route", name), ratios(r.find(name, "tidegate").values(cpu), one), routeGrowth, "%.2f")
	}
	return t
}

func verdict(measured spread, bound float64) string {
	switch {
	case measured.Median > bound:
		return "MISSED"
	case measured.Max > bound:
		return "met, not in every round"
	default:
		return "met"
	}
}

// addedLatency is what our proxy adds to the 99th percentile, round by round, in milliseconds.
func (r *results) addedLatency(scenario string) []float64 {
	ours, none := r.find(scenario, "tidegate").values(p99), r.find(scenario, direct).values(p99)
	added := make([]float64, min(len(ours), len(none)))
	for i := range added {
		added[i] = (ours[i] - none[i]) / 1000
	}
	return added
}
