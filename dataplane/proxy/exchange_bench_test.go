package proxy

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"tidegate.dev/dataplane/snapshot"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// fixedUpstream answers every request with the same 1 KiB, at as little cost as it can and without allocating.
func fixedUpstream(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	response := append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"), make([]byte, 1024)...)
	var (
		serving sync.WaitGroup
		mu      sync.Mutex
		open    []net.Conn
	)
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			serving.Go(func() {
				buffer := make([]byte, 4<<10)
				for n := 0; ; {
					m, err := conn.Read(buffer[n:])
					if err != nil {
						return
					}
					if n += m; !bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
						continue
					}
					n = 0
					if _, err := conn.Write(response); err != nil {
						return
					}
				}
			})
		}
	})
	b.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return "http://" + listener.Addr().String()
}

// askFor sends requests one after the other over a connection of its own for each goroutine, without allocating.
func askFor(b *testing.B, address, request string) {
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		buffer, bytes := make([]byte, 8<<10), []byte(request)
		for pb.Next() {
			if _, err := conn.Write(bytes); err != nil {
				b.Error(err)
				return
			}
			if err := readAnswer(conn, buffer); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// readAnswer reads a response of 1 KiB.
func readAnswer(conn net.Conn, buffer []byte) error {
	for n := 0; ; {
		m, err := conn.Read(buffer[n:])
		if err != nil {
			return err
		}
		n += m
		end := bytes.Index(buffer[:n], []byte("\r\n\r\n"))
		if end < 0 || n < end+4+1024 {
			continue
		}
		if !bytes.HasPrefix(buffer, []byte("HTTP/1.1 200 OK\r\n")) {
			return http.ErrNotSupported
		}
		return nil
	}
}

const benchRequest = "GET /x HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\nX-Api-Key: " + goodKey + "\r\n\r\n"

// BenchmarkExchange is a whole exchange over loopback, client and upstream included, which cost about half of it.
func BenchmarkExchange(b *testing.B) {
	url := fixedUpstream(b)
	limited := func(more resources) resources {
		all := resources{
			"services/up": service(url), "routes/all": route("up", "/**"),
			"plugins/auth":  &configv1.Plugin{Type: "key-auth"},
			"plugins/limit": &configv1.Plugin{Type: "rate-limit", Config: settings(b, map[string]any{"requests": 1e9, "per": "1s"})},
		}
		for name, resource := range more {
			all[name] = resource
		}
		return all
	}
	headers := &configv1.Plugin{Type: "header-transform", Config: settings(b, map[string]any{
		"request":  map[string]any{"set": []any{map[string]any{"name": "x-added", "value": "by the gateway"}}, "remove": []any{"accept"}},
		"response": map[string]any{"set": []any{map[string]any{"name": "x-seen", "value": "yes"}}},
	})}
	cases := []struct {
		name   string
		list   resources
		change func(*Config)
	}{
		{"plain", simple(url), func(c *Config) { c.AccessLog = nil }},
		{"key and limit", limited(nil), func(c *Config) { c.AccessLog = nil }},
		{"all", limited(resources{"plugins/headers": headers}), func(c *Config) { c.AccessLogSample = 0.01 }},
		{"all, every exchange logged", limited(resources{"plugins/headers": headers}), nil},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, c.change)
			r.log.discard = true
			r.serve(c.list)
			r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
			askFor(b, r.proxy.Address().String(), benchRequest)
			b.StopTimer()
			r.proxy.Install(snapshot.Installation{})
		})
	}
}

// BenchmarkReverseProxy is the least that net/http does for an exchange, to compare with.
func BenchmarkReverseProxy(b *testing.B) {
	target, err := url.Parse(fixedUpstream(b))
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	defer transport.CloseIdleConnections()
	s := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	defer s.Close()
	askFor(b, s.Listener.Addr().String(), benchRequest)
}
