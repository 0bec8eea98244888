package e2e_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

const mebibyte = 1 << 20

// resident is how much memory a process has now, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	return statusOf(t, pid, "VmRSS:")
}

// dataOf is what of a process's memory counts against RLIMIT_DATA, in bytes.
func dataOf(t *testing.T, pid int) int {
	t.Helper()
	return statusOf(t, pid, "VmData:")
}

func statusOf(t *testing.T, pid int, kind string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Skipf("the memory of processes is not known here: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == kind {
			kibibytes, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kibibytes << 10
		}
	}
	t.Fatal("the process has no memory")
	return 0
}

// hoard is an agent whose memory is watched, and the upstream behind it.
type hoard struct {
	t        *testing.T
	address  string
	pid      int
	waiting  atomic.Int64
	received atomic.Int64
	release  chan struct{}
	bomb     []byte
}

func newHoard(t *testing.T) *hoard {
	t.Helper()
	h := &hoard{t: t, release: make(chan struct{}), bomb: bomb(t, 64*mebibyte)}
	mux := http.NewServeMux()
	mux.HandleFunc("/quick", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "quick") })
	mux.HandleFunc("/wait", func(http.ResponseWriter, *http.Request) {
		h.waiting.Add(1)
		defer h.waiting.Add(-1)
		<-h.release
	})
	mux.HandleFunc("/much", func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, mebibyte)
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		h.received.Store(n)
		_, _ = fmt.Fprint(w, n)
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Received", strconv.Itoa(len(body)))
		}
		_, _ = w.Write(h.bomb)
	})
	upstream := httptest.NewServer(mux)
	t.Cleanup(upstream.Close)
	t.Cleanup(func() { close(h.release) })
	s := harness.Start(t, harness.Options{Agents: 1})
	s.Apply(fmt.Sprintf(`
fleet: default
services: [{name: up, url: %q}]
routes: [{name: all, service: up, match: {paths: ["/**"]}}]
`, upstream.URL))
	h.address, h.pid = strings.TrimPrefix(s.Ready.Agents[0].Proxy, "http://"), s.Ready.Agents[0].PID
	return h
}

// bomb is so many zeros, compressed.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	piece := make([]byte, mebibyte)
	for range size / mebibyte {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// costs tells how much memory the agent takes for something, and ends it.
func (h *hoard) costs(what string, most int, doIt func() (end func())) {
	h.t.Helper()
	before := resident(h.t, h.pid)
	end := doIt()
	grown := resident(h.t, h.pid) - before
	h.t.Logf("%s: %.1f MiB more than %.1f MiB", what, float64(grown)/mebibyte, float64(before)/mebibyte)
	if grown > most {
		h.t.Errorf("%s cost %d MiB, at most %d MiB may be", what, grown/mebibyte, most/mebibyte)
	}
	if end != nil {
		end()
	}
}

func (h *hoard) dial() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	return conn
}

func (h *hoard) send(conn net.Conn, text string) {
	h.t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hoard) served(conn net.Conn) {
	h.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		h.t.Fatal(response.StatusCode, err)
	}
}

