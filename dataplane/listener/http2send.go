package listener

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// sending is what goes to a client of HTTP/2. The server hands over each piece by itself: the header of a response, its content, and
// those of other streams. A system call and a record of TLS for each would cost more than the rest of a response, so pieces wait in a
// batch until the goroutine that writes them has its turn; what is ready to run before it may add to the batch. They never wait for
// anything else. A piece that is large goes out by itself, without being copied.
type sending struct {
	// Set once.
	conn    net.Conn
	silence time.Duration
	// began is told how many DATA frames were begun.
	began func(data int)

	// Guarded by mu. The batch is nil if nothing waits; writing tells whether somebody is writing, and then sees to the batch too.
	mu      sync.Mutex
	changed sync.Cond
	frames  outgoing
	batch   *batch
	writing bool
	armed   time.Time
	// ending says that what is there has a last deadline, and closed that nothing is added any more.
	ending bool
	closed bool
	failed error
}

// batch is what fits into one record of TLS.
type batch struct {
	size  int
	bytes [batchSize]byte
}

const batchSize = 16 << 10

// batches are those that nobody uses: an idle connection holds none.
var batches = sync.Pool{New: func() any { return new(batch) }}

func (s *sending) open(conn net.Conn, silence time.Duration, began func(data int)) {
	s.conn, s.silence, s.began = conn, silence, began
	s.changed.L = &s.mu
}

// write takes a piece. It waits as long as there is no room for it, so that a client which takes nothing stops the server too; then
// an error may be that of an earlier piece.
func (s *sending) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.state() == nil && !s.hasRoom(len(p)) {
		s.changed.Wait()
	}
	if err := s.state(); err != nil {
		return 0, err
	}
	s.follow(p)
	if len(p) < batchSize {
		s.add(p)
		return len(p), nil
	}
	s.writing = true
	n, err := s.send(p)
	s.written(err)
	return n, err
}

// state is why nothing can be added; nil if it can. The caller holds mu, as those of the following do.
func (s *sending) state() error {
	if s.failed == nil && s.closed {
		return net.ErrClosed
	}
	return s.failed
}

func (s *sending) hasRoom(size int) bool {
	if size >= batchSize {
		return !s.writing
	}
	return s.batch == nil || s.batch.size+size <= batchSize
}

func (s *sending) follow(p []byte) {
	if data := s.frames.see(p); data > 0 {
		s.began(data)
	}
}

// add puts a piece, for which there is room, to the batch.
func (s *sending) add(p []byte) {
	if s.batch == nil {
		s.batch, _ = batches.Get().(*batch)
		s.batch.size = 0
	}
	s.batch.size += copy(s.batch.bytes[s.batch.size:], p)
	if !s.writing {
		s.writing = true
		go s.drain()
	}
}

// drain writes batches as long as there are any.
func (s *sending) drain() {
	// Others may have something to add.
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeBatches()
}

func (s *sending) writeBatches() {
	for s.batch != nil && s.failed == nil {
		full := s.batch
		s.batch = nil
		s.changed.Broadcast()
		_, err := s.send(full.bytes[:full.size])
		batches.Put(full)
		s.failed = err
	}
	s.writing = false
	s.changed.Broadcast()
}

// written ends the writing of a large piece.
func (s *sending) written(err error) {
	s.failed = err
	s.writeBatches()
}

// send writes, without mu, as long as the client takes anything: in clear text. TLS cannot go on after a deadline. When it fails the
// connection ends, so that the server learns it where it reads.
func (s *sending) send(p []byte) (n int, err error) {
	for {
		s.arm()
		s.mu.Unlock()
		var more int
		more, err = s.conn.Write(p[n:])
		if err != nil && (more == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			_ = s.conn.Close()
		}
		s.mu.Lock()
		if n += more; n == len(p) || more == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.armed = time.Time{}
	}
}

// arm gives a write the time that it may take. The deadline is approximate, so that it is seldom set.
func (s *sending) arm() {
	if s.ending {
		return
	}
	now := time.Now()
	if left := s.armed.Sub(now); left >= s.silence/2 && left <= s.silence {
		return
	}
	s.armed = now.Add(s.silence)
	_ = s.conn.SetWriteDeadline(s.armed)
}

// end gives what is there a last deadline. A write that is under way has no more time either.
func (s *sending) end(within time.Duration) {
	if !s.ending {
		s.ending = true
		_ = s.conn.SetWriteDeadline(time.Now().Add(within))
	}
}

// farewell adds a last frame, if it can stand between two others.
func (s *sending) farewell(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(lingerTime)
	if !s.frames.between() || s.state() != nil {
		return
	}
	s.follow(frame)
	if s.hasRoom(len(frame)) {
		s.add(frame)
	}
}

// close waits for what is there to be written, for so long at most.
func (s *sending) close(within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.writing {
		s.end(within)
	}
	s.changed.Broadcast()
	for s.writing {
		s.changed.Wait()
	}
}

// outgoing follows the frames that are written.
type outgoing struct {
	head [frameHead]byte
	have int
	left int
}

// see takes what was written, and tells how many DATA frames began.
func (o *outgoing) see(p []byte) (data int) {
	for len(p) > 0 {
		if o.left > 0 {
			n := min(o.left, len(p))
			o.left, p = o.left-n, p[n:]
			continue
		}
		n := copy(o.head[o.have:], p)
		o.have, p = o.have+n, p[n:]
		if o.have == frameHead {
			o.have = 0
			o.left = int(o.head[0])<<16 | int(o.head[1])<<8 | int(o.head[2])
			if o.head[3] == frameData {
				data++
			}
		}
	}
	return data
}

// between tells whether the last frame that was begun is whole.
func (o *outgoing) between() bool { return o.have == 0 && o.left == 0 }
