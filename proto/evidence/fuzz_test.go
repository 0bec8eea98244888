package evidence_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"

	"tidegate.dev/proto/evidence"
)

// batchesOf reads batches of 12 bytes: share, candidate bad, control bad. A
// leading bit of a count stretches it to the largest numbers.
func batchesOf(data []byte) []evidence.Batch {
	var batches []evidence.Batch
	for ; len(data) >= 12 && len(batches) < 64; data = data[12:] {
		count := func(at int) uint64 {
			n := binary.LittleEndian.Uint32(data[at:])
			if n>>31 == 1 {
				return uint64(n) << 32
			}
			return uint64(n)
		}
		batches = append(batches, evidence.Batch{
			SharePPM:  binary.LittleEndian.Uint32(data),
			Candidate: evidence.Arm{Requests: count(4), Bad: count(4)},
			Control:   evidence.Arm{Requests: count(8), Bad: count(8)},
		})
	}
	return batches
}

func FuzzBatches(f *testing.F) {
	seed := func(numbers ...uint32) {
		var data []byte
		for _, n := range numbers {
			data = binary.LittleEndian.AppendUint32(data, n)
		}
		f.Add(data, 0.01, 0.0)
	}
	seed()
	seed(10_000, 5, 3)
	seed(0, 1, 1, 1_000_000, 1, 1, 1_000_001, 9, 9)
	seed(1, math.MaxUint32, 0, 999_999, 0, math.MaxUint32)
	seed(500_000, 2, 2, 500_000, 3, 1, 10_000, 1, 0)
	f.Fuzz(func(t *testing.T, data []byte, alpha, peak float64) {
		test := newTest(t, evidence.Config{})
		batches := batchesOf(data)
		var e evidence.Evidence
		var tally evidence.Tally
		size := 1.0
		for _, b := range batches {
			share := test.Share(b.SharePPM)
			e.Add(&share, b.Candidate.Bad, b.Control.Bad)
			before := e.Peak()
			now := e.Look()
			if math.IsNaN(now) || math.IsInf(now, 0) || e.Peak() < before || e.Peak() < now {
				t.Fatalf("after %+v: value %v, peak %v, before %v", b, now, e.Peak(), before)
			}
			tally.Add(b)
			size += float64(b.Candidate.Bad) + float64(b.Control.Bad)
		}
		weighed := test.Weigh(tally)
		if d := weighed.LogValue() - e.LogValue(); size < math.MaxInt64 && math.Abs(d) > 1e-9*size {
			t.Errorf("step by step %v, by sums %v", e.LogValue(), weighed.LogValue())
		}

		decision := test.Judge(tally, peak, evidence.Terms{Alpha: alpha, BakeOver: true})
		if decision.Explain("bad") == "" {
			t.Error("no explanation")
		}
		if !math.IsInf(peak, 1) { // JSON has no infinity
			if _, err := json.Marshal(decision); err != nil {
				t.Error(err)
			}
		}
		interval := test.Interval(tally, alpha)
		if math.IsNaN(interval.Lower) || math.IsNaN(interval.Upper) || interval.Lower > interval.Upper {
			t.Errorf("interval %v", interval)
		}
	})
}
