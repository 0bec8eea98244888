package http1

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// fields is what policies see of a header, whichever engine holds it.
type fields interface {
	Get(name string) string
	Values(name string) []string
	Set(name, value string)
	Add(name, value string)
	Del(name string)
}

var (
	_ fields = (*Header)(nil)
	_ fields = http.Header{}
)

func arrived(t *testing.T, lines string) *Header {
	t.Helper()
	r, done, err := parseRequest("GET / HTTP/1.1\r\nHost: a\r\n"+lines+"\r\n", Limits{})
	if !done || err != nil {
		t.Fatal(done, err)
	}
	return &r.Header
}

// TestHeaderLikeNetHTTP does the same to a Header and to net/http's and compares what they hold.
func TestHeaderLikeNetHTTP(t *testing.T) {
	t.Parallel()
	const lines = "X-Api-Key: k\r\nX-Odd: 1\r\nx-oDD: 2\r\nCookie: a=b\r\nAccept:\r\n"
	names := []string{"X-Api-Key", "X-Odd", "Cookie", "Accept", "X-New", "Server"}
	for name, do := range map[string]func(fields){
		"nothing":       func(fields) {},
		"set":           func(h fields) { h.Set("X-Odd", "3") },
		"set known":     func(h fields) { h.Set("X-Api-Key", "3") },
		"set new":       func(h fields) { h.Set("X-New", "3"); h.Set("X-New", "4") },
		"add":           func(h fields) { h.Add("X-Odd", "3"); h.Add("Server", "s") },
		"delete":        func(h fields) { h.Del("X-Odd"); h.Del("Cookie"); h.Del("X-New") },
		"set, delete":   func(h fields) { h.Set("X-New", "3"); h.Set("Server", "s"); h.Del("X-New") },
		"delete, add":   func(h fields) { h.Del("Cookie"); h.Add("Cookie", "c=d"); h.Add("Cookie", "e=f") },
		"add, set, add": func(h fields) { h.Add("X-Odd", "3"); h.Set("X-Odd", "4"); h.Add("X-Odd", "5") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := arrived(t, lines), http.Header{"X-Api-Key": {"k"}, "X-Odd": {"1", "2"}, "Cookie": {"a=b"}, "Accept": {""}}
			do(ours)
			do(theirs)
			n := 1
			for _, name := range names {
				n += len(theirs.Values(name))
				if ours.Get(name) != theirs.Get(name) || !slices.Equal(ours.Values(name), theirs.Values(name)) || ours.Has(name) != (theirs[name] != nil) {
					t.Errorf("%s: %q, want %q", name, ours.Values(name), theirs.Values(name))
				}
			}
			if ours.Len() != n {
				t.Errorf("%d fields, want %d", ours.Len(), n)
			}
			out, err := ours.appendTo(nil, 1<<nameHost)
			if err != nil || strings.Count(string(out), "\r\n") != n-1 {
				t.Errorf("wrote %q, %v", out, err)
			}
		})
	}
}

func TestRemoveHopByHop(t *testing.T) {
	t.Parallel()
	h := arrived(t, "Connection: close, X-Mine, Host, Content-Length\r\nX-Mine: 1\r\nX-Yours: 2\r\nKeep-Alive: 1\r\nTE: gzip\r\n"+
		"Upgrade: h2c\r\nHTTP2-Settings: a\r\nProxy-Authorization: b\r\nProxy-Connection: c\r\nTrailer: d\r\nContent-Length: 3\r\n")
	h.Add("Keep-Alive", "2")
	h.RemoveHopByHop()
	var left []string
	h.Each(func(name, value string) bool {
		left = append(left, name+"="+value)
		return true
	})
	if got := strings.Join(left, " "); got != "Host=a X-Yours=2 Trailer=d Content-Length=3" {
		t.Errorf("left: %s", got)
	}
}

// TestStringsOutliveTheBuffer shows that a string of a header may be kept when the buffer is used again.
func TestStringsOutliveTheBuffer(t *testing.T) {
	t.Parallel()
	limits := Limits{}.withDefaults()
	buffer := []byte("GET /kept HTTP/1.1\r\nHost: a\r\nX-Kept: value\r\n\r\n")
	r := new(Request)
	r.reset()
	if done, err := r.parse(buffer, &limits); !done || err != nil {
		t.Fatal(done, err)
	}
	path, value := r.Path(), r.Header.Get("X-Kept")
	for i := range buffer {
		buffer[i] = 'x'
	}
	r.reset()
	if path != "/kept" || value != "value" {
		t.Errorf("got %q, %q", path, value)
	}
}

func TestDelFunc(t *testing.T) {
	t.Parallel()
	h := arrived(t, "X-Tidegate-A: 1\r\nx-tidegate-b: 2\r\nX-Other: 3\r\n")
	h.Add("X-Tidegate-C", "4")
	h.DelFunc(func(name []byte) bool { return len(name) > 10 && equalFold(name[:10], "x-tidegate") })
	if h.Len() != 2 || h.Get("X-Other") != "3" {
		t.Errorf("%d left", h.Len())
	}
}

// TestHeaderFromAndToMaps shows that nothing is lost between this Header and net/http's.
func TestHeaderFromAndToMaps(t *testing.T) {
	t.Parallel()
	theirs := http.Header{"X-Odd": {"1", "2"}, "Cookie": {"a=b"}, "Accept": {""}}
	var ours Header
	ours.AddAll(theirs)
	back := http.Header{}
	ours.CopyTo(back)
	if !maps.EqualFunc(theirs, back, slices.Equal[[]string]) {
		t.Errorf("%v became %v", theirs, back)
	}
	received := http.Header{}
	arrived(t, "x-odd: 1\r\nX-ODD: 2\r\n").CopyTo(received)
	if !slices.Equal(received["X-Odd"], []string{"1", "2"}) {
		t.Errorf("%v arrived", received)
	}
}
