package upstream

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tidegate.dev/dataplane/discovery"
)

// nameServer answers for one name, over UDP, until told that it is down.
type nameServer struct {
	address string

	mu        sync.Mutex
	addresses []string
	down      bool
	asked     int
}

func newNameServer(t *testing.T, addresses ...string) *nameServer {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{address: conn.LocalAddr().String(), addresses: addresses}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(s.answer)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return s
}

func (s *nameServer) answer(w dns.ResponseWriter, question *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	answer := new(dns.Msg)
	answer.SetReply(question)
	if s.down {
		answer.Rcode = dns.RcodeServerFailure
	}
	for _, address := range s.addresses {
		if !s.down && question.Question[0].Qtype == dns.TypeA {
			answer.Answer = append(answer.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: question.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(address),
			})
		}
	}
	_ = w.WriteMsg(answer)
}

// says changes what it answers, and returns how often it was asked until then.
func (s *nameServer) says(down bool, addresses ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.addresses = down, addresses
	return s.asked
}

func (s *nameServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func found(server *nameServer) Config {
	return Config{Name: "s", Discovery: DiscoveryConfig{
		Path: "/v1/",
		Source: discovery.Config{Kind: discovery.KindDNS, DNS: discovery.DNSConfig{
			Name: "orders.example.com", Port: 8080, Family: "ipv4", Resolver: server.address,
			MinRefresh: 50 * time.Millisecond, MaxRefresh: 50 * time.Millisecond,
		}},
	}}
}

func hosts(s *Service) string {
	var out []string
	for _, t := range s.Targets() {
		out = append(out, strings.TrimSuffix(t.Host(), ":8080"))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestTargetsThatADirectoryKnows(t *testing.T) {
	t.Parallel()
	server := newNameServer(t)
	r := NewRegistry(Environment{})
	t.Cleanup(r.Close)
	s := acquire(t, r, found(server))
	if target := s.Pick(Choice{Now: time.Now()}); target != nil {
		t.Error("a target from nowhere:", target.Host())
	}
	server.says(false, "192.0.2.1", "192.0.2.2")
	eventually(t, "the first answer", func() bool { return hosts(s) == "192.0.2.1 192.0.2.2" })
	first := s.Targets()[0]
	if first.Scheme() != "http" || first.Prefix() != "/v1" || first.Authority() != "orders.example.com:8080" || first.Host() != "192.0.2.1:8080" {
		t.Error(first.Scheme(), first.Prefix(), first.Authority(), first.Host())
	}
	s.judge(1, first, FailureConnect, r.clock.now())

	server.says(false, "192.0.2.3", "192.0.2.1")
	eventually(t, "another answer", func() bool { return hosts(s) == "192.0.2.1 192.0.2.3" })
	if s.Targets()[0] != first || s.at(1, time.Now(), nil) == first {
		t.Error("what stays was forgotten")
	}
	r.mu.Lock()
	if len(r.targets) != 2 || len(r.watches) != 1 {
		t.Errorf("%d targets and %d sources are kept", len(r.targets), len(r.watches))
	}
	r.mu.Unlock()

	for _, down := range []bool{true, false} {
		before := server.says(down)
		eventually(t, "it is asked again", func() bool { return server.count() > before+2 })
		if hosts(s) != "192.0.2.1 192.0.2.3" {
			t.Errorf("with the server down: %v, the targets are %q", down, hosts(s))
		}
	}

	// Another revision has them at once.
	config := found(server)
	config.ConnectTimeout = time.Second
	if next := acquire(t, r, config); hosts(next) != "192.0.2.1 192.0.2.3" || next.Targets()[0] != first {
		t.Errorf("a changed service has %q", hosts(next))
	}
}

func TestTheFirstAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	t.Cleanup(r.Close)
	r.AwaitTargets(time.Minute) // for nothing
	server := newNameServer(t, "192.0.2.1")
	s := acquire(t, r, found(server))
	r.AwaitTargets(time.Minute)
	if hosts(s) != "192.0.2.1" {
		t.Errorf("the targets are %q", hosts(s))
	}
	// One that never answers is waited for once, and not long.
	silent := newNameServer(t)
	config := found(silent)
	config.Name = "silent"
	acquire(t, r, config)
	const firstAnswer = time.Second
	began := time.Now()
	r.AwaitTargets(firstAnswer)
	if took := time.Since(began); took < firstAnswer/2 || took > 2*firstAnswer {
		t.Errorf("it waited for %v", took)
	}
	began = time.Now()
	r.AwaitTargets(firstAnswer)
	if took := time.Since(began); took > firstAnswer/2 {
		t.Errorf("then it waited for %v", took)
	}
}

func TestADirectoryThatSaysThatThereIsNobodyIsBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	say := func(list string) {
		if err := os.WriteFile(filepath.Join(dir, "new"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "s.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	say("[{address: '192.0.2.1:80'}]")
	r := NewRegistry(Environment{Discovery: discovery.Environment{FilesDir: dir}})
	t.Cleanup(r.Close)
	s := acquire(t, r, Config{Name: "s", Discovery: DiscoveryConfig{Source: discovery.Config{
		Kind: discovery.KindFile, File: discovery.FileConfig{Path: "s.yaml"},
	}}})
	eventually(t, "the first target", func() bool { return hosts(s) == "192.0.2.1:80" })
	last := s.Targets()[0]
	say("[]")
	eventually(t, "no target", func() bool { return hosts(s) == "" })
	s.judge(1, last, FailureConnect, r.clock.now()) // an exchange that was under way
	if target := s.Pick(Choice{Now: time.Now()}); target != nil {
		t.Error("a target from nowhere:", target.Host())
	}
	r.mu.Lock()
	if len(r.targets) != 0 {
		t.Error(len(r.targets), "targets are kept")
	}
	r.mu.Unlock()
	say("[{address: '192.0.2.2:80'}]")
	eventually(t, "another target", func() bool { return hosts(s) == "192.0.2.2:80" })
}

func TestADirectoryIsAskedAsLongAsSomebodyWantsToKnow(t *testing.T) {
	t.Parallel()
	server := newNameServer(t, "192.0.2.1")
	r := NewRegistry(Environment{})
	var services []*Service
	for i := range 3 {
		config := found(server)
		config.Name = string(rune('a' + i))
		s, err := r.Acquire(config)
		if err != nil {
			t.Fatal(err)
		}
		services = append(services, s)
	}
	for _, s := range services {
		eventually(t, "an answer", func() bool { return hosts(s) == "192.0.2.1" })
	}
	r.mu.Lock()
	if len(r.watches) != 1 {
		t.Error(len(r.watches), "sources")
	}
	r.mu.Unlock()
	for _, s := range services {
		s.Release()
	}
	// Without anybody to know it ends by itself.
	r.running.Wait()
	if len(r.watches) != 0 || len(r.targets) != 0 || len(r.states) != 0 {
		t.Error("something is kept:", len(r.watches), len(r.targets), len(r.states))
	}
}

func TestADirectoryIsAskedOnlyWhereUpstreamsMayBe(t *testing.T) {
	t.Parallel()
	server := newNameServer(t, "192.0.2.1")
	board := discovery.NewBoard()
	r := NewRegistry(Environment{
		Refused: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Discovery: discovery.Environment{Board: board},
	})
	t.Cleanup(r.Close)
	s := acquire(t, r, found(server))
	eventually(t, "a refusal", func() bool {
		statuses := board.Statuses()
		return len(statuses) == 1 && strings.Contains(statuses[0].LastError, "refused")
	})
	if server.count() != 0 || hosts(s) != "" {
		t.Error("it was asked")
	}
}

func TestASourceThatCannotBeIsNamed(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*Config){
		"discovery.dns.port": func(c *Config) { c.Discovery.Source.DNS.Port = 0 },
		"discovery.scheme":   func(c *Config) { c.Protocol = HTTP2 },
		"discovery.magic":    func(c *Config) { c.Discovery.Source.Kind = "magic" },
	} {
		config := found(&nameServer{address: "127.0.0.1:1"})
		change(&config)
		r := NewRegistry(Environment{})
		var wrong *FieldError
		if _, err := r.Acquire(config); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%v, want an error of %s", err, field)
		}
		if len(r.watches)+len(r.targets)+len(r.states)+len(r.services) != 0 {
			t.Error("what was refused holds something")
		}
	}
}

func TestNewcomersStartSlowly(t *testing.T) {
	t.Parallel()
	server := newNameServer(t, "192.0.2.1")
	r := NewRegistry(Environment{})
	t.Cleanup(r.Close)
	config := found(server)
	config.SlowStart = time.Hour
	s := acquire(t, r, config)
	eventually(t, "an answer", func() bool { return hosts(s) != "" })
	server.says(false, "192.0.2.1", "192.0.2.2")
	eventually(t, "another", func() bool { return hosts(s) == "192.0.2.1 192.0.2.2" })
	counts := picks(s, 1, time.Now(), 10_000)
	if n := counts[s.Targets()[1]]; n < 300 || n > 1_000 {
		t.Errorf("the newcomer has %d of 10000 requests, want a tenth of half of them", n)
	}
}
