package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// maxInFlight bounds the requests that wait for an answer. What would be more is not sent, and said.
const maxInFlight = 4096

// loadConfig says what load to make.
type loadConfig struct {
	Targets []string // base URLs, in turn
	Path    string   // with a query, if any
	Key     string   // empty: none
	Rate    float64  // requests a second, over all targets
	Timeout time.Duration
}

// load is open-loop load: requests begin at their times, whether or not the earlier ones were answered, and their latency
// counts from when they should have begun, so that a stall is not hidden by sending less during it.
type load struct {
	config loadConfig
	client *http.Client

	mu        sync.Mutex // guards what follows
	outcomes  map[string]uint64
	latencies histogram
	failures  uint64
	firstBad  time.Time
	lastBad   time.Time
}

func newLoad(config loadConfig) *load {
	transport := &http.Transport{MaxIdleConns: maxInFlight, MaxIdleConnsPerHost: maxInFlight, DisableCompression: true}
	return &load{config: config, client: &http.Client{Transport: transport, Timeout: config.Timeout}, outcomes: make(map[string]uint64)}
}

// run sends until the context ends, and waits for the answers.
func (l *load) run(ctx context.Context) {
	began := time.Now()
	slots := make(chan struct{}, maxInFlight)
	var inFlight sync.WaitGroup
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			inFlight.Wait()
			l.client.CloseIdleConnections()
			return
		case <-ticker.C:
		}
		for due := int(time.Since(began).Seconds() * l.config.Rate); sent < due; sent++ {
			at := began.Add(time.Duration(float64(sent) / l.config.Rate * float64(time.Second)))
			target := l.config.Targets[sent%len(l.config.Targets)]
			select {
			case slots <- struct{}{}:
				inFlight.Go(func() {
					l.one(target, at)
					<-slots
				})
			default:
				l.note("not sent: too many wait for an answer", at, true)
			}
		}
	}
}

// one sends a request and notes how it went. It has the client's timeout and not the load's end, so that what was begun is
// counted as what it became.
func (l *load) one(target string, at time.Time) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target+l.config.Path, http.NoBody)
	if err != nil {
		l.note("error: "+err.Error(), at, true)
		return
	}
	if l.config.Key != "" {
		request.Header.Set("x-api-key", l.config.Key)
	}
	response, err := l.client.Do(request)
	if err != nil {
		l.note("error: "+shortCause(err), at, true)
		return
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		l.note("error: answer cut off", at, true)
		return
	}
	outcome := fmt.Sprint(response.StatusCode)
	if reason := response.Header.Get("x-tidegate-reason"); reason != "" {
		outcome += " " + reason
	}
	l.note(outcome, at, response.StatusCode >= 400)
}

// shortCause is the last part of a chain of errors, so that outcomes do not differ by port numbers.
func shortCause(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}

func (l *load) note(outcome string, at time.Time, bad bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes[outcome]++
	l.latencies.add(now.Sub(at))
	if bad {
		l.failures++
		if l.firstBad.IsZero() {
			l.firstBad = now
		}
		l.lastBad = now
	}
}

// loadState is what load has seen so far.
type loadState struct {
	Requests, Failures uint64
	Outcomes           map[string]uint64
	P50, P99           time.Duration
	FirstBad, LastBad  time.Time
}

func (l *load) state() loadState {
	l.mu.Lock()
	defer l.mu.Unlock()
	outcomes := make(map[string]uint64, len(l.outcomes))
	for outcome, n := range l.outcomes {
		outcomes[outcome] = n
	}
	return loadState{
		Requests: l.latencies.total, Failures: l.failures, Outcomes: outcomes,
		P50: l.latencies.quantile(0.5), P99: l.latencies.quantile(0.99), FirstBad: l.firstBad, LastBad: l.lastBad,
	}
}

// lines are the outcomes, the most frequent first.
func (s loadState) lines() []string {
	names := make([]string, 0, len(s.Outcomes))
	for name := range s.Outcomes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if s.Outcomes[a] != s.Outcomes[b] {
			return int(s.Outcomes[b]) - int(s.Outcomes[a])
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%9d  %s", s.Outcomes[name], name)
	}
	return names
}

func runLoad(ctx context.Context, arguments []string) error {
	flags := newFlags("load", "Constant load on some proxies: so many requests a second, whether or not they are answered. The key is read from\nthe variable TIDEGATE_KEY, so that it is in no list of processes.")
	targets := flags.String("targets", "http://127.0.0.1:8080,http://127.0.0.1:8081,http://127.0.0.1:8082", "base URLs, with commas")
	path := flags.String("path", "/orders/42", "what to ask for")
	rate := flags.Float64("rate", 500, "requests a second, over all targets")
	duration := flags.Duration("duration", 10*time.Second, "how long")
	timeout := flags.Duration("timeout", 10*time.Second, "how long to wait for an answer")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if *rate <= 0 || *rate > 100000 {
		return errors.New("--rate must be between 0 and 100000")
	}
	l := newLoad(loadConfig{
		Targets: strings.Split(*targets, ","), Path: *path, Key: os.Getenv("TIDEGATE_KEY"), Rate: *rate, Timeout: *timeout,
	})
	ctx, cancel := context.WithTimeout(ctx, *duration)
	defer cancel()
	began := time.Now()
	done := make(chan struct{})
	go func() {
		l.run(ctx)
		close(done)
	}()
	watchLoad(l, done)
	s := l.state()
	fmt.Printf("%d requests in %s, p50 %s, p99 %s\n", s.Requests, time.Since(began).Round(100*time.Millisecond), round(s.P50), round(s.P99))
	for _, line := range s.lines() {
		fmt.Println(line)
	}
	return nil
}

// watchLoad draws one line over and over while load runs; nothing if nobody looks.
func watchLoad(l *load, done <-chan struct{}) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	live := term.IsTerminal(int(os.Stderr.Fd()))
	for {
		select {
		case <-done:
			if live {
				fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
			return
		case <-ticker.C:
			if s := l.state(); live {
				fmt.Fprintf(os.Stderr, "\r\x1b[K%d requests, %d failed, p50 %s, p99 %s", s.Requests, s.Failures, round(s.P50), round(s.P99))
			}
		}
	}
}

func round(length time.Duration) time.Duration {
	if length > 10*time.Millisecond {
		return length.Round(time.Millisecond)
	}
	return length.Round(10 * time.Microsecond)
}
