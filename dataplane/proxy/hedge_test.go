package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func hedged(after string, urls ...string) resources {
	all := retried(&configv1.Retries{BudgetPercent: 100}, urls...)
	all["services/up"].(*configv1.Service).Hedging = &configv1.Hedging{After: after}
	return all
}

// counting is a server that counts its requests, and those that were broken off.
type counting struct {
	url                 string
	requests, brokenOff atomic.Int32
}

func newCounting(t *testing.T, handler http.HandlerFunc) *counting {
	t.Helper()
	c := new(counting)
	c.url = plainServer(t, func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		defer func() {
			if r.Context().Err() != nil {
				c.brokenOff.Add(1)
			}
		}()
		handler(w, r)
	})
	return c
}

// never answers until the request is broken off.
func never(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func answers(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, name+" "+r.Method+" "+string(body))
	}
}

func TestTheFasterOfTwoTargetsAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, body string
		headers      []string
		hedged       bool
	}{
		"GET":                 {"GET", "", nil, true},
		"PUT with a body":     {"PUT", strings.Repeat("b", 1000), nil, true},
		"POST":                {"POST", "b", nil, false},
		"POST with a key":     {"POST", "b", []string{"Idempotency-Key", "1"}, true},
		"a body that is long": {"PUT", strings.Repeat("b", longestRepeat+1), nil, false},
	} {
		for _, protocol := range []string{"http1", "h2c"} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				t.Parallel()
				slow, fast := newCounting(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					pause := time.NewTimer(time.Second)
					defer pause.Stop()
					select {
					case <-pause.C:
						_, _ = io.WriteString(w, "slow")
					case <-r.Context().Done():
					}
				}), newCounting(t, answers("fast"))
				r := newRig(t, nil)
				all := hedged("50ms", slow.url, fast.url)
				all["services/up"].(*configv1.Service).Protocol = protocol
				r.serve(all)
				got := r.do(c.method, "/x", c.body, c.headers...)
				want, tries := "slow", int32(0)
				if c.hedged {
					want, tries = "fast "+c.method+" "+c.body, 1
				}
				if got.StatusCode != http.StatusOK || got.body != want || slow.requests.Load() != 1 || fast.requests.Load() != tries {
					t.Errorf("%d %q, %d and %d requests", got.StatusCode, got.body, slow.requests.Load(), fast.requests.Load())
				}
				if c.hedged {
					eventually(t, "the slow one is broken off", func() bool { return slow.brokenOff.Load() == 1 })
				}
				eventually(t, "nothing runs", func() bool {
					for _, target := range r.registry.States()[0].Targets {
						if target.Arms[0].Running != 0 || target.Arms[0].Waiting != 0 || target.Arms[0].Ejected {
							return false
						}
					}
					return true
				})
			})
		}
	}
}

func TestASecondTryThatIsNotNeeded(t *testing.T) {
	t.Parallel()
	one, two := newCounting(t, answers("one")), newCounting(t, answers("two"))
	r := newRig(t, nil)
	r.serve(hedged("1s", one.url, two.url))
	for range 10 {
		r.get("/x")
	}
	if n := one.requests.Load() + two.requests.Load(); n != 10 {
		t.Error(n, "requests for 10")
	}
	// A failing server's answer is not waited beside, but the usual rules of retries apply.
	bad := newCounting(t, hangUp)
	r.serve(hedged("1s", bad.url, two.url))
	if got := r.get("/x"); got.body != "two GET " || bad.requests.Load() != 1 {
		t.Error(got.StatusCode, got.body)
	}
}

