package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"

	"tidegate.dev/dataplane/listener"
)

// succession is how a process of an agent follows another, and how it gives way to the next.
type succession struct {
	// Set once.
	sockets     *listener.Sockets
	predecessor *listener.Predecessor // nil: there is none
	program     string                // the path of this process's program
	giveWay     context.CancelCauseFunc
	// joined is closed when the agent belongs to a fleet, gaveWay when this process does nothing any more that only one may do.
	joined, gaveWay chan struct{}
	// turn has room for one upgrade at a time.
	turn chan struct{}

	// Atomic: what makes the state folder this process's.
	lock atomic.Pointer[os.File]
}

func newSuccession(sockets *listener.Sockets, predecessor *listener.Predecessor) *succession {
	// Now, since the path may be another file's when a successor is wanted: that is the point of it.
	program, _ := os.Executable()
	return &succession{
		sockets: sockets, predecessor: predecessor, program: program,
		joined: make(chan struct{}), gaveWay: make(chan struct{}), turn: make(chan struct{}, 1),
	}
}

// releaseState lets another process have the state folder.
func (s *succession) releaseState() {
	if lock := s.lock.Swap(nil); lock != nil {
		_ = lock.Close()
	}
}

// takeOver waits, as a successor, until everything is this process's, and tells the service manager that it serves.
func (p *parts) takeOver(ctx context.Context) error {
	s := p.succession
	if err := s.sockets.Close(); err != nil {
		p.log.Warn("ports that were given and are not used", "error", err)
	}
	if s.predecessor != nil {
		if err := s.predecessor.Ready(); err != nil {
			return err
		}
		if err := s.predecessor.Yielded(ctx); err != nil {
			return err
		}
		lock, err := awaitState(ctx, p.flags.StateDir)
		if err != nil {
			return err
		}
		s.lock.Store(lock)
		p.log.Info("took over from the process before")
	}
	p.notify(ctx, "READY=1\nMAINPID="+strconv.Itoa(os.Getpid()))
	return nil
}

// upgrade starts a successor and gives way to it; program is its path, empty for that of this process. It returns when the successor
// serves, with its process. If it does not, this process goes on as before.
func (p *parts) upgrade(ctx context.Context, program string) (pid int, err error) {
	s := p.succession
	select {
	case s.turn <- struct{}{}: // for good, if it succeeds
	default:
		return 0, errors.New("an upgrade is under way already")
	}
	defer func() {
		if err != nil {
			<-s.turn
		}
	}()
	if program == "" {
		program = s.program
	}
	p.notify(ctx, "RELOADING=1")
	defer p.notify(context.WithoutCancel(ctx), "READY=1")
	names, sockets := p.proxy.Ports()
	successor, err := listener.StartSuccessor(listener.SuccessorConfig{
		Path: program, Arguments: os.Args[1:], Names: append([]string{"ops"}, names...), Sockets: append([]*net.TCPListener{p.ops}, sockets...),
	})
	if err != nil {
		return 0, err
	}
	p.log.Info("started a successor", "program", program, "successor", successor.PID())
	starting, cancel := context.WithTimeout(ctx, p.flags.UpgradeTimeout)
	defer cancel()
	if err := successor.Ready(starting); err != nil {
		p.log.Error("this process goes on", "error", err)
		return 0, err
	}
	p.notify(ctx, "MAINPID="+strconv.Itoa(successor.PID()))
	go p.yield(successor)
	return successor.PID(), nil
}

// yield gives way to a successor that serves.
func (p *parts) yield(successor *listener.Successor) {
	p.log.Info("the successor serves", "successor", successor.PID())
	p.succession.giveWay(fmt.Errorf("%w: process %d", listener.ErrHandedOver, successor.PID()))
	<-p.succession.gaveWay
	p.succession.releaseState()
	if err := successor.Yield(); err != nil {
		p.log.Error("giving way", "error", err)
	}
}

// onSignal upgrades when the process is told to.
func (p *parts) onSignal(leading, stopping context.Context) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	for {
		select {
		case <-leading.Done():
			return nil
		case <-signals:
			if _, err := p.upgrade(stopping, ""); err != nil {
				p.log.Error("upgrade", "error", err)
			}
		}
	}
}

func (p *parts) notify(ctx context.Context, state string) {
	if err := listener.Notify(ctx, state); err != nil {
		p.log.Warn("the service manager is not told", "state", state, "error", err)
	}
}
