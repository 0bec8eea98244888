package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestAPublishNamesItsRevisionAndRollout(t *testing.T) {
	t.Parallel()
	s := begin(t)
	got := s.call(t, "PUT", "/v1/fleets/default/services/orders", service)
	got.ok(t)
	if got.header.Get("Tidegate-Revision") != "1" || got.header.Get("Tidegate-Rollout") == "" || got.header.Get("ETag") != `"r1"` {
		t.Errorf("header %v", got.header)
	}
	again := s.call(t, "PUT", "/v1/fleets/default/services/orders", service)
	again.ok(t)
	if again.header.Get("Tidegate-Revision") != "" || again.header.Get("ETag") != `"r1"` {
		t.Errorf("nothing changed, and yet: %v", again.header)
	}
}

func TestAnIdempotencyKeyHasOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	s := begin(t)
	const path = "/v1/fleets/default/services"
	body := `{"name":"orders","spec":{"url":"http://127.0.0.1:9001"}}`
	first := s.call(t, "POST", path, body, "Idempotency-Key", "k1")
	first.ok(t)
	second := s.call(t, "POST", path, body, "Idempotency-Key", "k1")
	if second.status != 200 || string(second.body) != string(first.body) || second.header.Get("ETag") != first.header.Get("ETag") ||
		second.header.Get("Tidegate-Revision") != first.header.Get("Tidegate-Revision") || second.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the second answer: %d %v %s", second.status, second.header, second.body)
	}
	s.call(t, "POST", path, strings.Replace(body, "9001", "9002", 1), "Idempotency-Key", "k1").fails(t, 422, "idempotency-key-reused")
	s.call(t, "DELETE", path+"/orders", "", "Idempotency-Key", "k1").fails(t, 422, "idempotency-key-reused")
	s.call(t, "POST", path, body, "Idempotency-Key", "k1", "Authorization", "Bearer "+s.admin).fails(t, 409, "already-exists") // another's key
	s.call(t, "POST", path, body, "Idempotency-Key", strings.Repeat("k", 256)).fails(t, 400, "malformed-request")
	// What failed is not remembered: it may be tried again.
	s.call(t, "PUT", "/v1/fleets/default/routes/orders", `{"spec":{"service":"late","match":{"paths":["/"]}}}`, "Idempotency-Key", "k2").fails(t, 400, "invalid")
	s.call(t, "PUT", path+"/late", service).ok(t)
	s.call(t, "PUT", "/v1/fleets/default/routes/orders", `{"spec":{"service":"late","match":{"paths":["/"]}}}`, "Idempotency-Key", "k2").ok(t)
}

