//go:build !unix

package http1

import (
	"net"
	"syscall"
)

// peeked is what a look into a connection found.
type peeked uint8

const (
	nothing peeked = iota
	sent
	finished
	gone
)

func rawOf(conn net.Conn) (raw syscall.RawConn, encrypted bool) {
	_, encrypted = conn.(interface{ NetConn() net.Conn })
	return nil, encrypted
}

// peek cannot look here; the next write finds out.
func (s *stream) peek() peeked { return nothing }

// sight is how a connection is looked into.
type sight struct{}

func (*sight) open() {}
