package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// The memory of a stream is used again, and nothing of what was asked may be left in it.
func TestAStreamKnowsNothingOfThoseBefore(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Header.Get("X-Mark")+","+string(body))
		w.Header().Set("X-Mark-"+r.Header.Get("X-Mark"), "yes")
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	prior := new(http.Protocols)
	prior.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: prior}
	t.Cleanup(transport.CloseIdleConnections)
	for i := range 50 {
		mark, body := fmt.Sprint(i), ""
		if i%2 == 1 {
			mark = ""
		}
		if i%3 == 2 {
			body = fmt.Sprint("body ", i)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if mark != "" {
			request.Header.Set("X-Mark", mark)
		}
		got := r.send(&http.Client{Transport: transport}, request)
		marks := 0
		for name := range got.Header {
			if strings.HasPrefix(name, "X-Mark-") {
				marks++
			}
		}
		if seen := got.Header.Get("X-Seen"); seen != mark+","+body || marks != 1 {
			t.Fatalf("request %d: the upstream saw %q, and %d of its marks came back", i, seen, marks)
		}
	}
}

// A small answer is sent by the library when its exchange is over, and then too a client may not keep it waiting.
func TestAClientThatOpensNoWindowLosesItsStream(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "small") })
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, Timeouts: &configv1.Timeouts{Idle: "300ms"}}, "routes/all": route("up", "/**"),
	})
	h := r.hostile()
	_ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	h.send([]string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}, true)
	if status := h.outcome(); status != "200" {
		t.Fatal("the head says", status)
	}
	if end := h.outcome(); end != "reset INTERNAL_ERROR" {
		t.Error("the stream ends with", end)
	}
}
