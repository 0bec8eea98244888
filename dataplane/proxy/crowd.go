package proxy

import (
	"weak"

	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/plugin"
)

// crowded tells whether the process serves as many exchanges as it may. They are counted anyway, in the generations that they
// began in, until their responses stream.
func (x *exchange) crowded() plugin.Verdict {
	crowd := x.proxy.crowd
	if crowd == nil || crowd.Admit(x.route.Criticality, x.generation.shards[x.shard].running.Load(), x.proxy.exchanges) {
		return plugin.Continue()
	}
	return overloaded("the agent serves as many requests as it may")
}

// exchanges is how many are served at present, by whichever generation.
func (p *Proxy) exchanges() (sum int64) {
	if current := p.current.Load(); current != nil {
		sum = current.running()
	}
	if former := p.former.Load(); former != nil {
		for _, held := range *former {
			if g := held.Value(); g != nil {
				sum += g.running()
			}
		}
	}
	return sum
}

// remember keeps a generation that was replaced in sight, as long as exchanges hold it. The caller holds installing.
func (p *Proxy) remember(before *generation) {
	kept := []weak.Pointer[generation]{weak.Make(before)}
	if former := p.former.Load(); former != nil {
		for _, held := range *former {
			if g := held.Value(); g != nil && g.running() > 0 {
				kept = append(kept, held)
			}
		}
	}
	p.former.Store(&kept)
}

// newCrowd makes the bound of a proxy.
func newCrowd(most int) *overload.Crowd { return overload.NewCrowd(most, generationShards) }
