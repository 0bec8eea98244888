package listener

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestConnectionsAreServedAsTheSocketsTheyAre(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{}, nil)
	conn := r.dial()
	if got, want := line(conn), "1 "+conn.LocalAddr().String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	served := <-r.served
	if _, ok := served.(syscall.Conn); !ok {
		t.Error("what is served cannot be used as a socket")
	}
	if Of(served) == nil || Of(served).Source().String() != conn.LocalAddr().String() {
		t.Error("the connection below is not found")
	}
	if counts := r.gate.Counts(); counts.Open != 1 || counts.Accepted != 1 {
		t.Errorf("%+v", counts)
	}
	_ = conn.Close()
	eventually(t, "the connection is counted out", func() bool { return r.gate.Counts().Open == 0 })
}

func TestCeilings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits  Limits
		trusted Prefixes
		cause   string
		served  int
	}{
		"in all":             {limits: Limits{Connections: 3, PerClient: 100}, cause: "connections", served: 3},
		"of a client":        {limits: Limits{Connections: 100, PerClient: 2}, cause: "client", served: 2},
		"of a trusted proxy": {limits: Limits{Connections: 4, PerClient: 2}, trusted: loopback(), cause: "connections", served: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.limits, func(config *Config) { config.TrustedProxies = c.trusted })
			var open []net.Conn
			for range c.served {
				conn := r.dial()
				if line(conn) == "" {
					t.Fatal("refused too early")
				}
				open = append(open, conn)
			}
			if !r.refuses() {
				t.Error("one too many is served")
			}
			eventually(t, "the refusal is counted", func() bool { return r.gate.Counts().Refused[c.cause] == 1 })
			_ = open[0].Close()
			eventually(t, "one ends", func() bool { return r.gate.Counts().Open < int64(c.served) })
			if line(r.dial()) == "" {
				t.Error("there is room again, and it is refused")
			}
		})
	}
}

func TestANetworkOfIPv6IsOneClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		one, other string
		same       bool
	}{
		{"2001:db8::1", "2001:db8::ffff:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "192.0.2.2", false},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
	} {
		if got := clientOf(netip.MustParseAddr(c.one)) == clientOf(netip.MustParseAddr(c.other)); got != c.same {
			t.Errorf("%s and %s are one client: %v", c.one, c.other, got)
		}
	}
}

func TestProxyProtocolOfAListener(t *testing.T) {
	t.Parallel()
	const header = "PROXY TCP4 192.0.2.7 198.51.100.2 4711 443\r\n"
	for name, c := range map[string]struct {
		mode    ProxyProtocol
		trusted Prefixes
		send    string
		want    string // "self": the peer's own address; empty: closed
		echo    string
	}{
		"off, sent":              {ProxyProtocolOff, loopback(), header, "self", header},
		"trusted, sent":          {ProxyProtocolTrusted, loopback(), header, "1 192.0.2.7:4711", ""},
		"trusted, not sent":      {ProxyProtocolTrusted, loopback(), "GET / HTTP/1.1\r\n", "", ""},
		"trusted, health check":  {ProxyProtocolTrusted, loopback(), binaryHeader(proxyLocal, 0, ""), "self", ""},
		"a stranger, sent":       {ProxyProtocolTrusted, nil, header, "self", header},
		"a stranger, not sent":   {ProxyProtocolTrusted, nil, "hello", "self", "hello"},
		"required, sent":         {ProxyProtocolRequired, loopback(), header, "1 192.0.2.7:4711", ""},
		"required of a stranger": {ProxyProtocolRequired, nil, header, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Limits{}, func(config *Config) { config.ProxyProtocol, config.TrustedProxies = c.mode, c.trusted })
			conn := r.dial()
			if _, err := io.WriteString(conn, c.send+"behind\n"); err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "self" {
				want = "1 " + conn.LocalAddr().String()
			}
			if got := line(conn); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			if want == "" {
				eventually(t, "the refusal is counted", func() bool { return r.gate.Counts().Refused["proxy_protocol"] == 1 })
				return
			}
			got := make([]byte, len(c.echo)+len("behind\n"))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != c.echo+"behind\n" {
				t.Errorf("then came %q, %v", got, err)
			}
		})
	}
}

func TestAClientBehindAProxyHasItsCeiling(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{PerClient: 1}, func(config *Config) {
		config.ProxyProtocol, config.TrustedProxies = ProxyProtocolRequired, loopback()
	})
	send := func(client string) net.Conn {
		conn := r.dial()
		_, _ = io.WriteString(conn, "PROXY TCP4 "+client+" 198.51.100.2 4711 443\r\n")
		return conn
	}
	first, other := send("192.0.2.1"), send("192.0.2.2")
	if line(first) == "" || line(other) == "" {
		t.Fatal("a first connection is refused")
	}
	if line(send("192.0.2.1")) != "" {
		t.Error("a second one is served")
	}
	eventually(t, "the refusal is counted", func() bool { return r.gate.Counts().Refused["client"] == 1 })
	_ = first.Close()
	eventually(t, "the first ends", func() bool { return r.gate.Counts().Open == 1 })
	if line(send("192.0.2.1")) == "" {
		t.Error("there is room again, and it is refused")
	}
}

func TestALateProxyHeaderEndsTheConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{ProxyHeader: 20 * time.Millisecond}, func(config *Config) {
		config.ProxyProtocol, config.TrustedProxies = ProxyProtocolRequired, loopback()
	})
	conn := r.dial()
	_, _ = io.WriteString(conn, "PROXY TCP4 192.0.2.1")
	if got := line(conn); got != "" {
		t.Errorf("%q", got)
	}
}

// TestWithoutDescriptorsClientsLearnSo takes the process's descriptors away. It cannot run beside others.
func TestWithoutDescriptorsClientsLearnSo(t *testing.T) {
	r := newRig(t, Limits{}, nil)
	line(r.dial()) // the listener runs, with its spare descriptor
	conn := r.dial()
	line(conn)
	waiting := make([]int, 3)
	for i := range waiting {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		waiting[i] = fd
	}
	restore := useUpDescriptors(t)
	port := netip.MustParseAddrPort(r.address)
	for _, fd := range waiting {
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(port.Port()), Addr: port.Addr().As4()}); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the refusals are counted", func() bool { return r.gate.Counts().Refused["descriptors"] == 3 })
	restore()
	for _, fd := range waiting {
		_ = syscall.Close(fd)
	}
	if line(r.dial()) == "" {
		t.Error("there are descriptors again, and it is refused")
	}
}

// useUpDescriptors leaves the process none until restore.
func useUpDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	highest := 0
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("there is no /proc here")
	}
	highest = len(entries) + 2
	lowered := before
	lowered.Cur = uint64(highest)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	for {
		file, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		taken = append(taken, file)
	}
	return func() {
		for _, file := range taken {
			_ = file.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
}

func TestProxyProtocolHasThreeModes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ProxyProtocol{"off": ProxyProtocolOff, "trusted": ProxyProtocolTrusted, "required": ProxyProtocolRequired} {
		if got, err := ParseProxyProtocol(text); err != nil || got != want {
			t.Error(text, got, err)
		}
	}
	if _, err := ParseProxyProtocol("on"); err == nil || !strings.Contains(err.Error(), "on") {
		t.Error(err)
	}
}
