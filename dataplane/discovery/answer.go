package discovery

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// longestChain is how many aliases are followed from a name.
const longestChain = 16

// forever is the time to live of an answer that names none.
const forever = time.Duration(math.MaxUint32) * time.Second

// canonical follows the aliases (CNAME) in an answer from a name to where they end, and gives the shortest time to live on the
// way. It is false if there are too many, which a circle has.
func canonical(records []dns.RR, name string) (end string, ttl time.Duration, ok bool) {
	end, ttl = name, forever
	for range longestChain {
		alias := aliasOf(records, end)
		if alias == nil {
			return end, ttl, true
		}
		end, ttl = alias.Target, min(ttl, timeToLive(alias))
	}
	return "", 0, false
}

func aliasOf(records []dns.RR, name string) *dns.CNAME {
	for _, rr := range records {
		if alias, ok := rr.(*dns.CNAME); ok && strings.EqualFold(alias.Hdr.Name, name) {
			return alias
		}
	}
	return nil
}

// timeToLive is a record's; one with the first bit set is 0 (RFC 2181, section 8).
func timeToLive(rr dns.RR) time.Duration {
	if rr.Header().Ttl > math.MaxInt32 {
		return 0
	}
	return time.Duration(rr.Header().Ttl) * time.Second
}

// addressesIn reads the addresses of a name out of an answer, sorted, and how long they hold. Records that belong to another
// name do not count. If the name is an alias of one that the answer says nothing of, that one is returned as next.
func addressesIn(m *dns.Msg, name string) (found []netip.Addr, ttl time.Duration, next string) {
	end, ttl, ok := canonical(m.Answer, name)
	if !ok {
		return nil, 0, ""
	}
	for _, rr := range m.Answer {
		if !strings.EqualFold(rr.Header().Name, end) {
			continue
		}
		var address netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			address, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			address, _ = netip.AddrFromSlice(rr.AAAA)
		default:
			continue
		}
		if address = address.Unmap(); usable(address) {
			found, ttl = append(found, address), min(ttl, timeToLive(rr))
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	if found = slices.Compact(found); len(found) > 0 {
		return found[:min(len(found), MaxTargets)], ttl, ""
	}
	if !strings.EqualFold(end, name) {
		return nil, ttl, end
	}
	return nil, ttl, ""
}

// servicesIn reads the SRV records of a name out of an answer, by priority, and how long they hold. The target "." says that
// there is none (RFC 2782), and such records are left out. For next see [addressesIn].
func servicesIn(m *dns.Msg, name string) (found []*dns.SRV, ttl time.Duration, next string) {
	end, ttl, ok := canonical(m.Answer, name)
	if !ok {
		return nil, 0, ""
	}
	for _, rr := range m.Answer {
		srv, ok := rr.(*dns.SRV)
		if !ok || !strings.EqualFold(srv.Hdr.Name, end) {
			continue
		}
		ttl = min(ttl, timeToLive(srv))
		if srv.Port != 0 && isHostName(srv.Target) {
			found = append(found, srv)
		}
	}
	slices.SortFunc(found, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(strings.ToLower(a.Target), strings.ToLower(b.Target)),
			cmp.Compare(a.Port, b.Port), cmp.Compare(b.Weight, a.Weight))
	})
	found = slices.CompactFunc(found, func(a, b *dns.SRV) bool {
		return a.Priority == b.Priority && a.Port == b.Port && strings.EqualFold(a.Target, b.Target)
	})
	if len(found) == 0 && !strings.EqualFold(end, name) {
		return nil, ttl, end
	}
	return found[:min(len(found), mostHosts)], ttl, ""
}
