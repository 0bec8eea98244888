package listener

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer is a client of HTTP/2 that says what it likes.
type peer struct {
	*http2.Framer
	t        *testing.T
	conn     net.Conn
	excess   chan Excess
	encoder  *hpack.Encoder
	block    bytes.Buffer
	finished chan struct{}
}

// newPeer speaks to a guarded server, whose answer is a hello.
func newPeer(t *testing.T, limits HTTP2Limits) *peer {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, excess: make(chan Excess, 1), finished: make(chan struct{})}
	server := &http2.Server{MaxConcurrentStreams: 100, MaxReadFrameSize: largestFrame}
	quiet := &http.Server{ErrorLog: log.New(io.Discard, "", 0)} //nolint:gosec // it only lends its log
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	})
	go func() {
		defer close(p.finished)
		conn, err := port.Accept()
		if err != nil {
			return
		}
		conn = GuardHTTP2(conn, limits, func(excess Excess) { p.excess <- excess })
		server.ServeConn(conn, &http2.ServeConnOpts{Handler: handler, BaseConfig: quiet, Context: context.WithoutCancel(t.Context())})
	}()
	if p.conn, err = net.Dial("tcp", port.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.conn.Close()
		_ = port.Close()
		<-p.finished
	})
	_ = p.conn.SetDeadline(time.Now().Add(10 * time.Second))
	p.Framer = http2.NewFramer(p.conn, p.conn)
	p.AllowIllegalWrites = true
	p.encoder = hpack.NewEncoder(&p.block)
	return p
}

func (p *peer) greet(settings ...http2.Setting) {
	p.t.Helper()
	_, err := io.WriteString(p.conn, greeting)
	p.must(err)
	p.must(p.WriteSettings(settings...))
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// header encodes a GET with more fields.
func (p *peer) header(more ...string) []byte {
	p.block.Reset()
	fields := append([]string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}, more...)
	for i := 0; i < len(fields); i += 2 {
		p.must(p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return p.block.Bytes()
}

func (p *peer) get(stream uint32, more ...string) {
	p.t.Helper()
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.header(more...), EndStream: true, EndHeaders: true}))
}

// outcome reads until the stream ends, or the connection: "answered", "reset CODE", "goaway CODE" or "closed".
func (p *peer) outcome(stream uint32) string {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "reset " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "goaway " + f.ErrCode.String()
		case *http2.DataFrame:
			if f.StreamID == stream && f.StreamEnded() {
				return "answered"
			}
		}
	}
}

func TestFieldsOfAConnectionResetTheStreamAndNoOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"connection", "close", "reset PROTOCOL_ERROR"},
		{"keep-alive", "5", "reset PROTOCOL_ERROR"},
		{"proxy-connection", "x", "reset PROTOCOL_ERROR"},
		{"transfer-encoding", "chunked", "reset PROTOCOL_ERROR"},
		{"upgrade", "websocket", "reset PROTOCOL_ERROR"},
		{"te", "gzip", "reset PROTOCOL_ERROR"},
		{"te", "trailers", "answered"},
		{"x-connection", "close", "answered"},
	} {
		p := newPeer(t, HTTP2Limits{})
		p.greet()
		p.get(1, c.name, c.value)
		if got := p.outcome(1); got != c.want {
			t.Errorf("%s: %s: %s, want %s", c.name, c.value, got, c.want)
		}
		// The compression of the header is still right, so the next stream is served.
		p.get(3, "x-other", "value")
		if got := p.outcome(3); got != "answered" {
			t.Errorf("after %s: %s: %s", c.name, c.value, got)
		}
	}
}

