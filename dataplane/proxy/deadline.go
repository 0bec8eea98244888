package proxy

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
)

// errClientDeadline means that the time has passed that the client gave the exchange.
var errClientDeadline = errors.New("the time that the client gave has passed")

const grpcTimeout = "Grpc-Timeout"

// heedDeadline shortens the exchange's time to what the client gives it, in grpc-timeout or in the header that the service
// names. What cannot be read is as if it were not there.
func (x *exchange) heedDeadline() {
	// gRPC is always POST, and others need not look.
	if x.method == http.MethodPost {
		given, ok := parseGRPCTimeout(x.header.Get(grpcTimeout))
		if ok {
			x.shorten(given)
		}
		x.tellsGRPC = ok || !x.call.Deadline.IsZero() && isGRPC(x.header)
	}
	if name := x.route.DeadlineHeader; name != "" {
		if given, ok := parseMilliseconds(x.header.Get(name)); ok {
			x.shorten(given)
		}
	}
}

func (x *exchange) shorten(given time.Duration) {
	if until := x.Started.Add(given); x.call.Deadline.IsZero() || until.Before(x.call.Deadline) {
		x.call.Deadline, x.deadlineErr = until, errClientDeadline
	}
}

// late tells whether the exchange's time has passed.
func (x *exchange) late() bool {
	return !x.call.Deadline.IsZero() && !time.Now().Before(x.call.Deadline)
}

// tellDeadline lets the upstream know what is left of the exchange's time. It tells whether anything is.
func (x *exchange) tellDeadline(now time.Time) bool {
	if x.call.Deadline.IsZero() {
		return true
	}
	left := x.call.Deadline.Sub(now)
	if left <= 0 {
		return false
	}
	var text [24]byte
	if x.tellsGRPC {
		x.header.SetBytes(grpcTimeout, appendGRPCTimeout(text[:0], left))
	}
	if name := x.route.DeadlineHeader; name != "" {
		x.header.SetBytes(name, strconv.AppendInt(text[:0], max(1, left.Milliseconds()), 10))
	}
	return true
}

// grpcUnits are the units of grpc-timeout, the shortest first.
var grpcUnits = [...]struct {
	letter byte
	length time.Duration
}{
	{'n', time.Nanosecond},
	{'u', time.Microsecond},
	{'m', time.Millisecond},
	{'S', time.Second},
	{'M', time.Minute},
	{'H', time.Hour},
}

// longestGRPCDigits is how many digits a value has at most.
const longestGRPCDigits = 8

// parseGRPCTimeout reads a grpc-timeout ("Timeout → TimeoutValue TimeoutUnit", grpc/doc/PROTOCOL-HTTP2.md): at most 8 digits and
// a unit. 0 is read too, as clients send it whose time has passed.
func parseGRPCTimeout(text string) (given time.Duration, ok bool) {
	digits := len(text) - 1
	if digits < 1 || digits > longestGRPCDigits {
		return 0, false
	}
	value, ok := parseDigits(text[:digits])
	if !ok {
		return 0, false
	}
	for _, unit := range grpcUnits {
		if unit.letter == text[digits] {
			if value > math.MaxInt64/int64(unit.length) {
				return math.MaxInt64, true
			}
			return time.Duration(value) * unit.length, true
		}
	}
	return 0, false
}

// appendGRPCTimeout writes a grpc-timeout, in the shortest unit that 8 digits are enough for. It never says more than is left,
// but for the first nanosecond.
func appendGRPCTimeout(out []byte, left time.Duration) []byte {
	const tooMuch = 100_000_000
	for _, unit := range grpcUnits {
		if value := int64(left / unit.length); value < tooMuch {
			return append(strconv.AppendInt(out, max(1, value), 10), unit.letter)
		}
	}
	return append(out, "99999999H"...) // time.Duration holds no more than 2562047 hours
}

// longestMilliseconds is how many digits of milliseconds time.Duration can hold.
const longestMilliseconds = 12

// parseMilliseconds reads a whole number of milliseconds.
func parseMilliseconds(text string) (given time.Duration, ok bool) {
	if len(text) > longestMilliseconds {
		return 0, false
	}
	value, ok := parseDigits(text)
	return time.Duration(value) * time.Millisecond, ok
}

// parseDigits reads a few digits, and nothing else.
func parseDigits(text string) (value int64, ok bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		value = value*10 + int64(text[i]-'0')
	}
	return value, text != ""
}
