package telemetry

import (
	"bufio"
	"context"
	"io"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// AccessEntry is one line of the access log. It holds no key, no header value but the identifiers, and no query.
type AccessEntry struct {
	Time      time.Time
	RequestID string
	TraceID   string
	SpanID    string
	Method    string
	Host      string
	Path      string
	Protocol  string
	Client    string
	Status    int
	Bytes     int64
	Duration  time.Duration
	Route     string
	Service   string
	Target    string
	Revision  int64
	Arm       uint8
	Consumer  string
	Key       string
	Reason    string
}

// AccessLog writes a line of JSON for each exchange. Whoever logs never waits: lines that the writer cannot keep up with are
// dropped and counted.
type AccessLog struct {
	// Set once.
	out   io.Writer
	queue chan AccessEntry

	// Atomic.
	dropped atomic.Uint64
}

const (
	accessLogQueue = 8192
	accessLogFlush = 200 * time.Millisecond
)

// NewAccessLog makes a log that writes to out once [AccessLog.Run] runs.
func NewAccessLog(out io.Writer) *AccessLog {
	return &AccessLog{out: out, queue: make(chan AccessEntry, accessLogQueue)}
}

// Log queues a line, or drops it if the queue is full.
func (l *AccessLog) Log(entry AccessEntry) {
	select {
	case l.queue <- entry:
	default:
		l.dropped.Add(1)
	}
}

// Dropped is how many lines were dropped so far.
func (l *AccessLog) Dropped() uint64 { return l.dropped.Load() }

// Run writes until ctx is done, and then what is queued. It fails if the writer does.
func (l *AccessLog) Run(ctx context.Context) error {
	out := bufio.NewWriterSize(l.out, 64<<10)
	tick := time.NewTicker(accessLogFlush)
	defer tick.Stop()
	var line []byte
	for {
		select {
		case entry := <-l.queue:
			line = entry.appendJSON(line[:0])
			if _, err := out.Write(line); err != nil {
				return err
			}
		case <-tick.C:
			if err := out.Flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			for {
				select {
				case entry := <-l.queue:
					// The error comes back from Flush.
					_, _ = out.Write(entry.appendJSON(line[:0]))
				default:
					return out.Flush()
				}
			}
		}
	}
}

func (e *AccessEntry) appendJSON(out []byte) []byte {
	out = append(out, `{"time":"`...)
	out = e.Time.UTC().AppendFormat(out, "2006-01-02T15:04:05.000Z07:00")
	out = append(out, '"')
	out = appendText(out, "request_id", e.RequestID)
	out = appendText(out, "method", e.Method)
	out = appendText(out, "host", e.Host)
	out = appendText(out, "path", e.Path)
	out = appendText(out, "protocol", e.Protocol)
	out = appendText(out, "client", e.Client)
	out = appendNumber(out, "status", int64(e.Status))
	out = appendNumber(out, "bytes", e.Bytes)
	out = append(out, `,"duration_ms":`...)
	out = strconv.AppendFloat(out, float64(e.Duration.Microseconds())/1000, 'f', 3, 64)
	out = appendText(out, "route", e.Route)
	out = appendText(out, "service", e.Service)
	out = appendText(out, "target", e.Target)
	out = appendNumber(out, "revision", e.Revision)
	if int(e.Arm) < len(armNames) {
		out = appendText(out, "arm", armNames[e.Arm])
	}
	out = appendText(out, "consumer", e.Consumer)
	out = appendText(out, "key", e.Key)
	out = appendText(out, "reason", e.Reason)
	out = appendText(out, "trace_id", e.TraceID)
	out = appendText(out, "span_id", e.SpanID)
	return append(out, '}', '\n')
}

func appendNumber(out []byte, name string, value int64) []byte {
	out = append(append(append(out, `,"`...), name...), `":`...)
	return strconv.AppendInt(out, value, 10)
}

// appendText leaves out what is empty.
func appendText(out []byte, name, value string) []byte {
	if value == "" {
		return out
	}
	out = append(append(append(out, `,"`...), name...), `":`...)
	return appendString(out, value)
}

// appendString writes a string of JSON (RFC 8259, section 7). Bytes that are no UTF-8 become U+FFFD.
func appendString(out []byte, text string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029:
			out = append(out, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"')
}
