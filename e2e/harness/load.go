package harness

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Load sends requests at a steady rate until it is stopped, and counts the answers.
type Load struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	counts map[string]int // by status, and reason if there is one; "error" when there was no answer
	errs   []string
}

const loadWorkers = 8

// StartLoad sends perSecond requests, spread over the URLs in turn, until Stop or the test's end.
func StartLoad(t testing.TB, perSecond int, urls []string, headers ...string) *Load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &Load{cancel: cancel, counts: make(map[string]int)}
	t.Cleanup(func() { l.Stop() })
	transport := &http.Transport{MaxIdleConnsPerHost: loadWorkers}
	loader := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	turns := make(chan string, loadWorkers)
	l.done.Go(func() {
		defer close(turns)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case turns <- urls[i%len(urls)]:
			default: // all workers are busy: the load is what they can carry
			}
		}
	})
	for range loadWorkers {
		l.done.Go(func() {
			for url := range turns {
				l.count(l.one(ctx, loader, url, headers))
			}
		})
	}
	return l
}

func (l *Load) one(ctx context.Context, loader *http.Client, url string, headers []string) (string, error) {
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, nil)
	if err != nil {
		return "error", err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := loader.Do(request)
	if err != nil {
		return "error", err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "error", err
	}
	outcome := fmt.Sprint(response.StatusCode)
	if reason := response.Header.Get("X-Tidegate-Reason"); reason != "" {
		outcome += " " + reason
	}
	return outcome, nil
}

func (l *Load) count(outcome string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[outcome]++
	if err != nil && len(l.errs) < 5 {
		l.errs = append(l.errs, err.Error())
	}
}

// Counts is how many answers of each outcome there were so far.
func (l *Load) Counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// Stop ends the load, waits for the last answers and returns the counts.
func (l *Load) Stop() map[string]int {
	l.cancel()
	l.done.Wait()
	return l.Counts()
}

// Describe is the counts in words, with the first errors.
func (l *Load) Describe() string {
	counts := l.Counts()
	var out []string
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s: %d", outcome, counts[outcome]))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(out, l.errs...), ", ")
}
