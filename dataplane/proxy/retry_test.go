package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func retried(retries *configv1.Retries, urls ...string) resources {
	s := &configv1.Service{Retries: retries}
	for _, url := range urls {
		s.Targets = append(s.Targets, &configv1.Target{Url: url})
	}
	return resources{"services/up": s, "routes/all": route("up", "/**")}
}

// hangUp ends the connection instead of answering.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	all := []string{"connect", "reset", "timeout", "500", "503"}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(code)
		}
	}
	slow := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	taken := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		hangUp(w, r)
	}
	key := []string{"Idempotency-Key", "7"}
	cases := map[string]struct {
		first   http.HandlerFunc
		on      []string
		method  string
		body    string
		headers []string
		want    int
		reason  string
		// tries is how often the first target, and then the second, is asked.
		tries [2]int32
		slow  bool
	}{
		"a reset":                         {hangUp, nil, "GET", "", nil, 200, "", [2]int32{1, 1}, false},
		"a reset PUT, with its body":      {hangUp, nil, "PUT", "a body", nil, 200, "", [2]int32{1, 1}, false},
		"a reset POST":                    {hangUp, nil, "POST", "a body", nil, 502, "upstream_protocol", [2]int32{1, 0}, false},
		"a reset POST without a body":     {hangUp, nil, "POST", "", nil, 502, "upstream_protocol", [2]int32{1, 0}, false},
		"a reset POST with a key":         {hangUp, nil, "POST", "a body", key, 200, "", [2]int32{1, 1}, false},
		"a reset PATCH":                   {hangUp, nil, "PATCH", "a body", nil, 502, "upstream_protocol", [2]int32{1, 0}, false},
		"a body that is too long to keep": {taken, nil, "PUT", strings.Repeat("x", longestRepeat+1), nil, 502, "upstream_protocol", [2]int32{1, 0}, false},
		"a status, by default":            {status(503), nil, "GET", "", nil, 503, "", [2]int32{1, 0}, false},
		"a status that is named":          {status(503), all, "GET", "", nil, 200, "", [2]int32{1, 1}, false},
		"a status that is not":            {status(502), all, "GET", "", nil, 502, "", [2]int32{1, 0}, false},
		"a status of a POST":              {status(503), all, "POST", "a body", nil, 503, "", [2]int32{1, 0}, false},
		"a status of a POST with a key":   {status(503), all, "POST", "a body", key, 200, "", [2]int32{1, 1}, false},
		"a try that takes too long":       {slow, nil, "GET", "", nil, 200, "", [2]int32{1, 1}, true},
		"a slow PUT":                      {slow, nil, "PUT", "a body", nil, 200, "", [2]int32{1, 1}, true},
		"only what is named":              {hangUp, []string{"connect"}, "GET", "", nil, 502, "upstream_protocol", [2]int32{1, 0}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries [2]atomic.Int32
			first := server(t, func(w http.ResponseWriter, r *http.Request) { tries[0].Add(1); c.first(w, r) })
			second := server(t, func(_ http.ResponseWriter, r *http.Request) {
				tries[1].Add(1)
				if body, err := io.ReadAll(r.Body); string(body) != c.body || err != nil {
					t.Errorf("the second target got %q, %v", body, err)
				}
			})
			perTry := ""
			if c.slow {
				perTry = "2s"
			}
			r := newRig(t, nil)
			r.serve(retried(&configv1.Retries{PerTry: perTry, On: c.on}, first.URL, second.URL))
			got := r.do(c.method, "/x", c.body, c.headers...)
			if got.StatusCode != c.want || got.reason() != c.reason {
				t.Errorf("%d %s, want %d %s", got.StatusCode, got.reason(), c.want, c.reason)
			}
			if n := [2]int32{tries[0].Load(), tries[1].Load()}; n != c.tries {
				t.Errorf("tries %v, want %v", n, c.tries)
			}
		})
	}
}

func TestAPostThatReachedNobodyIsTriedAgain(t *testing.T) {
	t.Parallel()
	dead := server(t, nil)
	dead.Close()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	r := newRig(t, nil)
	r.serve(retried(nil, dead.URL, up.URL))
	if got := r.do(http.MethodPost, "/x", strings.Repeat("long", 50_000)); got.StatusCode != http.StatusOK || len(got.body) != 200_000 {
		t.Errorf("%d, %d bytes", got.StatusCode, len(got.body))
	}
}

func TestNothingIsTriedAgainAfterTheFirstByte(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	up := server(t, func(w http.ResponseWriter, _ *http.Request) {
		tries.Add(1)
		_, _ = io.WriteString(w, "the beginning")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r := newRig(t, nil)
	r.serve(retried(&configv1.Retries{Attempts: 5, PerTry: "50ms"}, up.URL))
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/x", nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("a response that broke off looks whole")
	}
	if tries.Load() != 1 {
		t.Error(tries.Load(), "tries")
	}
}

func TestTheTimeOfATryEndsWithTheHead(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	up := server(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "late")
	})
	r := newRig(t, nil)
	r.serve(retried(&configv1.Retries{PerTry: "100ms"}, up.URL))
	time.AfterFunc(300*time.Millisecond, func() { close(more) })
	if got := r.get("/x"); got.body != "late" {
		t.Errorf("%d %q", got.StatusCode, got.body)
	}
}

// An upstream that fails everything gets at most 1.1 times the load, and what the budget begins with.
func TestRetriesKeepToTheirBudget(t *testing.T) {
	t.Parallel()
	const requests, clients = 2000, 8
	for name, handler := range map[string]http.HandlerFunc{
		"every request fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"every one is reset":  hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			up := server(t, func(w http.ResponseWriter, r *http.Request) { tries.Add(1); handler(w, r) })
			r := newRig(t, nil)
			r.serve(retried(&configv1.Retries{Attempts: 5, On: []string{"503", "reset"}}, up.URL))
			var group sync.WaitGroup
			for range clients {
				group.Go(func() {
					for range requests / clients {
						r.get("/x")
					}
				})
			}
			group.Wait()
			if n := tries.Load(); n > requests*11/10+10 || n < requests*105/100 {
				t.Errorf("%d tries of %d requests", n, requests)
			}
			eventually(t, "the records", func() bool {
				return r.counted(func(k telemetry.CellKey) bool { return k.StatusClass == 5 }) == requests
			})
		})
	}
}
