package upstream

import (
	"sync/atomic"
	"time"
)

// zoneState is whether the agent's own zone has enough usable targets, as it was seen a moment ago.
type zoneState struct {
	looked       atomic.Int64
	enoughUsable atomic.Bool
}

// zoneLook is how long what was seen counts.
const zoneLook = 50 * time.Millisecond

func (z *zoneState) enough(s *Service, set *set, c choice) bool {
	looked := z.looked.Load()
	if looked != 0 && c.now-looked < int64(zoneLook) || !z.looked.CompareAndSwap(looked, c.now) {
		return z.enoughUsable.Load()
	}
	usable := 0
	for _, i := range set.local {
		if set.members[i].looksUsable(c.window, c.now) {
			usable++
		}
	}
	enough := usable > 0 && usable*100 >= len(set.local)*s.config.Balancing.MinUsablePercent
	z.enoughUsable.Store(enough)
	return enough
}
