// Package proxy serves clients: it listens, and takes each exchange its way: choose the snapshot, match, run the policies,
// pick a target, forward, answer, record.
//
// On that way there is one load of the current installation, and nothing of configuration is interpreted. The package knows
// neither the control plane nor the messages it sends. HTTP is spoken by net/http so far; what knows that is in this package
// alone, the policies, the router and the upstreams do not.
package proxy
