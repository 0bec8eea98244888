package identity

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoFailsTooOftenWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, guesser, neighbour := newGuard(time.Now), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		for i := range freeFailures {
			if wait := g.retryAfter(guesser); wait != 0 {
				t.Fatalf("attempt %d must be let through, has to wait %s", i, wait)
			}
			g.failed(guesser)
		}
		if wait := g.retryAfter(guesser); wait <= 0 || wait > refillEvery {
			t.Errorf("after %d failures: wait = %s", freeFailures, wait)
		}
		if wait := g.retryAfter(neighbour); wait != 0 {
			t.Errorf("another address must not wait: %s", wait)
		}
		<-time.After(refillEvery) // the bubble's clock, not ours
		if wait := g.retryAfter(guesser); wait != 0 {
			t.Errorf("after %s one more try: wait = %s", refillEvery, wait)
		}
	})
}

func TestAnIPv6SourceIsItsNetwork(t *testing.T) {
	t.Parallel()
	g := newGuard(time.Now)
	for i := range freeFailures {
		g.failed(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)))
	}
	if g.retryAfter(netip.MustParseAddr("2001:db8::ffff")) == 0 {
		t.Error("the same /64 must wait")
	}
	if g.retryAfter(netip.MustParseAddr("2001:db8:1::1")) != 0 {
		t.Error("another /64 must not")
	}
}

func TestTheGuardsMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := newGuard(time.Now)
	for i := range 2 * maxSources {
		g.failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(g.sources) != maxSources || g.oldest.Len() != maxSources {
		t.Errorf("%d sources, %d in the list, want %d", len(g.sources), g.oldest.Len(), maxSources)
	}
	r := newRecent(4)
	for i := range 9 {
		r.add([]byte{byte(i)})
	}
	if len(r.hashes) != 4 || !r.has([]byte{8}) || r.has([]byte{0}) {
		t.Errorf("the newest four must stay: %d", len(r.hashes))
	}
}

func TestSecretsHaveTheirShape(t *testing.T) {
	t.Parallel()
	first, second := newSecret(), newSecret()
	if first == second || !looksLikeSecret(first) || !looksLikeToken(tokenPrefix+second) {
		t.Errorf("%q, %q", first, second)
	}
	for _, bad := range []string{"", "tga_", "tga_short", "tgx_" + first, tokenPrefix + first[1:] + "!", first} {
		if looksLikeToken(bad) {
			t.Errorf("%q is no token", bad)
		}
	}
}
