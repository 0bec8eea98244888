package fleet

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAgentsAreLetInSoManyAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(2, 1, time.Second)
		first, err := a.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = a.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := a.enter(t.Context()); !errors.Is(err, errBusy) || time.Since(began) != time.Second {
			t.Errorf("without a place: %v after %v", err, time.Since(began))
		}
		entered := make(chan error)
		go func() {
			_, err := a.enter(t.Context())
			entered <- err
		}()
		synctest.Wait()
		first()
		first() // twice is once
		if err := <-entered; err != nil {
			t.Errorf("with a place that was given back: %v", err)
		}
	})
}

func TestTooManyThatWaitAreSentAwayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 5, time.Minute)
		if _, err := a.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		outcomes := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := a.enter(t.Context())
				outcomes <- err
			}()
		}
		synctest.Wait()
		if sent := len(outcomes); sent != 4 {
			t.Errorf("%d of 10 were sent away at once, want 4: one place, five that wait", sent)
		}
		for range 10 {
			if err := <-outcomes; !errors.Is(err, errBusy) {
				t.Error(err)
			}
		}
	})
}

func TestWhoIsSentAwayIsToldADifferentTime(t *testing.T) {
	t.Parallel()
	s := &service{server: &Server{metrics: newMetrics(newStreams(1)), log: slog.New(slog.DiscardHandler)}}
	delays := map[time.Duration]bool{}
	for range 100 {
		refused := status.Convert(s.status(errBusy))
		if refused.Code() != codes.ResourceExhausted || len(refused.Details()) != 1 {
			t.Fatalf("refused with %v", refused)
		}
		info, _ := refused.Details()[0].(*errdetails.RetryInfo)
		delay := info.GetRetryDelay().AsDuration()
		if delay < leastRetry || delay > mostRetry {
			t.Fatalf("told to wait %v", delay)
		}
		delays[delay] = true
	}
	if len(delays) < 90 {
		t.Errorf("100 agents are told %d different times", len(delays))
	}
}
