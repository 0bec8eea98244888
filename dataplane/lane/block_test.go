package lane

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func blockEntry(name, consumer string, addresses ...string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_BLOCK, Name: name, Material: &agentv1.LaneEntry_Block{
		Block: &agentv1.BlockMaterial{Addresses: addresses, Consumer: consumer},
	}}
}

func expectBlocked(t *testing.T, table *Table, want bool, addresses ...string) {
	t.Helper()
	for _, text := range addresses {
		if got := table.Blocked(netip.MustParseAddr(text)); got != want {
			t.Errorf("blocked(%s) = %t", text, got)
		}
	}
}

func TestBlockedAddresses(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	expectBlocked(t, l.Table, false, "192.0.2.7", "2001:db8::1")
	l.apply(blockEntry("a", "", "192.0.2.0/24", "203.0.113.9", "2001:db8::/32"), blockEntry("b", "", "192.0.2.0/24", "192.0.2.128/25"))
	expectBlocked(t, l.Table, true, "192.0.2.7", "::ffff:192.0.2.7", "203.0.113.9", "2001:db8::1", "2001:db8:ffff::")
	expectBlocked(t, l.Table, false, "192.0.3.0", "203.0.113.8", "2001:db9::")
	if l.Counts().Blocks != 2 {
		t.Errorf("%d blocks are held", l.Counts().Blocks)
	}

	// What another block holds too stays blocked, and a narrower range outlives a wider one.
	l.apply(gone(configv1.Kind_KIND_BLOCK, "a"))
	expectBlocked(t, l.Table, true, "192.0.2.7", "192.0.2.200")
	expectBlocked(t, l.Table, false, "203.0.113.9", "2001:db8::1")
	l.apply(blockEntry("b", "", "192.0.2.128/25"))
	expectBlocked(t, l.Table, false, "192.0.2.7")
	expectBlocked(t, l.Table, true, "192.0.2.200")
	l.apply(gone(configv1.Kind_KIND_BLOCK, "b"))
	expectBlocked(t, l.Table, false, "192.0.2.200")

	// An address that cannot be read costs itself only.
	var broken *EntryError
	if err := l.Apply(l.batch(blockEntry("c", "", "nonsense", "198.51.100.1"))); !errors.As(err, &broken) {
		t.Errorf("a block with nonsense: %v", err)
	}
	expectBlocked(t, l.Table, true, "198.51.100.1")
}

func TestBlockedConsumers(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	l.apply(consumer("acme", "", false), consumer("other", "", false))
	ended := 0
	before, _ := l.Consumer("acme")
	before.Revocation.OnEnd(func() { ended++ })
	l.apply(blockEntry("one", "acme"), blockEntry("two", "acme"), blockEntry("early", "later"))
	expectSuspended(t, l.Table, "acme", true)
	expectSuspended(t, l.Table, "other", false)
	if ended != 1 {
		t.Errorf("streams of the consumer were ended %d times", ended)
	}
	l.apply(gone(configv1.Kind_KIND_BLOCK, "one"))
	expectSuspended(t, l.Table, "acme", true)

	// A change of the consumer does not lift its block, and one that comes after its block is blocked from the beginning.
	l.apply(consumer("acme", "", false), consumer("later", "", false))
	expectSuspended(t, l.Table, "acme", true)
	expectSuspended(t, l.Table, "later", true)
	l.apply(gone(configv1.Kind_KIND_BLOCK, "two"))
	expectSuspended(t, l.Table, "acme", false)
	after, _ := l.Consumer("acme")
	after.Revocation.OnEnd(func() { t.Error("the right that was given back is ended") })()
}

func expectSuspended(t *testing.T, table *Table, name string, want bool) {
	t.Helper()
	found, ok := table.Consumer(name)
	if !ok || found.Blocked != want {
		t.Errorf("consumer %s: known %t, blocked %t", name, ok, ok && found.Blocked)
	}
}

func TestAResetReplacesBlocks(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	l.apply(consumer("acme", "", false), consumer("other", "", false), blockEntry("a", "", "192.0.2.0/24"), blockEntry("s", "acme"))
	told := 0
	l.OnBlocked(netip.MustParseAddr("198.51.100.1"), func() { told++ })
	other, _ := l.Consumer("other")
	other.Revocation.OnEnd(func() { told += 10 })
	batch := l.batch(consumer("acme", "", false), consumer("other", "", false), blockEntry("b", "", "198.51.100.0/24"), blockEntry("t", "other"))
	batch.Reset_ = true
	if err := l.Apply(batch); err != nil {
		t.Fatal(err)
	}
	expectBlocked(t, l.Table, false, "192.0.2.7")
	expectBlocked(t, l.Table, true, "198.51.100.1")
	expectSuspended(t, l.Table, "acme", false)
	expectSuspended(t, l.Table, "other", true)
	if told != 11 {
		t.Errorf("told %d", told)
	}
}

func TestWhoWaitsIsToldOfABlock(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	told := map[string]int{}
	wait := func(address string) (stop func()) {
		return l.OnBlocked(netip.MustParseAddr(address), func() { told[address]++ })
	}
	wait("192.0.2.7")
	wait("192.0.3.7")
	wait("192.0.2.8")()
	l.apply(blockEntry("a", "", "192.0.2.0/24"))
	l.apply(blockEntry("b", "", "192.0.2.0/25"))
	wait("192.0.2.9")
	if fmt.Sprint(told) != "map[192.0.2.7:1 192.0.2.9:1]" {
		t.Errorf("told: %v", told)
	}
}

// BenchmarkBlocked asks for an address that is not blocked, with so many ranges; and changes one among them.
func BenchmarkBlocked(b *testing.B) {
	for _, ranges := range []int{0, 1, 100_000} {
		table := New()
		batch := &agentv1.LaneBatch{Epoch: 1, Reset_: true, ThroughSequence: 1}
		var addresses []string
		for i := range ranges {
			addresses = append(addresses, fmt.Sprintf("%d.%d.%d.0/%d", 1+i%200, i/200%250, i/50_000, 24+i%9))
		}
		for i := 0; i < ranges; i += 1000 {
			batch.Entries = append(batch.Entries, blockEntry(fmt.Sprint(i), "", addresses[i:min(i+1000, ranges)]...))
		}
		b.Run(fmt.Sprintf("%d/load", ranges), func(b *testing.B) {
			for b.Loop() {
				if err := table.Apply(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/ask", ranges), func(b *testing.B) {
			b.ReportAllocs()
			clients := make([]netip.Addr, 1024)
			for i := range clients {
				clients[i] = netip.AddrFrom4([4]byte{byte(1 + i%220), byte(i * 7), byte(200 + i%50), byte(i)})
			}
			i := 0
			for b.Loop() {
				table.Blocked(clients[i&1023])
				i++
			}
		})
		b.Run(fmt.Sprintf("%d/change", ranges), func(b *testing.B) {
			b.ReportAllocs()
			sequence := int64(1)
			for b.Loop() {
				e := blockEntry("one", "", fmt.Sprintf("240.0.%d.%d", byte(sequence>>8), byte(sequence)))
				sequence++
				e.Sequence = sequence
				if err := table.Apply(&agentv1.LaneBatch{Epoch: 1, AfterSequence: sequence - 1, ThroughSequence: sequence, Entries: []*agentv1.LaneEntry{e}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
