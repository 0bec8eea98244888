package snapshot

import (
	"time"

	"tidegate.dev/dataplane/upstream"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Mirror is where copies of a share of a route's requests go.
type Mirror struct {
	Service string
	// Upstream is held by the snapshot.
	Upstream     *upstream.Service
	HostOfTarget bool
	// Timeout bounds a copy as a whole.
	Timeout time.Duration

	share share
}

// Throw decides whether one request is copied.
func (m *Mirror) Throw() bool { return m.share.throw() }

// mirror makes the mirror of a route; nil for none.
func (c *compilation) mirror(name string, spec *configv1.Mirror) *Mirror {
	if spec == nil {
		return nil
	}
	target, ok := c.next.services[spec.GetService()]
	if !ok {
		c.fail("routes/"+name, "mirror.service", CodeReference, "there is no service %q", spec.GetService())
		return nil
	}
	timeouts := target.value.timeouts
	timeout := timeouts.ResponseHeader
	if timeouts.Total > 0 {
		timeout = min(timeout, timeouts.Total)
	}
	return &Mirror{
		Service: spec.GetService(), Upstream: target.value.upstream, HostOfTarget: target.value.hostOfTarget,
		Timeout: timeout, share: percent(spec.Percent),
	}
}
