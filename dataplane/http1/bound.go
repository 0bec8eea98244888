package http1

import "time"

// ErrBodyTooLarge says that a body is longer than [Body.Limit] lets it be.
var ErrBodyTooLarge = refusal(413, "the body is too large")

// Limit makes a body that has more content an error, as soon as that shows. It is called before anything is read.
func (b *Body) Limit(most int64) { b.bounded, b.most, b.room = true, most, most }

// beyond counts content that was read, and tells whether it is more than may be.
func (b *Body) beyond(n int) bool {
	if !b.bounded {
		return false
	}
	b.room -= int64(n)
	return b.room < 0
}

// Content returns the whole of a body that was read to its end, if it is still there: if it was kept (see [Body.Keep]), or
// arrived as a whole and has a known length. It is valid as long as the exchange.
func (b *Body) Content() (content []byte, ok bool) {
	switch {
	case b.kind == noBody:
		return nil, true
	case b.stream.lent.Load() || !b.done || !b.repeatable():
		// Or somebody else is still reading it.
		return nil, false
	case b.keep > 0:
		return b.kept, true
	case b.kind == lengthBody:
		begin := b.origin.r
		return b.stream.in[begin : begin+int(b.origin.left)], true
	}
	return nil, false
}

// Sent tells when the last of the request's body was sent, and whether that was all of it; the zero time if the body went out
// with the head, or there was none.
func (r *Response) Sent() (at time.Time, whole bool) {
	switch {
	case r.upload == nil:
		return time.Time{}, true
	case !r.upload.read.Load():
		return time.Time{}, false
	}
	if nanoseconds := r.upload.sentAt.Load(); nanoseconds != 0 {
		at = after(nanoseconds)
	}
	return at, true
}
