package upstream

// Window keeps failures apart that must not influence each other: what one user of a service makes of a target does not
// change what another sees.
type Window uint8

// Windows is how many windows there are.
const Windows = 3

// Target is one destination of a service.
type Target struct {
	// Set once.
	scheme string
	host   string
	prefix string
	weight uint32
	// prober is nil if nobody asks how the target is.
	prober *prober

	// Atomic.
	windows [Windows]outlierWindow
}

// Scheme is http or https.
func (t *Target) Scheme() string { return t.scheme }

// Host is the target's authority: its host, and its port if it was given.
func (t *Target) Host() string { return t.host }

// Prefix is the path that goes in front of a request's path; empty or with a slash at its beginning and none at its end.
func (t *Target) Prefix() string { return t.prefix }
