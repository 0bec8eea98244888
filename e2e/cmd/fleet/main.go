// Command fleet (bin/tidegate-fleet) measures what a fleet of thousands of agents costs the control plane, and how soon it has
// what it should serve. The agents speak the real protocol over mutual TLS and serve nothing (package fleetagent); they are all
// in this process. The control plane is a real one, that of a stack which is started for the occasion or which runs already.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "tidegate-fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) (err error) {
	o, err := parseOptions(arguments, os.Stderr)
	if err != nil {
		return err
	}
	plane, stop, err := o.controlPlane(ctx)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, o.Limit, fmt.Errorf("it took longer than --limit %v", o.Limit))
	defer cancel()
	result, err := measure(ctx, o, plane)
	if err != nil {
		return err
	}
	return result.print(os.Stdout, o.Output)
}

// measure does all measurements in turn.
func measure(ctx context.Context, o *options, plane *controlPlane) (*result, error) {
	r := &result{Agents: o.Agents, Routes: o.Routes, Replicas: len(plane.Replicas), ReportsOf: o.ReportedRoutes, Machine: machine()}
	if err := preload(ctx, plane, o.Routes); err != nil {
		return nil, err
	}
	fleet, err := startFleet(ctx, o, plane)
	if err != nil {
		return nil, err
	}
	defer fleet.stop()
	for _, part := range []func(context.Context) error{
		func(ctx context.Context) (err error) { r.Start, err = fleet.measureStart(ctx); return err },
		func(ctx context.Context) (err error) { r.Quiet, err = fleet.measureQuiet(ctx); return err },
		func(ctx context.Context) (err error) {
			r.Changes, err = fleet.measureChanges(ctx, o.Changes)
			return err
		},
		func(ctx context.Context) (err error) {
			r.Revocations, err = fleet.measureRevocations(ctx, o.Revocations)
			return err
		},
		func(ctx context.Context) (err error) { r.Storms, err = fleet.measureStorms(ctx, o.Storms); return err },
	} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	r.Spread, err = plane.spread(ctx)
	return r, err
}
