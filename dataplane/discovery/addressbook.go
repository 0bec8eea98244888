package discovery

import (
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

// errNoAddress says that name servers answered, and that there is nothing under a name.
var errNoAddress = errors.New("the name does not exist or has no such record")

// partialPause is the longest until what could not be asked for is asked for again, if the rest could.
const partialPause = 5 * time.Second

type question struct {
	name string
	kind uint16
}

// addressBook finds the addresses of names. It remembers them from round to round, so that of two questions about a name, for
// IPv4 and IPv6, the one that fails takes nothing away.
type addressBook struct {
	// Set once.
	servers *nameServers
	family  string

	// Guarded by mu: what was found in the last round and in this one.
	mu         sync.Mutex
	last, next map[question][]netip.Addr
}

// begin begins a round; what the last one did not ask for is forgotten.
func (b *addressBook) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.next = b.next, map[question][]netip.Addr{}
}

// keep takes over what was known, if a round failed as a whole.
func (b *addressBook) keep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for q, addresses := range b.last {
		if _, ok := b.next[q]; !ok {
			b.next[q] = addresses
		}
	}
}

// addresses are those of a whole name and how long they hold. With addresses an error says that a part of them could not be
// asked for and is remembered. Without, it is errNoAddress or what went wrong.
func (b *addressBook) addresses(ctx context.Context, name string) (found []netip.Addr, ttl time.Duration, err error) {
	kinds := map[string][]uint16{familyIPv4: {dns.TypeA}, familyIPv6: {dns.TypeAAAA}}[b.family]
	if kinds == nil {
		kinds = []uint16{dns.TypeA, dns.TypeAAAA}
	}
	type result struct {
		found []netip.Addr
		ttl   time.Duration
		err   error
	}
	results := make([]result, len(kinds))
	var group sync.WaitGroup
	for i, kind := range kinds {
		group.Go(func() { results[i].found, results[i].ttl, results[i].err = b.look(ctx, question{name, kind}) })
	}
	group.Wait()
	ttl = forever
	var failures []error
	for _, r := range results {
		found = append(found, r.found...)
		if r.err != nil {
			failures = append(failures, r.err)
		} else if len(r.found) > 0 {
			ttl = min(ttl, r.ttl)
		}
	}
	switch {
	case len(failures) > 0:
		return found, min(ttl, partialPause), errors.Join(failures...)
	case len(found) == 0:
		return nil, 0, fmt.Errorf("%s: %w", strings.TrimSuffix(name, "."), errNoAddress)
	}
	return found, ttl, nil
}

// isDenial tells whether an answer says of the end of the aliases in it that there is nothing (RFC 2308, section 2).
func isDenial(m *dns.Msg) bool {
	owns := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
	return m.Rcode == dns.RcodeNameError || slices.ContainsFunc(m.Ns, owns)
}

// look asks for one kind of address. With an error it returns what is remembered.
func (b *addressBook) look(ctx context.Context, q question) (found []netip.Addr, ttl time.Duration, err error) {
	found, ttl, err = b.askThrough(ctx, q)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		found = b.last[q]
	}
	b.next[q] = found
	return slices.Clone(found), ttl, err
}

// askThrough asks, and asks again for what a name is an alias of if the server did not do that itself.
func (b *addressBook) askThrough(ctx context.Context, q question) ([]netip.Addr, time.Duration, error) {
	shortest := forever
	for range longestChain {
		m, err := b.servers.ask(ctx, q.name, q.kind)
		if err != nil {
			return nil, 0, err
		}
		found, ttl, next := addressesIn(m, q.name)
		shortest = min(shortest, ttl)
		if next == "" || isDenial(m) {
			return found, shortest, nil
		}
		q.name = dns.Fqdn(next)
	}
	return nil, 0, fmt.Errorf("asking for %s: too many aliases", strings.TrimSuffix(q.name, "."))
}
