package router

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"tidegate.dev/proto/pattern"
)

// shape is a way in which routes are many: kinds of routes in turn. Six noughts stand for the number of the turn.
type shape struct {
	name  string
	kinds []kind
}

// kind is a route and a request that it takes.
type kind struct{ pattern, method, host, path string }

const noughts = "000000"

var shapes = []shape{
	{"literal", []kind{{"/service-000000/orders", "GET", "api.example.com", "/service-000000/orders"}}},
	{"params", []kind{{
		"/api/service-000000/orders/{order}/lines/{line} GET",
		"GET", "api.example.com", "/api/service-000000/orders/4711/lines/12",
	}}},
	{"prefix", []kind{{"/api/v1/service-000000/**", "GET", "api.example.com", "/api/v1/service-000000/orders/4711"}}},
	{"hosts", []kind{{"tenant-000000.example.com /orders/{order}", "GET", "tenant-000000.example.com", "/orders/4711"}}},
	{"wildcards", []kind{{"*.tenant-000000.example.com /orders/{order}", "GET", "eu.tenant-000000.example.com", "/orders/4711"}}},
	{"services", []kind{
		{"/api/service-000000/orders GET", "GET", "a.com", "/api/service-000000/orders"},
		{"/api/service-000000/orders POST", "POST", "a.com", "/api/service-000000/orders"},
		{"/api/service-000000/orders/{order} GET", "GET", "a.com", "/api/service-000000/orders/4711"},
		{"/api/service-000000/orders/{order} PUT", "PUT", "a.com", "/api/service-000000/orders/4711"},
		{"/api/service-000000/orders/{order} DELETE", "DELETE", "a.com", "/api/service-000000/orders/4711"},
		{"/api/service-000000/orders/{order}/lines GET", "GET", "a.com", "/api/service-000000/orders/4711/lines"},
		{"/api/service-000000/customers/{customer} GET", "GET", "a.com", "/api/service-000000/customers/42"},
		{"/api/service-000000/customers/new GET", "GET", "a.com", "/api/service-000000/customers/new"},
		{"/api/service-000000/health GET", "GET", "a.com", "/api/service-000000/health"},
		{"/api/service-000000/**", "GET", "a.com", "/api/service-000000/assets/logo.svg"},
	}},
}

func numbered(text string, turn int) string {
	return strings.Replace(text, noughts, fmt.Sprintf("%06d", turn), 1)
}

// pattern is that of route i.
func (s shape) pattern(i int) string {
	return numbered(s.kinds[i%len(s.kinds)].pattern, i/len(s.kinds))
}

// request is one that route i takes.
func (s shape) request(i int) (method, host, path string) {
	of, turn := s.kinds[i%len(s.kinds)], i/len(s.kinds)
	return of.method, numbered(of.host, turn), numbered(of.path, turn)
}

// entries have pointers as values, as a server's have.
func entries(tb testing.TB, s shape, count int) []Entry[*int] {
	out := make([]Entry[*int], count)
	for i := range out {
		name := fmt.Sprintf("route-%06d", i)
		out[i] = Entry[*int]{Rule: entryOf(tb, name, 0, s.pattern(i)).Rule, Value: &i}
	}
	return out
}

