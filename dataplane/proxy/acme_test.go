package proxy

import (
	"net/http"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func challengeEntry(token string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_ACME_CHALLENGE, Name: token, Material: &agentv1.LaneEntry_AcmeChallenge{
		AcmeChallenge: &agentv1.AcmeChallengeMaterial{KeyAuthorization: token + ".print", ExpiresAt: time.Now().Add(time.Hour).Unix()},
	}}
}

func TestChallengesAreAnsweredBeforeRouting(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.apply(challengeEntry("token"))
	// Also by an agent that has no configuration yet.
	if a := r.get("/.well-known/acme-challenge/token"); a.StatusCode != http.StatusOK || a.body != "token.print" {
		t.Errorf("without a configuration: %d %q", a.StatusCode, a.body)
	}

	up := server(t, echo("up"))
	r.serve(resources{"services/up": service(up.URL), "routes/all": route("up", "/**")})
	a := r.get("/.well-known/acme-challenge/token", "Host", "any.example")
	if a.body != "token.print" || a.Header.Get("Content-Type") != "application/octet-stream" || a.reason() != "" {
		t.Errorf("%q, %v", a.body, a.Header)
	}
	for _, path := range []string{
		"/.well-known/acme-challenge/other", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/token/x",
		"/.well-known/acme-challenge", "/x/.well-known/acme-challenge/token",
	} {
		if e := r.get(path).echoed(t); e.Target != path {
			t.Errorf("%s went upstream as %s", path, e.Target)
		}
	}
	if a := r.do(http.MethodPost, "/.well-known/acme-challenge/token", "x"); a.body == "token.print" {
		t.Error("a POST was answered")
	}
	r.apply(removal(configv1.Kind_KIND_ACME_CHALLENGE, "token"))
	if e := r.get("/.well-known/acme-challenge/token").echoed(t); e.Target != "/.well-known/acme-challenge/token" {
		t.Errorf("after its end: %s", e.Target)
	}
}
