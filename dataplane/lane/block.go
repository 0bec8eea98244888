package lane

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// blocks is who is refused. Readers take one atomic load; while nobody is blocked by address that is all they do.
type blocks struct {
	// ranges is nil while no address is blocked. It is never changed, only replaced; what a change does not touch is shared.
	ranges atomic.Pointer[bart.Lite]

	// What follows belongs to the writer.

	// byName is what each block holds.
	byName map[string]block
	// held is how many blocks hold a range, and suspended how many a consumer.
	held      map[netip.Prefix]int
	suspended map[string]int
	// moved says that ranges changed since whoever waits was told.
	moved bool
	// aside says that no reader has seen ranges yet, so that they may be changed where they lie.
	aside bool
}

type block struct {
	ranges   []netip.Prefix
	consumer string
}

func newBlocks() *blocks {
	return &blocks{byName: map[string]block{}, held: map[netip.Prefix]int{}, suspended: map[string]int{}}
}

// Blocked tells whether requests of an address are refused. It allocates nothing.
func (t *Table) Blocked(address netip.Addr) bool {
	ranges := t.content.Load().blocks.ranges.Load()
	return ranges != nil && ranges.Contains(address.Unmap())
}

// applyBlock writes a block. What it holds anew is blocked before what it held is let go, so that nobody slips through. An address
// that cannot be read is left out and reported: the others are blocked all the same.
func (c *content) applyBlock(e *agentv1.LaneEntry) error {
	b := c.blocks
	before, existed := b.byName[e.GetName()]
	var next block
	var err error
	if material := e.GetBlock(); material != nil && !e.GetDeleted() {
		next.consumer = material.GetConsumer()
		next.ranges, err = readRanges(material.GetAddresses())
		b.byName[e.GetName()] = next
	} else {
		delete(b.byName, e.GetName())
		err = missingMaterial(e)
	}
	b.hold(next.ranges)
	c.suspend(next.consumer, 1)
	if existed {
		b.letGo(before.ranges)
		c.suspend(before.consumer, -1)
	}
	return err
}

func readRanges(texts []string) (ranges []netip.Prefix, err error) {
	for _, text := range texts {
		one, problem := netip.ParsePrefix(text)
		if problem != nil {
			var address netip.Addr
			if address, problem = netip.ParseAddr(text); problem == nil {
				address = address.Unmap()
				one = netip.PrefixFrom(address, address.BitLen())
			}
		}
		if problem != nil {
			err = fmt.Errorf("the address %q of a block: %w", text, problem)
			continue
		}
		ranges = append(ranges, one.Masked())
	}
	return ranges, err
}

// hold blocks the ranges. A change copies the few nodes of the tree on its way, since readers may be in them.
func (b *blocks) hold(ranges []netip.Prefix) {
	tree := b.ranges.Load()
	for _, one := range ranges {
		b.held[one]++
		if b.held[one] > 1 {
			continue
		}
		if tree == nil {
			tree = new(bart.Lite)
		}
		b.moved = true
		if b.aside {
			tree.Insert(one)
		} else {
			tree = tree.InsertPersist(one)
		}
	}
	b.ranges.Store(tree)
}

func (b *blocks) letGo(ranges []netip.Prefix) {
	tree := b.ranges.Load()
	for _, one := range ranges {
		if b.held[one]--; b.held[one] > 0 {
			continue
		}
		delete(b.held, one)
		if b.aside {
			tree.Delete(one)
		} else {
			tree = tree.DeletePersist(one)
		}
	}
	if len(b.held) == 0 {
		tree = nil
	}
	b.ranges.Store(tree)
}

// suspend counts one block more or less of a consumer, and lets the consumer know if that decides anything.
func (c *content) suspend(name string, by int) {
	if name == "" {
		return
	}
	b := c.blocks
	was := b.suspended[name] > 0
	if b.suspended[name] += by; b.suspended[name] == 0 {
		delete(b.suspended, name)
	}
	is := b.suspended[name] > 0
	old, known := c.consumers.get(name)
	if was == is || !known {
		return
	}
	next := *old
	next.Blocked = is
	if !is {
		next.Revocation = &Revocation{}
		if next.Disabled {
			next.Revocation.end()
		}
	}
	c.consumers.set(name, &next)
	if is {
		next.Revocation.end()
	}
}