func TestTheAnswerOfAFailingServerIsTheLastResort(t *testing.T) {
	t.Parallel()
	after := func(wait time.Duration, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			pause := time.NewTimer(wait)
			<-pause.C
			if status == 0 {
				hangUp(w, nil)
				return
			}
			w.WriteHeader(status)
		}
	}
	for name, c := range map[string]struct {
		first, second http.HandlerFunc
		want          int
	}{
		"the second fails, the first comes": {after(300*time.Millisecond, 200), after(0, 503), 200},
		"the first fails, the second comes": {after(150*time.Millisecond, 503), after(300*time.Millisecond, 200), 200},
		"one fails, the other is reset":     {after(150*time.Millisecond, 503), after(300*time.Millisecond, 0), 503},
		"one is reset, the other fails":     {after(150*time.Millisecond, 0), after(300*time.Millisecond, 503), 503},
		"both are reset":                    {after(150*time.Millisecond, 0), after(300*time.Millisecond, 0), 502},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.serve(hedged("50ms", server(t, c.first).URL, server(t, c.second).URL))
			if got := r.get("/x"); got.StatusCode != c.want {
				t.Error(got.StatusCode, got.reason())
			}
		})
	}
}

func TestSecondTriesKeepToTheBudget(t *testing.T) {
	t.Parallel()
	one, two := newCounting(t, func(http.ResponseWriter, *http.Request) {
		pause := time.NewTimer(20 * time.Millisecond)
		<-pause.C
	}), newCounting(t, func(http.ResponseWriter, *http.Request) {
		pause := time.NewTimer(20 * time.Millisecond)
		<-pause.C
	})
	all := hedged("1ms", one.url, two.url)
	all["services/up"].(*configv1.Service).Retries = &configv1.Retries{BudgetPercent: 10}
	r := newRig(t, nil)
	r.serve(all)
	const requests = 400
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range requests / 8 {
				r.get("/x")
			}
		})
	}
	group.Wait()
	if n := one.requests.Load() + two.requests.Load(); n > requests*11/10+10 || n < requests+40 {
		t.Errorf("%d requests reached the targets of %d", n, requests)
	}
}

func TestAClientThatLeavesEndsBothTries(t *testing.T) {
	t.Parallel()
	one, two := newCounting(t, never), newCounting(t, never)
	r := newRig(t, nil)
	r.serve(hedged("20ms", one.url, two.url))
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	eventually(t, "both are asked", func() bool { return one.requests.Load()+two.requests.Load() == 2 })
	cancel()
	<-ended
	eventually(t, "both are broken off", func() bool { return one.brokenOff.Load()+two.brokenOff.Load() == 2 })
	eventually(t, "nothing runs", func() bool {
		for _, target := range r.registry.States()[0].Targets {
			if target.Arms[0].Running != 0 || target.Arms[0].Waiting != 0 {
				return false
			}
		}
		return true
	})
}

// Of two tries that run beside each other the client hears the hints of the one whose answer it gets, and of no other.
func TestHintsOfTheTryThatWins(t *testing.T) {
	t.Parallel()
	hint := func(w http.ResponseWriter, name string) {
		w.Header().Set("Link", "</"+name+".css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
	}
	for _, protocol := range []string{"http1", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			slow, fast := newCounting(t, func(w http.ResponseWriter, r *http.Request) {
				hint(w, "slow")
				never(w, r)
			}), newCounting(t, func(w http.ResponseWriter, _ *http.Request) {
				hint(w, "fast")
				_, _ = io.WriteString(w, "fast")
			})
			r := newRig(t, nil)
			all := hedged("50ms", slow.url, fast.url)
			all["services/up"].(*configv1.Service).Protocol = protocol
			r.serve(all)
			var hints []string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
					hints = append(hints, fmt.Sprint(code, header.Get("Link")))
					return nil
				},
			})
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			got := r.send(http.DefaultClient, request)
			if got.body != "fast" || got.Header.Get("Link") != "" || strings.Join(hints, " ") != "103</fast.css>" {
				t.Errorf("%d %q, hints %v", got.StatusCode, got.body, hints)
			}
			if slow.requests.Load() != 1 || fast.requests.Load() != 1 {
				t.Errorf("%d and %d requests", slow.requests.Load(), fast.requests.Load())
			}
		})
	}
}
