package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	systemResolvConf = "/etc/resolv.conf"
	// questionTimeout bounds one try with a name server that configuration names; /etc/resolv.conf has its own.
	questionTimeout = 2 * time.Second
	// longestTimeout and mostAttempts bound what /etc/resolv.conf may ask for.
	longestTimeout = 5 * time.Second
	mostAttempts   = 5
	mostServers    = 8
	// udpSize is what a name server may send in one datagram: what passes everywhere (dnsflagday.net/2020).
	udpSize = 1232
	// mostStrays is how many datagrams that answer no question of ours are read past.
	mostStrays = 32
)

// nameServers asks name servers, one after the other, until one answers. It may be used by several goroutines.
type nameServers struct {
	// Set once. The settings are read anew each time: they change when a machine moves to another network.
	settings func() (*dns.ClientConfig, error)
	dial     DialFunc

	// preferred is the one that answered last.
	preferred atomic.Pointer[string]
}

func newNameServers(resolver string, e *Environment) *nameServers {
	if resolver != "" {
		// As it is named, so without search domains.
		settings := &dns.ClientConfig{Servers: []string{resolver}, Timeout: int(questionTimeout.Seconds()), Attempts: 2}
		return &nameServers{dial: e.Dial, settings: func() (*dns.ClientConfig, error) { return settings, nil }}
	}
	return &nameServers{
		// The operator of the machine chose these, and in some clouds they have link-local addresses.
		dial:     new(net.Dialer).DialContext,
		settings: func() (*dns.ClientConfig, error) { return machineSettings(cmp.Or(e.ResolvConf, systemResolvConf)) },
	}
}

func machineSettings(path string) (*dns.ClientConfig, error) {
	settings, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("looking for the machine's name servers: %w", err)
	}
	if len(settings.Servers) == 0 { // as resolv.conf(5) has it
		settings.Servers = []string{"127.0.0.1"}
	}
	settings.Servers = settings.Servers[:min(len(settings.Servers), mostServers)]
	for i, server := range settings.Servers {
		settings.Servers[i] = net.JoinHostPort(server, settings.Port)
	}
	return settings, nil
}

// names are those that a name may stand for, in the order in which they are tried: with the machine's search domains if the
// machine's name servers are asked.
func (n *nameServers) names(name string) ([]string, error) {
	settings, err := n.settings()
	if err != nil {
		return nil, err
	}
	return settings.NameList(name), nil
}

// ask returns an answer that is one: the name exists or does not. Whatever else happened is an error.
func (n *nameServers) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	settings, err := n.settings()
	if err != nil {
		return nil, err
	}
	timeout := min(time.Duration(settings.Timeout)*time.Second, longestTimeout)
	var failures []error
	for range min(max(1, settings.Attempts), mostAttempts) {
		for _, server := range n.order(settings.Servers) {
			answer, err := n.askOne(ctx, server, name, kind, timeout)
			if err == nil {
				n.preferred.Store(&server)
				return answer, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failures = append(failures, fmt.Errorf("name server %s: %w", server, err))
		}
	}
	// The last round says it all.
	return nil, fmt.Errorf("asking for %s %s: %w", strings.TrimSuffix(name, "."), dns.TypeToString[kind],
		errors.Join(failures[max(0, len(failures)-len(settings.Servers)):]...))
}

// order puts the server first that answered last, so that one that is down costs its timeout once.
func (n *nameServers) order(servers []string) []string {
	preferred := n.preferred.Load()
	if preferred == nil {
		return servers
	}
	i := slices.Index(servers, *preferred)
	if i < 1 {
		return servers
	}
	return slices.Concat(servers[i:], servers[:i])
}

// askOne asks one server: over UDP, over TCP if the answer does not fit, and without EDNS if it knows none.
func (n *nameServers) askOne(ctx context.Context, server, name string, kind uint16, timeout time.Duration) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.SetEdns0(udpSize, false)
	answer, err := n.exchange(ctx, "udp", server, question, timeout)
	if err == nil && (answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented || answer.Rcode == dns.RcodeBadVers) {
		question = new(dns.Msg).SetQuestion(name, kind)
		answer, err = n.exchange(ctx, "udp", server, question, timeout)
	}
	if err == nil && answer.Truncated {
		question.Id = dns.Id()
		answer, err = n.exchange(ctx, "tcp", server, question, timeout)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("it answers %s", dns.RcodeToString[answer.Rcode])
	case answer.Truncated:
		return nil, errors.New("its answer is cut off")
	case isReferral(answer):
		return nil, errors.New("it refers to others instead of asking them")
	}
	return answer, nil
}

// isReferral tells whether a server says who may know instead of what is (RFC 2308, section 2.2.2).
func isReferral(m *dns.Msg) bool {
	names := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS }
	owns := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
	return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 && !m.Authoritative && slices.ContainsFunc(m.Ns, names) && !slices.ContainsFunc(m.Ns, owns)
}

// exchange sends a question from a port of its own and reads until its answer comes.
func (n *nameServers) exchange(ctx context.Context, network, server string, question *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	plain, err := n.dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: plain, UDPSize: udpSize}
	defer func() { _ = conn.Close() }() // nothing is left to be lost
	// An end of ctx ends the reading, too.
	defer context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.WriteMsg(question); err != nil {
		return nil, fmt.Errorf("sending the question: %w", err)
	}
	var stray error
	for range mostStrays {
		answer, err := conn.ReadMsg()
		if err == nil {
			err = answers(answer, question)
		}
		if err == nil {
			return answer, nil
		}
		var netError net.Error
		if network != "udp" || errors.As(err, &netError) {
			return nil, cmp.Or(stray, fmt.Errorf("reading the answer: %w", err))
		}
		// Somebody else's, or forged: the answer may still come.
		stray = err
	}
	return nil, stray
}

// answers tells whether a message is the answer to a question (RFC 5452, section 9.1).
func answers(m, question *dns.Msg) error {
	switch {
	case m.Id != question.Id:
		return errors.New("the answer has another id than the question")
	case !m.Response || m.Opcode != dns.OpcodeQuery:
		return errors.New("what came is no answer")
	case len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return nil // a server that could not read the question may leave it out
	case len(m.Question) != 1 || m.Question[0].Qtype != question.Question[0].Qtype || m.Question[0].Qclass != question.Question[0].Qclass ||
		!strings.EqualFold(m.Question[0].Name, question.Question[0].Name):
		return errors.New("the answer is to another question")
	}
	return nil
}
