package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs until it is stopped.
type process struct {
	name    string
	command *exec.Cmd
	output  *tail
	ended   chan struct{}
}

// startTimeout is how long a process may take to answer: nginx needs a while for 100,000 locations.
const startTimeout = 2 * time.Minute

// stopTimeout is how long a process may take to end after it was asked to.
const stopTimeout = 20 * time.Second

// startProcess starts a program on some processors ("0", "0,1"; empty: wherever). It ends when the context does, when stop is
// called, or with this program, however that ends. Its first output goes to stdout, if that is not nil.
func startProcess(ctx context.Context, cpus, name string, stdout io.Writer, environment []string, program string, arguments ...string) (*process, error) {
	p := &process{name: name, output: &tail{}, ended: make(chan struct{})}
	p.command = command(ctx, cpus, environment, program, arguments...)
	p.command.Stderr = p.output
	p.command.Stdout = p.output
	if stdout != nil {
		p.command.Stdout = stdout
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.command.Wait() // how it ended matters only to those who needed it, and they see that it did
		close(p.ended)
	}()
	return p, nil
}

// command prepares a program that gets no Ctrl-C of its own: it is asked to end when the context ends, or when we are gone.
func command(ctx context.Context, cpus string, environment []string, program string, arguments ...string) *exec.Cmd {
	if cpus != "" {
		arguments = append([]string{"-c", cpus, program}, arguments...)
		program = "taskset" // it becomes the program, under the same pid
	}
	c := exec.CommandContext(ctx, program, arguments...)
	c.Env = append(os.Environ(), environment...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopTimeout
	return c
}

func (p *process) pid() int { return p.command.Process.Pid }

// stop asks the process to end, waits, and kills it if it does not.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
		return
	case <-time.After(stopTimeout):
	}
	_ = p.command.Process.Kill()
	<-p.ended
}

// alive says why a process that should run does not.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s", p.name, p.output)
	default:
		return nil
	}
}

// runTool runs a program to its end and returns what it printed.
func runTool(ctx context.Context, cpus string, environment []string, input, program string, arguments ...string) ([]byte, error) {
	c := command(ctx, cpus, environment, program, arguments...)
	complaints := &tail{}
	c.Stdin, c.Stderr = strings.NewReader(input), complaints
	output, err := c.Output()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("running %s: %w\n%s%s", program, err, complaints, lastLines(output))
	}
	return output, nil
}

func lastLines(output []byte) string { return string(output[max(0, len(output)-2000):]) }

// await asks again and again until there is no error, and gives up after a while or when the process has ended.
func (p *process) await(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if err := p.alive(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s is not ready: %w", p.name, err), errors.New(p.output.String()))
		case <-ticker.C:
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
