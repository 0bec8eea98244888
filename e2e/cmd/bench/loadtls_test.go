package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestTheLoaderOverTLSKeepsItsRate(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), smallBody)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-api-key") != "the key" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	l := tlsLoad{port: portOf(t, server.URL), path: "/", key: "the key", rate: 500, connections: 4, length: time.Second, warmUp: 100 * time.Millisecond}
	got, err := l.run(t.Context())
	if err != nil || got.Scheduled < 450 || got.Scheduled > 650 || got.Completed != got.Scheduled || got.InTime > got.Completed || got.Failed != 0 || got.P50 <= 0 || got.P99 < got.P50 {
		t.Errorf("at 500 requests a second it saw %+v, %v", got, err)
	}
	l.key = ""
	if got, err = l.run(t.Context()); err != nil || got.Completed != 0 || got.Failed != 4 {
		t.Errorf("refusals are failures of each connection, but it saw %+v, %v", got, err)
	}
}

func TestTheLoaderOverTLSRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{"-rate 0", "-connections 0", "-seconds 0", "-what"} {
		if err := runTLSLoad(t.Context(), strings.Fields(arguments), &bytes.Buffer{}); err == nil {
			t.Errorf("%s was taken", arguments)
		}
	}
}
