package main

import "testing"

func TestHowManyExchangesThereIsRoomFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked      int
		memory     int64
		processors int
		want       int
	}{
		{500, 1 << 30, 4, 500},
		{-1, 1 << 30, 4, 0},
		{0, 1 << 30, 4, 4096},
		{0, 64 << 20, 4, 1000},
		{0, 1 << 40, 4, 100_000},
		{0, 0, 2, 20_000},
		{0, 0, 64, 100_000},
	} {
		if got := mostExchanges(c.asked, c.memory, c.processors); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
