package local

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Kill ends the server and its backends at once by SIGKILL, as a crash of the machine would. For tests; Restart
// brings it back.
func (p *Postgres) Kill() error {
	return p.disturb(func(server *running) error {
		if err := killFamily(server.pid); err != nil {
			return err
		}
		if !server.endedWithin(10*time.Second, nil) {
			return fmt.Errorf("Postgres (process %d) does not end", server.pid)
		}
		if p.guard != nil {
			p.guard.remove(server.pid)
		}
		return nil
	})
}

// Freeze halts the server and its backends by SIGSTOP: connections stay open and nothing answers. For tests.
func (p *Postgres) Freeze() error {
	return p.disturb(func(server *running) error {
		_, err := haltFamily(server.pid)
		return err
	})
}

// Thaw lets a frozen server go on.
func (p *Postgres) Thaw() error {
	return p.disturb(func(server *running) error { return thawFamily(server.pid) })
}

func (p *Postgres) disturb(how func(*running) error) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.server == nil || p.lock == nil {
		return ErrNotOwner
	}
	if p.server.ended() {
		return errors.New("the Postgres server has ended")
	}
	return how(p.server)
}

// haltFamily stops a process, then its children, and lists them. The process comes first: halted, it forks no more.
// It may have been in the middle of a fork, so look until there is no new child.
func haltFamily(pid int) ([]int, error) {
	if err := signalProcess(pid, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	known := -1
	for {
		children, err := childrenOf(pid)
		if err != nil || len(children) == known {
			return children, err
		}
		known = len(children)
		if err := signalEach(children, syscall.SIGSTOP); err != nil {
			return nil, err
		}
	}
}

func thawFamily(pid int) error {
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	return errors.Join(signalEach(children, syscall.SIGCONT), signalProcess(pid, syscall.SIGCONT))
}

// killFamily halts the family first, so that its list is whole when the parent's death scatters it.
func killFamily(pid int) error {
	children, err := haltFamily(pid)
	if err != nil {
		return err
	}
	return errors.Join(signalProcess(pid, syscall.SIGKILL), signalEach(children, syscall.SIGKILL))
}

func signalEach(pids []int, signal syscall.Signal) error {
	for _, pid := range pids {
		if err := signalProcess(pid, signal); err != nil {
			return err
		}
	}
	return nil
}
