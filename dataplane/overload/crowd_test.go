package overload

import (
	"sync/atomic"
	"testing"
)

func TestACrowdLetsInTheMostImportantLast(t *testing.T) {
	t.Parallel()
	const most, parts = 100, 4
	crowd := NewCrowd(most, parts)
	var running int64
	asked := 0
	all := func() int64 {
		asked++
		return running
	}
	for _, c := range []struct {
		running                    int64
		sheddable, usual, critical bool
	}{{60, true, true, true}, {80, true, true, true}, {81, false, true, true}, {95, false, true, true}, {96, false, false, true}, {100, false, false, true}, {101, false, false, false}} {
		running = c.running
		mine := running / parts
		for criticality, want := range map[Criticality]bool{Sheddable: c.sheddable, Default: c.usual, Critical: c.critical} {
			if got := crowd.Admit(criticality, mine, all); got != want {
				t.Errorf("of %d, criticality %d: %t", c.running, criticality, got)
			}
		}
	}
	if crowd.Refused(Sheddable) != 5 || crowd.Refused(Default) != 3 || crowd.Refused(Critical) != 1 {
		t.Errorf("refused %d, %d, %d", crowd.Refused(Sheddable), crowd.Refused(Default), crowd.Refused(Critical))
	}
	// While there is room nobody else is asked.
	running, asked = 40, 0
	if crowd.Admit(Default, 10, all); asked != 0 {
		t.Error("the other parts were asked with room to spare")
	}
	var none *Crowd
	if !none.Admit(Sheddable, 1_000_000, all) || NewCrowd(0, parts) != nil || none.Most() != 0 || none.Refused(Default) != 0 {
		t.Error("no bound bounds")
	}
}

func BenchmarkCrowd(b *testing.B) {
	for name, mine := range map[string]int64{"room": 10, "full": 600} {
		b.Run(name, func(b *testing.B) {
			var parts [16]struct {
				n atomic.Int64
				_ [56]byte
			}
			crowd := NewCrowd(10_000, len(parts))
			all := func() (sum int64) {
				for i := range parts {
					sum += parts[i].n.Load()
				}
				return sum
			}
			for b.Loop() {
				crowd.Admit(Default, mine, all)
			}
		})
	}
}