func TestAFieldOfAConnectionIsFoundInPaddedAndContinuedHeaders(t *testing.T) {
	t.Parallel()
	p := newPeer(t, HTTP2Limits{})
	p.greet()
	p.must(p.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: p.header("connection", "close"), EndStream: true, EndHeaders: true, PadLength: 20,
		Priority: http2.PriorityParam{Weight: 5},
	}))
	if got := p.outcome(1); got != "reset PROTOCOL_ERROR" {
		t.Error("padded:", got)
	}
	block := bytes.Clone(p.header("upgrade", "x", "x-filler", strings.Repeat("ab", 200)))
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block[:10], EndStream: true}))
	p.must(p.WriteContinuation(3, false, block[10:50]))
	p.must(p.WriteContinuation(3, true, block[50:]))
	if got := p.outcome(3); got != "reset PROTOCOL_ERROR" {
		t.Error("continued:", got)
	}
	p.get(5)
	if got := p.outcome(5); got != "answered" {
		t.Error("afterwards:", got)
	}
}

func TestTheLastOfEqualSettingsCounts(t *testing.T) {
	t.Parallel()
	p := newPeer(t, HTTP2Limits{})
	p.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 15},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	p.get(1)
	sizes := []uint32{}
	for len(sizes) < 5 {
		frame, err := p.ReadFrame()
		p.must(err)
		if f, ok := frame.(*http2.DataFrame); ok && f.Length > 0 {
			sizes = append(sizes, f.Length)
			p.must(p.WriteWindowUpdate(1, 1))
		}
	}
	for _, size := range sizes {
		if size != 1 {
			t.Fatalf("pieces of %v bytes, though the window is 1", sizes)
		}
	}
	bad := newPeer(t, HTTP2Limits{})
	bad.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	if got := bad.outcome(1); !strings.HasPrefix(got, "goaway") {
		t.Error("a value that is not allowed before one that is:", got)
	}
}

func TestWhoSpeaksNoHTTP2ReadsTheEnd(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"INVALID CONNECTION PREFACE\r\n\r\n", strings.Repeat("GET / HTTP/1.1\r\n", 100), "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n more"} {
		p := newPeer(t, HTTP2Limits{})
		_, err := io.WriteString(p.conn, said)
		p.must(err)
		if _, err := io.ReadAll(p.conn); err != nil {
			t.Errorf("%.20q: %v", said, err)
		}
	}
}

// TestFloodsEndTheConnection has a client do too much of a kind, in a way that the server itself would put up with for long.
func TestFloodsEndTheConnection(t *testing.T) {
	t.Parallel()
	limits := HTTP2Limits{Resets: 50, ResetsPerSecond: 1, Controls: 50, ControlsPerSecond: 1}
	var encoded bytes.Buffer
	if err := hpack.NewEncoder(&encoded).WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("\xff", 14_000), Sensitive: true}); err != nil {
		t.Fatal(err)
	}
	large := encoded.Bytes()
	for name, c := range map[string]struct {
		want   Excess
		frames uint32
		flood  func(p *peer, i uint32) error
	}{
		"rapid reset": {ExcessResets, 2000, func(p *peer, i uint32) error {
			stream := 2*i + 1
			return errors.Join(
				p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.header(), EndStream: true, EndHeaders: true}),
				p.WriteRSTStream(stream, http2.ErrCodeCancel))
		}},
		"ping":     {ExcessControls, 2000, func(p *peer, _ uint32) error { return p.WritePing(false, [8]byte{}) }},
		"settings": {ExcessControls, 2000, func(p *peer, _ uint32) error { return p.WriteSettings() }},
		"priority": {ExcessControls, 2000, func(p *peer, i uint32) error { return p.WritePriority(2*i+1, http2.PriorityParam{StreamDep: 0}) }},
		"empty data": {ExcessControls, 2000, func(p *peer, i uint32) error {
			if i == 0 {
				return p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.header(), EndHeaders: true})
			}
			return p.WriteData(1, false, nil)
		}},
		"unknown frames": {ExcessControls, 2000, func(p *peer, _ uint32) error { return p.WriteRawFrame(0x77, 0, 0, nil) }},
		"continuations": {ExcessContinuations, 2000, func(p *peer, i uint32) error {
			if i == 0 {
				return p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.header()})
			}
			return p.WriteContinuation(1, false, nil)
		}},
		"a large header": {ExcessHeader, 10, func(p *peer, i uint32) error {
			if i == 0 {
				return p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.header()})
			}
			return p.WriteContinuation(1, false, large)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, limits)
			p.greet()
			flooding := make(chan struct{})
			go func() {
				defer close(flooding)
				for i := range c.frames {
					if c.flood(p, i) != nil {
						return
					}
				}
			}()
			if got := p.outcome(1 << 30); got != "goaway ENHANCE_YOUR_CALM" {
				t.Error(got)
			}
			select {
			case got := <-p.excess:
				if got != c.want {
					t.Errorf("it was told to be calm for %s", excessNames[got])
				}
			case <-time.After(5 * time.Second):
				t.Error("nobody was told")
			}
			_ = p.conn.Close()
			<-flooding
		})
	}
}

