package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestTheUpstreamAnswersWithWhatItReceived(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newUpstream("orders"))
	t.Cleanup(server.Close)
	response, err := http.Post(server.URL+"/orders/4%2F2?status=201&a=<b>", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	var got echo
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusCreated || response.Header.Get("X-Upstream") != "orders" {
		t.Errorf("status %d from %q", response.StatusCode, response.Header.Get("X-Upstream"))
	}
	if got.Method != http.MethodPost || got.Path != "/orders/4%2F2" || got.Body != "hello" || got.Headers["Content-Type"][0] != "text/plain" {
		t.Errorf("it received %+v", got)
	}
}

func TestTheUpstreamRefusesWishesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	handler := newUpstream("orders")
	for _, query := range []string{"status=99", "status=x", "status=600", "delay=-1s", "delay=1h", "delay=x"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?"+query, http.NoBody))
		if w.Code != http.StatusBadRequest {
			t.Errorf("?%s is answered %d", query, w.Code)
		}
	}
}

func TestTheUpstreamStreams(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newUpstream("orders"))
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL + "/orders/events?count=3&every=1ms")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	events := 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			events++
		}
	}
	if events != 3 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d events of %s", events, response.Header.Get("Content-Type"))
	}
	connection, _, err := websocket.Dial(t.Context(), server.URL+"/orders/ws", nil) //nolint:bodyclose // the library closes it
	if err != nil {
		t.Fatal(err)
	}
	defer connection.CloseNow() //nolint:errcheck // the test is over
	if err := connection.Write(t.Context(), websocket.MessageText, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := connection.Read(t.Context()); err != nil || string(message) != "ping" {
		t.Errorf("got %q back: %v", message, err)
	}
}

func TestTheUpstreamStopsWithItsContext(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveUpstream(ctx, listener, newUpstream("x")) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", response, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLoadCountsByOutcome(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1); {
		case r.Header.Get("x-api-key") != "tg_x":
			w.WriteHeader(http.StatusUnauthorized)
		case n%2 == 0:
			w.Header().Set("x-tidegate-reason", "upstream_unreachable")
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(server.Close)
	l := newLoad(loadConfig{Targets: []string{server.URL, server.URL}, Path: "/a", Key: "tg_x", Rate: 2000, Timeout: 5 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	l.run(ctx)
	s := l.state()
	if s.Requests != uint64(requests.Load()) || s.Requests < 100 {
		t.Errorf("%d requests were noted, %d sent", s.Requests, requests.Load())
	}
	if s.Outcomes["200"]+s.Outcomes["502 upstream_unreachable"] != s.Requests || s.Failures != s.Outcomes["502 upstream_unreachable"] || s.Failures == 0 {
		t.Errorf("outcomes: %v, %d failures", s.Outcomes, s.Failures)
	}
	if s.FirstBad.IsZero() || s.LastBad.Before(s.FirstBad) || s.P50 <= 0 || s.P99 < s.P50 {
		t.Errorf("state: %+v", s)
	}
}

func TestLoadNotesWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	l := newLoad(loadConfig{Targets: []string{"http://" + address}, Path: "/", Rate: 100, Timeout: time.Second})
	l.one("http://"+address, time.Now())
	if s := l.state(); s.Outcomes["error: connection refused"] != 1 || s.Failures != 1 {
		t.Errorf("outcomes: %v", s.Outcomes)
	}
}

func TestQuantilesAreWithinTwoPercent(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want || float64(got) > 1.03*float64(want) {
			t.Errorf("the quantile %v is %s, want %s", q, got, want)
		}
	}
}

func TestBreakagesPassEveryCheckOfTheSchema(t *testing.T) {
	t.Parallel()
	service := &configv1.Service{Url: "http://127.0.0.1:9001"}
	route := &configv1.Route{Service: "orders", Match: &configv1.Match{Paths: []string{"/orders/{id}"}}}
	for _, b := range breakages() {
		name := b.kind
		s, r := proto.CloneOf(service), proto.CloneOf(route)
		broken := b.change(s, r)
		if !proto.Equal(s, service) || !proto.Equal(r, route) {
			t.Errorf("%s changes what it is made of", name)
		}
		messages := []proto.Message{broken}
		if plugin := broken.GetPlugin(); plugin != nil {
			messages = append(messages, plugin) // with its settings
		}
		for _, message := range messages {
			if violations, err := configv1.Validate(message); err != nil || len(violations) > 0 {
				t.Errorf("%s: %v %v", name, violations, err)
			}
		}
	}
	if _, err := findBreakages("unknown"); err == nil || !strings.Contains(err.Error(), "dead-upstream") {
		t.Errorf("error %v", err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
	}{{nil, 2}, {[]string{"--help"}, 0}, {[]string{"nonsense"}, 2}, {[]string{"load", "extra"}, 1}, {[]string{"bad-release", "--kind", "nonsense"}, 1}} {
		var out bytes.Buffer
		if code := dispatch(t.Context(), c.args, io.Writer(&out)); code != c.code || out.Len() == 0 {
			t.Errorf("%v: exit %d: %s", c.args, code, out.String())
		}
	}
}

func TestTheTableOfBadReleases(t *testing.T) {
	t.Parallel()
	all, err := findBreakages(allKinds)
	if err != nil || len(all) != len(breakages()) {
		t.Errorf("all: %d, %v", len(all), err)
	}
	var text bytes.Buffer
	err = printOutcomes(&text, []outcome{
		{kind: "slow", exposed: 84, took: 7440 * time.Millisecond, state: "rolled_back", explained: "agent agent-2 took back revision 2: evidence"},
		{kind: "wrong-path", exposed: 12, failed: 12, took: time.Second, state: "rolled_back", explained: "5xx in total"},
		{kind: "broken-auth", state: "completed"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"EXPOSED", "7.4 s  ", "fleet   5xx", "nobody"} {
		if line := strings.Split(text.String(), "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("line %d: %q lacks %q", i, line, want)
		}
	}
}