func TestTheSameKeyAtTheSameTimeHasOneEffect(t *testing.T) {
	t.Parallel()
	s := begin(t)
	answers := make([]answer, 8)
	var calls sync.WaitGroup
	for i := range answers {
		calls.Go(func() {
			answers[i] = s.call(t, "POST", "/v1/fleets/default/services", `{"name":"orders","spec":{"url":"http://a"}}`, "Idempotency-Key", "same")
		})
	}
	calls.Wait()
	for _, a := range answers {
		if a.status != http.StatusOK || string(a.body) != string(answers[0].body) || a.header.Get("Tidegate-Revision") != "1" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if listed := s.call(t, "GET", "/v1/fleets/default/revisions", "").ok(t)["revisions"].([]any); len(listed) != 1 {
		t.Errorf("%d revisions", len(listed))
	}
	events := s.call(t, "GET", "/v1/auditEvents", "", as(s.admin)...).ok(t)["audit_events"].([]any)
	if len(events) != 1 {
		t.Errorf("%d audit events: %v", len(events), events)
	}
}

func TestAKeysSecretIsShownAgainToItsRepetitionAndStoredSealed(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.call(t, "PUT", "/v1/fleets/default/consumers/acme", `{"spec":{}}`).ok(t)
	make := func() string {
		return s.call(t, "POST", "/v1/fleets/default/consumers/acme/keys", `{}`, "Idempotency-Key", "once").ok(t)["secret"].(string)
	}
	secret := make()
	if again := make(); again != secret || !strings.HasPrefix(secret, "tg_") {
		t.Errorf("%q, then %q", secret, again)
	}
	if strings.Contains(s.log.String(), secret) || strings.Contains(s.log.String(), s.publisher) {
		t.Error("a secret is in the log")
	}
	keys := s.call(t, "GET", "/v1/fleets/default/consumers/acme/keys", "")
	if listed := keys.ok(t)["keys"].([]any); len(listed) != 1 || strings.Contains(string(keys.body), secret) {
		t.Errorf("%s", keys.body)
	}
	id := keys.ok(t)["keys"].([]any)[0].(map[string]any)["id"].(string)
	rotated := s.call(t, "POST", "/v1/fleets/default/consumers/acme/keys/"+id+":rotate", `{"overlap":"10m"}`).ok(t)
	if rotated["secret"] == secret {
		t.Error("rotated to the same key")
	}
	if revoked := s.call(t, "DELETE", "/v1/fleets/default/consumers/acme/keys/"+id+"?reason=leaked", "").ok(t); revoked["state"] != "revoked" {
		t.Errorf("%v", revoked)
	}
	events := s.call(t, "GET", "/v1/auditEvents?filter=action%3Dkey.revoke", "", as(s.admin)...)
	if event := events.ok(t)["audit_events"].([]any)[0].(map[string]any); event["resource"] != "keys/"+id || event["reason"] != "leaked" || event["actor"] != "pat" {
		t.Errorf("%v", event)
	}
}

func TestALostRaceIs412(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.publish(t)
	const path = "/v1/fleets/default/services/orders"
	etag := s.call(t, "GET", path, "").header.Get("ETag")
	changed := strings.Replace(service, "9001", "9002", 1)
	s.call(t, "PUT", path, changed, "If-Match", etag).ok(t)
	s.call(t, "PUT", path, service, "If-Match", etag).fails(t, 412, "etag-mismatch")
	s.call(t, "PATCH", path, `{"spec":{"host":"upstream"}}`, "If-Match", etag).fails(t, 412, "etag-mismatch")
	s.call(t, "DELETE", "/v1/fleets/default/routes/orders", "", "If-Match", `"r99"`).fails(t, 412, "etag-mismatch")
	s.call(t, "PUT", "/v1/fleets/default/services/new", service, "If-Match", `"r1"`).fails(t, 412, "etag-mismatch")
	s.call(t, "PUT", path, service, "If-None-Match", "*").fails(t, 412, "etag-mismatch")
	s.call(t, "PUT", "/v1/fleets/default/services/made", service, "If-None-Match", "*").ok(t)
	if got := s.call(t, "GET", path, "").ok(t)["spec"].(map[string]any)["url"]; got != "http://127.0.0.1:9002" {
		t.Errorf("url = %v", got)
	}
}

func TestAPatchChangesWhatItNames(t *testing.T) {
	t.Parallel()
	s := begin(t)
	const path = "/v1/fleets/default/services/orders"
	s.call(t, "PUT", path, `{"labels":{"team":"a","tier":"1"},"spec":{"url":"http://a:1","host":"upstream","timeouts":{"total":"9s","idle":"8s"}}}`).ok(t)
	for _, c := range []struct{ name, query, body, want string }{
		{"what the body holds", "", `{"spec":{"timeouts":{"total":"5s"}}}`, "http://a:1 upstream 5s 8s map[team:a tier:1]"},
		{"what the mask names", "?update_mask=spec.host", `{"spec":{"host":"client","url":"http://ignored"}}`, "http://a:1 client 5s 8s map[team:a tier:1]"},
		{"two paths", "?update_mask=spec.url,spec.timeouts.idle", `{"spec":{"url":"http://b:2"}}`, "http://b:2 client 5s <nil> map[team:a tier:1]"},
		{"one label", "?update_mask=labels.team", `{"labels":{"team":"b"}}`, "http://b:2 client 5s <nil> map[team:b tier:1]"},
		{"labels, which are replaced whole", "", `{"labels":{"x":"y"}}`, "http://b:2 client 5s <nil> map[x:y]"},
		{"what is output only", "", `{"etag":"\"r77\"","state":"serving","name":"orders"}`, "http://b:2 client 5s <nil> map[x:y]"},
		{"nothing", "", `{}`, "http://b:2 client 5s <nil> map[x:y]"},
	} {
		got := s.call(t, "PATCH", path+c.query, c.body).ok(t)
		spec, timeouts := got["spec"].(map[string]any), map[string]any{}
		if held, ok := spec["timeouts"].(map[string]any); ok {
			timeouts = held
		}
		if have := fmt.Sprint(spec["url"], " ", spec["host"], " ", timeouts["total"], " ", timeouts["idle"], " ", got["labels"]); have != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, have, c.want)
		}
	}
	s.call(t, "PATCH", path+"?update_mask=spec.nope", `{}`).fails(t, 400, "invalid")
	s.call(t, "PATCH", path, `{"spec":{"nope":1}}`).fails(t, 400, "malformed-request")
	s.call(t, "PATCH", path, `{"spec":{"url":"ftp://x"}}`).fails(t, 400, "invalid")
	s.call(t, "PATCH", "/v1/fleets/default/services/none", `{"spec":{"host":"client"}}`).fails(t, 404, "not-found")
}

