package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// fixedUpstream answers every request with the same 1 KiB, at as little cost as it can.
func fixedUpstream(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	response := append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"), make([]byte, 1024)...)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for {
					for {
						line, err := in.ReadSlice('\n')
						if err != nil {
							return
						}
						if len(line) <= 2 {
							break
						}
					}
					if _, err := conn.Write(response); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// BenchmarkExchange is a whole exchange over loopback, client and upstream included, which cost about half of it.
func BenchmarkExchange(b *testing.B) {
	url := fixedUpstream(b)
	for name, list := range map[string]resources{
		"plain": simple(url),
		"key and limit": {
			"services/up": service(url), "routes/all": route("up", "/**"),
			"plugins/auth":  &configv1.Plugin{Type: "key-auth"},
			"plugins/limit": &configv1.Plugin{Type: "rate-limit", Config: settings(b, map[string]any{"requests": 1e9, "per": "1s"})},
		},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, func(c *Config) { c.AccessLog = nil })
			r.serve(list)
			r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", r.proxy.Address().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				request := []byte("GET /x HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " + goodKey + "\r\n\r\n")
				for pb.Next() {
					if _, err := conn.Write(request); err != nil {
						b.Error(err)
						return
					}
					response, err := http.ReadResponse(in, nil)
					if err != nil || response.StatusCode != http.StatusOK {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			})
		})
	}
}
