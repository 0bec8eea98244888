package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal gives a context that ends with the first SIGINT or SIGTERM, from when on the agent drains. The second ends the
// process at once.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-ended:
				return
			case s := <-signals:
				if !first {
					fmt.Fprintln(os.Stderr, "tidegate-agent: a second signal, stopping at once")
					os.Exit(1)
				}
				cancel(fmt.Errorf("signal %s", s))
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(ended)
		cancel(nil)
	}
}
