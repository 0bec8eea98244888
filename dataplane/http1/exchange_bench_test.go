package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// engineVariable names the engine that this process is to run instead of the tests; targetVariable the address behind it.
const (
	engineVariable = "HTTP1_TEST_ENGINE"
	targetVariable = "HTTP1_TEST_TARGET"
)

// runEngine is a proxy in a process of its own, so that its processor time is its alone. It prints its address, and at each
// line that it reads, the processor time, the objects, and the memory that it uses.
func runEngine(engine string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	target := os.Getenv(targetVariable)
	switch engine {
	case "http1":
		go serveEngine(listener, target, Limits{})
	case "http1 portable":
		go serveEngine(listener, target, Limits{Portable: true})
	case "ReverseProxy":
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 256
		proxy.Transport = transport
		server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(listener) }()
	}
	fmt.Println(listener.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var usage syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		if lines.Text() == "collect" {
			runtime.GC()
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		fmt.Println(usage.Utime.Nano()+usage.Stime.Nano(), memory.Mallocs, memory.HeapInuse+memory.StackInuse)
	}
}

func serveEngine(listener net.Listener, target string, limits Limits) {
	pool := NewPool(PoolConfig{Dial: dialer(target), Limits: limits})
	server := NewServer(Config{Handler: &forwarder{pool: pool}, Limits: limits, Opened: func(net.Conn) any { return new(Call) }})
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go server.Serve(conn)
	}
}

// engine is a running proxy.
type engine struct {
	address string
	ask     io.Writer
	answers *bufio.Scanner
}

func startEngine(b *testing.B, name, target string) *engine {
	b.Helper()
	command := exec.CommandContext(b.Context(), os.Args[0])
	command.Env = append(os.Environ(), engineVariable+"="+name, targetVariable+"="+target)
	command.Stderr = os.Stderr
	ask, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = ask.Close()
		_ = command.Wait()
	})
	e := &engine{ask: ask, answers: bufio.NewScanner(answers)}
	if !e.answers.Scan() {
		b.Fatal("the engine did not start")
	}
	e.address = e.answers.Text()
	return e
}

// used is the processor time in nanoseconds and the objects that the engine has used.
func (e *engine) used(b *testing.B) (processor, objects int64) {
	b.Helper()
	numbers := e.question(b, "?\n")
	return numbers[0], numbers[1]
}

// question asks the engine for its numbers.
func (e *engine) question(b *testing.B, question string) (numbers [3]int64) {
	b.Helper()
	if _, err := io.WriteString(e.ask, question); err != nil || !e.answers.Scan() {
		b.Fatal("the engine is gone", err)
	}
	if _, err := fmt.Sscan(e.answers.Text(), &numbers[0], &numbers[1], &numbers[2]); err != nil {
		b.Fatal(err)
	}
	return numbers
}

// BenchmarkIdleConnection is what a connection costs that has carried a request and waits for the next.
func BenchmarkIdleConnection(b *testing.B) {
	const connections, size = 4000, 100
	target := fixedUpstream(b, size)
	for range b.N {
		e := startEngine(b, "http1", target)
		before := e.question(b, "collect\n")[2]
		response := make([]byte, 1024)
		for range connections {
			conn, err := net.Dial("tcp", e.address)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = conn.Close() })
			_, _ = io.WriteString(conn, get)
			if _, err := conn.Read(response); err != nil {
				b.Fatal(err)
			}
		}
		<-time.After(2 * parkAfter)
		// Stacks shrink by half with each collection.
		for range 3 {
			e.question(b, "collect\n")
		}
		b.ReportMetric(float64(e.question(b, "collect\n")[2]-before)/connections, "B/connection")
	}
}

