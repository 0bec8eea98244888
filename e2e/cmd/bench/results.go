package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// results are a whole run.
type results struct {
	Time      time.Time         `json:"time"`
	Seconds   float64           `json:"seconds"` // the run took
	Machine   machine           `json:"machine"`
	Versions  map[string]string `json:"versions"`
	Abouts    map[string]string `json:"subjects"`
	Scenarios []scenarioResult  `json:"scenarios"`
}

// scenarioResult is one scenario: what each subject did in each round.
type scenarioResult struct {
	Name     string          `json:"name"`
	About    string          `json:"about"`
	Protocol protocol        `json:"protocol"`
	Load     loadKind        `json:"load"`
	Tool     tool            `json:"tool"`
	Cores    int             `json:"cores"`
	Subjects []subjectResult `json:"subjects"`
}

// subjectResult is one subject in one scenario.
type subjectResult struct {
	Name    string   `json:"name"`
	Samples []sample `json:"samples"` // by round
	Error   string   `json:"error,omitempty"`
}

// sample is one measurement. Times are in microseconds.
type sample struct {
	Requests      int64   `json:"requests"`
	Seconds       float64 `json:"seconds"`
	Offered       float64 `json:"offered,omitempty"` // requests a second that were asked for; 0 at saturation
	Rate          float64 `json:"rate"`              // requests a second that were answered
	Kept          float64 `json:"kept,omitempty"`    // the share of a schedule that was answered before its end; 0: there was none
	Failed        int64   `json:"failed"`
	CPUPerRequest float64 `json:"cpu_per_request"` // user and system time of the proxy's processes
	SystemShare   float64 `json:"system_share"`    // of that, in the kernel
	P50           float64 `json:"p50"`
	P99           float64 `json:"p99"`
	P999          float64 `json:"p999"`
	Max           float64 `json:"max"`
	Memory        memory  `json:"memory"`
	Connections   int     `json:"connections,omitempty"`    // idle ones
	PerConnection int64   `json:"per_connection,omitempty"` // bytes that each of these adds
	AtRest        float64 `json:"at_rest,omitempty"`        // the share of a processor that is used while nothing is asked
}

func (r *results) find(scenario, subject string) *subjectResult {
	for i := range r.Scenarios {
		if s := &r.Scenarios[i]; s.Name == scenario {
			return s.find(subject)
		}
	}
	return nil
}

func (s *scenarioResult) find(subject string) *subjectResult {
	for i := range s.Subjects {
		if s.Subjects[i].Name == subject {
			return &s.Subjects[i]
		}
	}
	return nil
}

// failures says which subjects could not be measured, and where.
func (r *results) failures() error {
	var errs []error
	for _, s := range r.Scenarios {
		for _, x := range s.Subjects {
			if x.Error != "" {
				errs = append(errs, fmt.Errorf("%s in %s: %s", x.Name, s.Name, firstWords(x.Error)))
			}
		}
	}
	return errors.Join(errs...)
}

// values are one figure of each round.
func (s *subjectResult) values(of func(sample) float64) []float64 {
	if s == nil {
		return nil
	}
	out := make([]float64, len(s.Samples))
	for i, x := range s.Samples {
		out[i] = of(x)
	}
	return out
}

func cpu(s sample) float64  { return s.CPUPerRequest }
func rate(s sample) float64 { return s.Rate }
func p50(s sample) float64  { return s.P50 }
func p99(s sample) float64  { return s.P99 }
func p999(s sample) float64 { return s.P999 }

func readResults(path string) (*results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	r := &results{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("reading results from %s: %w", path, err)
	}
	return r, nil
}

func writeResults(path string, r *results) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return nil
}
