package proxy

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// socketUpstream is as much of a WebSocket as a proxy sees: the handshake (RFC 6455, section 4.2.2), and then bytes.
func socketUpstream(w http.ResponseWriter, r *http.Request) {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	if r.Method != http.MethodGet || r.Header.Get("Upgrade") != "websocket" || err != nil || len(key) != 16 || r.ContentLength > 0 {
		http.Error(w, "no handshake", http.StatusBadRequest)
		return
	}
	conn, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	accept := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(accept[:]) + "\r\nSec-WebSocket-Protocol: " + r.Header.Get("Sec-Websocket-Protocol") + "\r\n\r\n")
	_ = both.Flush()
	for {
		line, err := both.ReadString('\n')
		if err != nil || line == "end\n" {
			return
		}
		_, _ = both.WriteString("echo " + line)
		_ = both.Flush()
	}
}

// clearHTTP2 is a client that speaks HTTP/2 in clear text.
func clearHTTP2(t *testing.T) *http2.Transport {
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// socket is a WebSocket over HTTP/2, or the answer that there is none.
type socket struct {
	status int
	header http.Header
	body   io.ReadCloser
	sent   *io.PipeWriter
}

// openSocket opens a WebSocket over HTTP/2.
func openSocket(t *testing.T, transport http.RoundTripper, url string) socket {
	t.Helper()
	// The transport learns that the server knows extended CONNECT from its settings, which an exchange brings.
	warm, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/other", nil)
	if response, err := transport.RoundTrip(warm); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	body, sent := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodConnect, url+"/chat?room=1", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"chat"}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return socket{response.StatusCode, response.Header, response.Body, sent}
}

func TestAWebSocketOverHTTP2SwitchesProtocolsUpstream(t *testing.T) {
	t.Parallel()
	up := server(t, socketUpstream)
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	opened := openSocket(t, clearHTTP2(t), r.url)
	if opened.status != http.StatusOK || opened.header.Get("Sec-Websocket-Protocol") != "chat" || opened.header.Get("Sec-Websocket-Accept") != "" {
		t.Fatal(opened.status, opened.header)
	}
	from := bufio.NewReader(opened.body)
	for _, text := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(opened.sent, text)
		if got, err := from.ReadString('\n'); got != "echo "+text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	// The upstream ends it.
	_, _ = io.WriteString(opened.sent, "end\n")
	if rest, err := io.ReadAll(from); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestAWebSocketOverHTTP2EndsWithItsClient(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			defer close(gone)
		}
		socketUpstream(w, r)
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	opened := openSocket(t, clearHTTP2(t), r.url)
	if opened.status != http.StatusOK {
		t.Fatal(opened.status)
	}
	_ = opened.body.Close()
	_ = opened.sent.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the upstream is not told")
	}
}

func TestAnUpstreamMayRefuseAWebSocket(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not here", http.StatusForbidden) })
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	opened := openSocket(t, clearHTTP2(t), r.url)
	defer func() { _ = opened.sent.Close() }()
	if text, err := io.ReadAll(opened.body); opened.status != http.StatusForbidden || string(text) != "not here\n" {
		t.Errorf("%d %q %v", opened.status, text, err)
	}
}

func TestOtherCONNECTsAreRefused(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	transport := clearHTTP2(t)
	openSocket(t, transport, r.url)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodConnect, r.url+"/x", nil)
	request.Header = http.Header{":protocol": {"connect-udp"}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusNotImplemented {
		t.Error(response.StatusCode)
	}
}
