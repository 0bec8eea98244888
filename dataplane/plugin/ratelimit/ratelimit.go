// Package ratelimit is the policy that refuses requests over a limit. Usage is counted by this agent alone, and outlives
// revisions: settings are arguments of each decision.
package ratelimit

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"tidegate.dev/dataplane/plugin"
)

// By says whose requests are counted together.
type By string

// The ways to count. Requests that have no consumer or key are counted by address.
const (
	ByConsumer By = "consumer"
	ByKey      By = "key"
	ByAddress  By = "address"
	ByScope    By = "scope"
)

// Settings are one limit.
type Settings struct {
	// Name is shown in the RateLimit fields.
	Name     string
	Requests uint32
	Period   time.Duration
	// Burst is how many requests may come at once; 0 means Requests.
	Burst uint32
	By    By
}

// Policy is a limit.
type Policy struct {
	usages *plugin.Usages
	rate   plugin.Rate
	by     By
	// item is the name as a structured field's string, policy the item of RateLimit-Policy.
	item, policy string
}

// New makes the policy. It counts in usages, which the caller holds as long as the policy is used.
func New(settings Settings, usages *plugin.Usages) *Policy {
	p := &Policy{
		usages: usages,
		rate:   plugin.RateOf(settings.Requests, settings.Period, settings.Burst),
		by:     settings.By,
		item:   `"` + settings.Name + `"`,
	}
	p.policy = p.item + ";q=" + strconv.FormatUint(uint64(settings.Requests), 10)
	// The field has whole seconds only.
	if settings.Period%time.Second == 0 {
		p.policy += ";w=" + strconv.FormatInt(int64(settings.Period/time.Second), 10)
	}
	return p
}

// OnRequest counts the request, or refuses it.
func (p *Policy) OnRequest(x *plugin.Exchange) plugin.Verdict {
	d := p.usages.Take(p.subject(x), p.rate, x.Started)
	x.Limits.Add(p.item, p.policy, d.Remaining, seconds(d.Whole), float64(d.Remaining)/p.rate.Burst)
	return p.verdict(d)
}

// Judge decides as OnRequest would. It counts the request, since usage is the policy's own and decisions need it.
func (p *Policy) Judge(x *plugin.Exchange) plugin.Verdict {
	return p.verdict(p.usages.Take(p.subject(x), p.rate, x.Started))
}

// Peek decides as OnRequest would, and counts nothing.
func (p *Policy) Peek(x *plugin.Exchange) plugin.Verdict {
	return p.verdict(p.usages.Peek(p.subject(x), p.rate, x.Started))
}

// Refund takes the request back out of the count.
func (p *Policy) Refund(x *plugin.Exchange) { p.usages.Refund(p.subject(x)) }

func (p *Policy) verdict(d plugin.Decision) plugin.Verdict {
	if d.Allowed {
		return plugin.Continue()
	}
	wait := max(1, seconds(d.Wait))
	return &plugin.Refusal{
		Reason:     plugin.ReasonRateLimited,
		RetryAfter: int(wait),
		Detail:     fmt.Sprintf("limit %s is used up; try again in %d s", p.item, wait),
	}
}

func (p *Policy) subject(x *plugin.Exchange) plugin.Subject {
	switch {
	case p.by == ByScope:
		return plugin.Subject{}
	case p.by == ByConsumer && x.Caller.Consumer != "":
		return plugin.Subject{Name: x.Caller.Consumer}
	case p.by == ByKey && x.Caller.Key != "":
		return plugin.Subject{Name: x.Caller.Key}
	}
	return plugin.Subject{Address: network(x.Client)}
}

// network is the address, or of IPv6 the /64 that one host usually has to itself.
func network(address netip.Addr) netip.Addr {
	if address.Is6() && !address.Is4In6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return address.Unmap()
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
