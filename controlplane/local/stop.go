package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Stop ends the server: fast shutdown, which rolls back what is open, then the immediate one, then SIGKILL. The
// context cuts the first wait short. It leaves no process, no socket and no state; the data stays. Stopping twice, or
// a server that another process owns, does nothing.
func (p *Postgres) Stop(ctx context.Context) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.server == nil || p.lock == nil {
		return nil
	}
	return errors.Join(p.end(p.server, ctx.Done()), p.release())
}

// release gives up what Start took, after the server has ended or before it was there.
func (p *Postgres) release() error {
	var failures []error
	remove := func(path string) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			failures = append(failures, fmt.Errorf("cleaning up after Postgres: %w", err))
		}
	}
	if p.state.SocketDir != "" && p.config.SocketDir == "" {
		failures = append(failures, p.removeSockets())
		remove(p.state.SocketDir)
	}
	if p.server != nil {
		stopped := State{Port: p.state.Port, Database: p.state.Database, Version: p.state.Version}
		failures = append(failures, stopped.write(p.config.Dir))
	}
	if p.guard != nil {
		failures = append(failures, p.guard.close())
	}
	if p.held != nil {
		failures = append(failures, p.held.Release())
		p.held = nil
	}
	if p.lock != nil {
		unlock(p.lock)
		p.lock = nil
	}
	return errors.Join(failures...)
}

// end takes a server down, ever less politely. Closing hurry cuts the polite wait short.
func (p *Postgres) end(server *running, hurry <-chan struct{}) error {
	if !server.ended() {
		if err := thawFamily(server.pid); err != nil {
			return err
		}
	}
	steps := []struct {
		how   func() error
		limit time.Duration
	}{
		{func() error { return signalProcess(server.pid, syscall.SIGINT) }, p.config.StopTimeout},
		{func() error { return signalProcess(server.pid, syscall.SIGQUIT) }, 5 * time.Second},
		{func() error { return killFamily(server.pid) }, 5 * time.Second},
	}
	for _, step := range steps {
		if server.ended() {
			break
		}
		if err := step.how(); err != nil {
			return err
		}
		server.endedWithin(step.limit, hurry)
		hurry = nil
	}
	if !server.ended() {
		return fmt.Errorf("Postgres (process %d) does not end", server.pid)
	}
	if p.guard != nil {
		p.guard.remove(server.pid)
	}
	return nil
}

// Restart stops the server if it runs and starts it again, on the same port with the same data.
func (p *Postgres) Restart(ctx context.Context) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.server == nil || p.lock == nil {
		return ErrNotOwner
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.StartTimeout, fmt.Errorf("Postgres did not restart within %v", p.config.StartTimeout))
	defer cancel()
	if err := p.end(p.server, ctx.Done()); err != nil {
		return err
	}
	return p.launch(ctx)
}

// Ended is closed when the server that runs now has ended, asked or not. Restart makes a new one, so ask again then.
// It is nil, and so never closed, for a server that another process owns.
func (p *Postgres) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return nil
	}
	return p.server.done
}
