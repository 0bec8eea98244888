package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// someResults are two rounds of which the second was on a machine half as fast.
func someResults() *results {
	subject := func(name string, used float64) subjectResult {
		var samples []sample
		for _, slow := range []float64{1, 2} {
			samples = append(samples, sample{
				Requests: 1000, Seconds: 1, Rate: 1000 / slow, CPUPerRequest: used * slow, P50: 100, P99: 200, P999: 300, Memory: memory{RSS: 9 << 20, PSS: 8 << 20},
			})
		}
		return subjectResult{Name: name, Samples: samples}
	}
	return &results{
		Time: time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC), Abouts: map[string]string{"tidegate": "much"},
		Scenarios: []scenarioResult{{
			Name: "policies", About: "key and limit", Load: saturation,
			Subjects: []subjectResult{
				subject("tidegate", 18), subject("nginx", 20), subject("nginx-again", 21), subject("nginx-bare", 12), {Name: "caddy", Error: "it is not there\nat all"},
			},
		}},
	}
}

func printed(t *testing.T, output string, r *results) string {
	t.Helper()
	var out bytes.Buffer
	if err := (&options{Output: output}).print(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheTableForPeople(t *testing.T) {
	t.Parallel()
	got := printed(t, "table", someResults())
	for _, want := range []string{
		"  tidegate               27.0  18.0–36.0     0.90",
		"caddy was not measured: it is not there\n",
		"a second nginx costs 1.05 × the first (1.05–1.05)",
		"Noise: over 2 pairs of measurements",
		"tidegate  much\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}

func TestTheTableForDocuments(t *testing.T) {
	t.Parallel()
	got := printed(t, "markdown", someResults())
	for _, want := range []string{"### policies: key and limit\n\n| subject | CPU µs/request |", "| tidegate | 27.0 | 18.0–36.0 | 0.90 | – |"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}

func TestResultsSurviveTheirFile(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/results.json"
	if err := writeResults(path, someResults()); err != nil {
		t.Fatal(err)
	}
	read, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := printed(t, "json", read), printed(t, "json", someResults()); a != b || !json.Valid([]byte(a)) {
		t.Errorf("it was\n%s\nand is\n%s", b, a)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	rows := someResults().goals().rows
	want := [][]string{
		{"CPU per request, policies, ≤ 0.9 × nginx with key and limit", "0.90", "0.90–0.90", "met"},
		{"CPU per request, policies, ≤ 1.0 × nginx at its barest", "1.50", "1.50–1.50", "MISSED"},
	}
	if !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("got %v, not %v", rows, want)
	}
}

func TestWhoeverWasNotMeasuredIsNamed(t *testing.T) {
	t.Parallel()
	if err := someResults().failures(); err == nil || fmt.Sprint(err) != "caddy in policies: it is not there" {
		t.Errorf("got %v", err)
	}
}
