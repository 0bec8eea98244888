package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/identity"
)

// everyOperation calls visit with each method and path of the OpenAPI document, its parameters filled in.
func everyOperation(t *testing.T, s *system, visit func(method, path, id string)) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	got := s.call(t, "GET", "/openapi.json", "", "Authorization", "")
	check(t, json.Unmarshal(got.body, &document))
	fill := strings.NewReplacer("{fleet}", "default", "{name}", "orders", "{id}", "1", "{number}", "1", "{consumer}", "acme", "{key}", "k")
	for path, methods := range document.Paths {
		for method, operation := range methods {
			visit(strings.ToUpper(method), fill.Replace(path), operation.OperationID)
		}
	}
}

func TestNobodyGetsInWithoutAToken(t *testing.T) {
	t.Parallel()
	s := begin(t)
	count := 0
	everyOperation(t, s, func(method, path, id string) {
		count++
		if id == "CreateSession" {
			return
		}
		got := s.call(t, method, path, "", "Authorization", "")
		got.fails(t, 401, "unauthenticated")
		if got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: RFC 9110 wants WWW-Authenticate with a 401", method, path)
		}
	})
	if count < 80 {
		t.Errorf("only %d operations are in the document", count)
	}
	for name, authorization := range map[string]string{
		"another scheme": "Basic YTpi", "no token": "Bearer", "no token of ours": "Bearer abc",
		"a token that was never made": "Bearer tga_" + strings.Repeat("a", 43),
	} {
		if got := s.call(t, "GET", "/v1/fleets", "", "Authorization", authorization); got.status != 401 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// The operations that a role may not do; what is in no list, every role may.
func TestRolesMayWhatTheTableSays(t *testing.T) {
	t.Parallel()
	s := begin(t)
	onlyAdmin := map[string]bool{
		"CreateFleet": true, "UpdateFleetPolicy": true, "OpenEpoch": true, "DrainAgent": true, "DeleteAgent": true, "CreateJoinToken": true,
		"ListTokens": true, "CreateToken": true, "RevokeToken": true, "ListAuditEvents": true,
	}
	viewers := map[string]bool{
		"ValidateChangeSet": true, "DiffChangeSet": true, "QueryTelemetry": true, "Explain": true, "TryGate": true,
		"CreateSession": true, "DeleteSession": true,
	}
	everyOperation(t, s, func(method, path, id string) {
		for _, c := range []struct {
			token string
			may   bool
		}{
			{s.admin, true},
			{s.publisher, !onlyAdmin[id]},
			{s.viewer, !onlyAdmin[id] && (method == "GET" || viewers[id])},
		} {
			// The empty body is wrong for most; what matters is only whether the caller got as far as that.
			got := s.call(t, method, path, "{}", "Authorization", "Bearer "+c.token)
			if (got.status == http.StatusForbidden) == c.may {
				t.Errorf("%s %s (%s): %d %s", method, path, id, got.status, got.body)
			}
			if got.status == http.StatusMethodNotAllowed || got.status >= 500 || strings.Contains(string(got.body), "there is nothing at") {
				t.Errorf("%s %s (%s) is in the document and not served: %d %s", method, path, id, got.status, got.body)
			}
		}
	})
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := begin(t)
	made := s.call(t, "POST", "/v1/tokens", `{"name":"ci","role":"viewer","ttl":"1h"}`, as(s.admin)...).ok(t)
	token, id := made["secret"].(string), made["token"].(map[string]any)["id"].(string)
	s.call(t, "GET", "/v1/fleets", "", as(token)...).ok(t)
	s.call(t, "DELETE", "/v1/tokens/"+id, "", as(s.admin)...).ok(t)
	s.call(t, "GET", "/v1/fleets", "", as(token)...).fails(t, 401, "unauthenticated")
	if listed := string(s.call(t, "GET", "/v1/tokens", "", as(s.admin)...).body); strings.Contains(listed, token) || strings.Contains(listed, `"ci"`) {
		t.Errorf("the list shows %s", listed)
	}
	s.call(t, "DELETE", "/v1/tokens/nonsense", "", as(s.admin)...).fails(t, 404, "not-found")
	for _, bad := range []string{`{"name":"x","role":"king"}`, `{"name":"No","role":"viewer"}`, `{"name":"x","role":"viewer","ttl":"99999h"}`, `{"role":"viewer"}`} {
		s.call(t, "POST", "/v1/tokens", bad, as(s.admin)...).fails(t, 400, "invalid")
	}
	s.call(t, "POST", "/v1/tokens", `{"name":"pat","role":"viewer"}`, as(s.admin)...).fails(t, 409, "already-exists")
}

func TestGuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.call(t, "GET", "/v1/fleets", "").ok(t)
	for range 50 {
		got := s.call(t, "GET", "/v1/fleets", "", "Authorization", "Bearer tga_"+strings.Repeat("0", 43))
		if got.status == http.StatusTooManyRequests {
			got.fails(t, 429, "locked-out")
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			s.call(t, "GET", "/v1/fleets", "").ok(t) // who was good lately is not kept out by a neighbour
			return
		}
	}
	t.Error("fifty guesses were all looked at")
}

