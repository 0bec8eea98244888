package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// repeat plays a case many times on several goroutines. Each run has a
// generator of its own, made from the seed, the case and the run's number, so
// that the result does not depend on the goroutines.
func repeat[T any](ctx context.Context, s settings, name string, runs int, play func(*rand.Rand) T) ([]T, error) {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, name) // a hash never fails
	stream := hash.Sum64()

	outcomes := make([]T, runs)
	var next, done atomic.Int64
	var workers sync.WaitGroup
	for range s.workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= runs {
					return
				}
				outcomes[i] = play(rand.New(rand.NewPCG(s.seed, stream+uint64(i))))
				done.Add(1)
			}
		})
	}
	finished := make(chan struct{})
	go func() {
		workers.Wait()
		close(finished)
	}()
	reportProgress(s.progress, name, runs, &done, finished)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("interrupted after %d of %d runs of %q", done.Load(), runs, name)
	}
	return outcomes, nil
}

// reportProgress writes how far a long case is every few seconds, until it is
// finished.
func reportProgress(out io.Writer, name string, runs int, done *atomic.Int64, finished <-chan struct{}) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-finished:
			return
		case <-ticker.C:
			_, _ = fmt.Fprintf(out, "%s: %d of %d\n", name, done.Load(), runs) // progress may be lost
		}
	}
}

func only[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if keep(one) {
			kept = append(kept, one)
		}
	}
	return kept
}

// quantile is NaN when nothing was found.
func quantile[T any](all []T, value func(T) float64, q float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = value(one)
	}
	slices.Sort(values)
	return values[int(q*float64(len(values)-1)+0.5)]
}
