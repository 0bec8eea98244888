package main

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
)

// memorySize is a number of bytes: "512MiB", "2GiB", or a plain number.
type memorySize int64

var memoryUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}, {"", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *memorySize) UnmarshalText(text []byte) error {
	for _, unit := range memoryUnits {
		number, ok := strings.CutSuffix(string(text), unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit.bytes {
			break
		}
		*m = memorySize(n * unit.bytes)
		return nil
	}
	return errors.New(`must be a number of bytes, such as "512MiB" or "2GiB"`)
}

// leastMemory is what an agent cannot do without.
const leastMemory = 32 << 20

// applyMemoryLimit tells Go's runtime how much memory there is, and returns that: what was given, else GOMEMLIMIT, else nine
// tenths of what the control group has. 0 is no limit.
func applyMemoryLimit(given memorySize, group controlGroup) (int64, error) {
	if given > 0 && given < leastMemory {
		return 0, fmt.Errorf("--memory-limit is below %d MiB", leastMemory>>20)
	}
	limit := int64(given)
	if limit == 0 {
		if set := debug.SetMemoryLimit(-1); set < math.MaxInt64 {
			return set, nil
		}
		limit = group.memoryLimit() / 10 * 9
	}
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit, nil
}
