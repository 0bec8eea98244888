package http1

import (
	"sync/atomic"
	"time"
)

// dateClock makes the field Date (RFC 9110, section 6.6.1) once a second.
type dateClock struct{ current atomic.Pointer[dateText] }

type dateText struct {
	second int64
	text   string
}

// at returns the date in the format that RFC 9110, section 5.6.7, prefers.
func (c *dateClock) at(now time.Time) string {
	second := now.Unix()
	if date := c.current.Load(); date != nil && date.second == second {
		return date.text
	}
	date := &dateText{second, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	c.current.Store(date)
	return date.text
}

// began is when the process did.
var began = time.Now()

// instant is now by the clock that never jumps, which costs half of what time.Now does. It is for deadlines and durations; what it
// says of the date is only as right as the clock was when the process began.
func instant() time.Time { return began.Add(time.Since(began)) }

// lately is when somebody last looked at the clock that is set.
var lately atomic.Pointer[time.Time]

// present is now, with a date that is right to a second even if the clock is set. It costs what instant does.
func present() time.Time {
	if anchor := lately.Load(); anchor != nil {
		if since := time.Since(*anchor); since < time.Second {
			return anchor.Add(since)
		}
	}
	now := time.Now()
	lately.Store(&now)
	return now
}

// elapsed is a moment as nanoseconds since the process began, for atomics, and after is the way back.
func elapsed(at time.Time) int64 { return int64(at.Sub(began)) }

func after(nanoseconds int64) time.Time { return began.Add(time.Duration(nanoseconds)) }
