package plugin

import "strconv"

// LimitReport is what the response says of the limits that applied, in the fields of draft-ietf-httpapi-ratelimit-headers:
// every policy, and how much is left of the tightest.
type LimitReport struct {
	policies []string
	name     string
	// remaining is how many requests are left, and reset in how many seconds the limit is whole again.
	remaining, reset int64
	share            float64
	// space is where values are put together.
	space []byte
}

// Add reports a limit: policy is its item of RateLimit-Policy, name the same name without parameters. It must be called for
// every limit that was asked, also for the one that refused. The limit with the smallest share left is the tightest.
func (l *LimitReport) Add(name, policy string, remaining, reset int64, share float64) {
	if len(l.policies) == 0 || share < l.share {
		l.name, l.remaining, l.reset, l.share = name, remaining, reset, share
	}
	l.policies = append(l.policies, policy)
}

// Reset empties the report and keeps its memory.
func (l *LimitReport) Reset() {
	clear(l.policies)
	l.policies, l.name, l.remaining, l.reset, l.share, l.space = l.policies[:0], "", 0, 0, 0, l.space[:0]
}

// Write sets the fields, if any limit was reported.
func (l *LimitReport) Write(header Header) {
	if len(l.policies) == 0 {
		return
	}
	if len(l.policies) == 1 {
		header.Set("Ratelimit-Policy", l.policies[0])
	} else {
		l.space = append(l.space[:0], l.policies[0]...)
		for _, more := range l.policies[1:] {
			l.space = append(append(l.space, ", "...), more...)
		}
		setBytes(header, "Ratelimit-Policy", l.space)
	}
	l.space = append(l.space[:0], l.name...)
	l.space = strconv.AppendInt(append(l.space, ";r="...), l.remaining, 10)
	l.space = strconv.AppendInt(append(l.space, ";t="...), l.reset, 10)
	setBytes(header, "Ratelimit", l.space)
}

// setBytes copies the value straight into headers that can hold bytes.
func setBytes(header Header, name string, value []byte) {
	if direct, ok := header.(interface {
		SetBytes(name string, value []byte)
	}); ok {
		direct.SetBytes(name, value)
		return
	}
	header.Set(name, string(value))
}
