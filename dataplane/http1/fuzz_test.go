package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"
)

// seedRequests are requests that are taken, and neighbours of them that are not.
var seedRequests = []string{
	ordinary,
	"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /a%2F?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
	"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\n",
	"GET /\x00 HTTP/1.1\r\nHost : a\r\n\r\n",
	preface,
}

// FuzzRequestHead compares with net/http: what it refuses is refused here, and what both take they understand alike. The
// exception: an empty line before the request line, which RFC 9112, section 2.2, asks servers to ignore.
func FuzzRequestHead(f *testing.F) {
	for _, seed := range seedRequests {
		f.Add([]byte(seed))
	}
	limits := Limits{Connect: true}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := new(Request)
		r.reset()
		done, err := r.parse(data, &limits)
		inPieces(t, data, &limits, done, err)
		if !done || err != nil {
			return
		}
		head := data[:r.line]
		if r.blank {
			head = head[2:]
		}
		theirs, terr := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if terr != nil {
			t.Fatalf("net/http refuses %q: %v", head, terr)
		}
		if r.Method() != theirs.Method || r.Host() != theirs.Host && r.form != authorityForm || r.Target() != theirs.RequestURI {
			t.Fatalf("%q: %q %q %q, net/http: %q %q %q", head, r.Method(), r.Host(), r.Target(), theirs.Method, theirs.Host, theirs.RequestURI)
		}
		if r.ContentLength() != theirs.ContentLength || r.persistent() == theirs.Close {
			t.Fatalf("%q: length %d, persistent %v, net/http: %d, close %v", head, r.ContentLength(), r.persistent(), theirs.ContentLength, theirs.Close)
		}
		compareFields(t, head, &r.Header, theirs.Header)
	})
}

// inPieces parses byte by byte and must come to the same.
func inPieces(t *testing.T, data []byte, limits *Limits, done bool, err *Error) {
	t.Helper()
	if len(data) > 512 {
		return
	}
	r := new(Request)
	r.reset()
	for n := 1; n <= len(data); n++ {
		d, e := r.parse(data[:n], limits)
		if e != nil && (e == err || err != nil) {
			return
		}
		if d {
			if !done || err != nil {
				t.Fatalf("in pieces %q is taken; at once: %v", data, err)
			}
			return
		}
		if e != nil {
			t.Fatalf("in pieces %q is refused: %v; at once it is not", data, e)
		}
	}
	if done || err != nil && len(data) > 0 {
		t.Fatalf("in pieces %q is not whole; at once: %v, %v", data, done, err)
	}
}

func compareFields(t *testing.T, head []byte, ours *Header, theirs http.Header) {
	t.Helper()
	for name, values := range theirs {
		if got := ours.Values(name); strings.Join(got, "\n") != strings.Join(values, "\n") {
			t.Fatalf("%q: %s is %q, net/http: %q", head, name, got, values)
		}
	}
	ours.Each(func(name, _ string) bool {
		canonical := http.CanonicalHeaderKey(name)
		// net/http keeps these elsewhere.
		if _, ok := theirs[canonical]; !ok && canonical != "Host" && canonical != "Transfer-Encoding" && canonical != "Trailer" {
			t.Fatalf("%q: net/http has no %s", head, name)
		}
		return true
	})
}

// FuzzResponseHead compares with net/http in the same way.
func FuzzResponseHead(f *testing.F) {
	f.Add([]byte(ordinaryResponse))
	f.Add([]byte("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n"))
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := new(responseHead)
		r.reset()
		done, err := r.parse(data, &limits)
		if !done || err != nil {
			return
		}
		head := data[:r.line]
		theirs, terr := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
		if terr != nil {
			t.Fatalf("net/http refuses %q: %v", head, terr)
		}
		_ = theirs.Body.Close()
		if r.status != theirs.StatusCode {
			t.Fatalf("%q: %d, net/http: %d", head, r.status, theirs.StatusCode)
		}
		kind, length := r.bodyFraming(false)
		if kind == chunkedBody || kind == untilCloseBody {
			length = -1
		}
		if length != theirs.ContentLength && r.status != http.StatusNotModified && !bodiless(r.status) {
			t.Fatalf("%q: length %d, net/http: %d", head, length, theirs.ContentLength)
		}
		compareFields(t, head, &r.Header, theirs.Header)
	})
}

// fromBytes is a connection from which bytes are read, in pieces of so many.
type fromBytes struct {
	net.Conn
	rest  []byte
	piece int
}

func (c *fromBytes) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *fromBytes) SetReadDeadline(time.Time) error { return nil }

// chunkedFrom makes the body that bytes are.
func chunkedFrom(data []byte, piece int) *Body {
	limits := Limits{}.withDefaults()
	s := new(stream)
	s.open(&fromBytes{rest: data, piece: piece}, &limits)
	b := new(Body)
	b.reset(s, &limits, chunkedBody, 0)
	return b
}

