package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/http1"
)

func targets(weights ...uint32) []TargetConfig {
	var out []TargetConfig
	for i, w := range weights {
		out = append(out, TargetConfig{URL: fmt.Sprintf("http://target%d", i), Weight: w})
	}
	return out
}

func acquire(t testing.TB, r *Registry, c Config) *Service {
	t.Helper()
	s, err := r.Acquire(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Release)
	return s
}

func TestTargetsShareByWeight(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cases := map[string]struct {
		weights []uint32
		first   string
	}{
		"equal":        {[]uint32{0, 1, 1}, "012012"},
		"smooth":       {[]uint32{5, 1, 1}, "0010200"},
		"common parts": {[]uint32{100, 200}, "101101"},
		"one":          {[]uint32{7}, "000"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(c.weights...)})
			var got strings.Builder
			for range len(c.first) {
				got.WriteString(strings.TrimPrefix(s.at(1, now, nil).Host(), "target"))
			}
			if got.String() != c.first {
				t.Errorf("%s, want %s", got.String(), c.first)
			}
		})
	}
	t.Run("huge weights", func(t *testing.T) {
		t.Parallel()
		s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1_000_000, 999_983, 1)})
		counts := map[*Target]int{}
		for range 100_000 {
			counts[s.at(1, now, nil)]++
		}
		for i, want := range []int{50_000, 50_000, 0} {
			if got := counts[s.Targets()[i]]; got < want-200 || got > want+200 {
				t.Errorf("target %d was picked %d times", i, got)
			}
		}
	})
}

func TestAFailingTargetIsSkippedForAWhile(t *testing.T) {
	t.Parallel()
	s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1, 1, 1)})
	bad, now := s.Targets()[1], time.Now()
	picked := func(window Window, at time.Time) (n int) {
		for range 30 {
			if s.at(window, at, nil) == bad {
				n++
			}
		}
		return n
	}
	fail := func(target *Target, at time.Time) {
		s.judge(1, target, FailureConnect, s.registry.clock.at(at))
	}
	// Those that were under way when it failed do not count again.
	for range 100 {
		fail(bad, now)
	}
	if picked(1, now) != 0 || picked(2, now) != 10 {
		t.Error("the failure is not seen, or is seen in another window")
	}
	now = now.Add(time.Second)
	if picked(1, now) != 1 {
		t.Error("it is not tried by one request")
	}
	fail(bad, now)
	if picked(1, now.Add(time.Second)) != 0 || picked(1, now.Add(2*time.Second)) != 1 {
		t.Error("the second failure does not count for twice as long")
	}
	for range 100 {
		now = now.Add(30 * time.Second)
		if picked(1, now) != 1 {
			t.Fatal("it is not tried any more")
		}
		fail(bad, now)
	}
	s.judge(1, bad, FailureNone, s.registry.clock.at(now))
	if picked(1, now) != 10 {
		t.Error("success is not noticed")
	}
	for _, target := range s.Targets() {
		fail(target, now)
	}
	if s.at(1, now, nil) == nil {
		t.Error("with all failing, none is tried")
	}
	if s.at(2, now, bad) == bad {
		t.Error("the target to avoid was picked")
	}
}

func TestServicesOutliveThoseWhoUseThem(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	config := Config{Name: "s", Targets: targets(1)}
	first, second := acquire(t, r, config), acquire(t, r, config)
	if first != second {
		t.Error("equal settings make two services")
	}
	for name, change := range map[string]func(*Config){
		"name":    func(c *Config) { c.Name = "other" },
		"weight":  func(c *Config) { c.Targets = targets(2) },
		"connect": func(c *Config) { c.ConnectTimeout = time.Second },
		"TLS":     func(c *Config) { c.TLS.ServerName = "x" },
	} {
		other := config
		change(&other)
		if acquire(t, r, other) == first {
			t.Error("another", name, "shares the service")
		}
	}
	again, err := r.Acquire(Config{Name: "brief", Targets: targets(1)})
	if err != nil {
		t.Fatal(err)
	}
	before := r.Len()
	again.Release()
	if r.Len() != before-1 {
		t.Error("a service that nobody holds is kept")
	}
}

