package config

import (
	"testing"
	"time"
)

func TestASteadyClockIsNeverEarly(t *testing.T) {
	t.Parallel()
	var clock steadyClock
	own, told := time.Now(), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	first := told
	look := func(after, jump time.Duration, want time.Duration, wantSet bool) {
		t.Helper()
		own, told = own.Add(after), told.Add(after+jump)
		now, set := clock.now(told, own, own)
		if now.Sub(first) != want || set != wantSet {
			t.Errorf("after %s with a jump of %s: %s, %t; want %s, %t", after, jump, now.Sub(first), set, want, wantSet)
		}
	}
	look(0, 0, 0, false)
	look(time.Minute, time.Second, 61*time.Second, false) // drift is followed
	look(time.Minute, time.Hour, 121*time.Second, true)   // a jump is not, and told once
	look(time.Minute, 0, 181*time.Second, false)
	look(time.Minute, -time.Hour, 241*time.Second, false)           // and back
	look(time.Minute, -time.Hour, 301*time.Second-time.Hour, false) // late is safe
	look(time.Minute, time.Hour, 361*time.Second, false)            // it was set right again
}
