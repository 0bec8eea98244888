package discovery_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tidegate.dev/dataplane/discovery"
)

// nameServer is a real name server, over UDP and TCP on one port. What it answers can be changed at any time.
type nameServer struct {
	address string
	udp     *dns.Server
	tcp     *dns.Server

	// Guarded by mu.
	mu      sync.Mutex
	records map[string][]dns.RR // by "name TYPE"
	refusal int                 // answers this to everything
	odd     func(w dns.ResponseWriter, question *dns.Msg) bool
	edns    bool // fails questions with EDNS

	// Atomic.
	questions atomic.Int64
	overTCP   atomic.Int64
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{records: map[string][]dns.RR{}}
	for s.udp == nil {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err != nil { // the port is somebody's for UDP
			_ = listener.Close()
			continue
		}
		s.address = listener.Addr().String()
		s.udp, s.tcp = &dns.Server{PacketConn: packets, Handler: s}, &dns.Server{Listener: listener, Handler: s}
	}
	for _, server := range []*dns.Server{s.udp, s.tcp} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
	}
	t.Cleanup(s.stop)
	return s
}

func (s *nameServer) stop() {
	_ = s.udp.Shutdown()
	_ = s.tcp.Shutdown()
}

// set replaces the records of a name and type: "orders.test. 1 IN A 10.0.0.1".
func (s *nameServer) set(t *testing.T, key string, records ...string) {
	t.Helper()
	var parsed []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key] = parsed
}

// refuse lets every question be answered with this code; 0 ends it.
func (s *nameServer) refuse(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = code
}

func (s *nameServer) beOdd(odd func(dns.ResponseWriter, *dns.Msg) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = odd
}

// ServeDNS answers.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	s.questions.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.odd != nil && s.odd(w, question) {
		return
	}
	_, tcp := w.LocalAddr().(*net.TCPAddr)
	if tcp {
		s.overTCP.Add(1)
	}
	answer := new(dns.Msg).SetReply(question)
	q := question.Question[0]
	switch {
	case s.refusal != 0:
		answer.Rcode = s.refusal
	case s.edns && question.IsEdns0() != nil:
		answer = new(dns.Msg).SetRcodeFormatError(question)
	default:
		found := s.records[strings.ToLower(q.Name)+" "+dns.TypeToString[q.Qtype]]
		answer.Answer = found
		if found == nil {
			answer.Rcode = dns.RcodeNameError
		}
		if !tcp {
			size := dns.MinMsgSize
			if edns := question.IsEdns0(); edns != nil {
				size = int(edns.UDPSize())
			}
			answer.Truncate(size)
		}
	}
	_ = w.WriteMsg(answer)
}

// dnsConfig asks a name server often.
func dnsConfig(s *nameServer, name string) discovery.Config {
	return discovery.Config{Kind: discovery.KindDNS, DNS: discovery.DNSConfig{
		Name: name, Port: 80, Resolver: s.address, MinRefresh: 50 * time.Millisecond, MaxRefresh: 200 * time.Millisecond,
	}}
}

func TestAddressesComeAndGoWithTheirTimeToLive(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 0 IN A 10.0.0.2", "orders.test. 0 IN A 10.0.0.1")
	s.set(t, "orders.test. AAAA", "orders.test. 0 IN AAAA fd00::1")
	r := run(t, dnsConfig(s, "orders.test"), environment())
	r.want(t, targets("10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80")...)
	s.set(t, "orders.test. A", "orders.test. 0 IN A 10.0.0.2", "orders.test. 0 IN A 10.0.0.3")
	// The two kinds are asked for apart, but told together.
	r.want(t, targets("10.0.0.2:80", "10.0.0.3:80", "[fd00::1]:80")...)
	s.set(t, "orders.test. AAAA")
	r.want(t, targets("10.0.0.2:80", "10.0.0.3:80")...)
}

func TestTheTimeToLiveIsHonoured(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "short.test. A", "short.test. 1 IN A 10.0.0.1")
	c := dnsConfig(s, "short.test")
	c.DNS.Family, c.DNS.MaxRefresh = "ipv4", time.Minute
	began := time.Now()
	r := run(t, c, environment())
	r.want(t, targets("10.0.0.1:80")...)
	s.set(t, "short.test. A", "short.test. 1 IN A 10.0.0.2")
	r.want(t, targets("10.0.0.2:80")...)
	if took, asked := time.Since(began), s.questions.Load(); took < 900*time.Millisecond || asked != 2 {
		t.Errorf("after %v it was asked %d times", took, asked)
	}
}

