// Package upstream is the way to the servers behind the gateway: services with their targets, the choice of a target, the
// pools of connections kept open, and which targets are skipped because they failed.
//
// This state belongs to a service, not to a configuration: a [Registry] hands out the same [Service] as long as its name and
// the settings that shape it stay the same. The package knows nothing of routes, policies or the requests' meaning.
package upstream