func TestAPluginsConfigIsPatchedWhole(t *testing.T) {
	t.Parallel()
	s := begin(t)
	const path = "/v1/fleets/default/plugins/limit"
	got := s.call(t, "PUT", path, `{"spec":{"type":"rate-limit","config":{"requests":1,"per":"1s"}}}`).ok(t)
	if got["phase"] != "limit" || len(got["notes"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	got = s.call(t, "PATCH", path, `{"spec":{"config":{"requests":2,"per":"1m"}}}`).ok(t)
	if config := fmt.Sprint(got["spec"].(map[string]any)["config"]); config != "map[per:1m requests:2]" {
		t.Errorf("config = %s", config)
	}
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	s := begin(t)
	resources := make([]string, 7)
	for i := range resources {
		resources[i] = fmt.Sprintf(`{"name":"s%d","labels":{"parity":"%d"},"service":{"url":"http://a"}}`, i, i%2)
	}
	s.call(t, "POST", "/v1/fleets/default:apply", `{"resources":[`+strings.Join(resources, ",")+`]}`).ok(t)
	var names []string
	token, pages := "", 0
	for {
		got := s.call(t, "GET", "/v1/fleets/default/services?page_size=3&page_token="+token, "").ok(t)
		for _, one := range got["services"].([]any) {
			names = append(names, one.(map[string]any)["name"].(string))
		}
		pages++
		next, more := got["next_page_token"].(string)
		if !more {
			break
		}
		token = next
	}
	if pages != 3 || strings.Join(names, " ") != "s0 s1 s2 s3 s4 s5 s6" {
		t.Errorf("%d pages: %v", pages, names)
	}
	odd := s.call(t, "GET", "/v1/fleets/default/services?filter=labels.parity%3D1%20AND%20name%3As", "").ok(t)
	if len(odd["services"].([]any)) != 3 {
		t.Errorf("%v", odd)
	}
	s.call(t, "GET", "/v1/fleets/default/routes?page_token="+token, "").fails(t, 400, "invalid") // a token of another list
	for i := range 3 {
		s.call(t, "POST", "/v1/fleets", fmt.Sprintf(`{"name":"f%d"}`, i), as(s.admin)...).ok(t)
	}
	first := s.call(t, "GET", "/v1/fleets?page_size=2", "").ok(t)
	second := s.call(t, "GET", "/v1/fleets?page_size=2&page_token="+first["next_page_token"].(string), "").ok(t)
	if len(first["fleets"].([]any)) != 2 || len(second["fleets"].([]any)) != 2 || second["next_page_token"] != nil {
		t.Errorf("%v, then %v", first, second)
	}
	events := s.call(t, "GET", "/v1/auditEvents?page_size=2", "", as(s.admin)...).ok(t)
	older := s.call(t, "GET", "/v1/auditEvents?page_size=2&page_token="+events["next_page_token"].(string), "", as(s.admin)...).ok(t)
	if len(events["audit_events"].([]any)) != 2 || len(older["audit_events"].([]any)) != 2 {
		t.Errorf("%v, then %v", events, older)
	}
}

func TestADraftIsEditedCheckedAndPublished(t *testing.T) {
	t.Parallel()
	s := begin(t)
	made := s.call(t, "POST", "/v1/fleets/default/changeSets", `{"message":"orders"}`).ok(t)
	id := made["id"].(string)
	path := "/v1/fleets/default/changeSets/" + id
	got := s.call(t, "PUT", "/v1/fleets/default/routes/orders?change_set="+id, orders)
	got.ok(t)
	if got.header.Get("Tidegate-Revision") != "" {
		t.Error("an edit of a draft must not publish")
	}
	if found := s.call(t, "POST", path+":validate", "").ok(t); len(found["violations"].([]any)) != 1 {
		t.Errorf("%v", found)
	}
	s.call(t, "POST", path+":publish", "").fails(t, 400, "invalid")
	s.call(t, "POST", path+":edit", `{"upserts":[{"name":"orders","service":{"url":"http://a"}}]}`).ok(t)
	if diff := s.call(t, "POST", path+":diff", "{}").ok(t); diff["created"] != float64(2) {
		t.Errorf("%v", diff)
	}
	published := s.call(t, "POST", path+":publish", "")
	if answer := published.ok(t); answer["revision"] != float64(1) || published.header.Get("Tidegate-Revision") != "1" {
		t.Errorf("%v", answer)
	}
	s.call(t, "POST", path+":publish", "").fails(t, 409, "wrong-state")
	if state := s.call(t, "GET", path, "").ok(t)["state"]; state != "published" {
		t.Errorf("state %v", state)
	}
	events := s.call(t, "GET", "/v1/auditEvents", "", as(s.admin)...).ok(t)["audit_events"].([]any)
	var actions []string
	for _, event := range events {
		actions = append(actions, event.(map[string]any)["action"].(string))
	}
	if strings.Join(actions, " ") != "config.publish change_set.edit change_set.edit change_set.create" {
		t.Errorf("audit: %v", actions)
	}
	// Two drafts of the same resource: the second to publish learns of the first.
	var ids [2]string
	for i := range ids {
		ids[i] = s.call(t, "POST", "/v1/fleets/default/changeSets", `{}`).ok(t)["id"].(string)
		s.call(t, "PUT", "/v1/fleets/default/services/orders?change_set="+ids[i], fmt.Sprintf(`{"spec":{"url":"http://a:%d"}}`, i+1)).ok(t)
	}
	s.call(t, "POST", "/v1/fleets/default/changeSets/"+ids[0]+":publish", "").ok(t)
	p := s.call(t, "POST", "/v1/fleets/default/changeSets/"+ids[1]+":publish", "").fails(t, 409, "conflict")
	if len(p.Violations) != 1 || p.Violations[0].Resource != "services/orders" {
		t.Errorf("%+v", p)
	}
}

func TestApplyAndRollBack(t *testing.T) {
	t.Parallel()
	s := begin(t)
	file := func(port int, more string) string {
		return fmt.Sprintf(`{"resources":[{"name":"a","service":{"url":"http://a:%d"}}]%s}`, port, more)
	}
	dry := s.call(t, "POST", "/v1/fleets/default:apply", file(1, `,"validate_only":true`), "Idempotency-Key", "dry").ok(t)
	if dry["diff"].(map[string]any)["created"] != float64(1) || dry["published"] != nil {
		t.Errorf("%v", dry)
	}
	s.call(t, "GET", "/v1/fleets/default/services/a", "").fails(t, 404, "not-found")
	if events := s.call(t, "GET", "/v1/auditEvents", "", as(s.admin)...).ok(t); len(events) != 0 {
		t.Errorf("a dry run is in the audit: %v", events)
	}
	s.call(t, "POST", "/v1/fleets/default:apply", file(1, "")).ok(t)
	s.call(t, "POST", "/v1/fleets/default:apply", file(2, `,"message":"two"`)).ok(t)
	diff := s.call(t, "GET", "/v1/fleets/default/revisions/2:diff", "").ok(t)
	if change := diff["changes"].([]any)[0].(map[string]any); change["action"] != "update" || change["kind"] != "services" {
		t.Errorf("%v", diff)
	}
	back := s.call(t, "POST", "/v1/fleets/default/revisions/1:rollback", `{"reason":"worse"}`)
	if answer := back.ok(t); answer["revision"] != float64(3) || back.header.Get("Tidegate-Rollout") == "" {
		t.Errorf("%v", answer)
	}
	if revision := s.call(t, "GET", "/v1/fleets/default/revisions/3", "").ok(t); revision["origin"] != "rollback" || len(revision["root"].(string)) != 64 {
		t.Errorf("%v", revision)
	}
}
