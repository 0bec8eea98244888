package upstream

import (
	"fmt"
	"testing"
)

// BenchmarkAdopt is what a rollout's begin and end cost, with 10,000 services of three targets each.
func BenchmarkAdopt(b *testing.B) {
	r := NewRegistry(Environment{})
	for i := range 10_000 {
		acquire(b, r, Config{Name: fmt.Sprint(i), Targets: targets(1, 1, 1)})
	}
	for b.Loop() {
		r.Adopt(1, 2)
	}
}
