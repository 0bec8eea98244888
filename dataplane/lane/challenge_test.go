package lane

import (
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func challengeEntry(token string, expiresAt time.Time) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_ACME_CHALLENGE, Name: token, Material: &agentv1.LaneEntry_AcmeChallenge{
		AcmeChallenge: &agentv1.AcmeChallengeMaterial{KeyAuthorization: token + ".print", ExpiresAt: expiresAt.Unix()},
	}}
}

func TestAChallengeIsAnsweredWhileItLasts(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	l.apply(challengeEntry("one", time.Now().Add(time.Hour)), challengeEntry("old", time.Now().Add(-time.Second)))
	if answer, ok := l.ACMEChallenge("one"); !ok || answer != "one.print" {
		t.Errorf("%q, %v", answer, ok)
	}
	for _, token := range []string{"old", "other", ""} {
		if answer, ok := l.ACMEChallenge(token); ok {
			t.Errorf("%q is answered with %q", token, answer)
		}
	}
	l.apply(gone(configv1.Kind_KIND_ACME_CHALLENGE, "one"))
	if _, ok := l.ACMEChallenge("one"); ok {
		t.Error("it is answered after its end")
	}
}
