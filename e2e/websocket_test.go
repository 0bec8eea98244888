package e2e_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"tidegate.dev/e2e/harness"
)

// TestAWebSocketOverHTTP2 opens a WebSocket as browsers do that have a connection of HTTP/2 already (RFC 8441), to an upstream that knows
// HTTP/1.1 alone.
func TestAWebSocketOverHTTP2(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	up := httptest.NewServer(http.HandlerFunc(upgradeUpstream))
	t.Cleanup(up.Close)
	s.Apply(ordersAt(up.URL))
	agent := s.Ready.Agents[0]
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	send := func(method string, body io.Reader, header http.Header) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, method, agent.Proxy+"/orders/7", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	first := send(http.MethodGet, nil, http.Header{}) //nolint:bodyclose // send does
	if _, err := io.Copy(io.Discard, first.Body); err != nil || first.ProtoMajor != 2 {
		t.Fatal(first.Proto, err)
	}
	body, sent := io.Pipe()
	opened := send(http.MethodConnect, body, http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}) //nolint:bodyclose // send does
	if opened.StatusCode != http.StatusOK {
		t.Fatal(opened.Status)
	}
	// A text message of two letters, masked with zeros (RFC 6455, section 5.2), and how it comes back.
	for _, text := range []string{"hi", "ho"} {
		if _, err := io.WriteString(sent, "\x81\x82\x00\x00\x00\x00"+text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(opened.Body, got); err != nil || string(got) != "\x81\x02"+text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	_ = sent.Close()
}
