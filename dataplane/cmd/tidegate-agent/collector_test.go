package main

import "testing"

func TestTheCollectorLeavesRoom(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 10_000, 1 << 20: 1600, 8 << 20: 200, 16 << 20: 100, 17 << 20: 100, 10 << 30: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes in use: %d %%, want %d %%", live, got, want)
		}
	}
}
