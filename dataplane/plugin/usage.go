package plugin

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"
)

// Subject is whose requests are counted together: somebody with a name, or an address.
type Subject struct {
	Name    string
	Address netip.Addr
}

// Rate is a token bucket: so many requests at once, and so many more in each nanosecond. It is an argument of every decision
// and never stored, so that settings change without losing counts, and two revisions can decide on one count.
type Rate struct {
	Burst         float64
	PerNanosecond float64
}

// RateOf is the bucket that refills with requests in each period.
func RateOf(requests uint32, period time.Duration, burst uint32) Rate {
	if burst == 0 {
		burst = requests
	}
	return Rate{Burst: float64(burst), PerNanosecond: float64(requests) / float64(period)}
}

// Decision is the outcome of one [Usages.Take].
type Decision struct {
	Allowed bool
	// Remaining is how many requests are left now.
	Remaining int64
	// Whole is after how long the bucket is full again.
	Whole time.Duration
	// Wait is after how long a refused request would be allowed.
	Wait time.Duration
}

// Usages counts what subjects used. The number of subjects is bounded: when it is reached, one of a few drawn at random is
// forgotten, the one that has used least.
type Usages struct {
	// Set once.
	state  *State
	seed   maphash.Seed
	shards [usageShards]usageShard

	// holders is guarded by state.mu.
	holders int
}

const (
	usageShards      = 64
	subjectsPerShard = 4096
	// evictionSample is how many subjects are looked at to find one to forget.
	evictionSample = 8
)

type usageShard struct {
	mu       sync.Mutex
	subjects map[Subject]*usage
}

// usage is counted in requests, not in time: what one setting's decision adds means the same to another's.
type usage struct {
	// level is how many requests were used and have not been given back by time, as of at.
	level float64
	at    time.Duration
	// whole is when level will be zero, by the rate of the last decision.
	whole time.Duration
}

func newUsages(s *State) *Usages {
	u := &Usages{state: s, seed: maphash.MakeSeed()}
	for i := range u.shards {
		u.shards[i].subjects = make(map[Subject]*usage)
	}
	return u
}

// Release gives up the caller's hold.
func (u *Usages) Release() {
	u.state.mu.Lock()
	u.holders--
	u.state.mu.Unlock()
}

func (u *Usages) shard(subject Subject) *usageShard {
	if subject.Name != "" {
		return &u.shards[maphash.String(u.seed, subject.Name)%usageShards]
	}
	return &u.shards[maphash.Comparable(u.seed, subject.Address)%usageShards]
}

// Take counts one request at a time, if the rate allows it.
func (u *Usages) Take(subject Subject, rate Rate, now time.Time) Decision {
	return u.decide(subject, rate, now, true)
}

// Peek decides as Take would and counts nothing.
func (u *Usages) Peek(subject Subject, rate Rate, now time.Time) Decision {
	return u.decide(subject, rate, now, false)
}

func (u *Usages) decide(subject Subject, rate Rate, now time.Time, count bool) Decision {
	at := now.Sub(u.state.began)
	s := u.shard(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.subjects[subject]
	if used == nil {
		if !count {
			return rate.decision(0)
		}
		used = s.add(subject, at)
	}
	used.drain(rate, at)
	decision := rate.decision(used.level)
	if decision.Allowed && count {
		used.level++
	}
	used.whole = used.at + time.Duration(math.Min(used.level/rate.PerNanosecond, float64(math.MaxInt64/4)))
	return decision
}

// decision says what becomes of one more request at a level.
func (r Rate) decision(level float64) Decision {
	after := level + 1
	// A sum of many small refills may miss a whole number by a hair.
	if after > r.Burst+1e-6 {
		return Decision{Wait: r.time(after - r.Burst), Whole: r.time(level)}
	}
	return Decision{Allowed: true, Remaining: int64(r.Burst - after + 1e-6), Whole: r.time(after)}
}

// time is how long it takes to refill so many requests.
func (r Rate) time(requests float64) time.Duration {
	const hair = 1e-3
	return time.Duration(math.Min(math.Ceil(requests/r.PerNanosecond-hair), math.MaxInt64/4))
}

// drain gives back what time has given since the last decision.
func (u *usage) drain(rate Rate, at time.Duration) {
	if elapsed := at - u.at; elapsed > 0 {
		u.level = max(0, u.level-float64(elapsed)*rate.PerNanosecond)
		u.at = at
	}
}

// Refund takes back one request that was counted.
func (u *Usages) Refund(subject Subject) {
	s := u.shard(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if used := s.subjects[subject]; used != nil {
		used.level = max(0, used.level-1)
	}
}

// add makes room if there is none. The caller holds the shard's mu.
func (s *usageShard) add(subject Subject, at time.Duration) *usage {
	if len(s.subjects) >= subjectsPerShard {
		var victim Subject
		least, looked := time.Duration(math.MaxInt64), 0
		for candidate, used := range s.subjects {
			if used.whole < least {
				victim, least = candidate, used.whole
			}
			if looked++; looked == evictionSample {
				break
			}
		}
		delete(s.subjects, victim)
	}
	used := &usage{at: at}
	s.subjects[subject] = used
	return used
}

// sweep forgets the subjects that are whole and returns how many are left.
func (u *Usages) sweep(at time.Duration) (left int) {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for subject, used := range s.subjects {
			if used.whole < at {
				delete(s.subjects, subject)
			}
		}
		left += len(s.subjects)
		s.mu.Unlock()
	}
	return left
}
