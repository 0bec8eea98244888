package e2e_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"tidegate.dev/e2e/harness"
)

// Every protocol that a client may speak, through a real agent: what arrives is what was sent, when it was sent.
func TestProtocolsThroughAnAgent(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	goOn := make(chan struct{}, 1)
	web := httptest.NewServer(manners(goOn))
	t.Cleanup(web.Close)
	health, address := healthServer(t)
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: web, url: %q}
  - {name: health, url: "http://%s", protocol: h2c}
routes:
  - {name: web, service: web, match: {paths: ["/**"]}}
  - {name: health, service: health, match: {paths: ["/grpc.health.v1.Health/**"]}}
`, web.URL, address))
	agent := s.Ready.Agents[0]

	t.Run("HTTP/2 in clear text", func(t *testing.T) {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
		t.Cleanup(client.CloseIdleConnections)
		echoesWithTrailers(t, client, agent.Proxy)
	})
	t.Run("HTTP/1.1", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{}}
		t.Cleanup(client.CloseIdleConnections)
		echoesWithTrailers(t, client, agent.Proxy)
	})
	t.Run("TLS with a pushed certificate", func(t *testing.T) { servesPushedCertificate(t, s, agent.TLS) })
	t.Run("server-sent events", func(t *testing.T) { eventsAreNotHeld(t, agent.Proxy, goOn) })
	t.Run("an upgrade", func(t *testing.T) { upgrades(t, strings.TrimPrefix(agent.Proxy, "http://")) })
	t.Run("gRPC", func(t *testing.T) { checksAndWatches(t, strings.TrimPrefix(agent.Proxy, "http://"), health) })
}

// manners is an upstream that shows each way of answering. It sends its second event when goOn says so.
func manners(goOn <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Seen")
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		buffer := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buffer)
			_, _ = w.Write(buffer[:n])
			_ = http.NewResponseController(w).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("X-Seen", r.Trailer.Get("X-Sum"))
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-goOn:
			_, _ = io.WriteString(w, "data: two\n\n")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = connection.Close() }()
		_, _ = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_ = buffered.Flush()
		for {
			line, err := buffered.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = buffered.WriteString("you said " + line)
			_ = buffered.Flush()
		}
	})
	return mux
}

// echoesWithTrailers sends a body piece by piece, reads each piece back before it sends the next, and trailers both ways.
func echoesWithTrailers(t *testing.T, client *http.Client, proxy string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, proxy+"/echo", reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Trailer = http.Header{"X-Sum": nil}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("no answer while the upload goes on: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	for _, piece := range []string{"one", "two", "three"} {
		got := make([]byte, len(piece))
		if _, err := io.WriteString(writer, piece); err != nil {
			t.Fatalf("sending %q: %v", piece, err)
		}
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != piece {
			t.Fatalf("sent %q, got %q, %v", piece, got, err)
		}
	}
	request.Trailer.Set("X-Sum", "42")
	_ = writer.Close()
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if got := response.Trailer.Get("X-Seen"); got != "42" {
		t.Errorf("the trailer came back as %q, want 42", got)
	}
}

func servesPushedCertificate(t *testing.T, s *harness.Stack, url string) {
	const name = "api.example.test"
	chain, key, roots := selfSigned(t, name)
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"certificate_pem": chain, "private_key_pem": key}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Admin(http.MethodPut, "/v1/fleets/default/certificates/api", json.RawMessage(body), nil)
	if r.Status != http.StatusOK || strings.Contains(r.Body, "PRIVATE KEY") {
		t.Fatalf("pushing a certificate: %d %s", r.Status, r.Body)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	harness.Eventually(t, 2*time.Second, "the certificate is shown for its name", func() error {
		response, err := client.Post("https://"+name+"/echo", "text/plain", strings.NewReader("hello"))
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if text, err := io.ReadAll(response.Body); err != nil || string(text) != "hello" || response.ProtoMajor != 2 {
			return fmt.Errorf("%s %q, %w", response.Proto, text, err)
		}
		return nil
	})
	echoesWithTrailers(t, client, "https://"+name)
	// An exchange for another host on that connection is misdirected (RFC 9110, section 15.5.20).
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+name+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "other.example.test"
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host than the certificate's: %d, want 421", response.StatusCode)
	}
}

func eventsAreNotHeld(t *testing.T, proxy string, goOn chan<- struct{}) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, proxy+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewReader(response.Body)
	if first, err := lines.ReadString('\n'); first != "data: one\n" {
		t.Fatalf("the first event is %q, %v", first, err)
	}
	goOn <- struct{}{} // only now is there more
	rest, err := io.ReadAll(lines)
	if string(rest) != "\ndata: two\n\n" {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

func upgrades(t *testing.T, proxy string) {
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.WriteString(connection, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: conversation\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Upgrade") != "conversation" {
		t.Fatalf("%s, upgrade %q", response.Status, response.Header.Get("Upgrade"))
	}
	for _, line := range []string{"hello\n", "again\n"} {
		if _, err := io.WriteString(connection, line); err != nil {
			t.Fatal(err)
		}
		if got, err := reader.ReadString('\n'); got != "you said "+line {
			t.Fatalf("said %q, heard %q, %v", line, got, err)
		}
	}
}

func healthServer(t *testing.T) (*health.Server, string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, checks := grpc.NewServer(), health.NewServer()
	healthv1.RegisterHealthServer(server, checks)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return checks, listener.Addr().String()
}

func checksAndWatches(t *testing.T, proxy string, checks *health.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	connection, err := grpc.NewClient(proxy, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	client := healthv1.NewHealthClient(connection)
	if answer, err := client.Check(ctx, &healthv1.HealthCheckRequest{}); err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("a call: %v, %v", answer, err)
	}
	// The status of an error travels in trailers.
	if _, err := client.Check(ctx, &healthv1.HealthCheckRequest{Service: "nobody"}); err == nil || !contains(err.Error(), "NotFound") {
		t.Errorf("a call that fails: %v, want NotFound", err)
	}
	stream, err := client.Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthv1.HealthCheckResponse_ServingStatus{healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_NOT_SERVING} {
		if answer, err := stream.Recv(); err != nil || answer.GetStatus() != want {
			t.Fatalf("a stream: %v, %v, want %s", answer, err, want)
		}
		checks.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	}
}

// selfSigned makes a certificate for a name, and the roots that trust it.
func selfSigned(t *testing.T, name string) (chain, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(certificate)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})), roots
}
