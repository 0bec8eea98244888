package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// impatientServer answers the first request of each connection with its name, and ends the connection when the second comes.
func impatientServer(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				if request, err := http.ReadRequest(in); err == nil {
					_ = request.Body.Close()
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"+name)
					_, _ = in.ReadByte()
				}
			})
		}
	})
	return "http://" + listener.Addr().String()
}

// A connection that has ended says nothing of its target: the request goes there again, and a key keeps its target.
func TestAKeyKeepsItsTargetOverConnectionsThatEnd(t *testing.T) {
	t.Parallel()
	s := &configv1.Service{LoadBalancing: &configv1.LoadBalancing{
		Policy: "maglev", HashOn: &configv1.HashOn{Key: &configv1.HashOn_Cookie{Cookie: "session"}},
	}}
	for i := range 3 {
		s.Targets = append(s.Targets, &configv1.Target{Url: impatientServer(t, strconv.Itoa(i))})
	}
	r := newRig(t, nil)
	// Idle connections are closed before the servers wait for them.
	t.Cleanup(r.registry.Close)
	r.serve(resources{"services/up": s, "routes/all": route("up", "/**")})
	for key := range 10 {
		cookie := "a=b; session=" + strconv.Itoa(key)
		first := r.get("/x", "Cookie", cookie)
		for range 5 {
			if got := r.get("/x", "Cookie", cookie); got.StatusCode != http.StatusOK || got.body != first.body {
				t.Errorf("%d %q, and before %q", got.StatusCode, got.body, first.body)
			}
		}
	}
}
