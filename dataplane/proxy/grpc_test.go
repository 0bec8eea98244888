package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// speech is a gRPC service with a unary and a bidirectional method.
var speech = grpc.ServiceDesc{
	ServiceName: "test.Speech",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var in wrapperspb.StringValue
		if err := decode(&in); err != nil {
			return nil, err
		}
		if in.GetValue() == "fail" {
			return nil, status.Error(codes.FailedPrecondition, "as you wish: 100 %")
		}
		_ = grpc.SetTrailer(ctx, metadata.Pairs("x-end", "1"))
		return wrapperspb.String("said " + in.GetValue()), nil
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Talk", ServerStreams: true, ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
		for {
			var in wrapperspb.StringValue
			err := stream.RecvMsg(&in)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := stream.SendMsg(wrapperspb.String("heard " + in.GetValue())); err != nil {
				return err
			}
		}
	}}},
}

func grpcUpstream(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	s.RegisterService(&speech, nil)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	return "http://" + listener.Addr().String()
}

func dialGRPC(t testing.TB, address string, secure bool) *grpc.ClientConn {
	t.Helper()
	transport := insecure.NewCredentials()
	if secure {
		transport = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func say(ctx context.Context, conn *grpc.ClientConn, text string, options ...grpc.CallOption) (string, error) {
	var out wrapperspb.StringValue
	err := conn.Invoke(ctx, "/test.Speech/Say", wrapperspb.String(text), &out, options...)
	return out.GetValue(), err
}

func grpcRoute(url string) resources {
	return resources{
		"services/speech": &configv1.Service{Url: url, Protocol: "h2c"},
		"routes/speech":   route("speech", "/test.Speech/**"),
	}
}

func TestGRPCPasses(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.serve(grpcRoute(grpcUpstream(t)))
	for name, conn := range map[string]*grpc.ClientConn{
		"h2c": dialGRPC(t, r.proxy.Address().String(), false), "TLS": dialGRPC(t, r.proxy.TLSAddress().String(), true),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var trailer metadata.MD
			if got, err := say(ctx, conn, "hello", grpc.Trailer(&trailer)); err != nil || got != "said hello" || len(trailer["x-end"]) != 1 {
				t.Error(got, err, trailer)
			}
			if _, err := say(ctx, conn, "fail"); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "100 %") {
				t.Error(err)
			}
			stream, err := conn.NewStream(ctx, &speech.Streams[0], "/test.Speech/Talk")
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{"one", "two", "three"} {
				var out wrapperspb.StringValue
				if err := errors.Join(stream.SendMsg(wrapperspb.String(word)), stream.RecvMsg(&out)); err != nil || out.GetValue() != "heard "+word {
					t.Fatal(out.GetValue(), err)
				}
			}
			if err := errors.Join(stream.CloseSend(), stream.RecvMsg(&wrapperspb.StringValue{})); !errors.Is(err, io.EOF) {
				t.Error("the stream ended with", err)
			}
		})
	}
}

func TestGRPCClientsGetAStatusForTheGatewaysErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	all := grpcRoute("http://127.0.0.1:1")
	all["plugins/auth"] = &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Route: "closed"}}
	all["routes/closed"] = route("speech", "/test.Closed/**")
	r.serve(all)
	conn := dialGRPC(t, r.proxy.Address().String(), false)
	for method, want := range map[string]codes.Code{
		"/test.Speech/Say": codes.Unavailable, "/test.Closed/Say": codes.Unauthenticated, "/test.Nothing/Say": codes.Unimplemented,
	} {
		err := conn.Invoke(t.Context(), method, wrapperspb.String(""), &wrapperspb.StringValue{})
		if status.Code(err) != want {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
	eventually(t, "the upstream that cannot be reached is counted", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.StatusClass == 5 && k.Reason == "upstream_unreachable" }) == 1
	})
}

func TestARevokedKeyEndsItsStreams(t *testing.T) {
	t.Parallel()
	up := server(t, switching)
	events := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	r := newRig(t, nil)
	all := grpcRoute(grpcUpstream(t))
	all["services/lines"], all["routes/lines"] = service(up.URL), route("lines", "/ws")
	all["services/events"], all["routes/events"] = service(events.URL), route("events", "/events")
	all["plugins/auth"] = &configv1.Plugin{Type: "key-auth"}
	r.serve(all)
	ends := map[string]func(){
		"key removed": func() { r.apply(removal(configv1.Kind_KIND_KEY, "k1")) },
		"consumer disabled": func() {
			e := consumerEntry("acme", "")
			e.GetConsumer().Disabled = true
			r.apply(e)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
			conn, err := net.Dial("tcp", r.proxy.Address().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			both := upgraded(t, conn, "X-Api-Key: "+goodKey+"\r\n")
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+goodKey)
			stream, err := dialGRPC(t, r.proxy.Address().String(), false).NewStream(ctx, &speech.Streams[0], "/test.Speech/Talk")
			if err != nil {
				t.Fatal(err)
			}
			var out wrapperspb.StringValue
			if err := errors.Join(stream.SendMsg(wrapperspb.String("x")), stream.RecvMsg(&out)); err != nil {
				t.Fatal(err)
			}
			// Something else of the consumer changes: nothing ends.
			r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
			if err := errors.Join(stream.SendMsg(wrapperspb.String("y")), stream.RecvMsg(&out)); err != nil {
				t.Fatal(err)
			}
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/events", nil)
			request.Header.Set("X-Api-Key", goodKey)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if _, err := io.ReadFull(response.Body, make([]byte, len("data: 1\n"))); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			end()
			if rest, err := io.ReadAll(response.Body); err == nil || len(rest) > 0 {
				t.Errorf("the events ended with %q, %v", rest, err)
			}
			if _, err := both.ReadString('\n'); !errors.Is(err, io.EOF) {
				t.Error("the tunnel:", err)
			}
			if err := stream.RecvMsg(&out); status.Code(err) != codes.Unauthenticated {
				t.Error("the stream:", err)
			}
			if took := time.Since(at); took > time.Second {
				t.Error("it took", took)
			}
			if got := r.get("/ws", "X-Api-Key", goodKey); got.StatusCode/100 != 4 {
				t.Error("a new request:", got.StatusCode)
			}
		})
	}
}