// What clients do costs the agent memory in proportion to what they send, never a multiple of it.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	h := newHoard(t)
	idle, slow, heads, upload := 1000, 100, 300, 64*mebibyte
	if full() {
		idle, slow, heads, upload = 10_000, 1000, 1000, 1024*mebibyte
	}
	const slack = 24 * mebibyte
	h.costs("what an agent has after its first requests", 64*mebibyte, func() func() {
		for range 200 {
			conn := h.dial()
			h.send(conn, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
			h.served(conn)
			_ = conn.Close()
		}
		return nil
	})
	h.costs(fmt.Sprint(idle, " idle connections"), idle*10<<10+slack/2, func() func() {
		conns := make([]net.Conn, idle)
		for i := range conns {
			conns[i] = h.dial()
			h.send(conns[i], "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
			h.served(conns[i])
		}
		return closing(conns)
	})
	h.costs(fmt.Sprint(heads, " requests of 10 KiB that wait"), heads*96<<10+slack, func() func() {
		field := "x-filler: " + strings.Repeat("f", 100) + "\r\n"
		request := "GET /wait HTTP/1.1\r\nHost: a\r\n" + strings.Repeat(field, 10<<10/len(field)) + "\r\n"
		conns := make([]net.Conn, heads)
		for i := range conns {
			conns[i] = h.dial()
			h.send(conns[i], request)
		}
		harness.Eventually(t, 20*time.Second, "all wait", func() error {
			if n := h.waiting.Load(); n < int64(heads) {
				return fmt.Errorf("%d do", n)
			}
			return nil
		})
		return closing(conns)
	})
	h.costs(fmt.Sprint(slow, " clients that read nothing"), slow*160<<10+slack, func() func() {
		conns := make([]net.Conn, slow)
		for i := range conns {
			conns[i] = h.dial()
			h.send(conns[i], "GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := io.ReadFull(conns[i], make([]byte, 1024)); err != nil {
				t.Fatal(err)
			}
		}
		return closing(conns)
	})
	h.costs(fmt.Sprint("a body of ", upload/mebibyte, " MiB"), slack, func() func() {
		conn := h.dial()
		defer func() { _ = conn.Close() }()
		h.send(conn, fmt.Sprintf("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", upload))
		piece := make([]byte, mebibyte)
		for range upload / mebibyte {
			if _, err := conn.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		h.served(conn)
		if n := h.received.Load(); n != int64(upload) {
			t.Errorf("the service got %d bytes", n)
		}
		return nil
	})
	h.costs("bombs, both ways", slack, func() func() {
		for range 20 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.address+"/bomb", bytes.NewReader(h.bomb))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Encoding", "gzip")
			request.Header.Set("Accept-Encoding", "gzip")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil || !bytes.Equal(body, h.bomb) || response.Header.Get("X-Received") != strconv.Itoa(len(h.bomb)) {
				t.Fatalf("%d of %d bytes came back, %s arrived, %v", len(body), len(h.bomb), response.Header.Get("X-Received"), err)
			}
		}
		return nil
	})
	h.costs("a flood of resets", slack, func() func() { h.flood(resets); return nil })
	h.costs("a flood of continuations", slack, func() func() { h.flood(continuations); return nil })
	conn := h.dial()
	defer func() { _ = conn.Close() }()
	h.send(conn, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
	h.served(conn)
}

func closing(conns []net.Conn) func() {
	return func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}

// flood speaks HTTP/2 in clear text, and sends what frames makes until the agent has enough of it.
func (h *hoard) flood(frames func(stream uint32) []byte) {
	conn := h.dial()
	defer func() { _ = conn.Close() }()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	h.send(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(frame(4, 0, 0, nil)); err != nil {
		h.t.Fatal(err)
	}
	for stream := uint32(1); stream < 400_000; stream += 2 {
		if _, err := conn.Write(frames(stream)); err != nil {
			h.t.Logf("the connection ended at stream %d", stream)
			return
		}
	}
	h.t.Error("the agent never had enough")
}

// frame is a frame of HTTP/2 (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind)) //nolint:gosec // a frame is short
	out = append(out, flags)
	out = binary.BigEndian.AppendUint32(out, stream)
	return append(out, payload...)
}

// getWait is the header of GET http://a/wait in HPACK: indexed fields, and literals without Huffman coding.
var getWait = append([]byte{0x82, 0x86, 0x04, 5}, "/wait\x01\x01a"...)

const (
	headersFrame      = 1
	resetFrame        = 3
	continuationFrame = 9
	endStream         = 1
	endHeaders        = 4
)

// resets is a request that is taken back at once (CVE-2023-44487).
func resets(stream uint32) []byte {
	return append(frame(headersFrame, endStream|endHeaders, stream, getWait), frame(resetFrame, 0, stream, []byte{0, 0, 0, 8})...)
}

// continuations are parts of a header that never ends (CVE-2023-45288).
func continuations(stream uint32) []byte {
	if stream == 1 {
		return frame(headersFrame, endStream, 1, getWait)
	}
	return frame(continuationFrame, 0, 1, append([]byte{0x00, 0x01, 'x', 0x7f, 0x81, 0x07}, bytes.Repeat([]byte{'y'}, 1024)...))
}
