package listener

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A process hands its ports over to its successor, so that not one connection is refused: the kernel's queue of a port belongs to the
// port, and whoever holds a descriptor of it accepts from it.
//
//	the process                         its successor
//	starts it with the ports      →     prepares everything, and accepts too
//	                              ←     "ready"
//	stops accepting, lets go of
//	what only one may have        →     "yours": takes that
//	ends what it has begun, and itself
//
// They speak over a socket that nobody else has. Its end is the end of whoever held the other side: a process whose successor ends
// before it is ready goes on as if nothing had been, a successor whose process ends has everything.

// ErrHandedOver is why a process stops that has a successor.
var ErrHandedOver = errors.New("another process has taken over")

// handoverVariable tells a successor the names of its descriptors: the socket, and then the ports.
const handoverVariable = "TIDEGATE_HANDOVER_DESCRIPTORS"

const (
	wordReady = "ready\n"
	wordYours = "yours\n"
)

// SuccessorConfig says how a successor is started.
type SuccessorConfig struct {
	// Path and Arguments start it; Arguments without the name of the program.
	Path      string
	Arguments []string
	// Names and Sockets are the ports that it gets.
	Names   []string
	Sockets []*net.TCPListener
}

// Successor is the process that takes over. Its methods belong to one goroutine, but for Ended.
type Successor struct {
	command *exec.Cmd
	speaks  net.Conn
	ended   chan struct{}
	err     error // set when ended is closed
}

// StartSuccessor starts a process with the ports, the environment and the standard streams of this one.
func StartSuccessor(config SuccessorConfig) (*Successor, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("making the socket to the successor: %w", err)
	}
	defer func() { _ = theirs.Close() }()
	command := exec.Command(config.Path, config.Arguments...) //nolint:noctx // it outlives this process
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), handoverVariable+"="+strings.Join(append([]string{"handover"}, config.Names...), ":"))
	command.ExtraFiles = []*os.File{theirs}
	for _, socket := range config.Sockets {
		file, err := socket.File()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("taking the descriptor of %s: %w", socket.Addr(), err), ours.Close())
		}
		defer func() { _ = file.Close() }()
		command.ExtraFiles = append(command.ExtraFiles, file)
	}
	if err := command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the successor: %w", err), ours.Close())
	}
	s := &Successor{command: command, speaks: ours, ended: make(chan struct{})}
	go func() {
		s.err = command.Wait()
		close(s.ended)
	}()
	return s, nil
}

// socketPair makes two ends: a connection for this process and a file for the other.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "handover"), os.NewFile(uintptr(fds[1]), "handover")
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// PID is its process.
func (s *Successor) PID() int { return s.command.Process.Pid }

// Ready waits until it serves. An error says that it does not, and it has been ended.
func (s *Successor) Ready(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.speaks.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	word := make([]byte, len(wordReady))
	_, err := io.ReadFull(s.speaks, word)
	if err == nil && string(word) == wordReady {
		return nil
	}
	s.end()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the successor was not ready in time: %w", context.Cause(ctx))
	case s.err != nil:
		return fmt.Errorf("the successor ended before it was ready: %w", s.err)
	}
	return errors.New("the successor ended before it was ready")
}

// end ends it, politely first.
func (s *Successor) end() {
	_ = s.speaks.Close()
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may be gone
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		_ = s.command.Process.Kill()
		<-s.ended
	}
}

// Yield tells it that this process has let go of what only one may have.
func (s *Successor) Yield() error {
	_, err := io.WriteString(s.speaks, wordYours)
	if err = errors.Join(err, s.speaks.Close()); err != nil {
		return fmt.Errorf("telling the successor that everything is its own: %w", err)
	}
	return nil
}

// Predecessor is the process that this one succeeds.
type Predecessor struct {
	speaks net.Conn
}

// Inherited finds the ports of the process that this one succeeds. Without one, predecessor is nil and the ports are those that
// systemd gave.
func Inherited() (sockets *Sockets, predecessor *Predecessor, err error) {
	names, succeeds := os.LookupEnv(handoverVariable)
	_ = os.Unsetenv(handoverVariable)
	if !succeeds {
		sockets, err = GivenSockets()
		return sockets, nil, err
	}
	named := strings.Split(names, ":")
	syscall.CloseOnExec(firstGiven)
	file := os.NewFile(firstGiven, "handover")
	speaks, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		return nil, nil, fmt.Errorf("taking over: the socket to the process before: %w", err)
	}
	if sockets, err = takeSockets(firstGiven+1, named[1:]); err != nil {
		return nil, nil, errors.Join(err, speaks.Close())
	}
	return sockets, &Predecessor{speaks}, nil
}

// Ready tells it that this process serves.
func (p *Predecessor) Ready() error {
	if _, err := io.WriteString(p.speaks, wordReady); err != nil {
		return fmt.Errorf("telling the process before that this one serves: %w", err)
	}
	return nil
}

// Yielded waits until it has let go of what only one may have, or has ended.
func (p *Predecessor) Yielded(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.speaks.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := bufio.NewReader(p.speaks).ReadString('\n')
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("waiting for the process before: %w", err)
	}
	return p.speaks.Close()
}
