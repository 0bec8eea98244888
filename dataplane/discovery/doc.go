// Package discovery finds out where the targets of a service are, and tells when they come and go: by DNS, from Consul, from
// Kubernetes or from a file. It knows nothing of those who send requests there, and nothing of the messages that configure it.
//
// A source that fails takes nothing away: what it found last stays until it finds something else.
package discovery
