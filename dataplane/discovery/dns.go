package discovery

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"
)

// dnsFollower asks for the addresses of a name.
type dnsFollower struct {
	config DNSConfig
	book   *addressBook
}

func newDNSFollower(c DNSConfig, e *Environment) *dnsFollower {
	c = c.withDefaults()
	return &dnsFollower{config: c, book: newAddressBook(c, e)}
}

func newAddressBook(c DNSConfig, e *Environment) *addressBook {
	return &addressBook{servers: newNameServers(c.Resolver, e), family: c.Family}
}

func (f *dnsFollower) follow(ctx context.Context, r *report) error {
	for {
		addresses, ttl, problem := f.look(ctx)
		if len(addresses) == 0 || ctx.Err() != nil {
			return problem
		}
		targets := make([]Target, 0, len(addresses))
		for _, address := range addresses {
			targets = append(targets, Target{Address: netip.AddrPortFrom(address, f.config.Port).String(), Weight: 1})
		}
		r.found(targets, problem)
		if !sleep(ctx, f.config.refresh(ttl)) {
			return nil
		}
	}
}

// look asks for the first of the names that has an address. One that cannot be asked for ends the search, lest another name's
// addresses be taken for its.
func (f *dnsFollower) look(ctx context.Context) ([]netip.Addr, time.Duration, error) {
	names, err := f.book.servers.names(f.config.Name)
	if err != nil {
		return nil, 0, err
	}
	f.book.begin()
	for _, name := range names {
		var found []netip.Addr
		var ttl time.Duration
		found, ttl, err = f.book.addresses(ctx, name)
		if len(found) > 0 {
			return found, ttl, err
		}
		if !errors.Is(err, errNoAddress) {
			break
		}
	}
	f.book.keep()
	return nil, 0, err
}

// refresh is the pause until the next question: the time to live within bounds, and up to a tenth more, so that agents that
// began together do not ask together.
func (c DNSConfig) refresh(ttl time.Duration) time.Duration {
	pause := min(max(ttl, c.MinRefresh), c.MaxRefresh)
	return pause + rand.N(pause/10+1)
}

// backoff bounds the pauses after failures as configuration bounds those between questions.
func (c DNSConfig) backoff() backoff {
	c = c.withDefaults()
	return backoff{shortest: c.MinRefresh, longest: max(c.MinRefresh, min(c.MaxRefresh, longestPause))}
}
