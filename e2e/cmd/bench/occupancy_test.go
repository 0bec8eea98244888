package main

import (
	"testing"
	"time"
)

func TestWhatOthersUsed(t *testing.T) {
	t.Parallel()
	before, err := parseOccupancy("cpu  100 0 100 800 0 0 0 0 0 0")
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseOccupancy("cpu  400 0 300 1200 0 0 0 100 0 0")
	if err != nil {
		t.Fatal(err)
	}
	after.ours = 3 * time.Second
	// Of 10 s in all 4 were idle, 1 was stolen and 3 were ours.
	if others, stolen := after.since(before); others != 0.2 || stolen != 0.1 {
		t.Errorf("others used %g, %g were stolen", others, stolen)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9", "cpu 1 2 3 4 5 6 7 x 9"} {
		if _, err := parseOccupancy(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if now, err := occupied(); err != nil || now.all <= 0 || now.ours <= 0 {
		t.Errorf("now it is %+v, %v", now, err)
	}
}
