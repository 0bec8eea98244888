package router

import (
	"math/rand/v2"
	"testing"
)

// TestRandomRulesAgainstOracle is the fuzz target's check over many long random inputs, so that every run of the tests has it.
func TestRandomRulesAgainstOracle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	matched, missed := 0, 0
	for range 300 {
		data := make([]byte, 1500)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		c := &choices{data}
		router, err := New[int](nil)
		if err != nil {
			t.Fatal(err)
		}
		var want catalog
		for range 6 {
			router = step(t, c, router, &want)
			for range 12 {
				if agree(t, router, want, c.request()) {
					matched++
				} else {
					missed++
				}
			}
		}
	}
	if matched < 1000 || missed < 1000 {
		t.Errorf("%d requests matched and %d did not: the test has become easy", matched, missed)
	}
}
