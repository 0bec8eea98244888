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
