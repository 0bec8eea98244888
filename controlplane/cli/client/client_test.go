package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// serve answers the n-th request with the n-th handler, and the rest with the last. requests are those that came so far.
func serve(t *testing.T, handlers ...http.HandlerFunc) (c *client.Client, requests func() []*http.Request) {
	t.Helper()
	var mu sync.Mutex
	var came []*http.Request
	requests = func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(came)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		handler := handlers[min(len(came), len(handlers)-1)]
		came = append(came, r)
		mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{Server: server.URL, Token: "tga_x", UserAgent: "test", FirstPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c, requests
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if status >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hangUp breaks the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestAWriteIsRepeatedWithTheSameKeyWhenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	c, requests := serve(t, hangUp, answer(503, `{"type":"x/unavailable","title":"later"}`), answer(200, `{"revision":7,"unknown":1}`))
	var got adminv1.PublishResponse
	if err := c.Post(t.Context(), client.Path("fleets", "default", ":apply"), &adminv1.ApplyRequest{Message: "m"}, &got); err != nil {
		t.Fatal(err)
	}
	if got.GetRevision() != 7 {
		t.Errorf("revision %d", got.GetRevision())
	}
	if len(requests()) != 3 {
		t.Fatalf("%d requests", len(requests()))
	}
	first := requests()[0]
	for _, r := range requests() {
		if key := r.Header.Get("Idempotency-Key"); key == "" || key != first.Header.Get("Idempotency-Key") {
			t.Errorf("key %q after %q", key, first.Header.Get("Idempotency-Key"))
		}
	}
	if first.URL.Path != "/v1/fleets/default:apply" || first.Header.Get("Authorization") != "Bearer tga_x" {
		t.Errorf("%s with %q", first.URL.Path, first.Header.Get("Authorization"))
	}
}

func TestARefusalNamesFieldsAndIsNotRepeated(t *testing.T) {
	t.Parallel()
	c, requests := serve(t, answer(400, `{"type":"https://tidegate.dev/problems/invalid","title":"The request breaks rules","detail":"d",
		"violations":[{"resource":"routes/a","field":"spec.service","rule":"reference.missing","message":"there is no service b"}]}`))
	err := c.Get(t.Context(), client.Path("fleets", "a/b"), nil, &adminv1.Fleet{})
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Slug() != "invalid" || problem.Violations[0].Field != "spec.service" {
		t.Fatalf("error %v", err)
	}
	if want := "The request breaks rules\n  routes/a: spec.service: there is no service b"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if len(requests()) != 1 || requests()[0].URL.EscapedPath() != "/v1/fleets/a%2Fb" || requests()[0].Header.Get("Idempotency-Key") != "" {
		t.Errorf("%d requests, the first %s", len(requests()), requests()[0].URL.EscapedPath())
	}
}

func TestWhatIsNotTheAdminAPIIsSaidInItsWords(t *testing.T) {
	t.Parallel()
	cases := []struct {
		status     int
		body, want string
	}{
		{404, "<html>\n", "404 Not Found: <html>"},
		{302, "", "302 Found"},
		{200, "<html>", "with what is not the admin API's"},
	}
	for _, tc := range cases {
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			answer(tc.status, tc.body)(w, r)
		})
		if err := c.Get(t.Context(), "/v1/fleets", nil, &adminv1.Fleet{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%d %q: %v", tc.status, tc.body, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	c, requests := serve(t, hangUp)
	var unreachable *client.Unreachable
	if err := c.Get(t.Context(), "/v1/fleets", nil, nil); !errors.As(err, &unreachable) {
		t.Errorf("error %v", err)
	}
	if len(requests()) != 4 {
		t.Errorf("%d attempts, want 4", len(requests()))
	}
}

func TestWatchGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	line := func(state string) string {
		return fmt.Sprintf(`{"result":{"id":"1","state":%q}}`+"\n", state)
	}
	c, requests := serve(t,
		answer(200, line("queued")+line("running")),
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, line("running"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		hangUp,
		answer(200, line("completed")+line("never seen")),
	)
	var rollout adminv1.Rollout
	var states []string
	breaks := 0
	err := c.Watch(t.Context(), client.Path("fleets", "default", "rollouts", "1", ":watch"), &rollout, func() bool {
		states = append(states, rollout.GetState())
		return rollout.GetState() == "completed"
	}, func(error) { breaks++ })
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(states, " "); got != "queued running running completed" {
		t.Errorf("saw %s", got)
	}
	if breaks != 2 || len(requests()) != 4 {
		t.Errorf("%d breaks, %d requests", breaks, len(requests()))
	}
}

func TestWatchEndsWithItsContextAndWithARefusal(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, answer(200, `{"error":{"type":"x/not-found","title":"There is no such thing","status":404}}`+"\n"))
	err := c.Watch(t.Context(), "/v1/x", &adminv1.Rollout{}, func() bool { return false }, nil)
	if !client.IsNotFound(err) {
		t.Errorf("error %v", err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	blocked, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"result":{}}`+"\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	err = blocked.Watch(ctx, "/v1/x", &adminv1.Rollout{}, func() bool { cancel(why); return false }, nil)
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestServersThatAreNoURL(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"", "localhost:9080", "ftp://a", "http://", "http://user:secret@a"} {
		if _, err := client.New(client.Config{Server: server}); err == nil {
			t.Errorf("%q is taken", server)
		}
	}
}
