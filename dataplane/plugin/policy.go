package plugin

import "sync/atomic"

// Phase orders policies within an exchange. The order is fixed by type.
type Phase uint8

// The phases, in their order.
const (
	// Authentication finds out who calls.
	Authentication Phase = 1 + iota
	// Authorization decides whether this caller may do this.
	Authorization
	// Limit decides how much.
	Limit
	// Transformation changes what the upstream and the client see.
	Transformation
)

// RequestHandler takes part before the request goes upstream. It may change the exchange.
type RequestHandler interface {
	OnRequest(x *Exchange) Verdict
}

// ResponseHandler takes part before the response goes to the client, in the reverse order of the requests. It may change
// x.Response. It is called only if the policy's request phase ran, for answers that the gateway makes too.
type ResponseHandler interface {
	OnResponse(x *Exchange)
}

// Judge decides as OnRequest would and leaves the exchange as it is. A policy needs it to run in shadow.
type Judge interface {
	Judge(x *Exchange) Verdict
}

// Peeker decides as OnRequest would and counts nothing, for requests that are only thought of.
type Peeker interface {
	Peek(x *Exchange) Verdict
}

// Refunder takes back what OnRequest counted, because a later policy refused the request.
type Refunder interface {
	Refund(x *Exchange)
}

// Policy is one plugin, ready to run.
type Policy struct {
	// Name is the name of the plugin's resource.
	Name  string
	Type  string
	Phase Phase
	// Shadow means: decide and count, change nothing.
	Shadow bool

	request  RequestHandler
	response ResponseHandler
	judge    Judge
	refunder Refunder
	peeker   Peeker
	// judged counts what a shadow policy would have done, by reason; index 0 counts what it would have let pass.
	judged [reasonCount]atomic.Uint64
}

// NewPolicy finds out, once, which phases the instance takes part in.
func NewPolicy(name, typeName string, phase Phase, shadow bool, instance any) *Policy {
	p := &Policy{Name: name, Type: typeName, Phase: phase, Shadow: shadow}
	if shadow {
		p.judge, _ = instance.(Judge)
		return p
	}
	p.request, _ = instance.(RequestHandler)
	p.response, _ = instance.(ResponseHandler)
	p.refunder, _ = instance.(Refunder)
	p.peeker, _ = instance.(Peeker)
	return p
}

func (p *Policy) run(x *Exchange) Verdict {
	switch {
	case p.judge != nil:
		p.judged[p.judgement(x)].Add(1)
	case p.request != nil:
		return p.request.OnRequest(x)
	}
	return nil
}

// judgement is what a policy in shadow would have done. One that panics would have failed the request, and in shadow must not.
func (p *Policy) judgement(x *Exchange) (reason Reason) {
	defer func() {
		if recover() != nil {
			reason = ReasonInternal
		}
	}()
	return p.judge.Judge(x).Why()
}

// peek decides about a request that is only thought of. What transforms decides nothing.
func (p *Policy) peek(x *Exchange) Verdict {
	switch {
	case p.peeker != nil:
		return p.peeker.Peek(x)
	case p.request != nil && p.Phase < Limit:
		return p.request.OnRequest(x)
	}
	return nil
}

// Judged tells how often a policy in shadow would have answered with the reason, ReasonNone for letting pass.
func (p *Policy) Judged(reason Reason) uint64 { return p.judged[reason].Load() }
