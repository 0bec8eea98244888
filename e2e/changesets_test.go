package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"tidegate.dev/e2e/harness"
)

const (
	servicesPath   = "/v1/fleets/default/services/"
	changeSetsPath = "/v1/fleets/default/changeSets"
)

// draft opens a change set.
func draft(t *testing.T, s *harness.Stack, message string) (id string) {
	t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	if r := s.Admin(http.MethodPost, changeSetsPath, map[string]string{"message": message}, &made); r.Status != http.StatusOK {
		t.Fatalf("opening a draft: %d %s", r.Status, r.Body)
	}
	return made.ID
}

func service(url string) map[string]any { return map[string]any{"spec": map[string]string{"url": url}} }

// answers is one call that must be answered with a status, and with all of the words in its body.
func answers(t *testing.T, s *harness.Stack, status int, method, path string, body any, words ...string) harness.Response {
	t.Helper()
	r := s.Admin(method, path, body, nil)
	if r.Status != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, r.Status, status, r.Body)
	}
	for _, word := range words {
		if !strings.Contains(r.Body, word) {
			t.Errorf("%s %s does not say %q: %s", method, path, word, r.Body)
		}
	}
	return r
}

func TestTwoOperatorsWithDraftsOfTheSameThing(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	first, second := draft(t, s, "first"), draft(t, s, "second")
	empty := struct{}{}

	// Edits stay in their drafts, and stack.
	answers(t, s, http.StatusOK, "PUT", servicesPath+"orders?change_set="+first, service("http://127.0.0.1:7"))
	answers(t, s, http.StatusOK, "PATCH", servicesPath+"orders?change_set="+first,
		jsonText(`{"spec":{"timeouts":{"connect":"7s"}}}`), "http://127.0.0.1:7", "7s")
	answers(t, s, http.StatusOK, "PUT", servicesPath+"orders?change_set="+second, service(good.URL+"/v2"))
	answers(t, s, http.StatusOK, "GET", servicesPath+"orders", nil, good.URL)
	answers(t, s, http.StatusOK, "POST", changeSetsPath+"/"+first+":diff", empty, `"update"`, "spec.url", "spec.timeouts")

	// What does not hold together is told before it is published, and refused when it is.
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/routes/lost?change_set="+first,
		jsonText(`{"spec":{"service":"nowhere","match":{"paths":["/lost"]}}}`))
	answers(t, s, http.StatusOK, "POST", changeSetsPath+"/"+first+":validate", empty, "routes/lost", "services/nowhere")
	answers(t, s, http.StatusBadRequest, "POST", changeSetsPath+"/"+first+":publish", empty, "routes/lost", "spec.service")
	answers(t, s, http.StatusOK, "DELETE", "/v1/fleets/default/routes/lost?change_set="+first, nil)

	published := answers(t, s, http.StatusOK, "POST", changeSetsPath+"/"+first+":publish", jsonText(`{"strategy":"immediate"}`))
	if published.Header.Get("Tidegate-Revision") != "2" || published.Header.Get("Tidegate-Rollout") == "" {
		t.Errorf("published as revision %q, rollout %q", published.Header.Get("Tidegate-Revision"), published.Header.Get("Tidegate-Rollout"))
	}
	answers(t, s, http.StatusConflict, "POST", changeSetsPath+"/"+first+":publish", empty, "published")

	// The second stands on what is gone: nothing of it is lost, and nothing is overwritten unseen.
	for _, verb := range []string{":publish", ":rebase"} {
		answers(t, s, http.StatusConflict, "POST", changeSetsPath+"/"+second+verb, empty, "services/orders", "problems/conflict")
	}
	answers(t, s, http.StatusOK, "GET", changeSetsPath+"/"+second, nil, good.URL+"/v2", `"open"`)
	answers(t, s, http.StatusOK, "POST", changeSetsPath+"/"+second+":validate", empty, "conflict")
	// A draft of something else goes through, though head moved on.
	third := draft(t, s, "third")
	answers(t, s, http.StatusOK, "PUT", servicesPath+"other?change_set="+third, service(good.URL))
	answers(t, s, http.StatusOK, "PUT", servicesPath+"another", service(good.URL))
	answers(t, s, http.StatusOK, "POST", changeSetsPath+"/"+third+":publish", empty)
}

func TestManyOperatorsPublishAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	drafts := make([]string, 8)
	for i := range drafts {
		drafts[i] = draft(t, s, "one of many")
		answers(t, s, http.StatusOK, "PUT", servicesPath+"orders?change_set="+drafts[i], service(good.URL+"/"+drafts[i]))
	}
	statuses := make([]int, len(drafts))
	var all sync.WaitGroup
	for i, id := range drafts {
		all.Go(func() {
			if r, err := s.TryAdmin(http.MethodPost, changeSetsPath+"/"+id+":publish", jsonText(`{"strategy":"immediate"}`), nil); err == nil {
				statuses[i] = r.Status
			}
		})
	}
	all.Wait()
	won := 0
	for i, status := range statuses {
		switch status {
		case http.StatusOK:
			won++
			answers(t, s, http.StatusOK, "GET", servicesPath+"orders", nil, drafts[i])
		case http.StatusConflict:
		default:
			t.Errorf("a publish was answered %d", status)
		}
	}
	if won != 1 || s.Fleet().HeadRevision != 2 {
		t.Errorf("%d drafts of the same thing were published, head is revision %d; want one, and 2", won, s.Fleet().HeadRevision)
	}
}