func TestWhatNameServersSayWhenTheyFailTakesNothingAway(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 0 IN A 10.0.0.1")
	s.set(t, "orders.test. AAAA")
	r := run(t, dnsConfig(s, "orders.test"), environment())
	r.want(t, targets("10.0.0.1:80")...)
	for _, code := range []int{dns.RcodeNameError, dns.RcodeServerFailure, dns.RcodeRefused} {
		s.refuse(code)
		if status := r.failing(t, 1); status.Targets != 1 || status.LastError == "" || status.LastSuccess.IsZero() {
			t.Errorf("with %s the status is %+v", dns.RcodeToString[code], status)
		}
	}
	s.set(t, "orders.test. A") // there, but without addresses
	s.refuse(0)
	r.failing(t, 2)
	r.none(t)
	if len(r.log.lines) != 1 {
		t.Errorf("it warned %d times in one time of trouble", len(r.log.lines))
	}
	s.set(t, "orders.test. A", "orders.test. 0 IN A 10.0.0.9")
	r.want(t, targets("10.0.0.9:80")...)
	r.until(t, "no error", func(s discovery.Status) bool { return s.LastError == "" })
	s.stop()
	r.failing(t, 1)
	r.none(t)
}

func TestOneFamilyThatCannotBeAskedForStays(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 0 IN A 10.0.0.1")
	s.set(t, "orders.test. AAAA", "orders.test. 0 IN AAAA fd00::1")
	r := run(t, dnsConfig(s, "orders.test"), environment())
	r.want(t, targets("10.0.0.1:80", "[fd00::1]:80")...)
	s.beOdd(func(w dns.ResponseWriter, question *dns.Msg) bool {
		if question.Question[0].Qtype != dns.TypeAAAA {
			return false
		}
		_ = w.WriteMsg(new(dns.Msg).SetRcode(question, dns.RcodeServerFailure))
		return true
	})
	r.until(t, "an error", func(s discovery.Status) bool { return strings.Contains(s.LastError, "AAAA") })
	s.set(t, "orders.test. A", "orders.test. 0 IN A 10.0.0.2")
	r.want(t, targets("10.0.0.2:80", "[fd00::1]:80")...)
}

func TestAliasesAreFollowed(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	// The first part of the chain comes with the answer, the second is for us to ask for.
	s.set(t, "a.test. A", "a.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME c.test.", "other.test. 60 IN A 10.6.6.6")
	s.set(t, "c.test. A", "c.test. 60 IN A 10.0.0.1")
	s.set(t, "circle.test. A", "circle.test. 60 IN CNAME circle.test.")
	c := dnsConfig(s, "a.test")
	c.DNS.Family = "ipv4"
	run(t, c, environment()).want(t, targets("10.0.0.1:80")...)
	c.DNS.Name = "circle.test"
	run(t, c, environment()).failing(t, 1)
}

func TestAnAnswerThatDoesNotFitIsAskedForOverTCP(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	var records []string
	var want []discovery.Target
	for i := range 200 {
		records = append(records, fmt.Sprintf("many.test. 60 IN A 10.0.0.%d", i+1))
		want = append(want, discovery.Target{Address: fmt.Sprintf("10.0.0.%d:80", i+1), Weight: 1})
	}
	s.set(t, "many.test. A", records...)
	c := dnsConfig(s, "many.test")
	c.DNS.Family = "ipv4"
	r := run(t, c, environment())
	select {
	case got := <-r.updates:
		if len(got) != len(want) {
			t.Errorf("found %d targets", len(got))
		}
	case <-time.After(10 * time.Second):
		t.Fatal("found nothing")
	}
	if s.overTCP.Load() == 0 {
		t.Error("it was not asked over TCP")
	}
}

