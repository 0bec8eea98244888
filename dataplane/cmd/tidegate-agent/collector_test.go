package main

import "testing"

// TestARushIsTidiedUp looks at a heap once a second.
func TestARushIsTidiedUp(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	var after aftermath
	allocated := uint64(0)
	for i, look := range []struct {
		more, live uint64
		tidy       bool
	}{
		{0, mib, false},         // nothing has happened
		{calm, mib, false},      // nor has much
		{100 * mib, mib, false}, // a rush
		{mib, 50 * mib, false},  // that goes on
		{0, 50 * mib, true},     // and is over
		{calm, 30 * mib, true},  // what was pooled goes with the second collection
		{0, 10 * mib, false},
		{7 * mib, 10 * mib, false},
		{0, 10 * mib, false}, // a little one
		{2 * mib, 10 * mib, false},
		{0, 10 * mib, true}, // and another
		{mib, 10 * mib, false},
		{0, 10 * mib, false}, // the next has begun between the two
		{100 * mib, 1000 * mib, false},
		{0, 1000 * mib, false}, // little beside what is in use
	} {
		allocated += look.more
		if got := after.look(look.live, allocated); got != look.tidy {
			t.Errorf("look %d: %v", i, got)
		}
	}
}

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
