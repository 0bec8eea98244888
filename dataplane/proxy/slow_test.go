package proxy

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"tidegate.dev/dataplane/telemetry"
)

// Clients that read slowly, or not at all, cost what their connections' buffers hold, however much the upstream has to send.
func TestSlowReadersCostLittle(t *testing.T) {
	clients := 1000
	if testing.Short() {
		clients = 100
	}
	up := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<30)) })
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var group sync.WaitGroup
	conns, turns := make([]net.Conn, clients), make(chan struct{}, 20)
	for i := range conns {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			conn, err := net.Dial("tcp", r.proxy.Address().String())
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = conn
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			// The head, and then nothing for long.
			if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("%d clients cost %d KiB each, the upstream's server included", clients, grown>>10/int64(clients))
	// It is about 150; the race detector adds to it.
	if grown > int64(clients)*256<<10 {
		t.Errorf("%d clients that do not read cost %d MiB", clients, grown>>20)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.cells())
		}
	})
	eventually(t, "all are recorded", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "client_closed" && k.StatusClass == 2 }) == uint64(clients)
	})
}

// Thousands of connections that wait for their next request cost little.
func TestIdleConnectionsCostLittle(t *testing.T) {
	clients := 2000
	if testing.Short() {
		clients = 200
	}
	up := server(t, func(http.ResponseWriter, *http.Request) {})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	before := settledMemory(t)
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = r.dial()
		_, _ = io.WriteString(conns[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := conns[i].Read(make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	// After a second they give their buffers back.
	eventually(t, "their memory is given back", func() bool { return usedMemory()-before < int64(clients)*12<<10 })
	t.Logf("%d idle connections cost %d bytes each, the clients' ends included", clients, (usedMemory()-before)/int64(clients))
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// usedMemory is what the process uses of its heap and stacks, garbage left out.
func usedMemory() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// settledMemory is usedMemory when what came before this test has been given back.
func settledMemory(t *testing.T) (settled int64) {
	t.Helper()
	settled = usedMemory()
	eventually(t, "the memory of earlier tests is given back", func() bool {
		before := settled
		settled = usedMemory()
		return before-settled < 64<<10
	})
	return settled
}