func TestAClientThatTakesBackEverySecondStreamMayGoOn(t *testing.T) {
	t.Parallel()
	p := newPeer(t, HTTP2Limits{Resets: 20, ResetsPerSecond: 1})
	p.greet()
	for i := range uint32(300) {
		p.get(4*i + 1)
		p.get(4*i + 3)
		p.must(p.WriteRSTStream(4*i+1, http2.ErrCodeCancel))
		if got := p.outcome(4*i + 3); got != "answered" {
			t.Fatal(i, got)
		}
	}
}

// FuzzGuardHTTP2 shows that whatever arrives in whatever pieces, what goes on is what arrived but for headers and settings.
func FuzzGuardHTTP2(f *testing.F) {
	var frames bytes.Buffer
	framer := http2.NewFramer(&frames, nil)
	frames.WriteString(greeting)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2})
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	_ = encoder.WriteField(hpack.HeaderField{Name: "connection", Value: "x"})
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = framer.WriteData(1, true, bytes.Repeat([]byte("d"), 3000))
	f.Add(frames.Bytes(), uint16(3))
	f.Add([]byte(greeting), uint16(1))
	f.Fuzz(func(t *testing.T, said []byte, step uint16) {
		whole := bytes.HasPrefix(said, []byte(greeting))
		g := GuardHTTP2(&pieces{left: said, step: int(step%1000) + 1}, HTTP2Limits{}, nil)
		out, err := io.ReadAll(g)
		if err != nil && !errors.Is(err, ErrCalm) {
			t.Fatal(err)
		}
		if !whole && err == nil && !bytes.Equal(out, said) {
			t.Fatalf("%q became %q", said, out)
		}
		if len(out) > len(said)+len(said)/frameHead*len(refusedField) {
			t.Fatal("more goes on than may be added")
		}
	})
}

// pieces is a connection that brings its bytes a few at a time.
type pieces struct {
	net.Conn
	left []byte
	step int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[:min(p.step, len(p.left))])
	p.left = p.left[n:]
	return n, nil
}

func (p *pieces) Write(b []byte) (int, error)        { return len(b), nil }
func (p *pieces) SetWriteDeadline(_ time.Time) error { return nil }

// FuzzBelongsToConnection compares with a decoder: what it decodes and finds, the scan of its instructions has found too.
func FuzzBelongsToConnection(f *testing.F) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{{Name: "te", Value: "trailers"}, {Name: "upgrade", Value: "x"}, {Name: "transfer-encoding", Value: "a", Sensitive: true}} {
		_ = encoder.WriteField(field)
		f.Add(bytes.Clone(block.Bytes()))
	}
	f.Add([]byte{0x80 | indexTransferEncoding})
	f.Fuzz(func(t *testing.T, block []byte) {
		found := false
		decoder := hpack.NewDecoder(4096, nil)
		fields, err := decoder.DecodeFull(block)
		if err != nil {
			_ = belongsToConnection(block)
			return
		}
		for _, field := range fields {
			switch field.Name {
			case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
				found = true
			}
		}
		if found && !belongsToConnection(block) {
			// Huffman's code allows one spelling of a text alone; its padding is checked by the decoder.
			t.Fatalf("%x has %v and was let through", block, fields)
		}
	})
}

func BenchmarkGuardedHeader(b *testing.B) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []string{":method", ":scheme", ":authority", ":path", "user-agent", "accept", "x-api-key", "te"} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field, Value: "trailers"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if belongsToConnection(block.Bytes()) {
			b.Fatal("found")
		}
	}
}
