package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// outcome is what a tool that makes load saw. Times are in microseconds.
type outcome struct {
	Scheduled int64   `json:"scheduled"` // requests that should have begun; 0: there was no schedule
	Completed int64   `json:"completed"` // answers in all
	InTime    int64   `json:"in_time"`   // of these, those before the time was over; with a schedule only
	Seconds   float64 `json:"seconds"`
	Failed    int64   `json:"failed"` // no answer, or another status than wanted
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	P999      float64 `json:"p999"`
	Max       float64 `json:"max"`
}

// request says what is asked of an instance.
type request struct {
	scenario scenario
	port     int
	path     string
	key      string // empty: none
	paths    string // a file of paths instead of one; empty: none
	rate     float64
	seconds  int
}

// toolGrace is how much longer than its load a tool may take.
const toolGrace = 30 * time.Second

// drive makes the load of one measurement.
func drive(ctx context.Context, a *arena, r request) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.seconds)*time.Second+toolGrace)
	defer cancel()
	switch r.scenario.tool() {
	case toolWrk:
		return driveWrk(ctx, a, r)
	case toolLoader:
		return driveLoader(ctx, a, r)
	case toolTLS:
		return driveTLS(ctx, a, r)
	case toolH2load:
		return driveH2load(ctx, a, r)
	default:
		return outcome{}, fmt.Errorf("no load is made with %s", r.scenario.tool())
	}
}

func (r request) url() string {
	if r.scenario.Protocol == http1 {
		return fmt.Sprintf("http://localhost:%d%s", r.port, r.path)
	}
	return fmt.Sprintf("https://localhost:%d%s", r.port, r.path)
}

// environment hands over what does not belong among the arguments.
func (r request) environment() []string {
	var out []string
	if r.key != "" {
		out = append(out, "BENCH_KEY="+r.key)
	}
	if r.paths != "" {
		out = append(out, "BENCH_PATHS="+r.paths)
	}
	if r.scenario.Handshakes {
		out = append(out, "BENCH_CLOSE=1")
	}
	if r.scenario.Upload {
		out = append(out, fmt.Sprintf("BENCH_UPLOAD=%d", largeBody))
	}
	return out
}

func driveWrk(ctx context.Context, a *arena, r request) (outcome, error) {
	output, err := runTool(ctx, a.load, r.environment(), "", "wrk", "-t", strconv.Itoa(r.scenario.Cores),
		"-c", strconv.Itoa(r.scenario.Connections), "-d", fmt.Sprintf("%ds", r.seconds), "-s", a.file("report.lua"), r.url())
	if err != nil {
		return outcome{}, err
	}
	return parseLastLine(output)
}

// loaderWarmUp is the share of a measurement whose latencies do not count: connections are opened then.
const loaderWarmUp = 0.1

func driveLoader(ctx context.Context, a *arena, r request) (outcome, error) {
	warmUp := loaderWarmUp * float64(r.seconds)
	program, arguments := a.first(priorityOfLoad, a.file("loader"), strconv.Itoa(r.port), r.path, fmt.Sprintf("%.1f", r.rate),
		fmt.Sprintf("%.2f", float64(r.seconds)-warmUp), fmt.Sprintf("%.2f", warmUp), strconv.Itoa(r.scenario.Connections))
	output, err := runTool(ctx, a.load, r.environment(), "", program, arguments...)
	if err != nil {
		return outcome{}, err
	}
	o, err := parseLastLine(output)
	o.Seconds = float64(r.seconds)
	return o, err
}

// parseLastLine reads the JSON that is the last line of what a tool printed.
func parseLastLine(output []byte) (outcome, error) {
	lines := bytes.Split(bytes.TrimSpace(output), []byte("\n"))
	var o outcome
	if err := json.Unmarshal(lines[len(lines)-1], &o); err != nil {
		return outcome{}, fmt.Errorf("reading the tool's summary %q: %w", lines[len(lines)-1], err)
	}
	return o, nil
}

// streams is how many requests an HTTP/2 connection has under way.
const streams = 8

// driveH2load makes load over HTTP/2.
func driveH2load(ctx context.Context, a *arena, r request) (outcome, error) {
	log := a.file("h2load.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return outcome{}, fmt.Errorf("removing the last log: %w", err)
	}
	arguments := []string{"-t", "1", "-c", strconv.Itoa(r.scenario.Connections), "-D", strconv.Itoa(r.seconds), "-m", strconv.Itoa(streams), "--log-file", log}
	if r.key != "" {
		arguments = append(arguments, "-H", "x-api-key: "+r.key) // it takes headers no other way; the stack of this key ends with us
	}
	output, err := runTool(ctx, a.load, nil, "", "h2load", append(arguments, r.url())...)
	if err != nil {
		return outcome{}, err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return outcome{}, fmt.Errorf("reading h2load's log: %w", err)
	}
	return parseH2load(output, text)
}

var h2loadRequests = regexp.MustCompile(`requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded`)

// parseH2load reads h2load's summary, and its log of a line for each answer: when it began, status, microseconds.
func parseH2load(summary, log []byte) (outcome, error) {
	found := h2loadRequests.FindSubmatch(summary)
	if found == nil {
		return outcome{}, fmt.Errorf("no requests in what h2load prints: %s", lastLines(summary))
	}
	done, errDone := strconv.ParseInt(string(found[2]), 10, 64)
	succeeded, errSucceeded := strconv.ParseInt(string(found[3]), 10, 64)
	if err := errors.Join(errDone, errSucceeded); err != nil {
		return outcome{}, fmt.Errorf("reading h2load's summary: %w", err)
	}
	var lengths []float64
	first, last := math.Inf(1), 0.0
	for line := range strings.Lines(string(log)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		began, errBegan := strconv.ParseFloat(fields[0], 64)
		length, errLength := strconv.ParseFloat(fields[2], 64)
		if err := errors.Join(errBegan, errLength); err != nil {
			return outcome{}, fmt.Errorf("reading h2load's log: %w", err)
		}
		first, last = min(first, began), max(last, began+length)
		lengths = append(lengths, length)
	}
	slices.Sort(lengths)
	return outcome{
		Completed: done, Failed: done - succeeded, Seconds: max(0, last-first) / 1e6,
		P50: quantile(lengths, 0.5), P99: quantile(lengths, 0.99), P999: quantile(lengths, 0.999), Max: quantile(lengths, 1),
	}, nil
}
