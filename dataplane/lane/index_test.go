package lane

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
)

func newTestIndex() *index[string, int] {
	seed := maphash.MakeSeed()
	return newIndex[string, int](func(key string) uint64 { return maphash.String(seed, key) })
}

func TestIndexDoesWhatAMapDoes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	got, want := newTestIndex(), map[string]int{}
	for step := range 20_000 {
		key := fmt.Sprint(random.IntN(1000))
		if random.IntN(3) == 0 {
			got.remove(key)
			delete(want, key)
		} else {
			got.set(key, step)
			want[key] = step
		}
		probe := fmt.Sprint(random.IntN(1000))
		value, ok := got.get(probe)
		if expected, there := want[probe]; ok != there || value != expected {
			t.Fatalf("step %d: %q is %d, %v; want %d, %v", step, probe, value, ok, expected, there)
		}
	}
	if got.count != len(want) || !maps.Equal(maps.Collect(got.all()), want) {
		t.Errorf("%d entries, want %d", got.count, len(want))
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte{0, 1, 2, 128, 1})
	f.Fuzz(func(t *testing.T, steps []byte) {
		got, want := newTestIndex(), map[string]int{}
		for i, step := range steps {
			key := fmt.Sprint(step % 32)
			if step >= 128 {
				got.remove(key)
				delete(want, key)
				continue
			}
			got.set(key, i)
			want[key] = i
		}
		if !maps.Equal(maps.Collect(got.all()), want) {
			t.Error(maps.Collect(got.all()), want)
		}
	})
}

func TestReadersNeverMissWhatStays(t *testing.T) {
	t.Parallel()
	i := newTestIndex()
	i.set("stays", 1)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if value, ok := i.get("stays"); !ok || value != 1 {
					t.Error("an entry was missed while others were written")
					return
				}
			}
		})
	}
	for n := range 5000 {
		i.set(fmt.Sprint("comes ", n), n)
		if n%3 == 0 {
			i.remove(fmt.Sprint("comes ", n))
		}
	}
	close(stop)
	group.Wait()
}
