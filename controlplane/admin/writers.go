package admin

import (
	"net/http"
	"time"
)

// streamWriteTimeout is how long one piece of a stream may wait for a slow reader.
const streamWriteTimeout = 30 * time.Second

// recorder remembers the status for the access log.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// patientWriter is for streams, which may last: only each piece is bounded, and the time between pieces is not.
type patientWriter struct {
	http.ResponseWriter
}

func (w *patientWriter) Write(b []byte) (n int, err error) {
	w.bounded(func(*http.ResponseController) { n, err = w.ResponseWriter.Write(b) })
	return n, err
}

// FlushError is what http.ResponseController calls.
func (w *patientWriter) FlushError() (err error) {
	w.bounded(func(control *http.ResponseController) { err = control.Flush() })
	return err
}

func (w *patientWriter) bounded(write func(*http.ResponseController)) {
	control := http.NewResponseController(w.ResponseWriter)
	// Where deadlines are not supported (tests' recorders) there is no slow reader either.
	_ = control.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	write(control)
	_ = control.SetWriteDeadline(time.Time{})
}

// Unwrap lets http.ResponseController through.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// cookieWriter adds the cookie that the call has set, just before the answer begins.
type cookieWriter struct {
	http.ResponseWriter
	call *call
	done bool
}

// WriteHeader adds the cookie first.
func (w *cookieWriter) WriteHeader(status int) {
	w.addCookie(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *cookieWriter) Write(b []byte) (int, error) {
	w.addCookie(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

func (w *cookieWriter) addCookie(status int) {
	if !w.done && w.call.cookie != nil && status < http.StatusMultipleChoices {
		http.SetCookie(w.ResponseWriter, w.call.cookie)
	}
	w.done = true
}

// Unwrap lets http.ResponseController through.
func (w *cookieWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
