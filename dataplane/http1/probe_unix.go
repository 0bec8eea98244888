//go:build unix

package http1

import (
	"net"
	"syscall"
)

// peeked is what a look into a connection found.
type peeked uint8

const (
	nothing  peeked = iota // the peer may send or not
	sent                   // something has arrived
	finished               // the peer sends no more; whether it reads is not known
	gone                   // the connection is broken
)

// rawOf finds the socket of a connection.
func rawOf(conn net.Conn) (raw syscall.RawConn, encrypted bool) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn, encrypted = wrapped.NetConn(), true
	}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return raw, encrypted
		}
	}
	return nil, encrypted
}

// sight is how a connection is looked into. It is made once, so that looking allocates nothing.
type sight struct {
	look  func(fd uintptr)
	found peeked
	one   [1]byte
}

func (s *sight) open() { s.look = s.lookInto }

// peek looks at what has arrived at the socket without taking it.
func (s *stream) peek() peeked {
	if s.raw == nil {
		return nothing
	}
	s.sight.found = gone
	if err := s.raw.Control(s.sight.look); err != nil {
		return gone
	}
	return s.sight.found
}

func (s *sight) lookInto(fd uintptr) {
	n, _, err := syscall.Recvfrom(int(fd), s.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		s.found = nothing
	case err != nil:
		s.found = gone
	case n > 0:
		s.found = sent
	default:
		s.found = finished
		// A connection that was reset after its end looks ended only; the error says more.
		if pending, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR); err == nil && pending != 0 {
			s.found = gone
		}
	}
}
