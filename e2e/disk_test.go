package e2e_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// atOnce is a strategy without steps, for tests that publish often.
const atOnce = `{"name":"at-once","is_default":true,"spec":{"steps":[{"agents_percent":100,"traffic_percent":100,"bake":"0s","minimum_samples":0}]}}`

// The disk of Postgres is full: writes are refused soon, with the reason, traffic does not notice, and when there is space again
// everything goes on, with numbers that nobody had before. The same when Postgres dies of it and cannot start.
func TestADiskThatIsFullStopsWritesAndNothingElse(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 2, Disk: 256})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/at-once", jsonText(atOnce))
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	load := harness.StartLoad(t, 100, s.Proxies("/orders/7"))
	w := writer{stack: s, acknowledged: map[int]string{}}
	for range 3 {
		if r := w.write(t); r.Status != http.StatusOK {
			t.Fatalf("a write while there is space: %d %s", r.Status, r.Body)
		}
	}

	s.FillDisk()
	harness.Eventually(t, 30*time.Second, "a write is refused for want of space", func() error {
		if r := w.write(t); r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Body, "no space left") {
			return fmt.Errorf("it was answered %d %s", r.Status, r.Body)
		} else if r.Header.Get("Retry-After") == "" {
			t.Errorf("it does not say when to try again: %v", r.Header)
		}
		return nil
	})
	answers(t, s, http.StatusOK, "GET", servicesPath+"orders", nil, good.URL) // what is there can be read
	if head := s.Fleet().HeadRevision; head != w.last {
		t.Errorf("head is revision %d after the last that was acknowledged was %d", head, w.last)
	}

	// Postgres dies. Whether it starts without space, and whether it then lets anybody in, is its own affair.
	s.Kill("postgres", syscall.SIGKILL)
	harness.Eventually(t, 30*time.Second, "Postgres runs again, or does not", func() error {
		if r := w.write(t); r.Status != http.StatusServiceUnavailable {
			t.Fatalf("a write without Postgres: %d %s", r.Status, r.Body)
		}
		if s.Says("postgres: it does not start") || s.Says("postgres: runs again") {
			return nil
		}
		return errors.New("nothing is said of it")
	})
	for range 5 {
		if r := w.write(t); r.Status != http.StatusServiceUnavailable {
			t.Errorf("a write with a Postgres that has no space: %d %s", r.Status, r.Body)
		}
	}
	for _, url := range s.Proxies("/orders/7") {
		answersFrom(t, url, "good")
	}

	s.FreeDisk()
	harness.Eventually(t, time.Minute, "there is space, and a write goes through", func() error {
		if r := w.write(t); r.Status != http.StatusOK {
			return fmt.Errorf("%d %s", r.Status, r.Body)
		}
		return nil
	})
	two := harness.NewUpstream(t, "two")
	s.Apply(ordersAt(two.URL))
	for _, url := range s.Proxies("/orders/7") {
		answersFrom(t, url, "two")
	}
	if counts := load.Stop(); counts["200"] == 0 || len(counts) != 1 {
		t.Errorf("clients saw %s; want only 200", load.Describe())
	}
	w.check(t)
}

// writer writes one large service after the other and remembers what was acknowledged.
type writer struct {
	stack        *harness.Stack
	written      int
	last         int
	acknowledged map[int]string // by revision
}

// write sends what needs new space in the database: nothing of it can be compressed.
func (w *writer) write(t *testing.T) harness.Response {
	t.Helper()
	w.written++
	name := fmt.Sprintf("large-%d", w.written)
	labels := map[string]string{}
	for i := range 60 {
		labels[fmt.Sprint("label-", i)] = strings.Repeat(rand.Text(), 9)
	}
	began := time.Now()
	r := w.stack.Admin(http.MethodPut, servicesPath+name, map[string]any{"labels": labels, "spec": map[string]string{"url": "http://127.0.0.1:1"}}, nil)
	if took := time.Since(began); took > 14*time.Second { // the client gives up after 15
		t.Errorf("a write was answered %d only after %s", r.Status, took)
	}
	if r.Status == http.StatusOK {
		if _, err := fmt.Sscan(r.Header.Get("Tidegate-Revision"), &w.last); err != nil {
			t.Errorf("a write without a revision: %v", r.Header)
		}
		if other, taken := w.acknowledged[w.last]; taken {
			t.Errorf("revision %d is %s, and %s", w.last, other, name)
		}
		w.acknowledged[w.last] = name
	}
	return r
}

// check compares what was acknowledged with what there is.
func (w *writer) check(t *testing.T) {
	t.Helper()
	all := revisions(t, w.stack, "default")
	messages := map[int]string{}
	for _, one := range all {
		messages[one.Number] = one.Message
	}
	if len(messages) != len(all) || len(all) != w.stack.Fleet().HeadRevision {
		t.Errorf("there are %d revisions with %d numbers, and head is %d", len(all), len(messages), w.stack.Fleet().HeadRevision)
	}
	for number, name := range w.acknowledged {
		if !strings.HasSuffix(messages[number], "services/"+name) {
			t.Errorf("revision %d was acknowledged as the write of %s, and is %q", number, name, messages[number])
		}
	}
}
