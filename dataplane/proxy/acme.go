package proxy

import (
	"net/http"
	"strings"

	"tidegate.dev/dataplane/plugin"
)

// challengePath is where ACME authorities look for proofs that a name leads here (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// proof is the answer to an authority's challenge, if the request asks for one that is under way. Any host may be asked, also
// one that serves nobody without a certificate: the token is what counts, and what is answered is no secret. Everything else
// goes its ordinary way.
func (x *exchange) proof(admitted plugin.Verdict) (keyAuthorization string, ok bool) {
	if admitted.Refused() && admitted.Reason != plugin.ReasonMisdirected {
		return "", false
	}
	token, ok := strings.CutPrefix(x.Path, challengePath)
	if !ok || x.Method != http.MethodGet && x.Method != http.MethodHead {
		return "", false
	}
	return x.proxy.lane.ACMEChallenge(token)
}

// answerProof shows it.
func (x *exchange) answerProof(keyAuthorization string) (whole bool) {
	x.own.Set("Cache-Control", "no-store")
	return x.write(http.StatusOK, "application/octet-stream", []byte(keyAuthorization))
}
