package plugin

import "slices"

// Chain is the policies of one route, in the order in which they run. Who calls is known only after authentication, so
// policies that are bound to a consumer or a plan are chosen then. A chain is not changed after it was made.
type Chain struct {
	authentication []*Policy
	// fixed is all that follows if nothing is bound to callers.
	fixed []*Policy
	// choices, if something is: one for each type, in the order of phases.
	choices []Choice
}

// Plans are the plans of a snapshot by name, each with the policies that enforce it for a caller.
type Plans interface {
	Plan(name string) (policies []*Policy, ok bool)
}

// Choice is the policies of one type that a route may have to run.
type Choice struct {
	Phase Phase
	// Cumulative types run all that apply, others only the most specific.
	Cumulative bool
	// Places are the route, its service and the fleet, from the most specific; nil where nothing is bound.
	Places [3]*Bindings
}

// Bindings are the policies of one type at one place, by who they are for.
type Bindings struct {
	Everyone  []*Policy
	Consumers map[string][]*Policy
	Plans     map[string][]*Policy
}

// forCallers tells whether anything depends on who calls.
func (c *Choice) forCallers() bool {
	for _, at := range c.Places {
		if at != nil && len(at.Consumers)+len(at.Plans) > 0 {
			return true
		}
	}
	return false
}

// appendFor appends the policies that apply to the caller.
func (c *Choice) appendFor(policies []*Policy, caller *Caller) []*Policy {
	for _, at := range c.Places {
		if at == nil {
			continue
		}
		for _, found := range [...][]*Policy{at.Consumers[caller.Consumer], at.Plans[caller.Plan], at.Everyone} {
			if len(found) == 0 {
				continue
			}
			policies = append(policies, found...)
			if !c.Cumulative {
				return policies
			}
		}
	}
	return policies
}

// NewChain makes a chain of the choices of a route. Authentication cannot depend on the caller; what is bound to one is left
// out of it.
func NewChain(choices []Choice) *Chain {
	choices = slices.Clone(choices)
	slices.SortStableFunc(choices, func(a, b Choice) int { return int(a.Phase) - int(b.Phase) })
	c := &Chain{}
	nobody := &Caller{}
	dynamic := false
	for i := range choices {
		if choices[i].Phase == Authentication {
			c.authentication = choices[i].appendFor(c.authentication, nobody)
			continue
		}
		c.choices = append(c.choices, choices[i])
		dynamic = dynamic || choices[i].forCallers()
	}
	if dynamic {
		return c
	}
	for i := range c.choices {
		c.fixed = c.choices[i].appendFor(c.fixed, nobody)
	}
	// A plan's limits go before transformations, so the choices stay for callers that have a plan.
	return c
}

// Request runs the request phases until one refuses. The plans are those of the snapshot that decides the exchange.
func (c *Chain) Request(x *Exchange, plans Plans) Verdict {
	if v := c.Authenticate(x); v.Refused() {
		return v
	}
	return c.Proceed(x, plans)
}

// Authenticate runs the phase that finds out who calls.
func (c *Chain) Authenticate(x *Exchange) Verdict {
	for _, p := range c.authentication {
		x.policies = append(x.policies, p)
		if v := p.run(x); v.Refused() {
			return v
		}
	}
	return nil
}

// Proceed runs the phases after authentication, which a chain with the same authentication may have run.
func (c *Chain) Proceed(x *Exchange, plans Plans) Verdict {
	first := len(x.policies)
	planned, v := c.resolve(x, plans)
	if v.Refused() {
		return v
	}
	for i, p := range planned {
		if v := p.run(x); v.Refused() {
			for _, before := range planned[:i] {
				if before.refunder != nil {
					before.refunder.Refund(x)
				}
			}
			x.policies = x.policies[:first+i+1]
			return v
		}
	}
	return nil
}

// resolve appends to x.policies what follows authentication, and returns that part.
func (c *Chain) resolve(x *Exchange, plans Plans) ([]*Policy, Verdict) {
	first := len(x.policies)
	var plan []*Policy
	if x.Caller.Plan != "" {
		var ok bool
		if plan, ok = plans.Plan(x.Caller.Plan); !ok {
			return nil, Refuse(ReasonConsumerPending, "the plan of consumer "+x.Caller.Consumer+" is not in service yet")
		}
	}
	if len(plan) == 0 && (len(c.fixed) > 0 || len(c.choices) == 0) {
		x.policies = append(x.policies, c.fixed...)
		return x.policies[first:], nil
	}
	for i := range c.choices {
		if plan != nil && c.choices[i].Phase > Limit {
			x.policies = append(x.policies, plan...)
			plan = nil
		}
		x.policies = c.choices[i].appendFor(x.policies, &x.Caller)
	}
	x.policies = append(x.policies, plan...)
	return x.policies[first:], nil
}

// Decide says what the request phases would decide about a request that is only thought of. It counts nothing; the exchange is the
// caller's to throw away. Who calls is not asked if the exchange says so already.
func (c *Chain) Decide(x *Exchange, plans Plans) Verdict {
	if x.Caller.Consumer == "" {
		for _, p := range c.authentication {
			if v := p.peek(x); v.Refused() {
				return v
			}
		}
	}
	policies, v := c.resolve(x, plans)
	if v.Refused() {
		return v
	}
	for _, p := range policies {
		if v := p.peek(x); v.Refused() {
			return v
		}
	}
	return nil
}

// Response runs the response phases of the policies whose request phase ran, in reverse.
func (c *Chain) Response(x *Exchange) {
	for i := len(x.policies) - 1; i >= 0; i-- {
		if p := x.policies[i]; p.response != nil {
			p.response.OnResponse(x)
		}
	}
}
