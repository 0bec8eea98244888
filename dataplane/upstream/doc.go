// Package upstream is the way to the servers behind the gateway: services with their targets, where those come from, the choice
// of a target, the connections kept open, and what keeps failures apart from what works: health checks, ejection, breakers,
// budgets.
//
// State belongs to what it is about, not to a configuration: a [Registry] keeps what is known of a service by its name, and of a
// target by its address and the settings that shape its connections, as long as any [Service] uses them. Of each there are
// several windows, so that what a candidate does changes nothing for stable. The package knows nothing of routes, policies or
// the requests' meaning.
package upstream
