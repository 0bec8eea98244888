package upstream

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Failure is what became of a try that brought no response worth passing on. Its values are flags.
type Failure uint16

// The failures.
const (
	// FailureConnect means that no connection was opened, so that nothing was sent.
	FailureConnect Failure = 1 << iota
	// FailureReset means that the connection broke, or its bytes made no sense, before the head of a response.
	FailureReset
	// FailureTimeout means that the head of the response did not come in time.
	FailureTimeout
	Failure429
	Failure500
	Failure502
	Failure503
	Failure504
	// FailureUnknown is a try that ended without a word of the target: the client went away, or another try was faster.
	FailureUnknown
	// failureStatus is another status of the class 5xx; it is never tried again.
	failureStatus

	// FailureNone is a response that was worth passing on.
	FailureNone Failure = 0
)

// FailureOf is the failure that a status stands for, FailureNone if it stands for none.
func FailureOf(status int) Failure {
	switch {
	case status == 429:
		return Failure429
	case status < 500:
		return FailureNone
	case status == 500:
		return Failure500
	case status == 502:
		return Failure502
	case status == 503:
		return Failure503
	case status == 504:
		return Failure504
	}
	return failureStatus
}

// RetryConfig says when a request is tried again.
type RetryConfig struct {
	// Attempts is how often a request may be tried in all. 0 means 2, and 1 never again.
	Attempts int
	// PerTry bounds one try until the head of its response. 0 means no bound.
	PerTry time.Duration
	// BudgetPercent is how many retries there may be for 100 requests. 0 means 10.
	BudgetPercent int
	// On are the failures that are tried again. 0 means connect, reset and timeout.
	On Failure
}

const (
	defaultAttempts      = 2
	defaultBudgetPercent = 10
	defaultRetryOn       = FailureConnect | FailureReset | FailureTimeout
)

func (c RetryConfig) withDefaults() RetryConfig {
	if c.Attempts == 0 {
		c.Attempts = defaultAttempts
	}
	if c.BudgetPercent == 0 {
		c.BudgetPercent = defaultBudgetPercent
	}
	if c.On == 0 {
		c.On = defaultRetryOn
	}
	return c
}

// Retries tells whether requests are tried again at all, and the bound of one try.
func (s *Service) Retries() (attempts int, perTry time.Duration) {
	return s.config.Retry.Attempts, s.config.Retry.PerTry
}

// Retry tells whether a request may be tried again after that failure, and after how long a pause. tried is how often it was
// tried so far. It takes the retry out of the budget of the window. Whether the request is safe to send again is for the
// caller to know.
func (s *Service) Retry(window Window, tried int, failure Failure) (pause time.Duration, ok bool) {
	w := &s.state.windows[window]
	if tried >= s.config.Retry.Attempts || s.config.Retry.On&failure == 0 || !w.budget.take() {
		return 0, false
	}
	w.retries.Add(1)
	return backoff(tried), true
}

// Hedge tells whether a request may be sent a second time beside the first, and takes that out of the budget.
func (s *Service) Hedge(window Window) bool {
	w := &s.state.windows[window]
	if !w.budget.take() {
		return false
	}
	w.hedges.Add(1)
	return true
}

// HedgeAfter is how long the first try may take before a second is made beside it; 0 means that none is.
func (s *Service) HedgeAfter() time.Duration { return s.config.HedgeAfter }

const (
	firstBackoff   = 10 * time.Millisecond
	longestBackoff = 250 * time.Millisecond
)

// backoff is a pause of random length under a bound that doubles with each try ("full jitter": Brooker, "Exponential Backoff
// And Jitter", 2015), so that those who failed together do not come back together.
func backoff(tried int) time.Duration {
	return rand.N(min(firstBackoff<<min(tried-1, 10), longestBackoff))
}

// budget lets retries be a share of the requests: each request puts a part of a token in, each retry takes a whole one out.
type budget struct {
	// Atomic: in thousandths of a token.
	tokens atomic.Int64
	_      [56]byte
}

const (
	wholeToken = 1000
	// budgetReserve is what a service begins with, so that its first requests can be tried again.
	budgetReserve = 10 * wholeToken
	// budgetLimit is the most that is saved up while all goes well.
	budgetLimit = 100 * wholeToken
)

// earn puts a request's part in. When nothing fails the budget is full, and this only reads.
func (b *budget) earn(percent int) {
	if b.tokens.Load() < budgetLimit {
		b.tokens.Add(int64(percent) * wholeToken / 100)
	}
}

func (b *budget) take() bool {
	for {
		tokens := b.tokens.Load()
		if tokens < wholeToken {
			return false
		}
		if b.tokens.CompareAndSwap(tokens, tokens-wholeToken) {
			return true
		}
	}
}