// fixedUpstream answers every request with the same, at as little cost as it can.
func fixedUpstream(tb testing.TB, size int) string {
	tb.Helper()
	listener := listen(tb)
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n%s",
		size, make([]byte, size))
	var serving sync.WaitGroup
	var open sync.Map
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Store(conn, nil)
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				buffer, have := make([]byte, 8<<10), 0
				for {
					n, err := conn.Read(buffer[have:])
					if err != nil {
						return
					}
					if have += n; !bytes.HasSuffix(buffer[:have], []byte("\r\n\r\n")) {
						continue
					}
					have = 0
					if _, err := conn.Write(response); err != nil {
						return
					}
				}
			})
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		open.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
		serving.Wait()
	})
	return listener.Addr().String()
}

// drive sends n requests over so many connections, and reads the responses, which have size bytes of content. If there is a
// pace, each request waits for it.
func drive(b *testing.B, address string, connections, n, size int, pace <-chan time.Time) {
	b.Helper()
	request := []byte("GET /orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: load/1.0\r\nAccept: */*\r\nX-Api-Key: tg_0123456789abcdef\r\n\r\n")
	var left atomic.Int64
	left.Store(int64(n))
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			buffer := make([]byte, 64<<10)
			for left.Add(-1) >= 0 {
				if pace != nil {
					<-pace
				}
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				have, want := 0, -1
				for want < 0 || have < want {
					n, err := conn.Read(buffer[have:])
					if err != nil {
						b.Error(err)
						return
					}
					have += n
					if end := bytes.Index(buffer[:have], []byte("\r\n\r\n")); want < 0 && end >= 0 {
						want = end + 4 + size
					}
				}
			}
		})
	}
	group.Wait()
}

// contest measures engines by turns with the same load, and reports what a request costs each, the first in comparison to
// the last.
func contest(b *testing.B, target string, warm, load func(address string)) (requestCost func(requests int)) {
	b.Helper()
	names := []string{"http1", "http1 portable", "ReverseProxy"}
	labels := []string{"", "portable-", "ReverseProxy-"}
	engines := make([]*engine, len(names))
	cost, objects, wall := make([]int64, len(names)), make([]int64, len(names)), make([]time.Duration, len(names))
	for i, name := range names {
		engines[i] = startEngine(b, name, target)
		warm(engines[i].address)
	}
	for b.Loop() {
		for i, e := range engines {
			processor, allocated := e.used(b)
			began := time.Now()
			load(e.address)
			wall[i] += time.Since(began)
			processorAfter, allocatedAfter := e.used(b)
			cost[i] += processorAfter - processor
			objects[i] += allocatedAfter - allocated
		}
	}
	return func(requests int) {
		per := float64(requests)
		last := len(names) - 1
		for i, label := range labels {
			b.ReportMetric(float64(cost[i])/per/1e3, label+"cpu-µs/req")
			b.ReportMetric(float64(objects[i])/per, label+"objects/req")
		}
		b.ReportMetric(float64(cost[0])/float64(cost[last]), "cpu-ratio")
		b.ReportMetric(float64(cost[1])/float64(cost[last]), "portable-cpu-ratio")
		b.ReportMetric(float64(wall[0])/float64(wall[last]), "time-ratio")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkExchange sends the same requests through this package and through httputil.ReverseProxy, each in a process of its
// own, by turns, and compares the processor time that a request costs them.
func BenchmarkExchange(b *testing.B) {
	const connections, round = 64, 5000
	for _, size := range []int{1 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("saturated/%dKiB", size>>10), func(b *testing.B) {
			report := contest(b, fixedUpstream(b, size),
				func(address string) { drive(b, address, connections, 2000, size, nil) },
				func(address string) { drive(b, address, connections, round, size, nil) })
			report(b.N * round)
		})
	}
	b.Run("2000 a second/1KiB", func(b *testing.B) {
		const size, slow = 1 << 10, 1000
		report := contest(b, fixedUpstream(b, size),
			func(address string) { drive(b, address, 8, 500, size, nil) },
			func(address string) {
				pace := time.NewTicker(500 * time.Microsecond)
				defer pace.Stop()
				drive(b, address, 8, slow, size, pace.C)
			})
		report(b.N * slow)
	})
}
