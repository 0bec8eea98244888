package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// tables are all that a run has to say, what matters most first.
func (r *results) tables() []table {
	var out []table
	if goals := r.goals(); len(goals.rows) > 0 {
		out = append(out, goals)
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		if s.Load == idle {
			out = append(out, idleTable(s))
		} else {
			out = append(out, loadTable(s))
		}
	}
	about := table{title: "What each subject does for a request with policies", header: []string{"subject", "does"}, prose: true}
	for _, name := range subjectNames() {
		if r.Abouts[name] != "" {
			about.rows = append(about.rows, []string{name, r.Abouts[name]})
		}
	}
	return append(out, about)
}

// loadTable is one scenario: figures are medians of the rounds, with the range of what matters most; ratios are medians of the
// ratios of each round.
func loadTable(s *scenarioResult) table {
	t := table{
		title: s.Name + ": " + s.About,
		header: []string{
			"subject", "CPU µs/request", "min–max", "× nginx", "× haproxy", "in kernel", "requests/s", "× nginx", "p50 ms", "p99 ms", "p99.9 ms", "PSS MiB",
		},
	}
	if s.Load != saturation {
		t.title += fmt.Sprintf(" (load by %s)", s.Tool)
	}
	for i := range s.Subjects {
		x := &s.Subjects[i]
		if len(x.Samples) > 0 {
			t.rows = append(t.rows, loadRow(s, x))
		}
		t.notes = append(t.notes, remarks(x)...)
	}
	if both := ratios(s.find("nginx-again").values(cpu), s.find(reference).values(cpu)); len(both) > 0 {
		noise := spreadOf(both)
		t.notes = append(t.notes, fmt.Sprintf("noise: a second nginx costs %.2f × the first (%.2f–%.2f)", noise.Median, noise.Min, noise.Max))
	}
	return t
}

// loadRow is one subject in a scenario. Without a proxy there is nobody whose processor time and memory count.
func loadRow(s *scenarioResult, x *subjectResult) []string {
	nginx, haproxy := s.find(reference), s.find("haproxy")
	used := spreadOf(x.values(cpu))
	row := []string{
		x.Name, fmt.Sprintf("%.1f", used.Median), fmt.Sprintf("%.1f–%.1f", used.Min, used.Max),
		ratio(x.values(cpu), nginx.values(cpu)), ratio(x.values(cpu), haproxy.values(cpu)),
		fmt.Sprintf("%.0f %%", 100*median(x, func(s sample) float64 { return s.SystemShare })),
	}
	held := fmt.Sprintf("%.0f", median(x, func(s sample) float64 { return float64(s.Memory.PSS) })/(1<<20))
	if x.Name == direct {
		row, held = []string{x.Name, "", "", "", "", ""}, ""
	}
	row = append(row, fmt.Sprintf("%.0f", median(x, rate)), ratio(x.values(rate), nginx.values(rate)))
	for _, latency := range []func(sample) float64{p50, p99, p999} {
		row = append(row, fmt.Sprintf("%.2f", median(x, latency)/1000))
	}
	return append(row, held)
}

// remarks say what the figures of a subject do not.
func remarks(x *subjectResult) []string {
	var out []string
	switch {
	case x.Error != "" && len(x.Samples) == 0:
		return []string{x.Name + " was not measured: " + firstWords(x.Error)}
	case x.Error != "":
		out = append(out, fmt.Sprintf("%s failed after %d rounds: %s", x.Name, len(x.Samples), firstWords(x.Error)))
	}
	if kept := median(x, keptUp); kept < keepsUp {
		out = append(out, fmt.Sprintf("%s did not keep up: it answered %.0f %% in time", x.Name, 100*kept))
	}
	return out
}

// noise says how far two servers lie apart that are the same, in all rounds of all scenarios.
func (r *results) noise() string {
	var all []float64
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		all = append(all, ratios(s.find("nginx-again").values(cpu), s.find(reference).values(cpu))...)
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return fmt.Sprintf("Noise: over %d pairs of measurements a second nginx used %.2f times the processor time of the first, from %.2f to %.2f, "+
		"and in eight of ten from %.2f to %.2f.", len(all), spreadOf(all).Median, all[0], all[len(all)-1], quantile(all, 0.1), quantile(all, 0.9))
}

func idleTable(s *scenarioResult) table {
	t := table{title: s.Name + ": " + s.About, header: []string{"subject", "PSS MiB", "RSS MiB", "KiB per connection", "CPU at rest"}}
	for i := range s.Subjects {
		x := &s.Subjects[i]
		if len(x.Samples) == 0 {
			t.notes = append(t.notes, x.Name+" was not measured: "+firstWords(x.Error))
			continue
		}
		one := x.Samples[0]
		t.rows = append(t.rows, []string{
			x.Name, fmt.Sprintf("%.0f", float64(one.Memory.PSS)/(1<<20)), fmt.Sprintf("%.0f", float64(one.Memory.RSS)/(1<<20)),
			fmt.Sprintf("%.1f", float64(one.PerConnection)/1024), fmt.Sprintf("%.1f %%", 100*one.AtRest),
		})
	}
	return t
}

// keepsUp is the share of a fixed rate from which a subject counts as having kept up with it.
const keepsUp = 0.97

// keptUp is the share of the asked rate that was answered.
func keptUp(s sample) float64 {
	if s.Offered == 0 {
		return 1
	}
	return s.Kept
}

func median(x *subjectResult, of func(sample) float64) float64 { return spreadOf(x.values(of)).Median }

// ratio is the median ratio of two subjects in words; a dash if there is none.
func ratio(values, base []float64) string {
	all := ratios(values, base)
	if len(all) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", spreadOf(all).Median)
}

// firstWords is the beginning of an error, on one line.
func firstWords(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text[:min(len(text), 200)]
}
