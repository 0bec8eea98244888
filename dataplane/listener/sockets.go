package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Sockets opens ports, or takes those that the process was started with: from the process before it, or from systemd
// (sd_listen_fds(3)). It belongs to one goroutine.
type Sockets struct {
	given []givenSocket
}

// givenSocket is a port that was open already.
type givenSocket struct {
	name   string
	socket *net.TCPListener
	taken  bool
}

// firstGiven is the first descriptor that a process is given beside its standard streams.
const firstGiven = 3

// GivenSockets finds the ports that systemd opened for this process; there may be none. It takes what says so out of the environment,
// so that no child believes it is meant.
func GivenSockets() (*Sockets, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, variable := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(variable)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return &Sockets{}, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1000 {
		return nil, fmt.Errorf("LISTEN_FDS is %q, which is no number of descriptors", count)
	}
	named := strings.Split(names, ":")
	for len(named) < n {
		named = append(named, "")
	}
	return takeSockets(firstGiven, named[:n])
}

// takeSockets makes listeners of descriptors.
func takeSockets(first int, names []string) (*Sockets, error) {
	s := &Sockets{}
	for i, name := range names {
		fd := first + i
		syscall.CloseOnExec(fd)
		file := os.NewFile(uintptr(fd), name)
		listener, err := net.FileListener(file)
		_ = file.Close() // the listener has a descriptor of its own
		if err != nil {
			return nil, errors.Join(fmt.Errorf("taking over descriptor %d (%q): %w", fd, name, err), s.Close())
		}
		socket, ok := listener.(*net.TCPListener)
		if !ok {
			return nil, errors.Join(fmt.Errorf("descriptor %d (%q) is no TCP port", fd, name), listener.Close(), s.Close())
		}
		s.given = append(s.given, givenSocket{name: name, socket: socket})
	}
	return s, nil
}

// Listen gives the port with a name: one that was given with that name, or with that address, else it opens it. network is "tcp",
// "tcp4" or "tcp6". A nil *Sockets opens all.
func (s *Sockets) Listen(ctx context.Context, name, network, address string) (*net.TCPListener, error) {
	if i := s.find(name, address); i >= 0 {
		s.given[i].taken = true
		return s.given[i].socket, nil
	}
	config := net.ListenConfig{KeepAlive: -1} // connections get their own
	opened, err := config.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	socket, ok := opened.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no TCP port", address), opened.Close())
	}
	return socket, nil
}

func (s *Sockets) find(name, address string) int {
	if s == nil {
		return -1
	}
	for i, given := range s.given {
		if !given.taken && given.name == name {
			return i
		}
	}
	for i, given := range s.given {
		if !given.taken && sameAddress(given.socket.Addr().String(), address) {
			return i
		}
	}
	return -1
}

// sameAddress compares an open port with what was asked for: "0.0.0.0:80", ":80" and "[::]:80" are all addresses at once.
func sameAddress(open, wanted string) bool {
	openHost, openPort, err := net.SplitHostPort(open)
	if err != nil {
		return false
	}
	wantedHost, wantedPort, err := net.SplitHostPort(wanted)
	if err != nil || openPort != wantedPort {
		return false
	}
	all := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return openHost == wantedHost || all(openHost) && all(wantedHost) || wantedHost == "localhost" && net.ParseIP(openHost).IsLoopback()
}

// Close closes the ports that nobody took, and names them.
func (s *Sockets) Close() error {
	var unused []error
	for _, given := range s.given {
		if !given.taken {
			unused = append(unused, fmt.Errorf("nobody wanted the port %s that was given as %q", given.socket.Addr(), given.name), given.socket.Close())
		}
	}
	s.given = nil
	return errors.Join(unused...)
}
