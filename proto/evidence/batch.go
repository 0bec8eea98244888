package evidence

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// WholePPM is a share of one in parts per million.
const WholePPM = 1_000_000

// Arm counts the requests of one arm, and those of them that were bad by one
// metric.
type Arm struct {
	Requests uint64 `json:"requests"`
	Bad      uint64 `json:"bad"`
}

// plus adds two counts. It stops at the largest number instead of wrapping.
func (a Arm) plus(b Arm) Arm {
	return Arm{
		Requests: saturatingAdd(a.Requests, b.Requests),
		Bad:      saturatingAdd(a.Bad, b.Bad),
	}
}

// Batch is what was counted for one metric while the candidate's share stood
// still.
type Batch struct {
	// SharePPM is the probability with which a request was sent to the
	// candidate, in parts per million.
	SharePPM  uint32 `json:"share_ppm"`
	Candidate Arm    `json:"candidate"`
	Control   Arm    `json:"control"`
}

// Informative says whether a coin was thrown at all: with a share of 0 or 1
// there is only one arm, and nothing to compare.
func (b Batch) Informative() bool {
	return b.SharePPM > 0 && b.SharePPM < WholePPM
}

// Validate reports a share above one or an arm with more bad requests than
// requests. For use where batches come from elsewhere; the functions of this
// package take any batch and ignore one that is not [Batch.Informative].
func (b Batch) Validate() error {
	if b.SharePPM > WholePPM {
		return fmt.Errorf("share of %d ppm is more than %d", b.SharePPM, WholePPM)
	}
	if b.Candidate.Bad > b.Candidate.Requests {
		return fmt.Errorf("candidate has %d bad of %d requests", b.Candidate.Bad, b.Candidate.Requests)
	}
	if b.Control.Bad > b.Control.Requests {
		return fmt.Errorf("control has %d bad of %d requests", b.Control.Bad, b.Control.Requests)
	}
	return nil
}

// Tally is the sufficient statistic of one comparison: at most one batch for
// each share, in order of share. The zero value is empty. Read from a database
// as sums grouped by share, it may be used as it is, in any order.
type Tally []Batch

// Add adds the counts of b to those of the same share. It ignores a batch that
// is not informative, so that [Tally.Arms] counts only compared requests. It
// allocates only when a share is new.
func (t *Tally) Add(b Batch) {
	if !b.Informative() {
		return
	}
	at, found := slices.BinarySearchFunc(*t, b.SharePPM, func(have Batch, share uint32) int {
		return cmp.Compare(have.SharePPM, share)
	})
	if !found {
		*t = slices.Insert(*t, at, b)
		return
	}
	have := &(*t)[at]
	have.Candidate = have.Candidate.plus(b.Candidate)
	have.Control = have.Control.plus(b.Control)
}

// Merge adds all batches of another tally, such as that of another agent.
func (t *Tally) Merge(other Tally) {
	for _, b := range other {
		t.Add(b)
	}
}

// Arms adds up the arms over all shares, for people to read. Never compare
// these sums with each other: that is what the shares are for.
func (t Tally) Arms() (candidate, control Arm) {
	for _, b := range t {
		if b.Informative() {
			candidate = candidate.plus(b.Candidate)
			control = control.plus(b.Control)
		}
	}
	return candidate, control
}

func saturatingAdd(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}
