package discovery

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestTheMachinesSettings(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.test b.test\noptions ndots:2 timeout:1 attempts:3\n")
	n := newNameServers("", &Environment{ResolvConf: path})
	settings, err := n.settings()
	if err != nil || !slices.Equal(settings.Servers, []string{"10.0.0.1:53", "[fd00::1]:53"}) || settings.Timeout != 1 || settings.Attempts != 3 {
		t.Errorf("the settings are %+v, %v", settings, err)
	}
	for name, want := range map[string][]string{
		"orders":           {"orders.a.test.", "orders.b.test.", "orders."},
		"orders.x":         {"orders.x.a.test.", "orders.x.b.test.", "orders.x."},
		"orders.shop.test": {"orders.shop.test.", "orders.shop.test.a.test.", "orders.shop.test.b.test."},
		"orders.":          {"orders."},
	} {
		if names, err := n.names(name); err != nil || !slices.Equal(names, want) {
			t.Errorf("%s stands for %v, %v, want %v", name, names, err, want)
		}
	}
	write("") // it is read anew
	if settings, err := n.settings(); err != nil || !slices.Equal(settings.Servers, []string{"127.0.0.1:53"}) {
		t.Errorf("without any, the settings are %+v, %v", settings, err)
	}
}

func TestANamedServerKnowsNoSearchDomains(t *testing.T) {
	t.Parallel()
	n := newNameServers("10.0.0.1:5353", &Environment{})
	if names, err := n.names("orders"); err != nil || !slices.Equal(names, []string{"orders."}) {
		t.Errorf("it stands for %v, %v", names, err)
	}
}

func TestAServerThatIsDownCostsItsTimeoutOnce(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	good, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: good, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(question, dns.RcodeNameError))
	})}
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { _ = server.ActivateAndServe() }()
	<-started
	defer func() { _ = server.Shutdown() }()
	servers := []string{silent.LocalAddr().String(), good.LocalAddr().String()}
	n := &nameServers{dial: new(net.Dialer).DialContext, settings: func() (*dns.ClientConfig, error) {
		return &dns.ClientConfig{Servers: servers, Timeout: 1, Attempts: 1}, nil
	}}
	for i, longest := range []time.Duration{5 * time.Second, 900 * time.Millisecond} {
		began := time.Now()
		answer, err := n.ask(t.Context(), "orders.test.", dns.TypeA)
		if err != nil || answer.Rcode != dns.RcodeNameError {
			t.Fatalf("answered %v, %v", answer, err)
		}
		if took := time.Since(began); took > longest {
			t.Errorf("question %d took %v", i+1, took)
		}
	}
}

func TestASearchDomainThatCannotBeAskedForEndsTheSearch(t *testing.T) {
	t.Parallel()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := make(chan bool, 1)
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		isBroken := <-broken
		broken <- isBroken
		switch {
		case question.Question[0].Name == "orders.b.test.":
			answer.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: "orders.b.test.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(10, 0, 0, 1),
			}}
		case isBroken:
			answer.Rcode = dns.RcodeServerFailure
		default:
			answer.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(answer)
	})}
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { _ = server.ActivateAndServe() }()
	<-started
	defer func() { _ = server.Shutdown() }()
	f := newDNSFollower(DNSConfig{Name: "orders", Port: 80, Family: familyIPv4}, &Environment{})
	f.book.servers.settings = func() (*dns.ClientConfig, error) {
		return &dns.ClientConfig{Servers: []string{packets.LocalAddr().String()}, Search: []string{"a.test", "b.test"}, Ndots: 1, Timeout: 1, Attempts: 1}, nil
	}
	broken <- false
	if found, _, err := f.look(t.Context()); len(found) != 1 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	<-broken
	broken <- true
	if found, _, err := f.look(t.Context()); len(found) != 0 || err == nil {
		t.Errorf("though the first cannot be asked for, found %v, %v", found, err)
	}
}
