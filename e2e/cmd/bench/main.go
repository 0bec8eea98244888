// Command bench (bin/tidegate-bench) measures an agent beside nginx, haproxy, Caddy and Traefik: all of them in one run, in turn,
// on the same processors, with the same load and the same upstream. It drives Tidegate as users do, by `tidegate up`, the command
// line and a real revision; it knows nothing of how an agent works.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// Children are told to end when the thread that started them does, so that thread must be the one that stays.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case interrupted:
		fmt.Fprintln(os.Stderr, "interrupted; nothing was left behind")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) > 0 && arguments[0] == tlsLoadCommand {
		return runTLSLoad(ctx, arguments[1:], os.Stdout)
	}
	o, err := parseOptions(arguments, os.Stderr)
	if err != nil {
		return err
	}
	if o.From != "" {
		r, err := readResults(o.From)
		if err != nil {
			return err
		}
		return o.publish(r)
	}
	if err := install(ctx, o.needs()); err != nil {
		return err
	}
	before, err := occupied()
	if err != nil {
		return err
	}
	r, err := measureAll(ctx, o)
	if err != nil {
		return err
	}
	after, err := occupied()
	if err != nil {
		return err
	}
	r.Machine.Others, r.Machine.Stolen = after.since(before)
	return errors.Join(o.publish(r), r.failures())
}

// publish puts results where the options want them.
func (o *options) publish(r *results) error {
	errs := []error{o.print(os.Stdout, r)}
	if o.Save != "" {
		errs = append(errs, writeResults(o.Save, r))
	}
	if o.Into != "" {
		errs = append(errs, paste(o.Into, r))
	}
	return errors.Join(errs...)
}
