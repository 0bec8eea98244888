package proxy

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

// stickyCoin throws a candidate's coin once for a unit. Its arms are those of requests that bring one; others have a coin each, and
// the arms of the generation.
type stickyCoin struct {
	snapshot.Stickiness
	stable, candidate *heldArm
}

// newStickyCoin returns nil unless there is a coin, and it is sticky.
func (p *Proxy) newStickyCoin(in snapshot.Installation) *stickyCoin {
	if in.Sticky.By == snapshot.NotSticky || in.Stable == nil || in.Candidate == nil || in.SharePPM == 0 || in.SharePPM >= certain {
		return nil
	}
	units := p.counters.UnitsOf(in.RolloutID)
	open := func(arm uint8, s *snapshot.Snapshot) *heldArm {
		return newHeldArm(p.counters.OpenSticky(telemetry.ArmKey{Revision: s.Revision(), Arm: arm}, s.Numbers(), units))
	}
	return &stickyCoin{Stickiness: in.Sticky, stable: open(stableArm, in.Stable), candidate: open(candidateArm, in.Candidate)}
}

func (c *stickyCoin) release() {
	c.stable.release()
	c.candidate.release()
}

// throw chooses the arm of an exchange whose head was read, where that depends on what it brings.
func (x *exchange) throw() {
	g := x.generation
	if g == nil || x.takeAsked() || g.sticky == nil {
		return
	}
	unit := x.unit(g.sticky)
	if unit.IsNone() {
		x.snapshot, x.arm = g.choose()
		return
	}
	x.snapshot, x.arm = g.Stable, g.sticky.stable
	if unit.Below(g.SharePPM) {
		x.snapshot, x.arm = g.Candidate, g.sticky.candidate
	}
	x.arm.Throw(&x.ageing, unit)
}

// unit is what the coin is thrown for; none if the request does not say.
func (x *exchange) unit(c *stickyCoin) telemetry.Unit {
	var name string
	switch c.By {
	case snapshot.StickyConsumer:
		name = x.presentedConsumer(c.Name)
	case snapshot.StickyHeader:
		name = x.header.Get(c.Name)
	case snapshot.StickyCookie:
		name = x.cookie(c.Name)
		if name == "" {
			name = strconv.FormatUint(rand.Uint64(), 36)
			x.unitCookie = name
		}
	}
	return telemetry.UnitOf(&c.Secret, name)
}

// presentedConsumer is the consumer whose API key the request brings, valid or expired: empty if it brings none that exists.
func (x *exchange) presentedConsumer(header string) string {
	key, ok := x.presentedKey(header)
	if !ok {
		return ""
	}
	return key.Consumer
}

// presentedKey is the API key that the request brings. The fast lane knows it, which is the same for both arms; whether the key lets
// anybody in is for the arm that is chosen. Without the name of a header the key is looked for where key-auth looks if it is not told
// otherwise.
func (x *exchange) presentedKey(header string) (*lane.Key, bool) {
	key := x.header.Get(header)
	if header == "" {
		if key = x.header.Get("X-Api-Key"); key == "" {
			scheme, token, _ := strings.Cut(x.header.Get("Authorization"), " ")
			if strings.EqualFold(scheme, "Bearer") {
				key = strings.TrimLeft(token, " ")
			}
		}
	}
	if key == "" {
		return nil, false
	}
	return x.proxy.lane.Key(key)
}

// setUnitCookie gives the client the value by which it stays on its arm.
func (x *exchange) setUnitCookie(header *http1.Header) {
	if x.generation != nil && x.generation.sticky != nil {
		header.Add("Set-Cookie", x.placingCookie(x.generation.sticky.Name, x.unitCookie))
	}
}
