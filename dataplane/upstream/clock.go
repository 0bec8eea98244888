package upstream

import "time"

// clock counts nanoseconds since it was made, by a clock that never jumps. It begins at 1, so that 0 can mean never.
type clock struct{ began time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) at(t time.Time) int64 { return int64(t.Sub(c.began)) + 1 }

func (c clock) now() int64 { return int64(time.Since(c.began)) + 1 }
