package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestEachDurationHasItsBucket(t *testing.T) {
	t.Parallel()
	check := func(d time.Duration) {
		i := Bucket(d)
		if i < 0 || i >= Buckets || d > Bound(i) || i > 0 && d <= Bound(i-1) {
			t.Errorf("%s is in bucket %d", d, i)
		}
	}
	for i := range Buckets - 1 {
		check(Bound(i))
		check(Bound(i) + 1)
		want := 50e-6 * math.Pow(2, float64(i)/4)
		if got := Bound(i).Seconds(); math.Abs(got-want) > 1e-9 {
			t.Errorf("bound %d is %g, want %g", i, got, want)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Hour, math.MaxInt64} {
		check(max(d, math.MinInt64))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		check(time.Duration(random.Int64N(int64(20 * time.Minute))))
	}
}

func TestEveryRequestIsCountedOnce(t *testing.T) {
	t.Parallel()
	c := NewCounters([]string{"", "no_route"})
	arm := c.Open(ArmKey{Revision: 7, Arm: 2, RolloutID: "r", SharePPM: 10}, 1000)
	const goroutines, times = 8, 5000
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for i := range times {
				number := uint32(i % 1001)
				arm.Record(number, fmt.Sprint("route", number), uint8(2+i%2*2), uint8(i%2), time.Duration(i)*time.Microsecond)
			}
		})
	}
	group.Wait()
	total := uint64(0)
	c.Each(func(key CellKey, requests uint64, buckets *[Buckets]uint64) {
		sum := uint64(0)
		for _, n := range buckets {
			sum += n
		}
		if sum != requests || key.Revision != 7 || key.Arm != 2 || key.RolloutID != "r" || key.SharePPM != 10 || key.Route == "" {
			t.Errorf("%+v: %d requests, %d in buckets", key, requests, sum)
		}
		if (key.StatusClass == 4) != (key.Reason == "no_route") {
			t.Errorf("%+v", key)
		}
		total += requests
	})
	if total != goroutines*times {
		t.Errorf("%d counted, want %d", total, goroutines*times)
	}
}

func TestEndedArmsAreShownForAWhileAndMetricsNeverGoBack(t *testing.T) {
	t.Parallel()
	c := NewCounters([]string{""})
	now := time.Unix(1000, 0)
	c.now = func() time.Time { return now }
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(c))
	arm := c.Open(ArmKey{Revision: 1, Arm: 1}, 1)
	arm.Record(1, "orders", 2, 0, time.Millisecond)
	arm.Close()
	cells := func() (n int) {
		c.Each(func(CellKey, uint64, *[Buckets]uint64) { n++ })
		return n
	}
	shown := func() (requests float64, durations uint64) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				requests += m.GetCounter().GetValue()
				durations += m.GetHistogram().GetSampleCount()
			}
		}
		return requests, durations
	}
	if n := cells(); n != 1 {
		t.Error("just ended:", n)
	}
	now = now.Add(retention)
	if n := cells(); n != 0 {
		t.Error("long ended:", n)
	}
	next := c.Open(ArmKey{Revision: 2, Arm: 1}, 1)
	next.Record(1, "orders", 2, 0, time.Second)
	if requests, durations := shown(); requests != 2 || durations != 2 {
		t.Error("metrics show", requests, durations)
	}
}

func TestKeyUsesAreToldOnceAMinute(t *testing.T) {
	t.Parallel()
	k := NewKeyUses()
	var last atomic.Int64
	at := time.Unix(6000, 0)
	for _, seconds := range []int{0, 30, 59} {
		k.Record("k1", &last, at.Add(time.Duration(seconds)*time.Second))
	}
	if uses := k.Drain(); len(uses) != 1 || uses[0] != (KeyUse{"k1", 6000}) {
		t.Error(uses)
	}
	k.Record("k1", &last, at.Add(30*time.Second))
	if uses := k.Drain(); len(uses) != 0 {
		t.Error(uses)
	}
	k.Record("k1", &last, at.Add(time.Minute))
	if uses := k.Drain(); len(uses) != 1 || uses[0].LastUsed != 6060 {
		t.Error(uses)
	}
}

func TestTheAccessLogDropsAndCounts(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewAccessLog(&out)
	for range accessLogQueue + 10 {
		log.Log(AccessEntry{Time: time.Unix(0, 0), Method: "GET", Status: 200})
	}
	if log.Dropped() != 10 {
		t.Error("dropped", log.Dropped())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != accessLogQueue {
		t.Error("written", lines)
	}
}

func FuzzAccessEntry(f *testing.F) {
	f.Add("GET", "/a\"b\\\x00\x7f\u2028\xff", "acme")
	f.Fuzz(func(t *testing.T, method, path, consumer string) {
		entry := AccessEntry{Method: method, Path: path, Consumer: consumer, Arm: 2}
		var read map[string]any
		line := entry.appendJSON(nil)
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%q is not one line", line)
		}
		if got, _ := read["path"].(string); got != strings.ToValidUTF8(path, "\uFFFD") && got != string([]rune(path)) {
			t.Errorf("%q became %q", path, got)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	c := NewCounters([]string{""})
	arm := c.Open(ArmKey{}, 100_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			arm.Record(70_000, "orders", 2, 0, time.Millisecond)
		}
	})
}

func BenchmarkAccessEntry(b *testing.B) {
	entry := AccessEntry{Method: "GET", Path: "/orders/7", Host: "localhost", Status: 200, RequestID: "0123456789abcdef", Route: "orders"}
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = entry.appendJSON(line[:0])
	}
}
