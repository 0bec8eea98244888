package listener

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// spare is a descriptor that is kept for the moment when the process has no other. Without it clients who cannot be accepted
// would wait in the kernel's queue for nothing; with it they learn at once that they should go elsewhere.
type spare struct{ file *os.File }

func (s *spare) open() { s.file, _ = os.Open(os.DevNull) }

func (s *spare) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// refuse accepts one connection in place of the spare descriptor, and closes it. It tells whether there was one.
func (s *spare) refuse(socket *net.TCPListener) (refused bool) {
	if s.file == nil {
		s.open()
		return false
	}
	s.close()
	defer s.open()
	// Another goroutine may have taken the descriptor, or the client may be gone: nobody waits for one that does not come.
	_ = socket.SetDeadline(time.Now().Add(time.Millisecond))
	defer func() { _ = socket.SetDeadline(time.Time{}) }()
	conn, err := socket.AcceptTCP()
	if err != nil {
		return false
	}
	refuse(conn)
	return true
}

// refuse closes a connection without a word, and without keeping the kernel busy with it.
func refuse(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// exhausted tells whether there are no descriptors left, in the process or in the system.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// temporary tells whether accepting may work again: everything that accept(2) calls an error of the connection or of the
// moment.
func temporary(err error) bool {
	for _, known := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPERM,
		syscall.EPROTO, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EINTR, syscall.EAGAIN, os.ErrDeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
