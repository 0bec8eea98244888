package upstream

import (
	"cmp"
	"time"
)

// Window keeps failures apart that must not influence each other: what one user of a service makes of a target does not
// change what another sees.
type Window uint8

// Windows is how many windows there are.
const Windows = 3

// Target is one destination of a service: its connections, and what is known of how its requests go. It lives as long as any
// set of targets holds it, whatever else about the service changes.
type Target struct {
	// Set once.
	key       targetKey
	transport *transport
	// slots are the connections that may be in use, or of HTTP/2 the streams; nil if they are not bounded.
	slots chan struct{}

	// Atomic.
	windows [Windows]targetWindow

	// holders is guarded by the registry's mu.
	holders int
}

// targetKey is what targets are told apart by: where they are, and the settings that shape their connections.
type targetKey struct {
	service string
	scheme  string
	host    string
	prefix  string
	// authority is what the target is called, if that is not its host.
	authority   string
	protocol    Protocol
	tls         TLSConfig
	maxIdle     int
	maxOpen     int
	idleTimeout time.Duration
}

// targetWindow is what one window knows of a target.
type targetWindow struct {
	outlier outlierWindow
	load    load
}

// Scheme is http or https.
func (t *Target) Scheme() string { return t.key.scheme }

// Host is the target's authority: its host, and its port if it was given.
func (t *Target) Host() string { return t.key.host }

// Authority is what the target calls itself: its host, unless that is an address of a name.
func (t *Target) Authority() string { return cmp.Or(t.key.authority, t.key.host) }

// Prefix is the path that goes in front of a request's path; empty or with a slash at its beginning and none at its end.
func (t *Target) Prefix() string { return t.key.prefix }

// address is what consistent hashing tells targets apart by.
func (k targetKey) address() string { return k.host + k.prefix }