// TestMatchDoesNotAllocate covers every shape, misses, and conditions.
func TestMatchDoesNotAllocate(t *testing.T) {
	condition, err := pattern.ParseQuery("q", pattern.MatchesRegex, "v[12]")
	if err != nil {
		t.Fatal(err)
	}
	var query pattern.Fields = fields{query: map[string]string{"q": "v1"}}
	for _, s := range shapes {
		list := entries(t, s, 1000)
		for i := range list {
			list[i].Rule.Query = []pattern.Condition{condition}
		}
		list = append(list, Entry[*int]{Rule: entryOf(t, "regex", 0, "~/regex/[0-9]+").Rule}, Entry[*int]{Rule: entryOf(t, "wildcard", 0, "*.example.org /**").Rule})
		router := newRouter(t, list...)
		method, host, path := s.request(500)
		var params Params
		allocations := testing.AllocsPerRun(100, func() {
			if _, ok := router.Match(host, method, path, query, &params); !ok {
				t.Fatal("no match")
			}
			if _, ok := router.Match(host, "GET", "/nothing/at/all", query, &params); ok {
				t.Fatal("match")
			}
			if _, ok := router.Match("a", "GET", "/regex/12", query, &params); !ok {
				t.Fatal("no match")
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", s.name, allocations)
		}
	}
}

// BenchmarkMatch shows what the number of routes costs. In the order hot, requests are for 64 routes in turn, as most are for
// few; in the order random they are for all, with equal chances, so that the processor's caches hold little of what is needed.
func BenchmarkMatch(b *testing.B) {
	for _, s := range shapes {
		for _, count := range []int{1, 1000, 100_000} {
			router := sync.OnceValue(func() *Router[*int] { return newRouter(b, entries(b, s, count)...) })
			for _, order := range []string{"hot", "random"} {
				b.Run(fmt.Sprintf("%s/routes=%d/order=%s", s.name, count, order), func(b *testing.B) {
					benchmarkMatch(b, router(), newAsker(s, count, order == "random"))
				})
			}
		}
	}
}

func benchmarkMatch(b *testing.B, router *Router[*int], ask *asker) {
	b.ReportAllocs()
	for b.Loop() {
		method, host, path := ask.next()
		if _, ok := router.Match(host, method, path, nil, nil); !ok {
			b.Fatal(host, path)
		}
	}
}

// asker makes requests in place: a server has just read its request too, so that is in the caches, other than a list of all.
type asker struct {
	kinds        []asked
	hot          []int
	turn         int
	count, state uint64
}

type asked struct {
	method         string
	host, path     []byte
	hostAt, pathAt int
}

func newAsker(s shape, count int, random bool) *asker {
	a := &asker{count: uint64(count), state: 1}
	for _, of := range s.kinds {
		a.kinds = append(a.kinds, asked{
			of.method, []byte(of.host), []byte(of.path),
			strings.Index(of.host, noughts), strings.Index(of.path, noughts),
		})
	}
	if !random {
		a.hot = rand.New(rand.NewPCG(1, 1)).Perm(count)[:min(64, count)]
	}
	return a
}

// next returns strings that are good until the next call.
func (a *asker) next() (method, host, path string) {
	n := 0
	if a.hot != nil {
		n = a.hot[a.turn%len(a.hot)]
		a.turn++
	} else {
		a.state ^= a.state << 13
		a.state ^= a.state >> 7
		a.state ^= a.state << 17
		n = int(a.state % a.count)
	}
	of := &a.kinds[0]
	if len(a.kinds) > 1 {
		of = &a.kinds[n%len(a.kinds)]
		n /= len(a.kinds)
	}
	if of.pathAt >= 0 {
		writeNumber(of.path[of.pathAt:], n)
	}
	if of.hostAt >= 0 {
		writeNumber(of.host[of.hostAt:], n)
	}
	return of.method, unsafe.String(&of.host[0], len(of.host)), unsafe.String(&of.path[0], len(of.path))
}

func writeNumber(to []byte, n int) {
	for i := len(noughts) - 1; i >= 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
}

// BenchmarkAsk is what the requests of BenchmarkMatch cost by themselves.
func BenchmarkAsk(b *testing.B) {
	ask := newAsker(shapes[0], 100_000, true)
	for b.Loop() {
		ask.next()
	}
}

func BenchmarkMatchGitHub(b *testing.B) {
	operations := gitHub(b)
	router := gitHubRouter(b, operations)
	paths := make([]string, len(operations))
	for i, o := range operations {
		paths[i] = o.request()
	}
	for name, wanted := range map[string]*Params{"params": new(Params), "without": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			next := 0
			for b.Loop() {
				if _, ok := router.Match("api.github.com", operations[next].method, paths[next], nil, wanted); !ok {
					b.Fatal(paths[next])
				}
				if next++; next == len(paths) {
					next = 0
				}
			}
		})
	}
}

// BenchmarkMiss is a request that no route takes, and the question after it which methods would have been right.
func BenchmarkMiss(b *testing.B) {
	router := newRouter(b, entries(b, shapes[1], 100_000)...)
	b.ReportAllocs()
	for b.Loop() {
		router.Match("api.example.com", "GET", "/api/service-000001/nothing", nil, nil)
		router.Allowed("api.example.com", "/api/service-000001/nothing", nil)
	}
}

// BenchmarkWith changes one route among many.
func BenchmarkWith(b *testing.B) {
	for _, s := range shapes {
		for _, count := range []int{10, 1000, 100_000} {
			list := entries(b, s, count)
			router := newRouter(b, list...)
			b.Run(fmt.Sprintf("%s/routes=%d", s.name, count), func(b *testing.B) {
				b.ReportAllocs()
				next := 0
				for b.Loop() {
					if _, err := router.With(list[next:next+1], nil); err != nil {
						b.Fatal(err)
					}
					next = (next + 7919) % count
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, s := range shapes {
		list := entries(b, s, 100_000)
		b.Run(s.name+"/routes=100000", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
