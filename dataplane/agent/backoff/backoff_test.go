package backoff_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"tidegate.dev/dataplane/agent/backoff"
)

// Pauses lie anywhere below their limit, so that a thousand agents are spread evenly over it.
func TestPausesAreSpread(t *testing.T) {
	t.Parallel()
	for attempt, limit := range map[int]time.Duration{
		-1: 250 * time.Millisecond, 0: 250 * time.Millisecond, 1: 500 * time.Millisecond, 4: 4 * time.Second, 5: 5 * time.Second, 1000: 5 * time.Second,
	} {
		const agents, parts = 10_000, 10
		var counts [parts]int
		for range agents {
			pause := backoff.Pause(attempt, errors.New("broken"))
			if pause < 0 || pause >= limit {
				t.Fatalf("attempt %d waits %v, of at most %v", attempt, pause, limit)
			}
			counts[pause*parts/limit]++
		}
		for part, count := range counts {
			if count < agents/parts*3/4 || count > agents/parts*5/4 {
				t.Errorf("attempt %d: %d of %d agents wait in part %d of %d", attempt, count, agents, part, parts)
			}
		}
	}
}

func TestAnAgentWaitsAsLongAsItIsAsked(t *testing.T) {
	t.Parallel()
	refusal := func(delay time.Duration) error {
		refused, err := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Errorf("receiving: %w", refused.Err())
	}
	for range 1000 {
		if pause := backoff.Pause(0, refusal(2*time.Second)); pause < 2*time.Second || pause > 3*time.Second {
			t.Fatalf("asked to wait 2 s, it waits %v", pause)
		}
	}
	if pause := backoff.Pause(0, refusal(1000*time.Hour)); pause > 2*time.Minute {
		t.Errorf("it lets itself be sent away for %v", pause)
	}
	if pause := backoff.Pause(0, refusal(-time.Hour)); pause > time.Second {
		t.Errorf("asked to wait less than nothing, it waits %v", pause)
	}
}