func TestWhatIsNoService(t *testing.T) {
	t.Parallel()
	one := func(url string) []TargetConfig { return []TargetConfig{{URL: url}} }
	for field, c := range map[string]Config{
		"targets":        {},
		"targets[0].url": {Targets: one("ftp://x")},
		"targets[1].url": {Targets: append(one("http://x"), one("http://x?y")...)},
		"tls.ca_pem":     {Targets: one("https://x"), TLS: TLSConfig{CA: "nonsense"}},
	} {
		var wrong *FieldError
		if _, err := NewRegistry(Environment{}).Acquire(c); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%+v: %v, want an error of %s", c, err, field)
		}
	}
	for url, protocol := range map[string]Protocol{"http://x": HTTP2, "https://x": HTTP2Cleartext, "http://user@x": HTTP1, "http://": HTTP1, "://": HTTP1} {
		if _, err := NewRegistry(Environment{}).Acquire(Config{Targets: one(url), Protocol: protocol}); err == nil {
			t.Error(protocol, url, "is taken")
		}
	}
}

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	d := NewRegistry(Environment{
		Refused: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, Allowed: []netip.Prefix{netip.MustParsePrefix("10.9.9.0/24")},
	}).dialer
	for address, refused := range map[string]bool{
		"127.0.0.1:80": false, "10.0.0.1:80": false, "169.254.169.254:80": true, "[fe80::1%eth0]:80": true, "[::ffff:169.254.169.254]:80": true,
		"[fd00:ec2::254]:80": true, "168.63.129.16:80": true, "0.0.0.0:80": true, "[::]:80": true, "10.9.0.1:80": true, "10.9.9.1:80": false,
		"nonsense": true,
	} {
		if err := d.check("tcp", address, nil); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
	s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: []TargetConfig{{URL: "http://169.254.169.254"}}})
	failure := s.RoundTrip(s.Targets()[0], call("/latest"), new(Response))
	var dial *DialError
	if failure == nil || !errors.Is(failure, ErrRefusedAddress) || !errors.As(failure, &dial) || dial.Timeout() {
		t.Error(failure)
	}
}

func call(target string) *http1.Call {
	return &http1.Call{Method: "GET", Target: target, Host: "a.example", Header: new(http1.Header)}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	says := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	clear := httptest.NewUnstartedServer(says)
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetHTTP1(true)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	t.Cleanup(clear.Close)
	secure := httptest.NewUnstartedServer(says)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	old := httptest.NewTLSServer(says)
	t.Cleanup(old.Close)
	for name, c := range map[string]struct {
		url      string
		protocol Protocol
		want     string
	}{
		"clear text":        {clear.URL, Automatic, "HTTP/1.1"},
		"h2c":               {clear.URL, HTTP2Cleartext, "HTTP/2.0"},
		"TLS":               {secure.URL, Automatic, "HTTP/2.0"},
		"TLS and HTTP/1.1":  {secure.URL, HTTP1, "HTTP/1.1"},
		"TLS and HTTP/2":    {secure.URL, HTTP2, "HTTP/2.0"},
		"HTTP/1.1 in clear": {clear.URL, HTTP1, "HTTP/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acquire(t, NewRegistry(Environment{}), Config{
				Name: "s", Targets: []TargetConfig{{URL: c.url}}, Protocol: c.protocol, TLS: TLSConfig{InsecureSkipVerify: true},
			})
			for range 2 {
				var response Response
				failure := s.RoundTrip(s.Targets()[0], call("/"), &response)
				if failure != nil {
					t.Fatal(failure)
				}
				if body, err := io.ReadAll(&response); err != nil || string(body) != c.want {
					t.Errorf("%s, %v, want %s", body, err, c.want)
				}
				response.Release()
			}
		})
	}
	t.Run("a certificate that is not trusted", func(t *testing.T) {
		t.Parallel()
		s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: []TargetConfig{{URL: secure.URL}}})
		var response Response
		if s.RoundTrip(s.Targets()[0], call("/"), &response) == nil {
			response.Release()
			t.Error("is trusted")
		}
	})
}

func TestConnectTimeoutCoversTLS(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	url := "https://" + silent.Addr().String()
	s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: []TargetConfig{{URL: url}}, ConnectTimeout: time.Minute})
	hasty := call("/")
	hasty.ConnectTimeout = 50 * time.Millisecond
	failure := s.RoundTrip(s.Targets()[0], hasty, new(Response))
	var dial *DialError
	if failure == nil || !errors.As(failure, &dial) || !dial.Timeout() {
		t.Error(failure)
	}
}
