package lane

import (
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// challenge is what proves to an ACME authority that a name leads to this agent.
type challenge struct {
	keyAuthorization string
	// expiresAt is in seconds since 1970.
	expiresAt int64
}

// ACMEChallenge finds the key authorization for the token of an HTTP-01 challenge (RFC 8555, section 8.3).
func (t *Table) ACMEChallenge(token string) (keyAuthorization string, ok bool) {
	found, ok := t.content.Load().challenges.get(token)
	if !ok || time.Now().Unix() >= found.expiresAt {
		return "", false
	}
	return found.keyAuthorization, true
}

func (c *content) applyChallenge(e *agentv1.LaneEntry) error {
	material := e.GetAcmeChallenge()
	if e.GetDeleted() || material == nil {
		c.challenges.remove(e.GetName())
		return missingMaterial(e)
	}
	c.challenges.set(e.GetName(), challenge{material.GetKeyAuthorization(), material.GetExpiresAt()})
	return nil
}
