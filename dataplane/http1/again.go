package http1

// mark is a place in a body of which nothing was read from the connection since.
type mark struct {
	r, excess, size int
	left            int64
	chunks          chunkState
	done            bool
}

// origin is where a body began, and what had happened to the connection's buffer by then.
type origin struct {
	mark
	received int64
	moved    int
}

// Keep lets the body be read more than once by keeping what is read of it, as long as that is at most limit bytes. It is
// called before anything is read. A body that has arrived whole is not copied.
func (b *Body) Keep(limit int) {
	if !b.whole() {
		b.keep = limit
	}
}

// remember keeps a piece that was read.
func (b *Body) remember(piece []byte) {
	if b.keep <= 0 || len(piece) == 0 {
		return
	}
	if len(b.kept)+len(piece) > b.keep {
		b.keep, b.kept, b.replay = -1, nil, 0
		return
	}
	b.kept = append(b.kept, piece...)
	b.replay = len(b.kept)
}

// Rewind lets the body be read from its beginning again, if what was read of it is still there.
func (b *Body) Rewind() bool {
	switch {
	case !b.repeatable():
		return false
	case b.keep > 0:
		b.replay = 0
	case b.kind != noBody:
		b.Trailer.Reset()
		m := &b.origin
		b.room = b.most
		b.stream.r, b.excess, b.size, b.left, b.chunks, b.done = m.r, m.excess, m.size, m.left, m.chunks, m.done
	}
	return true
}

func (b *Body) repeatable() bool {
	if b.err != nil {
		return false
	}
	s := b.stream
	return b.kind == noBody || b.keep > 0 || b.keep == 0 && s.received == b.origin.received && s.moved == b.origin.moved
}