// drain reads a body by next.
func drain(b *Body) (content []byte, err error) {
	for {
		piece, err := b.next(false)
		if errors.Is(err, errNotBuffered) {
			piece, err = b.next(true)
		}
		content = append(content, piece...)
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return content, err
		}
	}
}

// FuzzChunked reads any bytes as a chunked body: by Read, by next, and in pieces it comes to the same; what is taken
// net/http's reader takes and reads alike; and what is written is read again.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), uint8(1))
	f.Add([]byte("3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\nrest"), uint8(3))
	f.Add([]byte("A\r\n0123456789\r\n00\r\n\r\n"), uint8(200))
	f.Add([]byte("3\nabc\r\n0\r\n\r\n"), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		piece := int(size) + 1
		first := chunkedFrom(data, len(data)+1)
		content, err := drain(first)
		for _, other := range []func() ([]byte, error){
			func() ([]byte, error) { return drain(chunkedFrom(data, piece)) },
			func() ([]byte, error) { return io.ReadAll(chunkedFrom(data, piece)) },
			func() ([]byte, error) { return io.ReadAll(&oneByOne{chunkedFrom(data, len(data)+1), piece}) },
		} {
			again, aerr := other()
			if (err == nil) != (aerr == nil) || err == nil && !bytes.Equal(content, again) {
				t.Fatalf("%q: %q, %v; otherwise %q, %v", data, content, err, again, aerr)
			}
		}
		if err == nil {
			theirs, terr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
			if terr != nil || !bytes.Equal(theirs, content) {
				t.Fatalf("%q: %q, net/http: %q, %v", data, content, theirs, terr)
			}
		}
		var out []byte
		for rest := data; len(rest) > 0; {
			n := min(piece, len(rest))
			out, rest = appendChunk(out, rest[:n]), rest[n:]
		}
		out, _ = appendLastChunk(out, nil)
		if again, err := drain(chunkedFrom(out, piece)); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q was written and read as %q, %v", data, again, err)
		}
	})
}

// oneByOne reads with small buffers.
type oneByOne struct {
	from io.Reader
	size int
}

func (r *oneByOne) Read(p []byte) (int, error) { return r.from.Read(p[:min(len(p), r.size)]) }

// FuzzServe sends any bytes to a proxy: it never panics, and whatever reaches the upstream is a series of requests that
// net/http reads, none of which has two lengths, and of which no more arrive than the client sent heads.
func FuzzServe(f *testing.F) {
	for _, seed := range seedRequests {
		f.Add([]byte(seed))
		f.Add([]byte(seed + ordinary))
	}
	recorder := newRecorder(f)
	forwarder := &forwarder{pool: poolTo(f, recorder.listener.Addr().String(), func(c *PoolConfig) { c.MaxIdle = -1 })}
	front := listen(f)
	limits := Limits{Head: 200 * time.Millisecond, KeepAlive: 200 * time.Millisecond, Linger: 50 * time.Millisecond, BodyGrace: 200 * time.Millisecond}
	serveOn(f, front, NewServer(Config{Handler: forwarder, Limits: limits, Panicked: func(cause any, stack []byte) {
		f.Errorf("panic: %v\n%s", cause, stack)
	}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		recorder.begin()
		conn, err := net.Dial("tcp", front.Addr().String())
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(data)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		for _, complaint := range recorder.end(t) {
			t.Errorf("%q: %s", data, complaint)
		}
	})
}

// recorder is an upstream that notes what is wrong with what it gets.
type recorder struct {
	listener net.Listener

	mu         sync.Mutex
	busy       int
	complaints []string
}

func newRecorder(tb testing.TB) *recorder {
	tb.Helper()
	r := &recorder{listener: listen(tb)}
	go func() {
		for {
			conn, err := r.listener.Accept()
			if err != nil {
				return
			}
			r.count(1)
			go func() {
				defer r.count(-1)
				r.serve(conn)
			}()
		}
	}()
	tb.Cleanup(func() { _ = r.listener.Close(); _ = r.end(tb) })
	return r
}

func (r *recorder) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy += n
}

func (r *recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = nil
}

func (r *recorder) end(tb testing.TB) []string {
	tb.Helper()
	eventually(tb, "the upstream has nothing to do", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.busy == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complaints
}

func (r *recorder) complain(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, text)
}

func (r *recorder) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var raw bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &raw))
	request, err := http.ReadRequest(in)
	if err != nil {
		if raw.Len() > 0 {
			r.complain("net/http cannot read " + raw.String() + ": " + err.Error())
		}
		return
	}
	head, _, _ := strings.Cut(raw.String(), "\r\n\r\n")
	head = strings.ToLower(head)
	if strings.Count(head, "\r\ncontent-length:")+strings.Count(head, "\r\ntransfer-encoding:") > 1 || strings.Count(head, "\r\nhost:") != 1 {
		r.complain("ambiguous: " + head)
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		// The body broke off at the client, and is never answered.
		return
	}
	if in.Buffered() > 0 {
		r.complain("more than one request: " + raw.String())
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}
