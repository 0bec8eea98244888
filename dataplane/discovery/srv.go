package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// mostHosts is how many hosts of SRV records are asked for, hostsAtOnce at the same time.
	mostHosts   = 256
	hostsAtOnce = 8
)

// srvFollower asks for SRV records (RFC 2782) and for the addresses of the hosts in them.
type srvFollower struct {
	config DNSConfig
	book   *addressBook
}

func newSRVFollower(c DNSConfig, e *Environment) *srvFollower {
	c = c.withDefaults()
	c.Family = familyBoth
	return &srvFollower{config: c, book: newAddressBook(c, e)}
}

func (f *srvFollower) follow(ctx context.Context, r *report) error {
	for {
		targets, ttl, problem := f.look(ctx)
		if len(targets) == 0 || ctx.Err() != nil {
			return problem
		}
		r.found(targets, problem)
		if !sleep(ctx, f.config.refresh(ttl)) {
			return nil
		}
	}
}

func (f *srvFollower) look(ctx context.Context) ([]Target, time.Duration, error) {
	f.book.begin()
	targets, ttl, err := f.lookByPriority(ctx)
	if len(targets) == 0 {
		f.book.keep()
	}
	return targets, ttl, err
}

// lookByPriority takes the lowest priority of which a host has an address. Hosts that cannot be asked for are not the same as
// hosts without one: then nothing of a higher number is taken.
func (f *srvFollower) lookByPriority(ctx context.Context) ([]Target, time.Duration, error) {
	records, ttl, err := f.records(ctx)
	if err != nil {
		return nil, 0, err
	}
	for len(records) > 0 {
		end := slices.IndexFunc(records, func(srv *dns.SRV) bool { return srv.Priority != records[0].Priority })
		if end < 0 {
			end = len(records)
		}
		hosts, hold, err := f.hosts(ctx, records[:end])
		if targets := share(hosts); len(targets) > 0 || err != nil {
			return targets, min(ttl, hold), err
		}
		records = records[end:]
	}
	return nil, 0, fmt.Errorf("%s: %w", f.config.Name, errNoAddress)
}

func (f *srvFollower) records(ctx context.Context) ([]*dns.SRV, time.Duration, error) {
	name, shortest := dns.Fqdn(f.config.Name), forever
	for range longestChain {
		m, err := f.book.servers.ask(ctx, name, dns.TypeSRV)
		if err != nil {
			return nil, 0, err
		}
		found, ttl, next := servicesIn(m, name)
		shortest = min(shortest, ttl)
		if next == "" || isDenial(m) {
			return found, shortest, nil
		}
		name = dns.Fqdn(next)
	}
	return nil, 0, fmt.Errorf("asking for %s: too many aliases", f.config.Name)
}

// srvHost is what one record stands for.
type srvHost struct {
	port      uint16
	weight    uint16
	addresses []netip.Addr
}

// hosts finds the addresses of the hosts of some records. An error says that some could not be asked for.
func (f *srvFollower) hosts(ctx context.Context, records []*dns.SRV) (hosts []srvHost, ttl time.Duration, err error) {
	type result struct {
		addresses []netip.Addr
		ttl       time.Duration
		err       error
	}
	names := map[string]*result{}
	for _, srv := range records {
		names[strings.ToLower(srv.Target)] = &result{}
	}
	turns := make(chan struct{}, hostsAtOnce)
	var group sync.WaitGroup
	for name, r := range names {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			r.addresses, r.ttl, r.err = f.book.addresses(ctx, dns.Fqdn(name))
		})
	}
	group.Wait()
	ttl = forever
	var failures []error
	for _, r := range names {
		if r.err != nil && !errors.Is(r.err, errNoAddress) {
			failures = append(failures, r.err)
		} else if r.err == nil {
			ttl = min(ttl, r.ttl)
		}
	}
	for _, srv := range records {
		if r := names[strings.ToLower(srv.Target)]; len(r.addresses) > 0 {
			hosts = append(hosts, srvHost{srv.Port, srv.Weight, r.addresses})
		}
	}
	if len(failures) > 0 {
		return hosts, min(ttl, partialPause), fmt.Errorf("%d of %d hosts cannot be asked for, such as: %w", len(failures), len(names), failures[0])
	}
	return hosts, ttl, nil
}

// finer makes weights finer where hosts have several addresses, between which a host's share is split, or where some have the
// weight 0, which beside others means a very small share. With it the greatest weight, 65535, is still in range.
const finer = 12

// share makes targets of hosts so that each host has its share, whatever number of addresses it has.
func share(hosts []srvHost) (targets []Target) {
	scale := uint32(1)
	weightless := 0
	for _, h := range hosts {
		if h.weight == 0 {
			weightless++
		}
		if len(h.addresses) != len(hosts[0].addresses) {
			scale = finer
		}
	}
	if weightless == len(hosts) {
		weightless = 0
	} else if weightless > 0 {
		scale = finer
	}
	for _, h := range hosts {
		weight := uint32(cmp.Or(h.weight, 1)) * scale
		if h.weight == 0 && weightless > 0 {
			weight = 1
		}
		if scale == finer {
			weight = max(1, (weight+uint32(len(h.addresses))/2)/uint32(len(h.addresses)))
		}
		for _, address := range h.addresses {
			targets = append(targets, Target{Address: netip.AddrPortFrom(address, h.port).String(), Weight: weight})
		}
	}
	return targets
}
