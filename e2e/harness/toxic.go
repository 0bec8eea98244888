package harness

import (
	"fmt"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Line is a connection to a server, an upstream or the control plane, that can be made slow, cut or deaf.
type Line struct {
	URL string
	// Address is host:port of the line.
	Address string

	t     testing.TB
	proxy *toxiproxy.Proxy
}

// NewLine leads to a server, a URL or host:port, until the test ends.
func NewLine(t testing.TB, server string) *Line {
	t.Helper()
	toxic := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(toxic, t.Name(), "127.0.0.1:0", strings.TrimPrefix(server, "http://"))
	if err := proxy.Start(); err != nil {
		t.Fatalf("opening a line to %s: %v", server, err)
	}
	t.Cleanup(proxy.Stop)
	return &Line{URL: "http://" + proxy.Listen, Address: proxy.Listen, t: t, proxy: proxy}
}

// Slow delays every answer by so many milliseconds.
func (l *Line) Slow(milliseconds int) {
	l.t.Helper()
	l.toxic("latency", fmt.Sprintf(`{"latency": %d}`, milliseconds))
}

// Cut resets every connection as soon as something comes back.
func (l *Line) Cut() {
	l.t.Helper()
	l.toxic("reset_peer", `{"timeout": 0}`)
}

// Deafen loses every answer and leaves the connections open.
func (l *Line) Deafen() {
	l.t.Helper()
	l.toxic("timeout", `{"timeout": 0}`)
}

// Part loses everything in both directions and leaves the connections open, as a network does that is parted.
func (l *Line) Part() {
	l.t.Helper()
	l.toxicOf("upstream", "timeout", `{"timeout": 0}`)
	l.toxicOf("downstream", "timeout", `{"timeout": 0}`)
}

func (l *Line) toxic(kind, attributes string) {
	l.t.Helper()
	l.toxicOf("downstream", kind, attributes)
}

func (l *Line) toxicOf(stream, kind, attributes string) {
	l.t.Helper()
	text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": %s}`, kind, stream, attributes)
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		l.t.Fatalf("making the line %s: %v", kind, err)
	}
}

// Mend makes the line good again.
func (l *Line) Mend() { l.proxy.Toxics.ResetToxics(l.t.Context()) }