// cookieOf is the session in an answer, as the browser sends it back.
func cookieOf(t *testing.T, a answer) *http.Cookie {
	t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	return cookies[0]
}

func TestASessionIsACookieThatScriptsCannotReadAndOtherSitesCannotUse(t *testing.T) {
	t.Parallel()
	s := begin(t)
	signedIn := s.call(t, "POST", "/v1/sessions", `{"token":"`+s.publisher+`"}`, "Authorization", "")
	if who := signedIn.ok(t); who["subject"] != "pat" || who["role"] != "publisher" {
		t.Errorf("%v", who)
	}
	cookie := cookieOf(t, signedIn)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.MaxAge != int(identity.SessionLifetime/time.Second) {
		t.Errorf("cookie %+v", cookie)
	}
	if strings.Contains(string(signedIn.body), cookie.Value) {
		t.Error("the body shows the session")
	}
	browser := func(method, path, body string, headers ...string) answer {
		return s.call(t, method, path, body, append([]string{"Authorization", "", "Cookie", "tidegate_session=" + cookie.Value}, headers...)...)
	}
	browser("GET", "/v1/sessions/current", "").ok(t)
	browser("PUT", "/v1/fleets/default/services/orders", service, "Sec-Fetch-Site", "same-origin").ok(t)
	browser("PUT", "/v1/fleets/default/services/orders", service, "Origin", s.url).ok(t)
	for _, foreign := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"},
	} {
		browser("PUT", "/v1/fleets/default/services/orders", service, foreign...).fails(t, 403, "cross-origin")
		browser("DELETE", "/v1/sessions/current", "", foreign...).fails(t, 403, "cross-origin")
		s.call(t, "POST", "/v1/sessions", `{"token":"`+s.publisher+`"}`, append([]string{"Authorization", ""}, foreign...)...).fails(t, 403, "cross-origin")
	}
	ended := browser("DELETE", "/v1/sessions/current", "")
	ended.ok(t)
	if gone := cookieOf(t, ended); gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("cookie %+v", gone)
	}
	browser("GET", "/v1/sessions/current", "").fails(t, 401, "unauthenticated")
}

func TestSigningInWithAWrongTokenGivesNoCookie(t *testing.T) {
	t.Parallel()
	s := begin(t)
	got := s.call(t, "POST", "/v1/sessions", `{"token":"tga_wrong"}`, "Authorization", "")
	got.fails(t, 401, "unauthenticated")
	if got.header.Get("Set-Cookie") != "" {
		t.Errorf("Set-Cookie: %s", got.header.Get("Set-Cookie"))
	}
}
