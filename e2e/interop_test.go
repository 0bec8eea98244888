package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	interopv1 "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"

	"tidegate.dev/e2e/harness"
)

// interopTime is how long one case may take. The longest that a case allows itself is 30 s.
const interopTime = 40 * time.Second

// interopCase is a case of gRPC's interoperability tests, by its name in their specification.
type interopCase struct {
	name string
	run  func(ctx context.Context, connection *grpc.ClientConn, tests interopv1.TestServiceClient)
}

func simply(run func(context.Context, interopv1.TestServiceClient, ...grpc.CallOption), options ...grpc.CallOption) func(context.Context, *grpc.ClientConn, interopv1.TestServiceClient) {
	return func(ctx context.Context, _ *grpc.ClientConn, tests interopv1.TestServiceClient) {
		run(ctx, tests, options...)
	}
}

// interopCases are the cases of grpc-go's client that need no cloud account, as they are and with messages compressed. Its client
// has no case for cacheable requests; its server sends no name of its own, which pick_first_unary needs, and reports load out of
// band only every 30 s.
func interopCases() (cases []interopCase) {
	gzipped := grpc.UseCompressor(gzip.Name)
	for name, run := range map[string]func(context.Context, interopv1.TestServiceClient, ...grpc.CallOption){
		"empty_unary": interop.DoEmptyUnaryCall, "large_unary": interop.DoLargeUnaryCall, "client_streaming": interop.DoClientStreaming,
		"server_streaming": interop.DoServerStreaming, "ping_pong": interop.DoPingPong, "empty_stream": interop.DoEmptyStream,
		"timeout_on_sleeping_server": interop.DoTimeoutOnSleepingServer, "cancel_after_begin": interop.DoCancelAfterBegin,
		"cancel_after_first_response": interop.DoCancelAfterFirstResponse, "status_code_and_message": interop.DoStatusCodeAndMessage,
		"special_status_message": interop.DoSpecialStatusMessage, "custom_metadata": interop.DoCustomMetadata,
	} {
		cases = append(cases, interopCase{name, simply(run)}, interopCase{name + ", compressed", simply(run, gzipped)})
	}
	return append(cases,
		interopCase{"unimplemented_method", func(ctx context.Context, c *grpc.ClientConn, _ interopv1.TestServiceClient) {
			interop.DoUnimplementedMethod(ctx, c)
		}},
		interopCase{"unimplemented_service", func(ctx context.Context, c *grpc.ClientConn, _ interopv1.TestServiceClient) {
			interop.DoUnimplementedService(ctx, interopv1.NewUnimplementedServiceClient(c))
		}},
		interopCase{"orca_per_rpc", func(ctx context.Context, _ *grpc.ClientConn, tests interopv1.TestServiceClient) {
			interop.DoORCAPerRPCTest(ctx, tests)
		}},
		interopCase{"rpc_soak", func(ctx context.Context, c *grpc.ClientConn, _ interopv1.TestServiceClient) {
			interop.DoSoakTest(ctx, interop.SoakTestConfig{
				RequestSize: 271828, ResponseSize: 314159, PerIterationMaxAcceptableLatency: 10 * time.Second, OverallTimeout: interopTime,
				ServerAddr: c.Target(), NumWorkers: 4, Iterations: 40, ChannelForTest: func() (*grpc.ClientConn, func()) { return c, func() {} },
			})
		}},
	)
}

// TestGRPCInteroperates runs them through an agent, from a client in clear text and over TLS to a server in clear text and over TLS.
func TestGRPCInteroperates(t *testing.T) {
	t.Parallel()
	const plain, secure = "plain.interop.test", "secure.interop.test"
	s := harness.Start(t, harness.Options{Agents: 1})
	chain, key, _ := selfSigned(t, "server.interop.test")
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: plain, url: "http://%s", protocol: h2c}
  - {name: secure, url: "https://%s", protocol: h2, tls: {server_name: server.interop.test, ca_pem: %q}}
routes:
  - {name: plain, service: plain, match: {hosts: [%s], paths: ["/**"]}}
  - {name: secure, service: secure, match: {hosts: [%s], paths: ["/**"]}}
`, interopServer(t, insecure.NewCredentials()), interopServer(t, credentials.NewServerTLSFromCert(&pair)), chain, plain, secure))
	roots := pushCertificates(t, s, plain, secure)

	agent := s.Ready.Agents[0]
	for _, host := range []string{plain, secure} {
		for from, address := range map[string]string{"clear text": strings.TrimPrefix(agent.Proxy, "http://"), "TLS": strings.TrimPrefix(agent.TLS, "https://")} {
			security := insecure.NewCredentials()
			if from == "TLS" {
				security = credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12})
			}
			t.Run(from+" to "+host, func(t *testing.T) {
				t.Parallel()
				interoperate(t, address, host, security)
			})
		}
	}
}

func interoperate(t *testing.T, address, host string, security credentials.TransportCredentials) {
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(security), grpc.WithAuthority(host),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	for _, c := range interopCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if failure, failed := recover().(interopFailure); failed {
					t.Error(failure)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), interopTime)
			defer cancel()
			c.run(ctx, connection, interopv1.NewTestServiceClient(connection))
		})
	}
}

// interopServer is grpc-go's, until the test ends.
func interopServer(t *testing.T, security credentials.TransportCredentials) (address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	recorder := orca.NewServerMetricsRecorder()
	server := grpc.NewServer(grpc.Creds(security), orca.CallMetricsServerOption(nil))
	interopv1.RegisterTestServiceServer(server, interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: recorder}))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// pushCertificates gives the fleet a certificate for each name, and returns the roots that trust them when they are shown.
func pushCertificates(t *testing.T, s *harness.Stack, names ...string) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	for _, name := range names {
		chain, key, _ := selfSigned(t, name)
		roots.AppendCertsFromPEM([]byte(chain))
		body, err := json.Marshal(map[string]any{"spec": map[string]any{"certificate_pem": chain, "private_key_pem": key}})
		if err != nil {
			t.Fatal(err)
		}
		r := s.Admin(http.MethodPut, "/v1/fleets/default/certificates/"+strings.ReplaceAll(name, ".", "-"), json.RawMessage(body), nil)
		if r.Status != http.StatusOK {
			t.Fatalf("pushing a certificate for %s: %d %s", name, r.Status, r.Body)
		}
	}
	for _, name := range names {
		harness.Eventually(t, 5*time.Second, "the certificate of "+name+" is shown", func() error {
			dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}}
			connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Ready.Agents[0].TLS, "https://"))
			if err != nil {
				return err
			}
			return connection.Close()
		})
	}
	return roots
}

// interopFailure is what a case says of itself when it fails.
type interopFailure string

// interopLog lets a case fail alone: of itself it would log that, and end the process.
type interopLog struct{ grpclog.LoggerV2 }

// Fatalln is [grpclog.LoggerV2]'s.
func (interopLog) Fatalln(args ...any) { panic(interopFailure(fmt.Sprintln(args...))) }

// TestMain sets the log of gRPC, which has to be done before anything else is done with it.
func TestMain(m *testing.M) {
	grpclog.SetLoggerV2(interopLog{grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr)})
	os.Exit(m.Run())
}
