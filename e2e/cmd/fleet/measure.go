package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"

	"tidegate.dev/e2e/fleetagent"
)

// measureStart waits until every agent that began at once, with nothing, serves what there is.
func (f *fleet) measureStart(ctx context.Context) (*start, error) {
	before, err := f.plane.processorTime(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.all(ctx, "serving", func(s fleetagent.State) bool { return s.Connected && s.Stable > 0 }); err != nil {
		return nil, err
	}
	took := time.Since(f.began)
	used, err := f.plane.processorTime(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "all agents serve, %v after they began\n", took.Round(time.Millisecond))
	return &start{All: took, Processor: used.since(before), BytesEach: f.bytes() / int64(len(f.agents)), Refusals: f.refusals()}, nil
}

func (f *fleet) bytes() (sum int64) {
	for _, agent := range f.agents {
		sum += agent.BytesReceived()
	}
	return sum
}

func (f *fleet) refusals() (sum int64) {
	for _, agent := range f.agents {
		sum += agent.State().Refused
	}
	return sum
}

func (f *fleet) reportsStored() (sum int64) {
	for _, agent := range f.agents {
		sum += agent.State().ReportsStored
	}
	return sum
}

// quietFor is how long nothing happens but heartbeats and reports.
const quietFor = 10 * time.Second

// measureQuiet is what the fleet costs while nothing changes.
func (f *fleet) measureQuiet(ctx context.Context) (*quiet, error) {
	bytes, stored, began := f.bytes(), f.reportsStored(), time.Now()
	before, err := f.plane.processorTime(ctx)
	if err != nil {
		return nil, err
	}
	for time.Since(began) < quietFor {
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
	used, err := f.plane.processorTime(ctx)
	if err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	return &quiet{
		ProcessorShare: used.since(before).Replicas.Seconds() / seconds, PostgresShare: used.since(before).Postgres.Seconds() / seconds,
		BytesEachSecond:    float64(f.bytes()-bytes) / float64(len(f.agents)) / seconds,
		ReportsStoredShare: float64(f.reportsStored()-stored) / float64(len(f.agents)) / seconds,
	}, nil
}

// measureChanges publishes changes of one route, one after another.
func (f *fleet) measureChanges(ctx context.Context, count int) (*changes, error) {
	found := &changes{Count: count}
	for n := range count {
		bytes, chunks := f.bytes(), f.chunks()
		before, err := f.plane.processorTime(ctx)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		revision, err := apply(ctx, f.plane, routeOf(0, n+1))
		if err != nil {
			return nil, fmt.Errorf("publishing a change: %w", err)
		}
		found.Publish.add(time.Since(began))
		took, err := f.watch.await(ctx, revisionName(revision), len(f.agents), began)
		if err != nil {
			return nil, err
		}
		found.Acknowledged.add(took...)
		found.AcknowledgedByAll.add(longest(took))
		found.BytesEach = max(found.BytesEach, (f.bytes()-bytes)/int64(len(f.agents)))
		found.ChunksEach = max(found.ChunksEach, float64(f.chunks()-chunks)/float64(len(f.agents)))
		if err := settled(ctx, f.plane, revision); err != nil {
			return nil, err
		}
		found.Stable.add(time.Since(began))
		used, err := f.plane.processorTime(ctx)
		if err != nil {
			return nil, err
		}
		found.Processor.add(used.since(before).Replicas)
		found.Postgres.add(used.since(before).Postgres)
	}
	fmt.Fprintf(os.Stderr, "%d changes are published\n", count)
	return found, nil
}

func (f *fleet) chunks() (sum int64) {
	for _, agent := range f.agents {
		sum += agent.State().Chunks
	}
	return sum
}

// measureRevocations revokes keys, one after another.
func (f *fleet) measureRevocations(ctx context.Context, count int) (*revocations, error) {
	found, path := &revocations{Count: count}, fleetPath+"/consumers/"+consumer+"/keys"
	for range count {
		var made adminv1.CreateKeyResponse
		if err := f.plane.call(ctx, http.MethodPost, path, &adminv1.Key{}, &made); err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		key := made.GetKey().GetId()
		bytes, began := f.bytes(), time.Now()
		if err := f.plane.call(ctx, http.MethodDelete, path+"/"+key, nil, nil); err != nil {
			return nil, fmt.Errorf("revoking a key: %w", err)
		}
		took, err := f.watch.await(ctx, keyName(key), len(f.agents), began)
		if err != nil {
			return nil, err
		}
		found.Delivered.add(took...)
		found.DeliveredToAll.add(longest(took))
		found.BytesEach = max(found.BytesEach, (f.bytes()-bytes)/int64(len(f.agents)))
	}
	fmt.Fprintf(os.Stderr, "%d keys are revoked\n", count)
	return found, nil
}

// measureStorms cuts all connections at once, and waits until all are back.
func (f *fleet) measureStorms(ctx context.Context, count int) (*storms, error) {
	found := &storms{Count: count}
	for range count {
		before, err := f.plane.processorTime(ctx)
		if err != nil {
			return nil, err
		}
		refused, sessions, chunks, began := f.refusals(), make([]int64, len(f.agents)), f.chunks(), time.Now()
		for i, agent := range f.agents {
			sessions[i] = agent.State().Sessions
		}
		for _, agent := range f.agents {
			agent.Cut()
		}
		var took []time.Duration
		for i, agent := range f.agents {
			_, err := agent.Await(ctx, func(s fleetagent.State) bool { return s.Connected && s.Sessions > sessions[i] })
			if err != nil {
				return nil, fmt.Errorf("agent %d is not back: %w", i, err)
			}
			took = append(took, time.Since(began))
		}
		found.AllBack.add(longest(took))
		found.Refusals += f.refusals() - refused
		found.Chunks += f.chunks() - chunks
		used, err := f.plane.processorTime(ctx)
		if err != nil {
			return nil, err
		}
		found.Processor.add(used.since(before).Replicas)
		found.Postgres.add(used.since(before).Postgres)
	}
	fmt.Fprintf(os.Stderr, "all connections were cut %d times\n", count)
	return found, nil
}