func TestMoreAddressesThanAServiceMayHaveAreLeftOut(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	var records []string
	for i := range discovery.MaxTargets + 500 {
		records = append(records, fmt.Sprintf("many.test. 60 IN A 10.0.%d.%d", i/250, i%250+1))
	}
	s.set(t, "many.test. A", records...)
	c := dnsConfig(s, "many.test")
	c.DNS.Family = "ipv4"
	if got := <-run(t, c, environment()).updates; len(got) != discovery.MaxTargets {
		t.Errorf("found %d targets", len(got))
	}
}

func TestAServerWithoutEDNSIsUnderstood(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.edns = true
	s.set(t, "orders.test. A", "orders.test. 60 IN A 10.0.0.1")
	c := dnsConfig(s, "orders.test")
	c.DNS.Family = "ipv4"
	run(t, c, environment()).want(t, targets("10.0.0.1:80")...)
}

func TestForgedAnswersAreReadPast(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 60 IN A 10.0.0.1")
	s.beOdd(func(w dns.ResponseWriter, question *dns.Msg) bool {
		forge := func(how func(*dns.Msg)) {
			m := new(dns.Msg).SetReply(question)
			rr, _ := dns.NewRR("orders.test. 60 IN A 10.6.6.6")
			m.Answer = []dns.RR{rr}
			how(m)
			_ = w.WriteMsg(m)
		}
		forge(func(m *dns.Msg) { m.Id++ })
		forge(func(m *dns.Msg) { m.Question[0].Name = "else.test." })
		forge(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })
		forge(func(m *dns.Msg) { m.Response = false })
		forge(func(m *dns.Msg) { m.Question = nil })
		_, _ = w.Write([]byte("no message"))
		return false
	})
	c := dnsConfig(s, "orders.test")
	c.DNS.Family = "ipv4"
	run(t, c, environment()).want(t, targets("10.0.0.1:80")...)
}

func TestServiceRecords(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	const name = "_http._tcp.orders.test"
	s.set(t, name+". SRV",
		name+". 0 IN SRV 10 60 8080 one.test.", name+". 0 IN SRV 10 20 8081 two.test.", name+". 0 IN SRV 20 5 9090 spare.test.",
		name+". 0 IN SRV 0 5 9090 gone.test.")
	s.set(t, "one.test. A", "one.test. 0 IN A 10.0.0.1")
	s.set(t, "two.test. A", "two.test. 0 IN A 10.0.0.2", "two.test. 0 IN A 10.0.0.3")
	s.set(t, "spare.test. A", "spare.test. 0 IN A 10.0.0.9")
	c := dnsConfig(s, name)
	c.Kind = discovery.KindDNSSRV
	r := run(t, c, environment())
	// The lowest number has no host with an address, the next has; a host's share is split between its addresses.
	r.want(t, discovery.Target{Address: "10.0.0.1:8080", Weight: 720},
		discovery.Target{Address: "10.0.0.2:8081", Weight: 120}, discovery.Target{Address: "10.0.0.3:8081", Weight: 120})
	s.set(t, name+". SRV", name+". 0 IN SRV 10 60 8080 one.test.", name+". 0 IN SRV 20 5 9090 spare.test.")
	r.want(t, discovery.Target{Address: "10.0.0.1:8080", Weight: 60})
	// A host that cannot be asked for is not a host without addresses.
	s.beOdd(func(w dns.ResponseWriter, question *dns.Msg) bool {
		if question.Question[0].Name != "one.test." {
			return false
		}
		_ = w.WriteMsg(new(dns.Msg).SetRcode(question, dns.RcodeServerFailure))
		return true
	})
	r.failing(t, 2)
	r.none(t)
	s.beOdd(nil)
	s.set(t, "one.test. A")
	r.want(t, discovery.Target{Address: "10.0.0.9:9090", Weight: 5})
	s.set(t, name+". SRV", name+". 0 IN SRV 0 0 0 .")
	r.failing(t, 2)
	r.none(t)
}

func TestConfiguredNameServersAreReachedOnlyWhereTheyMayBe(t *testing.T) {
	t.Parallel()
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 60 IN A 10.0.0.1")
	e := environment()
	e.Dial = refuse
	r := run(t, dnsConfig(s, "orders.test"), e)
	if status := r.failing(t, 1); !strings.Contains(status.LastError, "refused") {
		t.Errorf("the error is %q", status.LastError)
	}
	r.none(t)
	if s.questions.Load() > 0 {
		t.Error("the name server was asked")
	}
}
