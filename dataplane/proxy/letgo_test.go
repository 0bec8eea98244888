package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"
	"weak"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// What streams, or was switched to another protocol, goes on when its revision is long gone, and keeps nothing of it.
func TestStreamsLetGoOfTheirRevision(t *testing.T) {
	t.Parallel()
	revisions := 2_000
	if testing.Short() {
		revisions = 200
	}
	next := make(chan string)
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			switching(w, r)
			return
		}
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case text := <-next:
				_, _ = io.WriteString(w, text)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	r := newRig(t, nil)
	list := func(i int) resources {
		// Another service each time, so that nothing of a revision is shared with the next.
		all := resources{
			"services/up":  &configv1.Service{Url: up.URL, Timeouts: &configv1.Timeouts{Idle: fmt.Sprintf("%dms", 600_000+i)}},
			"routes/all":   route("up", "/**"),
			"plugins/auth": &configv1.Plugin{Type: "key-auth"},
		}
		for n := range 50 {
			all[fmt.Sprintf("routes/r%d", n)] = route("up", fmt.Sprintf("/r%d/**", n))
		}
		return all
	}
	r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
	first := r.compile(list(0), nil)
	seen := []weak.Pointer[snapshot.Snapshot]{weak.Make(first)}
	r.proxy.Install(snapshot.Installation{Stable: first})

	events, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	events.Header.Set("X-Api-Key", goodKey)
	stream, err := http.DefaultClient.Do(events)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewReader(stream.Body)
	conn := r.dial()
	tunnel := upgraded(t, conn, "X-Api-Key: "+goodKey+"\r\n")
	_ = conn.SetDeadline(time.Time{})

	var before, after runtime.MemStats
	for i := 1; i <= revisions; i++ {
		s := r.compile(list(i), nil)
		if i%20 == 0 {
			seen = append(seen, weak.Make(s))
		}
		r.proxy.Install(snapshot.Installation{Stable: s})
		if i == revisions/10 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	r.proxy.Install(snapshot.Installation{Stable: r.compile(list(0), nil)})
	eventually(t, "the snapshots are gone", func() bool {
		runtime.GC()
		for _, s := range seen {
			if s.Value() != nil {
				return false
			}
		}
		return true
	})
	if n := r.registry.Len(); n != 1 {
		t.Error("services that are held:", n)
	}
	runtime.ReadMemStats(&after)
	// Arms that have ended are shown for half a minute more, which is what grows here.
	t.Logf("heap %d KiB after a tenth of %d revisions, %d KiB after all", before.HeapAlloc>>10, revisions, after.HeapAlloc>>10)

	next <- "still here\n"
	if line, err := lines.ReadString('\n'); line != "still here\n" {
		t.Error(line, err)
	}
	_, _ = tunnel.WriteString("hello\n")
	_ = tunnel.Flush()
	if line, err := tunnel.ReadString('\n'); line != "echo hello\n" {
		t.Error(line, err)
	}
	// They are counted at their end, as what their revision brought about.
	r.apply(removal(configv1.Kind_KIND_KEY, "k1"))
	eventually(t, "the ends are counted", func() bool {
		return r.counted(func(k telemetry.CellKey) bool {
			return k.Revision == 1 && k.Route == "all" && k.Reason == "key_revoked"
		}) == 2
	})
}
